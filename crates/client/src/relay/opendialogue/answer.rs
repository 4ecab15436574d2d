//! What the relay says to a frame. Its words are for people, in a language that they may not read: only its
//! codes count.

use ctalk_wire::ErrorCode;

use crate::{http::cleaned, relay::RelayError};

/// What became of a frame that the relay did not refuse for good.
pub(super) enum Answer {
    /// It took the message, under this id. That it was written to a connection of the receiver's or put into
    /// the queue does not say that it arrives: a connection may be dead, and the queue keeps ten.
    Taken(String),
    /// The conversation is over. Where that answers a message, the relay did nothing with it.
    Ended,
    /// It has taken as many messages as it does in its window, and did nothing with this one.
    TooMany,
}

/// What a code means. `status` is the one that the same refusal has in HTTP.
pub(super) fn refusal(code: &str) -> Result<Answer, RelayError> {
    let (status, kind, why) = match code {
        "RATE_LIMITED" => return Ok(Answer::TooMany),
        "CONVERSATION_ENDED" => return Ok(Answer::Ended),
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
            return Err(RelayError::Refused {
                status: 400,
                code: ErrorCode::Unknown,
                text: cleaned(code),
            });
        }
    };
    Err(RelayError::Refused {
        status,
        code: kind,
        text: why.to_owned(),
    })
}
