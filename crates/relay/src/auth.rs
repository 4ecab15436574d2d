//! Keys: how they are made, kept and recognised in a request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::api_error::ApiError;
use crate::http::App;
use crate::log;
use crate::store::Agent;

/// SHA-256 of an API key, all that is kept of it.
#[derive(Clone, Copy)]
pub(crate) struct KeyHash(pub(crate) [u8; 32]);

impl KeyHash {
    pub(crate) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl ConstantTimeEq for KeyHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl ToSql for KeyHash {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_slice()))
    }
}

impl FromSql for KeyHash {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(Self)
    }
}

/// Makes an API key: `ct_` and 32 random bytes as base64url without padding, 46 characters.
pub(crate) fn new_api_key() -> Result<String, ApiError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| ApiError::internal())?;
    Ok(format!("ct_{}", URL_SAFE_NO_PAD.encode(random)))
}

/// A request that carries an agent's key.
pub(crate) struct AgentCaller(pub(crate) Arc<Agent>);

/// A request that carries the admin key.
pub(crate) struct AdminCaller;

/// A request that carries either.
pub(crate) enum Caller {
    Admin,
    Agent(Arc<Agent>),
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or_else(ApiError::unauthorized)?;
        let hash = KeyHash::of(token);
        if app.admin_key.matches(&hash.0) {
            return Ok(Self::Admin);
        }
        let known = app.store.directory().by_key(&hash);
        let agent = known.ok_or_else(ApiError::unauthorized)?;
        log::called_by(&agent);
        Ok(Self::Agent(agent))
    }
}

impl FromRequestParts<Arc<App>> for AgentCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Agent(agent) => Ok(Self(agent)),
            Caller::Admin => Err(ApiError::unauthorized()),
        }
    }
}

impl FromRequestParts<Arc<App>> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Admin => Ok(Self),
            Caller::Agent(_) => Err(ApiError::unauthorized()),
        }
    }
}

/// The agent whose key a request with these headers carries.
pub(crate) fn agent(app: &App, headers: &HeaderMap) -> Option<Arc<Agent>> {
    let key = KeyHash::of(bearer(headers)?);
    app.store.directory().by_key(&key)
}

impl FromRequestParts<Arc<App>> for KeyHash {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        bearer(&parts.headers)
            .map(Self::of)
            .ok_or_else(ApiError::unauthorized)
    }
}

/// The token of `Authorization: Bearer TOKEN`; the scheme's letter case and the one space count.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    header
        .strip_prefix("Bearer ")
        .filter(|token| !token.is_empty())
}
