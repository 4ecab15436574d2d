//! HTTP as every part of the client speaks it.

use std::time::Duration;

use crate::relay::RelayError;

/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The beginnings of a connection to `url`, which follows no redirect.
pub(crate) fn builder(url: &str) -> reqwest::ClientBuilder {
    // A second installation fails because the first one stands, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("ctalk/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true);
    if url.starts_with("http:") {
        // Reading the system's TLS roots takes longer than a whole request over loopback.
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(url) {
        // A proxy could not reach this machine's own server.
        builder = builder.no_proxy();
    }
    builder
}

pub(crate) fn is_loopback(url: &str) -> bool {
    match url::Url::parse(url).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The innermost cause, which is what a person can act on.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cleaned(&cause.to_string())
}

/// Reads what a relay answered, never more than `most` bytes of it.
pub(crate) async fn body(
    url: &str,
    mut response: reqwest::Response,
    most: usize,
) -> Result<Vec<u8>, RelayError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| transport(url, &error))?
    {
        if bytes.len().saturating_add(chunk.len()) > most {
            let why = format_args!("it is larger than {most} bytes");
            return Err(bad_answer(url, why));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What it means for a relay that a request did not go through.
pub(crate) fn transport(url: &str, error: &reqwest::Error) -> RelayError {
    let url = url.to_owned();
    if error.is_builder() {
        return RelayError::BadKey;
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, _) => RelayError::Unreachable {
            url,
            why: reason(error),
        },
        (false, true) => RelayError::TimedOut { url },
        (false, false) => RelayError::Interrupted {
            url,
            why: reason(error),
        },
    }
}

/// An answer that is not what the relay's protocol says.
pub(crate) fn bad_answer(url: &str, why: impl core::fmt::Display) -> RelayError {
    RelayError::BadAnswer {
        url: url.to_owned(),
        why: cleaned(&why.to_string()),
    }
}

/// Reads a URL that names a host, and has nothing in it that could be a secret.
pub(crate) fn plain_url(text: &str) -> Result<url::Url, &'static str> {
    let url = url::Url::parse(text).map_err(|_| "it is no URL")?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not carry a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must not carry a query or fragment");
    }
    Ok(url)
}

/// An address that is refused, fit to be shown: without the user name, password and query that it may have.
pub(crate) fn shown_address(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| {
        (text.get(..scheme.len() + 3).unwrap_or_default(), rest)
    });
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    cleaned(&format!("{scheme}{host}{path}"))
}

/// Foreign text fit to be shown: short, one line, no control or directional characters.
pub(crate) fn cleaned(text: &str) -> String {
    text.chars()
        .filter(|character| !crate::text::is_unsafe(*character))
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::shown_address;

    #[test]
    fn an_address_that_is_shown_holds_no_password_and_no_token() {
        for (text, shown) in [
            (
                "http://ann:secret@relay.example/a",
                "http://relay.example/a",
            ),
            ("http://ann:sec@ret@relay.example", "http://relay.example"),
            ("ann:secret@relay.example/p@th", "relay.example/p@th"),
            (
                "https://relay.example/?token=secret",
                "https://relay.example/",
            ),
            ("https://relay.example#secret", "https://relay.example"),
            ("ftp://relay.example", "ftp://relay.example"),
            ("", ""),
        ] {
            assert_eq!(shown_address(text), shown);
        }
    }
}
