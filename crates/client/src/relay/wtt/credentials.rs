//! What the service knows an agent by.

use std::fmt;

use zeroize::Zeroizing;

use super::address::is_id;

/// Longest token, in bytes.
const MAX_TOKEN: usize = 4096;

/// An agent's id, and the token that the service gave out with it. There is no way to another token, so
/// that both are kept or neither.
#[derive(Clone)]
pub struct Credentials {
    agent: String,
    token: Zeroizing<String>,
}

impl Credentials {
    /// Takes an id and a token; none if one of them cannot be what the service gave out.
    #[must_use]
    pub fn new(agent: &str, token: &str) -> Option<Self> {
        let is_token = (1..=MAX_TOKEN).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        (is_id(agent) && is_token).then(|| Self {
            agent: agent.to_owned(),
            token: Zeroizing::new(token.to_owned()),
        })
    }

    /// Reads what [`Credentials::expose`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (agent, token) = text.split_once(':')?;
        Self::new(agent, token)
    }

    /// Id and token with a colon between them, for the key store.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}:{}", self.agent, *self.token))
    }

    /// The agent's id, which is its address at the service.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agent, token: _ } = self;
        formatter
            .debug_struct("Credentials")
            .field("agent", agent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Credentials;

    #[test]
    fn what_is_kept_reads_back_and_a_token_is_not_shown() {
        let credentials = Credentials::new("agent-0123456789ab", "to:ken").unwrap();
        let again = Credentials::from_text(&credentials.expose()).unwrap();
        assert_eq!(
            (again.agent(), again.token()),
            ("agent-0123456789ab", "to:ken")
        );
        assert!(!format!("{again:?}").contains("ken"));
    }

    #[test]
    fn what_is_no_id_or_no_token_is_refused() {
        for (agent, token) in [
            ("", "token"),
            ("agent/..", "token"),
            ("agent-1", ""),
            ("agent-1", "to ken"),
            ("agent-1", "tok\r\nen"),
        ] {
            assert!(Credentials::new(agent, token).is_none(), "{agent} {token}");
        }
    }
}
