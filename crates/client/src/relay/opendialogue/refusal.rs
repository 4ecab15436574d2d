//! The relay's codes for what it refuses. Its words are for people, in a language that they may not read.

use std::time::Duration;

use ctalk_wire::ErrorCode;

use crate::{http::cleaned, relay::RelayError};

/// How long the relay counts what it took, when it has taken enough of it.
pub(super) const RATE_WINDOW: Duration = Duration::from_secs(60);

/// What a code means. `status` is the one that the same refusal has in HTTP.
pub(super) fn refusal(code: &str) -> RelayError {
    let (status, kind, why) = match code {
        "RATE_LIMITED" => {
            return RelayError::RateLimited { pause: RATE_WINDOW };
        }
        // Where it ends, the next message begins it again.
        "CONVERSATION_ENDED" => {
            return RelayError::RateLimited {
                pause: Duration::from_secs(1),
            };
        }
        "TIMESTAMP_EXPIRED" => (
            400,
            ErrorCode::BadRequest,
            "the clock of this machine differs from the relay's by more than five minutes",
        ),
        "MESSAGE_TOO_LARGE" => (400, ErrorCode::PayloadTooLarge, "the message is too long"),
        "INVALID_CONTENT" => (400, ErrorCode::BadRequest, "it does not take this content"),
        "INVALID_MESSAGE_TYPE" => (400, ErrorCode::BadRequest, "it does not take this type"),
        "UNAUTHORIZED" => (
            401,
            ErrorCode::Unauthorized,
            "this is another agent's connection",
        ),
        "INVALID_SIGNATURE" => (401, ErrorCode::Unauthorized, "the signature does not fit"),
        "REPLAY_ATTACK" => (409, ErrorCode::Conflict, "the nonce was used before"),
        "AGENT_BLOCKED" => (
            403,
            ErrorCode::Forbidden,
            "the recipient has blocked this agent",
        ),
        "NOT_IN_ALLOWLIST" => (
            403,
            ErrorCode::Forbidden,
            "the recipient hears only from agents that it listed",
        ),
        _ => {
            return RelayError::Refused {
                status: 400,
                code: ErrorCode::Unknown,
                text: cleaned(code),
            };
        }
    };
    RelayError::Refused {
        status,
        code: kind,
        text: why.to_owned(),
    }
}
