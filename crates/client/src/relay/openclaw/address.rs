//! Where an agent's WebSocket is, and what lets somebody in there.

use url::Url;
use zeroize::Zeroizing;

use crate::{
    http::{is_loopback, shown_address},
    relay::RelayError,
};

/// What an address begins with.
const SCHEME: &str = "openclaw+";
/// Where the WebSocket is unless the address says so.
const PATH: &str = "/ws";
/// The query's name for what is no part of an address.
const TOKEN: &str = "token";

/// Who connects.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What the host is shown, where it asks for something.
    pub token: Option<Token>,
    /// The name to speak under, unless the host knows it by the token. Not proven to anybody.
    pub sender_id: Option<String>,
    /// The same for people.
    pub sender_name: Option<String>,
    /// Whether the line may lead to another machine without TLS, where everybody on the way reads the
    /// token.
    pub allows_clear: bool,
}

/// A secret of the host's.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes a token.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self(Zeroizing::new(token.into()))
    }
}

impl core::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Token(..)")
    }
}

/// An address, read.
pub(super) struct Address {
    /// As it is shown and kept.
    pub(super) url: String,
    socket: Url,
}

impl Address {
    /// Reads `openclaw+wss://HOST/PATH`, or with `ws`.
    pub(super) fn read(text: &str, access: &Access) -> Result<Self, RelayError> {
        let bad = |why| RelayError::BadUrl {
            url: shown_address(text),
            why,
        };
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| bad("it does not begin with openclaw+"))?;
        let mut socket = Url::parse(rest).map_err(|_| bad("it is no URL"))?;
        if !matches!(socket.scheme(), "ws" | "wss") || socket.host().is_none() {
            return Err(bad("it needs ws:// or wss:// and a host"));
        }
        if !socket.username().is_empty() || socket.password().is_some() {
            return Err(bad("a user name or a password is no part of it"));
        }
        if socket.fragment().is_some() {
            return Err(bad("it has a fragment"));
        }
        if socket.query_pairs().any(|(name, _)| name == TOKEN) {
            return Err(bad("the token is no part of it"));
        }
        if socket.scheme() == "ws" && !is_loopback(socket.as_str()) && !access.allows_clear {
            return Err(bad("it leads to another machine without TLS: use wss://"));
        }
        if socket.path() == "/" {
            socket.set_path(PATH);
        }
        Ok(Self {
            url: format!("{SCHEME}{socket}"),
            socket,
        })
    }

    /// What is asked for, with all that lets somebody in.
    pub(super) fn with(&self, access: &Access) -> Zeroizing<String> {
        let token = access.token.as_ref().map(|token| token.0.as_str());
        let given = [
            (TOKEN, token),
            ("senderId", access.sender_id.as_deref()),
            ("senderName", access.sender_name.as_deref()),
        ];
        let mut socket = self.socket.clone();
        for (name, value) in given {
            if let Some(value) = value {
                socket.query_pairs_mut().append_pair(name, value);
            }
        }
        Zeroizing::new(socket.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Address, Token};
    use crate::relay::RelayError;

    #[test]
    fn an_address_is_kept_without_what_lets_somebody_in() {
        let access = Access {
            token: Some(Token::new("s&cret")),
            sender_id: Some("ann b".to_owned()),
            ..Access::default()
        };
        let address = Address::read("openclaw+wss://claw.example?room=1", &access).unwrap();
        assert_eq!(address.url, "openclaw+wss://claw.example/ws?room=1");
        assert_eq!(
            address.with(&access).as_str(),
            "wss://claw.example/ws?room=1&token=s%26cret&senderId=ann+b"
        );
        assert!(!format!("{access:?}").contains("cret"));
    }

    #[test]
    fn what_would_show_a_secret_is_no_address() {
        let read = |text: &str| Address::read(text, &Access::default()).map(|address| address.url);
        for text in [
            "ws://localhost/ws",
            "openclaw+http://localhost/ws",
            "openclaw+ws://",
            "openclaw+ws://ann:secret@localhost/ws",
            "openclaw+ws://localhost/ws?token=secret",
            "openclaw+ws://localhost/ws#secret",
            "openclaw+ws://claw.example/ws",
        ] {
            let error = read(text).unwrap_err();
            assert!(matches!(error, RelayError::BadUrl { .. }), "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for text in [
            "openclaw+ws://127.0.0.1:18800/ws",
            "openclaw+wss://claw.example/a/",
        ] {
            assert_eq!(read(text).unwrap(), text);
        }
        let clear = Access {
            allows_clear: true,
            ..Access::default()
        };
        assert!(Address::read("openclaw+ws://claw.example/ws", &clear).is_ok());
    }
}
