//! Error answers.

use serde::{Deserialize, Serialize};

/// Body of every answer with a status of 400 and above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// Human text; never matched on.
    pub error: String,
    /// What went wrong, for programs.
    #[cfg_attr(feature = "schema", schema(value_type = String, example = "BAD_REQUEST"))]
    pub code: ErrorCode,
}

/// The `code` of an [`ErrorBody`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ErrorCode {
    /// 400: the request is malformed or lacks something.
    BadRequest,
    /// 400 (not 413): the body is over the size limit.
    PayloadTooLarge,
    /// 401: missing, malformed, unknown or wrong kind of key.
    Unauthorized,
    /// 403: somebody else's record, or an invite that is unknown, expired or used up.
    Forbidden,
    /// 404: unknown route, method, message, agent or invite.
    NotFound,
    /// 409: the name is taken.
    Conflict,
    /// 429: too many sends in this window.
    RateLimited,
    /// 429: a recipient's inbox is full.
    QuotaExceeded,
    /// 500: the relay failed.
    InternalError,
    /// 503: the relay is starting or stopping.
    Unavailable,
    /// A code that this version does not know.
    #[serde(other)]
    Unknown,
}
