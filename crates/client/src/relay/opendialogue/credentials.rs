//! What the relay knows an agent by.

use std::fmt;

use zeroize::Zeroizing;

/// Digits of an agent's id.
const ID_LEN: usize = 8;
/// Hex digits of its secret.
const SECRET_LEN: usize = 64;

/// An agent's id, and the secret that the relay gave out with it once.
#[derive(Clone)]
pub struct Credentials {
    agent: String,
    secret: Zeroizing<String>,
}

impl Credentials {
    /// Takes an id of eight digits and a secret of 64 hex digits; none if they are anything else.
    #[must_use]
    pub fn new(agent: &str, secret: &str) -> Option<Self> {
        let is_secret =
            secret.len() == SECRET_LEN && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_id(agent) && is_secret).then(|| Self {
            agent: agent.to_owned(),
            secret: Zeroizing::new(secret.to_owned()),
        })
    }

    /// Reads what [`Credentials::expose`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (agent, secret) = text.split_once(':')?;
        Self::new(agent, secret)
    }

    /// Id and secret with a colon between them, for the key store.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}:{}", self.agent, *self.secret))
    }

    /// The agent's id, which is its address at the relay.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agent, secret: _ } = self;
        formatter
            .debug_struct("Credentials")
            .field("agent", agent)
            .finish_non_exhaustive()
    }
}

/// Whether a text can be an agent's id.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::Credentials;

    const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn what_is_kept_reads_back_and_a_secret_is_not_shown() {
        let credentials = Credentials::new("12345678", SECRET).unwrap();
        let again = Credentials::from_text(&credentials.expose()).unwrap();
        assert_eq!(again.agent(), "12345678");
        assert_eq!(again.secret(), SECRET);
        assert!(!format!("{again:?}").contains("0011"));
    }

    #[test]
    fn what_is_no_id_or_no_secret_is_refused() {
        for (agent, secret) in [
            ("1234567", SECRET),
            ("123456789", SECRET),
            ("1234567a", SECRET),
            ("12345678", &SECRET[1..]),
            ("12345678", &SECRET.replace('0', "g")),
        ] {
            assert!(
                Credentials::new(agent, secret).is_none(),
                "{agent} {secret}"
            );
        }
    }
}
