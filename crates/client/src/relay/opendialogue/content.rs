//! What stands in messages: one envelope, several where a plugin put messages together, or words.

use ctalk_core::classic::{Claims, MAX_MESSAGE_LEN, Malformed, Message as Classic};
use serde_json::json;

use super::frame::Message;
use crate::relay::{
    Delivery, Incoming,
    chat::{bounded, is_usable_id, texts},
};

/// Most envelopes that are looked for in one message: a plugin puts 50 messages together.
const MAX_FOUND: usize = 64;

/// What a frame brings: itself, or each of the texts in it by itself.
pub(super) fn deliveries(frame: &str, message: Message) -> Vec<Delivery> {
    let mut texts = texts(&message.content).take(MAX_FOUND).peekable();
    let first = texts.next();
    let whole = Delivery {
        relay_id: Some(message.id.clone()).filter(|id| is_usable_id(id)),
        sent_at: Some(message.timestamp),
        raw: bounded(frame),
    };
    let Some(first) = first.filter(|_| texts.peek().is_some()) else {
        return vec![whole];
    };
    let alone = |text: &str| {
        let message = Message {
            content: text.to_owned(),
            ..message.clone()
        };
        Delivery {
            raw: bounded(&serde_json::to_string(&message).unwrap_or_default()),
            ..whole.clone()
        }
    };
    std::iter::once(first).chain(texts).map(alone).collect()
}

/// Reads a frame that was stored.
pub(super) fn read(raw: &[u8]) -> Result<Incoming, Malformed> {
    if raw.len() > MAX_MESSAGE_LEN {
        return Err(Malformed::TooLong { found: raw.len() });
    }
    let message: Message =
        serde_json::from_slice(raw).map_err(|_| Malformed::Missing { member: "content" })?;
    let Some(text) = texts(&message.content).next().map(str::to_owned) else {
        return plain(&message);
    };
    let claims = Claims {
        id: Some(message.id),
        from: message.from,
        to: message.to,
        message_type: "notification".to_owned(),
        topic: None,
        correlation_id: None,
        reply_to: None,
        ts: Some(crate::relay::clawtalk::timestamp(message.timestamp)),
    };
    Ok(Incoming::of(claims, text))
}

/// Words of somebody without ctalk, as a message that everybody on the way could read and change.
fn plain(message: &Message) -> Result<Incoming, Malformed> {
    let shown = json!({
        "id": message.id,
        "from": message.from,
        "to": message.to,
        "type": "notification",
        "ts": crate::relay::clawtalk::timestamp(message.timestamp),
        "encrypted": false,
        "payload": { "text": message.content },
    });
    Classic::parse(shown.to_string().as_bytes()).map(Incoming::Classic)
}
