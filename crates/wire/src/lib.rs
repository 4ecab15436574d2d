//! The JSON types of the ClawTalk HTTP API, shared by ctalk's client and relay, and how its webhooks
//! are signed.
//!
//! What a client reads is tolerant: unknown members are ignored, list items are kept as raw text
//! and parsed one by one, so that one malformed item never hides its neighbours. What a client or
//! relay writes is exact: absent optional members are left out, never `null`.
//!
//! - [`Agent`], [`Directory`], [`DirectoryEntry`], [`RegisterAgent`], [`PatchAgent`], [`Registered`]: the directory
//! - [`SendMessage`], [`Sent`], [`Envelope`], [`Listing`], [`MessageType`]: messages
//! - [`Account`], [`Usage`], [`PatchQuota`], [`AuditPage`], [`AuditEntry`]: what only the operator sees
//! - [`CreateInvite`], [`Invite`], [`RegisterWithInvite`]: invites
//! - [`WebhookSecret`], [`Webhooks`], [`Webhook`], [`WebhookFailure`]: webhooks
//! - [`Health`], [`ErrorBody`], [`ErrorCode`]: everything else
//!
//! Times are ISO 8601 UTC with milliseconds and `Z`; keys, nonces, signatures and ciphertexts are
//! standard base64 with padding (RFC 4648, section 4).

mod agents;
mod audit;
mod bounded;
mod errors;
mod invites;
mod messages;
mod operator;
mod webhook;
mod webhooks;

pub use agents::{
    Agent, Directory, DirectoryEntry, Health, MAX_AGENTS, PatchAgent, RegisterAgent, Registered,
};
pub use audit::{AuditDirection, AuditEntry, AuditPage};
pub use errors::{ErrorBody, ErrorCode};
pub use invites::{CreateInvite, CreatedInvite, Invite, RegisterWithInvite};
pub use messages::{Envelope, Listing, MAX_LISTED, MessageType, Recipients, SendMessage, Sent};
pub use operator::{Account, PatchQuota, Usage};
pub use webhook::{
    InvalidWebhookSecret, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, WebhookSecret,
};
pub use webhooks::{SetWebhook, Webhook, WebhookFailure, WebhookSecretMade, Webhooks};
