//! What stands in messages: one envelope, several where a plugin put messages together, or words.

use ctalk_core::classic::{Claims, MAX_MESSAGE_LEN, Malformed, Message as Classic};
use serde_json::json;

use super::frame::Message;
use crate::relay::{Delivery, Incoming, OWN_PREFIXES};

/// Most envelopes that are looked for in one message: a plugin puts 50 messages together.
const MAX_FOUND: usize = 64;
/// Longest id of a message that is kept.
const MAX_ID: usize = 128;

/// What a frame brings: itself, or each of the texts in it by itself.
pub(super) fn deliveries(frame: &str, message: Message) -> Vec<Delivery> {
    let mut texts = texts(&message.content).take(MAX_FOUND).peekable();
    let first = texts.next();
    let whole = Delivery {
        relay_id: Some(message.id.clone()).filter(|id| is_usable(id)),
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
            raw: serde_json::to_vec(&message).unwrap_or_default().into(),
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

/// The texts of ctalk's that stand anywhere in a message, up to the first character that none of them has.
fn texts(content: &str) -> impl Iterator<Item = &str> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let found = OWN_PREFIXES
            .iter()
            .filter_map(|prefix| Some((rest.find(prefix)?, prefix.len())));
        let (begin, prefix) = found.min()?;
        let text = rest.get(begin..)?;
        let body = text.get(prefix..)?;
        let length = body.find(|character: char| !is_base64url(character));
        let (text, after) = text.split_at(prefix + length.unwrap_or(body.len()));
        rest = after;
        Some(text)
    })
}

const fn is_base64url(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

fn is_usable(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// As much of a frame as can matter: one that is longer can only be set aside as over-long.
fn bounded(frame: &str) -> Box<[u8]> {
    let bytes = frame.as_bytes();
    bytes.get(..=MAX_MESSAGE_LEN).unwrap_or(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::texts;

    #[test]
    fn texts_are_found_anywhere_and_end_with_their_letters() {
        let batched = "[2 messages]\n[1] ctalk2:AbC-_9\n[2] look: ctalk2p:Zz, and ctalk-pair:q";
        let found: Vec<_> = texts(batched).collect();
        assert_eq!(found, ["ctalk2:AbC-_9", "ctalk2p:Zz", "ctalk-pair:q"]);
        assert_eq!(texts("ctalk1:abc ctalk and words").count(), 0);
        assert_eq!(texts("ctalk2:").collect::<Vec<_>>(), ["ctalk2:"]);
    }
}
