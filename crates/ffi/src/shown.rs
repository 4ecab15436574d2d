//! What structured answers look like: the shapes that the command line prints with `--json`.

use ctalk::{
    clock::{Clock, SystemClock},
    core::{
        Card, Fingerprint, Timestamp, VerifyingKey,
        envelope::{Metadata, VerifiedHeader},
    },
    stream::{self, Form},
};
use serde::Serialize;

use crate::{code::Code, error::Fault};

/// A key card.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownCard<'a> {
    card: &'a str,
    name: &'a str,
    fingerprint: String,
    serial: u64,
    created: String,
    expires: String,
    addresses: Vec<&'a str>,
}

impl<'a> ShownCard<'a> {
    pub(crate) fn new(card: &'a Card, text: &'a str) -> Self {
        Self {
            card: text,
            name: card.name(),
            fingerprint: card.fingerprint().to_hex(),
            serial: card.serial(),
            created: shown_time(card.created()),
            expires: shown_time(card.expires()),
            addresses: card.addresses().collect(),
        }
    }
}

/// What was sealed from a stream.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sealed {
    pub(crate) id: String,
    pub(crate) created: String,
    pub(crate) expires: String,
    pub(crate) recipients: usize,
    pub(crate) bytes: u64,
}

/// An envelope whose signatures were checked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verified {
    /// The name of a contact; there are none here.
    from: Option<String>,
    fingerprint: String,
    trust: &'static str,
    id: String,
    created: String,
    expires: String,
    recipients: u16,
}

impl Verified {
    /// `named` says whether the caller named the sender.
    pub(crate) fn new(header: &VerifiedHeader, named: bool) -> Self {
        Self {
            from: None,
            fingerprint: Fingerprint::native(header.sender()).to_hex(),
            trust: if named { "named" } else { "unknown" },
            id: header.id().to_string(),
            created: shown_time(header.created()),
            expires: shown_time(header.expires()),
            recipients: header.recipients(),
        }
    }
}

/// An envelope that was opened.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Opened<'a> {
    #[serde(flatten)]
    verified: &'a Verified,
    #[serde(rename = "type")]
    kind: &'static str,
    topic: Option<&'a str>,
    correlation_id: Option<&'a str>,
    reply_to: Option<&'a str>,
    content_type: &'a str,
    name: Option<&'a str>,
    bytes: u64,
}

impl<'a> Opened<'a> {
    pub(crate) fn new(verified: &'a Verified, metadata: &'a Metadata, bytes: u64) -> Self {
        Self {
            verified,
            kind: metadata.kind.as_str(),
            topic: metadata.topic.as_deref(),
            correlation_id: metadata.correlation_id.as_deref(),
            reply_to: metadata.reply_to.as_deref(),
            content_type: &metadata.content_type,
            name: metadata.name.as_deref(),
            bytes,
        }
    }
}

/// What everybody sees of an envelope.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outside {
    form: &'static str,
    /// `null` where that is no key.
    claimed_sender: Option<String>,
    id: String,
    created: String,
    expires: String,
    recipients: u16,
    segments: u32,
    padded_bytes: u64,
}

impl Outside {
    pub(crate) fn new(outside: &stream::Outside) -> Self {
        let claims = &outside.claims;
        let sender = VerifyingKey::from_bytes(claims.sender).ok();
        Self {
            form: match outside.form {
                Form::Binary => "bytes",
                Form::Text => "text",
            },
            claimed_sender: sender.map(|sender| Fingerprint::native(&sender).to_hex()),
            id: claims.id.to_string(),
            created: shown_time(claims.created),
            expires: shown_time(claims.expires),
            recipients: claims.recipients,
            segments: outside.segments,
            padded_bytes: outside.padded_len,
        }
    }
}

/// A time as people write it.
pub(crate) fn shown_time(time: Timestamp) -> String {
    i64::try_from(time.as_millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"))
}

/// What this machine's clock says.
pub(crate) fn now() -> Timestamp {
    u64::try_from(SystemClock.now())
        .ok()
        .and_then(Timestamp::from_millis)
        .unwrap_or(Timestamp::MAX)
}

/// A time that the caller named; for 0 that of this machine's clock.
pub(crate) fn time_or_now(millis: u64) -> Result<Timestamp, Fault> {
    if millis == 0 {
        return Ok(now());
    }
    Timestamp::from_millis(millis)
        .ok_or_else(|| Fault::new(Code::CTALK_BAD_ARGUMENT, "a time is beyond 2^53 - 1"))
}
