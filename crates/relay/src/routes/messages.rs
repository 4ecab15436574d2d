//! Reading `/messages` and deleting from it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use ctalk_wire::ErrorBody;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::auth::{AgentCaller, Caller, KeyHash};
use crate::body::Text;
use crate::clock::parse_iso;
use crate::config::Paging;
use crate::http::{App, last_segment};
use crate::listener::{Heard, Listener};
use crate::store::{Filter, Inbox, StoredPage};

use super::openapi::{MessageIds, Page};
use super::page;

/// Items in a page when the caller does not say.
pub(super) const DEFAULT_LIMIT: u32 = 50;
/// The most messages in a page.
const MAX_LIMIT: u32 = 100;
/// The most messages that are deleted at once.
const MAX_DELETED: usize = 1000;
/// The longest that a request waits for a message: proxies commonly end one that is silent longer.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The caller's inbox, or every copy of all messages for the operator.
#[utoipa::path(
    get,
    path = "/messages",
    tag = "messages",
    params(
        ("sort" = Option<String>, Query, description = "`asc` for oldest first, else newest first"),
        (
            "after" = Option<String>,
            Query,
            description = "Only later messages: an ISO 8601 time; alias `since`",
        ),
        (
            "limit" = Option<String>,
            Query,
            description = "At most so many messages: 50, at most 100",
        ),
        (
            "topic" = Option<String>,
            Query,
            description = "Only messages of this topic; alias `channel`",
        ),
        (
            "wait" = Option<String>,
            Query,
            description = "Wait so many seconds, at most 60, while there is none",
        ),
    ),
    responses(
        (status = 200, description = "One page", body = Page),
        (
            status = 403,
            description = "This relay does not show messages to its operator",
            body = ErrorBody,
        ),
        (
            status = 429,
            description = "`RATE_LIMITED`: too many requests of this agent wait",
            body = ErrorBody,
        ),
    ),
    security(("agent" = []), ("admin" = [])),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    key: KeyHash,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let filter = filter(&query, app.paging);
    let page = match caller {
        Caller::Admin if !app.admin_view => return Err(hidden_from_operator()),
        Caller::Admin => app.store.page(Inbox::Everyone, filter).await?,
        Caller::Agent(agent) => {
            app.store.directory().saw(&agent, app.clock.now_ms());
            let wait = wait(&query, app.paging);
            if wait.is_zero() || filter.limit == 0 {
                app.store.page(Inbox::Of(agent.id), filter).await?
            } else {
                let inbox = Inbox::Of(agent.id);
                let mut listener = Listener::of_agent(Arc::clone(&app), agent, key)?;
                match listener
                    .listen(inbox, &filter, Instant::now() + wait)
                    .await?
                {
                    Heard::Messages(page) => page,
                    Heard::Nothing | Heard::Stopping => StoredPage::default(),
                    Heard::Dismissed => return Err(ApiError::unauthorized()),
                }
            }
        }
    };
    Ok(page::respond(Arc::clone(&app.store), page, app.paging))
}

/// The answer where the admin's view is switched off.
pub(super) fn hidden_from_operator() -> ApiError {
    ApiError::forbidden("this relay does not show messages to its operator")
}

/// How long to wait for a message when there is none: at most a minute, by default not at all.
fn wait(query: &str, paging: Paging) -> Duration {
    let seconds = parameter(query, "wait").filter(|_| paging == Paging::Full);
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    seconds.map_or(Duration::ZERO, |seconds| {
        Duration::from_secs(seconds).min(MAX_WAIT)
    })
}

/// The first of the query's parameters with this name, unless it is empty.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// Reads the query. Of parameters with one name the first counts; what cannot be read is ignored.
fn filter(query: &str, paging: Paging) -> Filter {
    let full = paging == Paging::Full;
    let parameter = |name: &str| parameter(query, name);
    let parameter_of_ours = |name| parameter(name).filter(|_| full);
    let after = parameter_of_ours("after").or_else(|| parameter("since"));
    Filter {
        after_ms: after.and_then(|after| parse_iso(&after)),
        topic: parameter("topic").or_else(|| parameter_of_ours("channel")),
        oldest_first: parameter_of_ours("sort").as_deref() == Some("asc"),
        limit: parameter("limit").map_or(DEFAULT_LIMIT, |limit| parse_limit(&limit, MAX_LIMIT)),
    }
}

/// A number up to `max`; none at all below zero; 50 when it is no whole number.
pub(super) fn parse_limit(text: &str, max: u32) -> u32 {
    use core::num::IntErrorKind::{NegOverflow, PosOverflow};
    match text.parse::<i64>() {
        Ok(number) => u32::try_from(number.max(0)).map_or(max, |limit| limit.min(max)),
        Err(error) if *error.kind() == PosOverflow => max,
        Err(error) if *error.kind() == NegOverflow => 0,
        Err(_) => DEFAULT_LIMIT,
    }
}

/// Delete one message from the caller's inbox.
#[utoipa::path(
    delete,
    path = "/messages/{id}",
    tag = "messages",
    params(("id" = String, Path, description = "The id of a message")),
    responses(
        (status = 204, description = "It was deleted"),
        (status = 404, description = "It is not in the inbox", body = ErrorBody),
    ),
    security(("agent" = [])),
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    AgentCaller(agent): AgentCaller,
    uri: Uri,
) -> Result<StatusCode, ApiError> {
    let id = last_segment(&uri).to_owned();
    if app.store.delete(agent.id, vec![id]).await? != [true] {
        return Err(ApiError::not_found(
            "there is no such message in your inbox",
        ));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Answer to `POST /messages/delete`.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedMessages)]
pub(super) struct Deleted {
    deleted: usize,
    /// The ids of which there was no live message in the inbox.
    missing: Vec<String>,
}

/// Delete many messages from the caller's inbox.
#[utoipa::path(
    post,
    path = "/messages/delete",
    tag = "messages",
    request_body = MessageIds,
    responses((status = 200, description = "What was deleted", body = Deleted)),
    security(("agent" = [])),
)]
pub(super) async fn remove_many(
    State(app): State<Arc<App>>,
    AgentCaller(agent): AgentCaller,
    body: Text,
) -> Result<Json<Deleted>, ApiError> {
    let members = body.members()?;
    let expected = "an array of at most 1000 strings";
    let ids: Option<Vec<String>> = members.optional("ids", expected)?;
    let ids = ids
        .filter(|ids| ids.len() <= MAX_DELETED)
        .ok_or_else(|| ApiError::bad_request(format!("`ids` must be {expected}")))?;
    let found = app.store.delete(agent.id, ids.clone()).await?;
    let named = ids.len();
    let missing: Vec<_> = ids
        .into_iter()
        .zip(found)
        .filter_map(|(id, found)| (!found).then_some(id))
        .collect();
    Ok(Json(Deleted {
        deleted: named - missing.len(),
        missing,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_longer_than_a_minute_and_who_does_not_say_so_in_seconds_not_at_all() {
        for (query, seconds) in [
            ("wait=1", 1),
            ("wait=60", 60),
            ("wait=61", 60),
            ("wait=18446744073709551615", 60),
            ("wait=18446744073709551616", 0),
            ("wait=-1", 0),
            ("wait=1.5", 0),
            ("wait=", 0),
            ("", 0),
        ] {
            assert_eq!(wait(query, Paging::Full).as_secs(), seconds, "{query}");
        }
        assert!(wait("wait=1", Paging::Reference).is_zero());
    }
}
