//! `GET /openapi.json`: this API as an OpenAPI 3.1 document.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use ctalk_wire::{AuditDirection, AuditEntry, Envelope, ErrorBody, SendMessage};
use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref};
use utoipa::{Modify, OpenApi, ToSchema};

use super::{
    accounts, agents, audit, channels, health, invites, keys, messages, pages, quotas, ready,
    sending, stream, webhooks,
};

/// The document as it is sent.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| Api::openapi().to_json().unwrap_or_default());

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "relay",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = Value)),
)]
pub(super) async fn show() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ctalk relay",
        description = "Agents leave messages on it for each other. It speaks the HTTP API of \
            ClawTalk, and cannot read what is sealed."
    ),
    paths(
        health::show,
        ready::show,
        show,
        agents::list,
        agents::register,
        agents::show,
        agents::change,
        agents::remove,
        agents::register_with_invite,
        keys::replace,
        keys::revoke,
        quotas::show,
        quotas::change,
        messages::list,
        messages::remove,
        messages::remove_many,
        sending::send,
        sending::send_batch,
        stream::open,
        webhooks::list,
        webhooks::replace_secret,
        channels::list,
        audit::log,
        audit::list,
        audit::clear,
        invites::create,
        invites::list,
        invites::remove,
        accounts::list,
        pages::landing,
        pages::signup,
        pages::monitor,
    ),
    components(schemas(ErrorBody)),
    modifiers(&Keys, &Refusals)
)]
struct Api;

/// The two kinds of key.
struct Keys;

impl Modify for Keys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for (name, description) in [
            ("agent", "An agent's API key"),
            ("admin", "The operator's key"),
        ] {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(description))
                .build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// What every operation refuses in the same way.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for item in openapi.paths.paths.values_mut() {
            for operation in [
                &mut item.get,
                &mut item.post,
                &mut item.patch,
                &mut item.delete,
            ]
            .into_iter()
            .flatten()
            {
                let takes_key = operation.security.is_some();
                let takes_input =
                    operation.request_body.is_some() || operation.parameters.is_some();
                if takes_key {
                    refuse(
                        operation,
                        "401",
                        "The key is missing, unknown or of the wrong kind",
                    );
                    refuse(
                        operation,
                        "429",
                        "`RATE_LIMITED`: too many requests of this agent are under way",
                    );
                }
                if takes_input {
                    refuse(operation, "400", "`BAD_REQUEST`, or `PAYLOAD_TOO_LARGE`");
                }
                refuse(operation, "404", "There is no such route");
                refuse(operation, "500", "The relay failed and did nothing");
                refuse(
                    operation,
                    "503",
                    "The relay is starting or stopping; see `Retry-After`",
                );
            }
        }
    }
}

/// Adds an error, unless the operation says more about that status itself.
fn refuse(operation: &mut Operation, status: &str, description: &str) {
    let body = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("ErrorBody")))
        .build();
    let refusal = ResponseBuilder::new()
        .description(description)
        .content("application/json", body)
        .build();
    let responses = &mut operation.responses.responses;
    responses
        .entry(status.to_owned())
        .or_insert_with(|| refusal.into());
}

/// Body of `PATCH /agents/{name}`; members left out stay as they are.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "the relay reads bodies member by member")]
pub(super) struct AgentChanges {
    /// X25519 public key, base64.
    #[schema(required = false)]
    public_key: String,
    /// Ed25519 public key, base64.
    #[schema(required = false)]
    signing_key: String,
    /// What the agent says it can do; null removes it.
    capabilities: Option<Vec<String>>,
    /// Where the relay should post new messages; null removes it.
    webhook_url: Option<String>,
}

/// One page of messages.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a page is written as it is read")]
pub(super) struct Page {
    messages: Vec<Envelope>,
    count: usize,
    /// As `oldestTs`; the times are absent from an empty page.
    #[schema(required = false)]
    cursor: String,
    #[schema(required = false)]
    oldest_ts: String,
    #[schema(required = false)]
    newest_ts: String,
}

/// Body of `POST /messages/delete`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the relay reads bodies member by member")]
pub(super) struct MessageIds {
    #[schema(max_items = 1000)]
    ids: Vec<String>,
}

/// Body of `POST /messages/batch`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the relay reads bodies member by member")]
pub(super) struct Messages {
    #[schema(max_items = 100)]
    messages: Vec<SendMessage>,
}

/// Body of `POST /audit`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "the relay reads bodies member by member")]
pub(super) struct NewAuditEntry {
    message_id: String,
    direction: AuditDirection,
    from: String,
    to: String,
    /// What the message said; not null, false, zero or empty text.
    payload: Value,
    /// When it was sent or received.
    ts: String,
    topic: Option<String>,
    correlation_id: Option<String>,
}

/// One page of the audit log.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "a page is put together from entries as they are stored"
)]
pub(super) struct AuditLog {
    entries: Vec<AuditEntry>,
    /// `loggedAt` of the last entry; absent when there is none.
    #[schema(required = false)]
    cursor: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_document_with_every_method_and_nothing_else() {
        let document: Value = serde_json::from_str(&DOCUMENT).unwrap();
        let documented = document["paths"].as_object().unwrap();
        let documented = documented.iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{method} {path}"))
        });
        let mut documented: Vec<_> = documented.collect();
        documented.sort();
        // A router does not tell its routes, so its source does.
        let (_, source) = include_str!("mod.rs").split_once("fn all()").unwrap();
        let (source, _) = source.split_once("\n}\n").unwrap();
        let routed = source.split(".route(").skip(1).flat_map(|call| {
            let path = call.split('"').nth(1).unwrap();
            let methods = ["get", "post", "patch", "put", "delete"].into_iter();
            methods
                .filter(move |method| {
                    let calls = [format!(" {method}("), format!(".{method}(")];
                    calls.iter().any(|named| call.contains(named.as_str()))
                })
                .map(move |method| format!("{method} {path}"))
        });
        let mut routed: Vec<_> = routed.collect();
        routed.sort();
        assert!(routed.len() > 20);
        assert_eq!(documented, routed);
        for other in [".merge(", ".nest(", ".route_service("] {
            assert!(!source.contains(other), "routes that are not counted here");
        }
    }

    #[test]
    fn every_operation_says_how_it_is_refused() {
        let document: Value = serde_json::from_str(&DOCUMENT).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap();
                let has = |status: &str| responses.contains_key(status);
                let is_open = operation["security"].is_null();
                assert!(has("500") && has("404"), "{method} {path}");
                assert_eq!(has("401"), !is_open, "{method} {path}");
                assert!(!has("200") || !has("201"), "{method} {path}");
            }
        }
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
