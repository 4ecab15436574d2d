//! Where a service is, and how its agents are named.

use crate::{http, relay::RelayError};

/// What an address begins with.
const SCHEME: &str = "wtt+";
/// Where the WebSockets are.
const SOCKET: &str = "/ws";
/// What some addresses end with; the WebSockets may be beside it or behind it.
const VERSION: &str = "/api/v1";
/// Longest id of an agent.
const MAX_ID: usize = 128;

/// Where a service is.
#[derive(Debug)]
pub(super) struct Address {
    /// As it is written in settings.
    pub(super) url: String,
    /// What REST paths are appended to.
    pub(super) rest: String,
    /// What an agent's id is appended to for its WebSocket, the likelier one first.
    pub(super) sockets: Vec<String>,
}

/// Reads `wtt+https://HOST`; a path may follow. Without TLS only this machine's own is taken.
pub(super) fn address(text: &str) -> Result<Address, RelayError> {
    let bad = |why| RelayError::BadUrl {
        url: http::shown_address(text),
        why,
    };
    let rest = text
        .strip_prefix(SCHEME)
        .ok_or_else(|| bad("it must begin with wtt+https://"))?;
    let url = url::Url::parse(rest).map_err(|_| bad("it is no URL"))?;
    let scheme = match url.scheme() {
        "https" => "wss",
        "http" if http::is_loopback(rest) => "ws",
        "http" => {
            return Err(bad(
                "without TLS everybody on the way could use the agent's token",
            ));
        }
        _ => return Err(bad("it must begin with wtt+https://")),
    };
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it must not carry a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it must not carry a query or fragment"));
    }
    let rest = url.as_str().trim_end_matches('/');
    let behind = format!("{scheme}{}", rest.trim_start_matches(url.scheme()));
    let beside = behind.strip_suffix(VERSION);
    let sockets = beside.into_iter().chain([&*behind]);
    Ok(Address {
        url: format!("{SCHEME}{rest}"),
        rest: rest.to_owned(),
        sockets: sockets.map(|base| format!("{base}{SOCKET}/")).collect(),
    })
}

/// Whether a text can be the id of an agent, a topic or a task. They are the service's to choose; what
/// means something in a path is none.
pub(super) fn is_id(text: &str) -> bool {
    let is_usable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_ID).contains(&text.len())
        && text.bytes().all(is_usable)
        && !text.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::{address, is_id};

    #[test]
    fn an_address_leads_to_rest_and_socket() {
        for text in [
            "wtt+https://wtt.example/base/",
            "wtt+https://wtt.example/base",
        ] {
            let address = address(text).unwrap();
            assert_eq!(address.url, "wtt+https://wtt.example/base");
            assert_eq!(address.rest, "https://wtt.example/base");
            assert_eq!(address.sockets, ["wss://wtt.example/base/ws/"]);
        }
        let local = address("wtt+http://127.0.0.1:8000").unwrap();
        assert_eq!(local.sockets, ["ws://127.0.0.1:8000/ws/"]);
    }

    #[test]
    fn sockets_are_sought_beside_a_version_and_then_behind_it() {
        let address = address("wtt+https://wtt.example/api/v1/").unwrap();
        assert_eq!(address.rest, "https://wtt.example/api/v1");
        assert_eq!(
            address.sockets,
            ["wss://wtt.example/ws/", "wss://wtt.example/api/v1/ws/"]
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "https://wtt.example",
            "wtt+wss://wtt.example",
            "wtt+http://wtt.example",
            "wtt+http://170.106.109.4:8000",
            "wtt+https://user@wtt.example",
            "wtt+https://wtt.example/?token=1",
            "wtt+https://",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_cannot_lead_elsewhere() {
        assert!(is_id("agent-0123456789ab") && is_id("p2p-a.b_c"));
        for text in ["", "..", "a/b", "a?b", "a%2e", "a b", &"a".repeat(129)] {
            assert!(!is_id(text), "{text}");
        }
    }
}
