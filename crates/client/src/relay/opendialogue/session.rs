//! What is said over one connection after the other.

use std::{sync::Arc, time::Duration};

use hyper::{HeaderMap, header::HeaderName};
use zeroize::Zeroizing;

use super::{
    answer::{Answer, refusal},
    content,
    credentials::Credentials,
    frame::{END, Inbound, Outbound, Status, TEXT},
    signature::{self, Signed},
};
use crate::{
    clock::Clock,
    http::cleaned,
    relay::{
        RelayError, random,
        socket::{Heard, Opening, Protocol},
    },
};

/// Length of a connection's key, in hex digits.
const KEY_LEN: usize = 64;
/// Bytes of a message's id and of a nonce; both are fresh for every attempt, because the relay forgets what
/// it has seen under an id before.
const ID_LEN: usize = 8;
const NONCE_LEN: usize = 16;
/// More messages than any conversation has: the relay ends a conversation that has as many.
const MAX_TURNS: u32 = 1_000_000_000;

/// A frame for an agent.
pub(super) struct Ask {
    pub(super) to: String,
    pub(super) conversation: String,
    pub(super) what: What,
}

/// What a frame says.
pub(super) enum What {
    /// A text, and the turn that a peer without ctalk is to count it as.
    Text(String, Option<u64>),
    /// The conversation is over.
    End,
}

/// What the next answer is about.
enum UnderWay {
    /// The text with this id.
    Text(String),
    /// The end of this conversation.
    End(String),
}

/// An agent's side of its connections.
pub(super) struct Session {
    socket_url: String,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
    /// The present connection's key, once it is known.
    key: Option<Zeroizing<String>>,
    /// The frame whose answer is awaited.
    under_way: Option<UnderWay>,
}

impl Session {
    pub(super) fn new(socket_url: String, credentials: Credentials, clock: Arc<dyn Clock>) -> Self {
        Self {
            socket_url,
            credentials,
            clock,
            key: None,
            under_way: None,
        }
    }
}

impl Protocol for Session {
    type Ask = Ask;
    type Answer = Answer;

    const BEAT: Duration = Duration::from_secs(30);
    const PING: &'static str = r#"{"type":"ping"}"#;

    fn open(&mut self) -> Result<Opening, RelayError> {
        (self.key, self.under_way) = (None, None);
        let agent = self.credentials.agent();
        let (timestamp, nonce) = (self.clock.now(), random::<NONCE_LEN>()?);
        let signature = signature::opening(agent, self.credentials.secret(), timestamp, &nonce)
            .ok_or(RelayError::BadKey)?;
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-agent-id", agent),
            ("x-timestamp", &timestamp.to_string()),
            ("x-nonce", &nonce),
            ("x-signature", &signature),
        ] {
            let value = value.parse().map_err(|_| RelayError::BadKey)?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(Opening {
            url: self.socket_url.clone(),
            headers,
        })
    }

    fn write(&mut self, ask: Ask) -> Result<String, RelayError> {
        let key = self.key.as_ref().ok_or(RelayError::BadKey)?;
        let (id, nonce) = (random::<ID_LEN>()?, random::<NONCE_LEN>()?);
        let (kind, content, turn) = match &ask.what {
            What::Text(content, turn) => (TEXT, content.as_str(), *turn),
            What::End => (END, "", None),
        };
        let signed = Signed {
            id: &id,
            from: self.credentials.agent(),
            to: &ask.to,
            kind,
            content,
            conversation: &ask.conversation,
            turn,
            timestamp: self.clock.now(),
            nonce: &nonce,
        };
        let signature = signed.sign(key).ok_or(RelayError::BadKey)?;
        let frame = Outbound {
            id: signed.id,
            from: signed.from,
            to: signed.to,
            kind: signed.kind,
            content: signed.content,
            conversation_id: signed.conversation,
            timestamp: signed.timestamp,
            nonce: signed.nonce,
            signature: &signature,
            turn_number: signed.turn,
            max_turns: MAX_TURNS,
        };
        let frame = serde_json::to_string(&frame).map_err(|error| RelayError::BadAnswer {
            url: self.socket_url.clone(),
            why: cleaned(&error.to_string()),
        })?;
        self.under_way = Some(match ask.what {
            What::Text(..) => UnderWay::Text(id),
            What::End => UnderWay::End(ask.conversation),
        });
        Ok(frame)
    }

    fn read(&mut self, frame: &str) -> Heard<Answer> {
        // What is no frame is nobody's answer, and must not end the connection: others can have the relay
        // deliver almost anything.
        match serde_json::from_str(frame).unwrap_or(Inbound::Other) {
            // Others can have the relay deliver what looks like another one, too.
            Inbound::Session { session_key } if self.key.is_none() => {
                let is_key = session_key.len() == KEY_LEN
                    && session_key.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !is_key {
                    return Heard::Nothing;
                }
                self.key = Some(Zeroizing::new(session_key));
                Heard::Ready
            }
            Inbound::Pong => Heard::Pong,
            Inbound::Status { status, message_id } if matches!(&self.under_way, Some(UnderWay::Text(id)) if *id == message_id) =>
            {
                self.under_way = None;
                Heard::Answer(match status {
                    Status::Sent | Status::Queued => Ok(Answer::Taken(message_id)),
                    Status::Unknown => Err(RelayError::BadAnswer {
                        url: self.socket_url.clone(),
                        why: "it has a status that is not known".to_owned(),
                    }),
                })
            }
            // It names no message, and there is one at most that it can be about.
            Inbound::Error { code } if self.under_way.take().is_some() => {
                Heard::Answer(refusal(&code))
            }
            Inbound::ConversationEnded { conversation_id } if matches!(&self.under_way, Some(UnderWay::End(id)) if *id == conversation_id) =>
            {
                self.under_way = None;
                Heard::Answer(Ok(Answer::Ended))
            }
            Inbound::Text(message) => Heard::Delivered(content::deliveries(frame, message)),
            Inbound::Session { .. }
            | Inbound::Ping
            | Inbound::Status { .. }
            | Inbound::Error { .. }
            | Inbound::ConversationEnded { .. }
            | Inbound::Other => Heard::Nothing,
        }
    }
}
