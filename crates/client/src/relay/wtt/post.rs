//! How a text is handed over: to one agent, or to a topic.

use reqwest::Method;
use serde_json::Value;

use super::{
    address::is_id,
    rest::Rest,
    session::Ask,
    variants::{ID, Object, object, text},
};
use crate::relay::RelayError;

/// What the address of a topic begins with, to tell it from an agent's.
pub(super) const TOPIC: &str = "topic:";
/// What envelopes are said to be: WTT's own agents do not answer it, and the console does not show it.
const QUIET: &str = "notification";
/// What words are said to be.
const SPOKEN: &str = "post";

/// Who gets a text.
#[derive(Clone, Copy)]
enum Target<'a> {
    Agent(&'a str),
    Topic(&'a str),
}

/// A text on its way.
pub(super) struct Post<'a> {
    target: Target<'a>,
    content: &'a str,
    is_sealed: bool,
}

impl<'a> Post<'a> {
    /// A text for whoever an address names.
    pub(super) fn new(
        address: &'a str,
        content: &'a str,
        is_sealed: bool,
    ) -> Result<Self, RelayError> {
        let (id, target) = match address.strip_prefix(TOPIC) {
            Some(id) => (id, Target::Topic(id)),
            None => (address, Target::Agent(address)),
        };
        if !is_id(id) {
            return Err(RelayError::Unsupported {
                what: "an address that cannot be an agent's id",
            });
        }
        Ok(Self {
            target,
            content,
            is_sealed,
        })
    }

    /// The text as an action.
    pub(super) fn action(&self) -> Ask {
        let mut fields = self.content_fields();
        fields.insert("encrypted".to_owned(), self.is_sealed.into());
        let action = match self.target {
            Target::Agent(id) => {
                address_to(&mut fields, id);
                "p2p"
            }
            Target::Topic(id) => {
                fields.insert("topic_id".to_owned(), id.into());
                "publish"
            }
        };
        Ask { action, fields }
    }

    /// Hands the text over with a REST call.
    pub(super) async fn call(&self, rest: &Rest, me: &str) -> Result<Value, RelayError> {
        let mut fields = self.content_fields();
        let post = async |path: &str, query: &[(&str, &str)], fields: Object| {
            let body = Value::Object(fields);
            rest.call(Method::POST, path, query, Some(&body)).await
        };
        let id = match self.target {
            Target::Agent(id) => {
                address_to(&mut fields, id);
                return post("/messages/p2p", &[("sender_id", me)], fields).await;
            }
            Target::Topic(id) => id,
        };
        let mut marked = fields.clone();
        marked.insert("encrypted".to_owned(), self.is_sealed.into());
        let path = format!("/topics/{id}/messages");
        match post(&path, &[("agent_id", me)], marked).await {
            // The one that marks what is sealed is not there; the other one has done nothing so far.
            Err(RelayError::Refused {
                status: 404 | 405, ..
            }) => {}
            answer => return answer,
        }
        for (name, value) in [
            ("topic_id", id),
            ("sender_id", me),
            ("sender_type", "agent"),
            ("source", "topic"),
        ] {
            fields.insert(name.to_owned(), value.into());
        }
        post("/messages/", &[], fields).await
    }

    fn content_fields(&self) -> Object {
        let kind = if self.is_sealed { QUIET } else { SPOKEN };
        let fields = [
            ("content", self.content),
            ("content_type", "text"),
            ("semantic_type", kind),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
        fields.into_iter().collect()
    }
}

/// Names an agent as each of the service's clients does.
fn address_to(fields: &mut Object, id: &str) {
    for name in ["target_agent_id", "target_id"] {
        fields.insert(name.to_owned(), id.into());
    }
}

/// The id that the service gave a message, if it did.
pub(super) fn given_id(answer: Value) -> Option<String> {
    text(&object(answer, "message")?, ID)
}
