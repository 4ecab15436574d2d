//! Refusals as they go to the caller.

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ctalk_wire::{ErrorBody, ErrorCode};

use crate::log;
use crate::store::StoreError;

/// An answer with a status of 400 and above. Its text holds nothing secret and nothing internal.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: ErrorCode,
    text: Cow<'static, str>,
}

impl ApiError {
    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadRequest, text)
    }

    pub(crate) fn conflict(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Conflict, text)
    }

    pub(crate) fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Forbidden, text)
    }

    pub(crate) fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::NotFound, text)
    }

    pub(crate) fn too_large(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::PayloadTooLarge, text)
    }

    pub(crate) fn quota_exceeded(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::QuotaExceeded, text)
    }

    pub(crate) fn rate_limited(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::RateLimited, text)
    }

    /// One answer for every failed authentication, so that nothing can be learnt from it.
    pub(crate) fn unauthorized() -> Self {
        let text = "missing, unknown or wrong kind of key; send `Authorization: Bearer KEY`";
        Self::new(ErrorCode::Unauthorized, text)
    }

    /// The relay failed; nothing was stored.
    pub(crate) fn internal() -> Self {
        Self::new(
            ErrorCode::InternalError,
            "the relay failed and did nothing; try again later",
        )
    }

    /// The store is not there: not open yet, or closed.
    pub(crate) fn unavailable() -> Self {
        Self::new(
            ErrorCode::Unavailable,
            "the relay is starting or stopping; try again later",
        )
    }

    fn new(code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// What the caller reads.
    pub(crate) fn into_body(self) -> ErrorBody {
        ErrorBody {
            error: self.text.into_owned(),
            code: self.code,
        }
    }

    fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::BadRequest | ErrorCode::PayloadTooLarge => StatusCode::BAD_REQUEST,
            ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::QuotaExceeded | ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        log::store_failed(&error);
        match error {
            StoreError::Closed => Self::unavailable(),
            StoreError::RolledBack | StoreError::Sqlite(_) => Self::internal(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        (status, Json(self.into_body())).into_response()
    }
}
