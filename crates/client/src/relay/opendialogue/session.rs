//! What is said over one connection after the other.

use std::{sync::Arc, time::Duration};

use hyper::{HeaderMap, header::HeaderName};
use zeroize::Zeroizing;

use super::{
    content,
    credentials::Credentials,
    frame::{Inbound, Outbound, Status, TEXT},
    refusal::refusal,
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

/// A text for an agent.
pub(super) struct Ask {
    pub(super) to: String,
    pub(super) content: String,
    pub(super) conversation: String,
}

/// An agent's side of its connections.
pub(super) struct Session {
    socket_url: String,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
    /// The present connection's key, once it is known.
    key: Option<Zeroizing<String>>,
    /// The id of the text whose answer is awaited.
    under_way: Option<String>,
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
    /// The id that the text went under.
    type Answer = String;

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
        let signed = Signed {
            id: &id,
            from: self.credentials.agent(),
            to: &ask.to,
            kind: TEXT,
            content: &ask.content,
            conversation: &ask.conversation,
            turn: None,
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
            max_turns: MAX_TURNS,
        };
        let frame = serde_json::to_string(&frame).map_err(|error| RelayError::BadAnswer {
            url: self.socket_url.clone(),
            why: cleaned(&error.to_string()),
        })?;
        self.under_way = Some(id);
        Ok(frame)
    }

    fn read(&mut self, frame: &str) -> Heard<String> {
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
            Inbound::Status { status, message_id }
                if self.under_way.as_ref() == Some(&message_id) =>
            {
                self.under_way = None;
                match status {
                    // Neither says that it arrived: a socket may be dead, and the queue keeps ten.
                    Status::Sent | Status::Queued => Heard::Answer(Ok(message_id)),
                    Status::Unknown => Heard::Answer(Err(RelayError::BadAnswer {
                        url: self.socket_url.clone(),
                        why: "it has a status that is not known".to_owned(),
                    })),
                }
            }
            // It names no message, and there is one at most that it can be about.
            Inbound::Error { code } if self.under_way.take().is_some() => {
                Heard::Answer(Err(refusal(&code)))
            }
            Inbound::Text(message) => Heard::Delivered(content::deliveries(frame, message)),
            Inbound::Session { .. }
            | Inbound::Ping
            | Inbound::Status { .. }
            | Inbound::Error { .. }
            | Inbound::Other => Heard::Nothing,
        }
    }
}
