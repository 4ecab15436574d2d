//! Messages of the service, in one form whichever way they came, and what stands in them.

use ctalk_core::classic::{Claims, MAX_MESSAGE_LEN, Malformed, Message as Classic};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::variants::{ID, Object, TIME, text, time};
use crate::relay::{
    Delivery, Incoming,
    chat::{bounded, is_usable_id, texts},
    clawtalk::timestamp,
};

/// What the console begins a conversation with.
const OPENER: &str = "[system:p2p_init]";

/// A message as it is stored: the same bytes, whichever way it came. Nothing in it may be believed.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Message {
    pub(super) id: Option<String>,
    /// The topic, or the pair of agents, that it was published to.
    pub(super) topic: Option<String>,
    pub(super) from: String,
    pub(super) to: String,
    /// In milliseconds since the Unix epoch.
    pub(super) at: Option<i64>,
    pub(super) content: String,
}

impl Message {
    /// Reads a message in any of its spellings; none if it has no content.
    pub(super) fn of(value: &Value, to: &str) -> Option<Self> {
        let object = value.as_object()?;
        let topic = || text(object.get("topic")?.as_object()?, &["id"]);
        Some(Self {
            id: text(object, ID).filter(|id| is_usable_id(id)),
            topic: text(object, &["topic_id", "topicId", "p2p_topic_id"]).or_else(topic),
            from: text(object, &["sender_id"]).unwrap_or_default(),
            to: to.to_owned(),
            at: time(object, TIME),
            content: object.get("content")?.as_str()?.to_owned(),
        })
    }
}

/// Makes of a message what is to be stored: nothing of an own one that comes back, nor of what the
/// service says to itself.
pub(super) fn delivery(value: &Value, me: &str) -> Option<Delivery> {
    let message = Message::of(value, me).filter(|message| message.from != me)?;
    if texts(&message.content).next().is_none() && is_of_the_service(value, &message) {
        return None;
    }
    Some(Delivery {
        relay_id: message.id.clone(),
        sent_at: message.at,
        raw: bounded(&serde_json::to_string(&message).ok()?),
    })
}

fn is_of_the_service(value: &Value, message: &Message) -> bool {
    let says = |name: &str, word: &str| {
        let said = value.get(name).and_then(Value::as_str);
        said.and_then(|said| said.get(..word.len()))
            .is_some_and(|said| said.eq_ignore_ascii_case(word))
    };
    message.content.trim() == OPENER
        || says("sender_type", "system")
        || says("semantic_type", "system")
        || says("semantic_type", "task_")
}

/// Reads a message that was stored.
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
        id: message.id,
        from: message.from,
        to: message.to,
        message_type: "notification".to_owned(),
        topic: None,
        correlation_id: None,
        reply_to: None,
        ts: message.at.map(timestamp),
    };
    Ok(Incoming::of(claims, text))
}

/// Words of somebody without ctalk, as a message that everybody on the way could read and change.
fn plain(message: &Message) -> Result<Incoming, Malformed> {
    let members = [
        ("from", Some(message.from.clone())),
        ("to", Some(message.to.clone())),
        ("type", Some("notification".to_owned())),
        ("id", message.id.clone()),
        ("topic", message.topic.clone()),
        ("ts", message.at.map(timestamp)),
    ];
    let said = members.into_iter();
    let said = said.filter_map(|(name, text)| Some((name.to_owned(), text?.into())));
    let mut shown: Object = said.collect();
    shown.insert("encrypted".to_owned(), false.into());
    shown.insert("payload".to_owned(), json!({ "text": message.content }));
    let shown = Value::Object(shown);
    Classic::parse(shown.to_string().as_bytes()).map(Incoming::Classic)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{delivery, read};
    use crate::relay::Incoming;

    const ME: &str = "agent-0123456789ab";

    fn pushed(content: &str) -> Value {
        json!({
            "id": "m1", "topic_id": "t1", "sender_id": "agent-2", "content": content,
            "created_at": "2026-01-02T03:04:05Z", "encrypted": true,
        })
    }

    #[test]
    fn the_two_spellings_of_a_message_are_stored_as_the_same_bytes() {
        let polled = json!({
            "message_id": "m1", "topic": { "id": "t1" }, "sender_id": "agent-2",
            "sender_type": "AGENT", "content": "ctalk2:AA", "timestamp": 1_767_323_045,
            "metadata": "{}",
        });
        let first = delivery(&pushed("ctalk2:AA"), ME).unwrap();
        assert_eq!(first.raw, delivery(&polled, ME).unwrap().raw);
        assert_eq!(first.sent_at, Some(1_767_323_045_000));
    }

    #[test]
    fn an_envelope_is_found_behind_a_banner() {
        let banner = "┌── source: web ──┐\n└─────────────────┘\nctalk2:AbC-_9\n";
        let delivery = delivery(&pushed(banner), ME).unwrap();
        let Incoming::Native { text, claims } = read(&delivery.raw).unwrap() else {
            panic!("an envelope was expected")
        };
        assert_eq!((&*text, &*claims.from), ("ctalk2:AbC-_9", "agent-2"));
    }

    #[test]
    fn own_echoes_and_what_the_service_says_are_nothing_to_store() {
        let with = |name: &str, value: &str, content: &str| {
            let mut message = pushed(content);
            message[name] = value.into();
            delivery(&message, ME)
        };
        for (name, value) in [
            ("sender_id", ME),
            ("content", "[system:p2p_init]"),
            ("sender_type", "SYSTEM"),
            ("semantic_type", "system_notice"),
            ("semantic_type", "task_status"),
        ] {
            assert_eq!(with(name, value, "words"), None, "{name} {value}");
        }
        assert!(with("semantic_type", "post", "words").is_some());
        // An envelope is for whoever it is sealed for, whatever stands beside it.
        assert!(with("semantic_type", "system", "ctalk2:AA").is_some());
    }

    #[test]
    fn what_is_no_message_is_nothing_to_store() {
        for value in [json!(null), json!([]), json!({}), json!({ "content": {} })] {
            assert_eq!(delivery(&value, ME), None, "{value}");
        }
    }
}
