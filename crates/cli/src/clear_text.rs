//! Which relays are reached without TLS.

use url::{Host, Url};

/// Whether the URL leads over a network without TLS.
pub(crate) fn travels_in_the_clear(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let stays_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    };
    url.scheme() == "http" && !stays_here
}

#[cfg(test)]
mod tests {
    use super::travels_in_the_clear;

    #[test]
    fn only_http_to_other_machines_travels_in_the_clear() {
        for url in [
            "http://relay.example",
            "http://192.0.2.1:8787",
            "http://[2001:db8::1]",
        ] {
            assert!(travels_in_the_clear(url), "{url}");
        }
        for url in [
            "https://relay.example",
            "http://127.0.0.1:8787",
            "http://[::1]",
            "http://localhost",
        ] {
            assert!(!travels_in_the_clear(url), "{url}");
        }
    }
}
