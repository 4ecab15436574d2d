//! What is said over one connection to a host after the other.

use std::time::Duration;

use hyper::HeaderMap;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::frame::Frame;
use crate::{
    http::cleaned,
    relay::{
        Delivery, RelayError,
        socket::{Heard, Opening, Protocol},
    },
};

/// A frame for the host.
pub(super) struct Ask {
    /// The id that the message has.
    pub(super) id: String,
    pub(super) frame: String,
}

/// A client's side of its connections.
pub(super) struct Session {
    /// As it is shown.
    url: String,
    /// As it is asked for.
    opening: Zeroizing<String>,
    /// How many connections were let in so far.
    let_in: watch::Sender<u64>,
    is_let_in: bool,
    /// The id of the message that the host has not noticed yet.
    under_way: Option<String>,
}

impl Session {
    pub(super) const fn new(
        url: String,
        opening: Zeroizing<String>,
        let_in: watch::Sender<u64>,
    ) -> Self {
        Self {
            url,
            opening,
            let_in,
            is_let_in: false,
            under_way: None,
        }
    }

    fn not_let_in(&self) -> RelayError {
        RelayError::Unauthorized {
            url: self.url.clone(),
        }
    }
}

impl Protocol for Session {
    type Ask = Ask;
    /// The connection over which the host noticed it.
    type Answer = u64;

    const BEAT: Duration = Duration::from_secs(30);

    fn open(&mut self) -> Result<Opening, RelayError> {
        (self.is_let_in, self.under_way) = (false, None);
        Ok(Opening {
            url: self.opening.to_string(),
            headers: HeaderMap::new(),
        })
    }

    fn write(&mut self, ask: Ask) -> Result<String, RelayError> {
        self.under_way = Some(ask.id);
        Ok(ask.frame)
    }

    fn read(&mut self, frame: &str) -> Heard<u64> {
        let read = Frame::read(frame.as_bytes());
        if !self.is_let_in {
            // That the socket opened says nothing, and what is sent before the greeting is lost.
            return match read {
                Frame::Response {
                    message_id: None, ..
                } => {
                    self.is_let_in = true;
                    self.let_in.send_modify(|connections| *connections += 1);
                    Heard::Ready
                }
                Frame::Error { .. } => Heard::Refused(self.not_let_in()),
                _ => Heard::Nothing,
            };
        }
        match read {
            // It names no message; when another one is at work this may be about that.
            Frame::Typing if self.under_way.take().is_some() => {
                Heard::Answer(Ok(*self.let_in.borrow()))
            }
            Frame::Error { message_id, error }
                if self.under_way.is_some()
                    && (message_id.is_none() || message_id == self.under_way) =>
            {
                self.under_way = None;
                Heard::Answer(Err(RelayError::Refused {
                    status: 400,
                    code: ctalk_wire::ErrorCode::Unknown,
                    text: cleaned(&error),
                }))
            }
            Frame::Other => Heard::Nothing,
            _ => Heard::Delivered(vec![Delivery {
                relay_id: None,
                sent_at: None,
                raw: frame.as_bytes().into(),
            }]),
        }
    }
}
