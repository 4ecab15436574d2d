//! Request bodies: read within limits, taken apart member by member.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::api_error::ApiError;
use crate::http::App;

/// The most bytes of a body that are kept: 65,536 UTF-16 units never take more in UTF-8.
const MAX_BYTES: usize = 196_608;
/// The most bytes of a body that may hold many messages.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// The most UTF-16 code units in a message.
const MAX_UTF16_UNITS: usize = 65_536;
/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A request's body within the limits. Its content type plays no part.
pub(crate) struct Text(String);

/// A body that may hold many messages: up to 1 MiB.
pub(crate) struct BatchText(String);

impl FromRequest<Arc<App>> for BatchText {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let bytes = read(app, request.into_body(), MAX_BATCH_BYTES).await?;
        String::from_utf8(bytes).map(Self).map_err(|_| not_utf8())
    }
}

impl BatchText {
    /// The body as a JSON object.
    pub(crate) fn members(&self) -> Result<Members<'_>, ApiError> {
        Members::of(&self.0)
    }
}

impl FromRequest<Arc<App>> for Text {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let bytes = read(app, request.into_body(), MAX_BYTES).await?;
        // A sequence that is no UTF-8 counts as one unit, like the character that stands for it.
        let text = String::from_utf8_lossy(&bytes);
        fits(&text)?;
        String::from_utf8(bytes).map(Self).map_err(|_| not_utf8())
    }
}

async fn read(app: &App, body: Body, max_bytes: usize) -> Result<Vec<u8>, ApiError> {
    tokio::time::timeout(TIMEOUT, read_slowly(body, max_bytes))
        .await
        .map_err(|_| {
            app.tally.slow_body();
            ApiError::bad_request("the body did not arrive within 30 seconds")
        })?
}

async fn read_slowly(mut body: Body, max_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| ApiError::bad_request("the body ended before it was complete"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > max_bytes {
            return Err(if max_bytes == MAX_BYTES {
                too_large()
            } else {
                ApiError::too_large(format!("the body is larger than {max_bytes} bytes"))
            });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Refuses a message that is longer than 65,536 UTF-16 code units.
pub(crate) fn fits(text: &str) -> Result<(), ApiError> {
    if text.len() > MAX_UTF16_UNITS && text.encode_utf16().count() > MAX_UTF16_UNITS {
        return Err(too_large());
    }
    Ok(())
}

fn too_large() -> ApiError {
    ApiError::too_large("a message may have 65,536 characters (UTF-16 code units)")
}

fn not_utf8() -> ApiError {
    ApiError::bad_request("the body is not UTF-8")
}

impl Text {
    /// The body as a JSON object.
    pub(crate) fn members(&self) -> Result<Members<'_>, ApiError> {
        Members::of(&self.0)
    }

    /// Whether the body is JSON of any kind.
    pub(crate) fn is_json(&self) -> bool {
        serde_json::from_str::<&RawValue>(&self.0).is_ok()
    }
}

/// A JSON object's members as they were sent. Of members with one name, the last counts.
#[derive(Default)]
pub(crate) struct Members<'b>(HashMap<Name, &'b RawValue>);

/// A member's name in bytes: one with a lone surrogate is nobody's here, but no error either.
#[derive(PartialEq, Eq, Hash)]
struct Name(Vec<u8>);

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a member's name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(name.to_owned()))
            }
        }

        deserializer.deserialize_bytes(NameVisitor)
    }
}

impl<'b> Members<'b> {
    /// Takes `text` apart.
    pub(crate) fn of(text: &'b str) -> Result<Self, ApiError> {
        match serde_json::from_str(text) {
            Ok(members) => Ok(Self(members)),
            Err(_) if text.trim_ascii_start().starts_with('{') => {
                Err(ApiError::bad_request("the body is not JSON"))
            }
            Err(_) => Err(ApiError::bad_request("the body is not a JSON object")),
        }
    }

    /// The JSON text of member `name`, `null` included.
    pub(crate) fn raw(&self, name: &str) -> Option<&'b str> {
        self.0.get(name.as_bytes()).map(|raw| raw.get())
    }

    /// Member `name` as a `T`; absent and `null` are the same.
    pub(crate) fn optional<T: Deserialize<'b>>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, ApiError> {
        self.raw(name).map_or(Ok(None), |raw| {
            serde_json::from_str(raw)
                .map_err(|_| ApiError::bad_request(format!("`{name}` must be {expected}")))
        })
    }

    /// Member `name` as a text; absent and `null` are the same.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        self.optional(name, "a string")
    }

    /// Member `name` as a text that is there and not empty.
    pub(crate) fn required_text(&self, name: &str) -> Result<String, ApiError> {
        self.text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| missing(name))
    }

    /// The JSON text of member `name`, which must be there; `null` counts.
    pub(crate) fn required_raw(&self, name: &str) -> Result<&'b str, ApiError> {
        self.raw(name).ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::bad_request(format!("`{name}` is required"))
}
