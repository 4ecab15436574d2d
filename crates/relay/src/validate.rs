//! What agents may put into their records, and how much of it.

use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::api_error::ApiError;
use crate::body::Members;

/// The most characters of an owner, an invite's label and a topic.
const MAX_LABEL: usize = 256;
/// The most entries of `capabilities`.
const MAX_CAPABILITIES: usize = 64;
/// The most bytes of all capabilities together.
const MAX_CAPABILITIES_LEN: usize = 16_384;
/// The most bytes of a webhook's URL.
const MAX_URL_LEN: usize = 2048;
/// The deepest nesting of a relayed value: common parsers stop at 128 levels, and a page adds three.
const MAX_DEPTH: usize = 124;
/// The name that means everybody.
pub(crate) const BROADCAST: &str = "broadcast";
/// The name under which the relay itself writes into the audit log.
pub(crate) const SYSTEM: &str = "_system";

/// A name that an agent may register: 2 to 32 ASCII letters, digits, `_` and `-`, and neither
/// `broadcast` nor `_system` in any letter case.
pub(crate) fn agent_name(name: &str) -> Result<(), ApiError> {
    let fits = (2..=32).contains(&name.len());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !fits || !name.bytes().all(plain) {
        return Err(ApiError::bad_request(
            "`name` must be 2 to 32 letters, digits, `_` and `-`",
        ));
    }
    for reserved in [BROADCAST, SYSTEM] {
        if name.eq_ignore_ascii_case(reserved) {
            return Err(ApiError::bad_request(format!(
                "the name `{reserved}` is reserved"
            )));
        }
    }
    Ok(())
}

/// The public key in member `name`: 32 bytes in padded standard base64.
pub(crate) fn public_key(members: &Members<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let Some(key) = members.text(name)? else {
        return Ok(None);
    };
    match STANDARD.decode(&key) {
        Ok(bytes) if bytes.len() == 32 => Ok(Some(key)),
        _ => Err(ApiError::bad_request(format!(
            "`{name}` must be 32 bytes in standard base64 with padding"
        ))),
    }
}

/// The member `capabilities`, within its limits.
pub(crate) fn capabilities(members: &Members<'_>) -> Result<Option<Vec<String>>, ApiError> {
    let capabilities: Option<Vec<String>> =
        members.optional("capabilities", "an array of strings")?;
    if let Some(capabilities) = &capabilities {
        let bytes: usize = capabilities.iter().map(String::len).sum();
        if capabilities.len() > MAX_CAPABILITIES || bytes > MAX_CAPABILITIES_LEN {
            return Err(ApiError::bad_request(format!(
                "`capabilities` may have {MAX_CAPABILITIES} entries of together \
                 {MAX_CAPABILITIES_LEN} bytes"
            )));
        }
    }
    Ok(capabilities)
}

/// The member `webhookUrl`; an empty one is the same as none.
pub(crate) fn webhook_url(members: &Members<'_>) -> Result<Option<String>, ApiError> {
    let Some(url) = members.text("webhookUrl")?.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let usable = |url: Uri| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && url.host().is_some_and(|host| !host.is_empty())
    };
    if url.len() > MAX_URL_LEN || !url.parse().is_ok_and(usable) {
        return Err(ApiError::bad_request(format!(
            "`webhookUrl` must be an http or https URL of at most {MAX_URL_LEN} bytes"
        )));
    }
    Ok(Some(url))
}

/// What of a webhook's `url` others may see: scheme, host and port.
pub(crate) fn webhook_target(url: &str) -> String {
    let Ok(url) = url.parse::<Uri>() else {
        return String::new();
    };
    let scheme = url.scheme_str().unwrap_or_default();
    let host = url.host().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    format!("{scheme}://{host}{}", port.unwrap_or_default())
}

/// Refuses a `value` of member `name` that is longer than 256 characters.
pub(crate) fn label(name: &str, value: &str) -> Result<(), ApiError> {
    if value.chars().count() > MAX_LABEL {
        return Err(ApiError::bad_request(format!(
            "`{name}` may have {MAX_LABEL} characters"
        )));
    }
    Ok(())
}

/// Refuses a `raw` JSON value of member `name` that common parsers cannot read, because one such
/// message would keep them from reading the whole page that lists it. Lone surrogates pass.
pub(crate) fn readable(name: &str, raw: &str) -> Result<(), ApiError> {
    let mut depth = 0_usize;
    let mut rest = raw;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' => string_len(rest),
            '-' | '0'..='9' => {
                let len = rest
                    .find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'))
                    .unwrap_or(rest.len());
                let number = rest.get(..len).and_then(|text| text.parse().ok());
                if !number.is_some_and(f64::is_finite) {
                    return Err(ApiError::bad_request(format!(
                        "`{name}` holds a number beyond the range of a double"
                    )));
                }
                len
            }
            '[' | '{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(ApiError::bad_request(format!(
                        "`{name}` may be nested {MAX_DEPTH} levels deep"
                    )));
                }
                1
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                1
            }
            other => other.len_utf8(),
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(())
}

/// Whether a `raw` JSON value counts as nothing in JavaScript: `null`, `false`, zero, empty text.
pub(crate) fn is_falsy(raw: &str) -> bool {
    let is_zero = |number: f64| number == 0.0;
    matches!(raw, "null" | "false" | "\"\"") || raw.parse().is_ok_and(is_zero)
}

/// The length in bytes of the JSON string that `text` begins with, quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
