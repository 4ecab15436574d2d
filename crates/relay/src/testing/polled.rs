//! A relay without streams, which clients have to poll.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::faults::Failing;
use crate::api_error::ApiError;

/// Answers as the relay would, but knows of no stream where there is to be none, or where what is looked at
/// is disturbed: a stream cannot be.
pub(super) async fn hide_stream(
    State((is_polled, failing)): State<(bool, Arc<Failing>)>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path() == "/messages/stream" && (is_polled || failing.disturbs_looks()) {
        return ApiError::not_found("this relay has no streams").into_response();
    }
    next.run(request).await
}
