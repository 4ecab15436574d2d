//! `GET /metrics`, on the listener for monitoring.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::api_error::ApiError;
use crate::http::App;

/// OpenMetrics 1.0, section "Content-Type".
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let totals = app.store.totals().await?;
    let text = app.metrics.text(&totals);
    let text = text.map_err(|_| ApiError::internal())?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
