//! Relays by their URLs: which kind one is of, and a connection to it.

use core::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    Relay, RelayError,
    clawtalk::{self, BearerKey, ClawTalk},
    opendialogue::{self, OpenDialogue},
    wtt::{self, Wtt},
};
use crate::{clock::Clock, http};

/// A kind of relay that an agent has an address at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `https://…` or `clawtalk+https://…`, or with `http`.
    ClawTalk,
    /// `opendialogue+wss://…`, or with `ws`.
    OpenDialogue,
    /// `wtt+https://…`, or with `http` on this machine.
    Wtt,
}

impl Kind {
    /// The kind that a URL names by its beginning.
    ///
    /// # Errors
    /// [`RelayError::BadUrl`].
    pub fn of(url: &str) -> Result<Self, RelayError> {
        let bad = |why| RelayError::BadUrl {
            url: http::shown_address(url),
            why,
        };
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        match scheme.split_once('+').map_or(scheme, |(kind, _)| kind) {
            "http" | "https" | "clawtalk" => Ok(Self::ClawTalk),
            "opendialogue" => Ok(Self::OpenDialogue),
            "wtt" => Ok(Self::Wtt),
            "openclaw" => Err(bad("it leads to one agent: talk to it with `ctalk chat`")),
            _ => Err(bad(
                "it must begin with https://, opendialogue+wss:// or wtt+https://",
            )),
        }
    }

    /// Whether it chooses the agents' addresses, and has no directory to find them in.
    pub(crate) const fn chooses_addresses(self) -> bool {
        match self {
            Self::ClawTalk => false,
            Self::OpenDialogue | Self::Wtt => true,
        }
    }

    /// Whether it knows a single connection of each agent, or may.
    pub(crate) const fn is_exclusive(self) -> bool {
        match self {
            Self::ClawTalk => false,
            Self::OpenDialogue | Self::Wtt => true,
        }
    }

    /// The agent's address at a relay that chose one, by what the relay gave out at registration.
    pub(crate) fn address(self, credential: &str) -> Option<String> {
        match self {
            Self::ClawTalk => None,
            Self::OpenDialogue => opendialogue::Credentials::from_text(credential)
                .map(|credentials| credentials.agent().to_owned()),
            Self::Wtt => wtt::Credentials::from_text(credential)
                .map(|credentials| credentials.agent().to_owned()),
        }
    }

    /// The kind as shown, and the name of its first relay.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClawTalk => "clawtalk",
            Self::OpenDialogue => "opendialogue",
            Self::Wtt => "wtt",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A relay's URL as it is kept: the same for all spellings of it.
///
/// # Errors
/// [`RelayError::BadUrl`].
pub fn normalised(url: &str) -> Result<String, RelayError> {
    match Kind::of(url)? {
        Kind::ClawTalk => clawtalk::normalise_url(plain(url)),
        Kind::OpenDialogue => opendialogue::normalise_url(url),
        Kind::Wtt => wtt::normalise_url(url),
    }
}

/// Prepares a connection to the relay at `url`. `credential` is asked, with the normalised URL, for what
/// the relay gave out at registration, as the key store keeps it.
///
/// # Errors
/// [`RelayError::BadUrl`]; [`RelayError::Unreachable`] when the system offers no TLS roots. Where nothing
/// at all can be done without a credential, [`RelayError::NoKey`] and [`RelayError::BadKey`]; else the
/// first call that needs it says so.
pub fn connect(
    url: &str,
    credential: impl FnOnce(&str) -> Option<Zeroizing<String>>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Relay>, RelayError> {
    Ok(match Kind::of(url)? {
        Kind::ClawTalk => {
            let key = |url: &str| credential(url).map(|key| BearerKey::new(key.as_str()));
            Arc::new(ClawTalk::connect(plain(url), clock, key)?)
        }
        Kind::OpenDialogue => {
            let url = opendialogue::normalise_url(url)?;
            let Some(text) = credential(&url) else {
                return Err(RelayError::NoKey { url });
            };
            let credentials = opendialogue::Credentials::from_text(&text);
            let credentials = credentials.ok_or(RelayError::BadKey)?;
            Arc::new(OpenDialogue::new(&url, credentials, clock)?)
        }
        Kind::Wtt => {
            let url = wtt::normalise_url(url)?;
            let Some(text) = credential(&url) else {
                return Err(RelayError::NoKey { url });
            };
            let credentials = wtt::Credentials::from_text(&text);
            let credentials = credentials.ok_or(RelayError::BadKey)?;
            Arc::new(Wtt::new(&url, credentials, None, clock)?)
        }
    })
}

/// The URL without the kind that it needs not name.
fn plain(url: &str) -> &str {
    url.strip_prefix("clawtalk+").unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::{Kind, normalised};
    use crate::relay::RelayError;

    #[test]
    fn a_url_names_its_kind_and_plain_http_means_clawtalk() {
        for (url, kind, kept) in [
            ("https://r.example/", Kind::ClawTalk, "https://r.example"),
            (
                "clawtalk+https://r.example",
                Kind::ClawTalk,
                "https://r.example",
            ),
            (
                "opendialogue+wss://od.example",
                Kind::OpenDialogue,
                "opendialogue+wss://od.example/connect",
            ),
            (
                "wtt+https://wtt.example/",
                Kind::Wtt,
                "wtt+https://wtt.example",
            ),
        ] {
            assert_eq!(Kind::of(url).unwrap(), kind, "{url}");
            assert_eq!(normalised(url).unwrap(), kept, "{url}");
        }
    }

    #[test]
    fn what_names_no_kind_of_relay_is_refused() {
        for url in [
            "",
            "r.example",
            "ftp://r.example",
            "wss://od.example",
            "openclaw+ws://127.0.0.1:18789",
            "clawtalk+ftp://r.example",
            "https+opendialogue://r.example",
        ] {
            let refused = normalised(url);
            assert!(matches!(refused, Err(RelayError::BadUrl { .. })), "{url}");
        }
    }
}
