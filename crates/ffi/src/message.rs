//! Messages in the hands of a C program.

use std::{
    ffi::c_char,
    io, mem,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};

use ctalk::{Client, Content, Error, Received, Ticket};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    agent::Agent,
    bytes::ctalk_slice,
    caller::Caller,
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::{guard, guard_value},
    handle::{self, Opaque},
    options,
};

/// A message that was received. Any number of threads may use one at the same time.
///
/// Until ctalk_message_commit, _reply, _retry or _reject was called for it, it is in the hands of the
/// program: nobody else gets it, in this process and in others, for as long as the client lives. The first
/// of these calls counts. One that is freed without any of them is tried again, as after
/// ctalk_message_retry; and when the client is freed, or its process ends, it is handed over again.
///
/// Owned by whoever got it, unless a callback did; freed with ctalk_message_free, which wipes what it says.
pub struct ctalk_message {
    _private: [u8; 0],
}

impl Opaque for ctalk_message {
    type Value = Message;
    const NAME: &'static str = "ctalk_message";
}

/// What is behind [`ctalk_message`].
pub(crate) struct Message {
    agent: Weak<Agent>,
    received: Received,
    attempt: u32,
    /// What says what became of it, until that was said.
    ticket: Mutex<Option<Ticket>>,
    json: OnceLock<Zeroizing<Vec<u8>>>,
}

/// A message that was freed, and of which nobody said what became of it.
pub(crate) struct Unsaid(Ticket);

impl Unsaid {
    /// Has it tried again.
    pub(crate) fn give_back(self, client: &mut Client) -> Result<(), Error> {
        let why = "the program did not say what became of it";
        client.retry(self.0, why).map(|_| ())
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let ticket = self.ticket.get_mut();
        let ticket = ticket.unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(ticket), Some(agent)) = (ticket, self.agent.upgrade()) {
            agent.leave(Unsaid(ticket));
        }
        wipe(&mut self.received.payload);
    }
}

/// Leaves nothing of what a message said in the memory that it had.
fn wipe(content: &mut Content) {
    match mem::replace(content, Content::Bytes(Vec::new())) {
        Content::Text(mut text) => text.zeroize(),
        Content::Json(json) => Box::<str>::from(json).zeroize(),
        Content::Bytes(mut bytes) => bytes.zeroize(),
        // What a later version of the client may add.
        _ => {}
    }
}

/// How many bytes are written.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Message {
    /// A message in hand.
    pub(crate) fn new(
        agent: &Arc<Agent>,
        received: Received,
        attempt: u32,
        ticket: Ticket,
    ) -> Self {
        Self {
            agent: Arc::downgrade(agent),
            received,
            attempt,
            ticket: Mutex::new(Some(ticket)),
            json: OnceLock::new(),
        }
    }

    /// The response to a call, which is settled.
    pub(crate) const fn settled(received: Received) -> Self {
        Self {
            agent: Weak::new(),
            received,
            attempt: 1,
            ticket: Mutex::new(None),
            json: OnceLock::new(),
        }
    }

    /// Whether it was said what became of it.
    pub(crate) fn is_settled(&self) -> bool {
        let ticket = self.ticket.lock();
        ticket.unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Says what became of it, once.
    pub(crate) fn settle(
        &self,
        how: impl FnOnce(&mut Client, &Ticket) -> Result<(), Error>,
    ) -> Result<(), Fault> {
        let Some(agent) = self.agent.upgrade() else {
            return Err(if self.is_settled() {
                already_settled()
            } else {
                let text = "the message's client was freed, so it is handed over again";
                Fault::new(Code::CTALK_WRONG_HANDLE, text)
            });
        };
        agent.briefly(|desk| {
            let ticket = self.ticket.lock();
            let mut ticket = ticket.unwrap_or_else(PoisonError::into_inner);
            let settled = how(desk.client()?, ticket.as_ref().ok_or_else(already_settled)?);
            if matches!(settled, Ok(()) | Err(Error::LeaseLost)) {
                *ticket = None;
            }
            Ok(settled?)
        })
    }

    fn json(&self) -> Option<&[u8]> {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(flatten)]
            message: &'a Received,
            attempt: u32,
        }
        if self.json.get().is_none() {
            let line = Line {
                message: &self.received,
                attempt: self.attempt,
            };
            let mut length = Count(0);
            serde_json::to_writer(&mut length, &line).ok()?;
            // As large as it gets, so that growing leaves no copy behind.
            let mut json = Zeroizing::new(Vec::with_capacity(length.0));
            serde_json::to_writer(&mut *json, &line).ok()?;
            // Another thread may have been faster.
            let _ = self.json.set(json);
        }
        self.json.get().map(|json| json.as_slice())
    }
}

fn already_settled() -> Fault {
    Fault::new(
        Code::CTALK_ALREADY_SETTLED,
        "it was said before what became of this message",
    )
}

/// Says that the message was handled. When this returns CTALK_OK that is durable: it is never handed over
/// again. CTALK_LEASE_LOST if another process has it by now, because this one stood still for long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_message_commit(
    message: *const ctalk_message,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |_| {
        handle::get(message)?.settle(|client, ticket| client.commit(ticket.clone()))
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Reply {
    content_type: Option<String>,
}

/// Says that a request was handled, and answers it: both become durable together, and the answer leaves
/// with the next call that talks to the relay. CTALK_NOT_ASKED, and nothing happens, unless the message is
/// a request that a contact signed. Options: `contentType`, as for ctalk_client_send.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_message_reply(
    message: *const ctalk_message,
    data: *const u8,
    data_len: usize,
    options: *const c_char,
    options_len: usize,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let message = handle::get(message)?;
        let reply: Reply = options::read(caller, options, options_len)?;
        let content = content(caller.bytes(data, data_len)?, reply.content_type.as_deref())?;
        message.settle(|client, ticket| client.respond(&message.received, ticket, content))
    })
}

/// Says that the message could not be handled now. It is handed over again after a pause that doubles from
/// attempt to attempt (1 second to 5 minutes), and no sooner than after `after_ms`; after its last attempt
/// (8, unless ctalk_client_follow says otherwise) it is a dead letter. `why` is kept beside it, for people.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_message_retry(
    message: *const ctalk_message,
    why: *const c_char,
    why_len: usize,
    after_ms: u64,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let message = handle::get(message)?;
        let why = caller.text(why, why_len)?;
        let pause = Duration::from_millis(after_ms);
        message.settle(|client, ticket| client.retry_after(ticket.clone(), why, pause).map(|_| ()))
    })
}

/// Says that the message will never be handled: it is a dead letter, which stays in the inbox for people to
/// look at (`ctalk inbox`). `why` is kept beside it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_message_reject(
    message: *const ctalk_message,
    why: *const c_char,
    why_len: usize,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let message = handle::get(message)?;
        let why = caller.text(why, why_len)?;
        message.settle(|client, ticket| client.reject(ticket.clone(), why))
    })
}

/// What the message says: text, JSON or bytes, as ctalk_message_content_type tells. Valid as long as the
/// message; so are all other views of it.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_payload(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| Some(message.received.payload.as_bytes()))
}

/// `text/plain`, `application/json`, or what the sender of an envelope says.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_content_type(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| {
        Some(message.received.content_type.as_bytes())
    })
}

/// The message as `ctalk --json recv` prints it, with `attempt`.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_json(message: *const ctalk_message) -> ctalk_slice {
    view(message, Message::json)
}

/// The message's id: 32 hex digits for an envelope, else the relay's. NULL where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_id(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| text(message.received.id.as_ref()))
}

/// The contact whose key signed it. NULL where nobody's did: then only ctalk_message_relay_from says
/// something, which is not to be believed.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_from(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| text(message.received.from.as_ref()))
}

/// Who sent it by the relay's word.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_relay_from(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| {
        Some(message.received.relay_from.as_bytes())
    })
}

/// Fingerprint of the keys that signed it, 64 hex digits. NULL where nobody's did.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_fingerprint(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| {
        text(message.received.fingerprint.as_ref())
    })
}

/// What is known about the sender: `verified` or `pinned`; `unknown`, `unsigned` or `plaintext` only where
/// ctalk_client_follow was told to hand over what nobody signed.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_trust(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| {
        Some(message.received.trust.as_str().as_bytes())
    })
}

/// `request`, `response` or `notification`, or whatever a plaintext sender wrote.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_type(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| {
        Some(message.received.message_type.as_bytes())
    })
}

/// The topic. NULL where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_topic(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| text(message.received.topic.as_ref()))
}

/// What pairs a request with its response. NULL where there is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_correlation_id(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| {
        text(message.received.correlation_id.as_ref())
    })
}

/// The id of the message that this one answers. NULL where it answers none.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_reply_to(message: *const ctalk_message) -> ctalk_slice {
    view(message, |message| text(message.received.reply_to.as_ref()))
}

/// Which attempt at the message this is; the first is 1, and 0 stands for what is no message. Higher after
/// a crash, too: what a program does before it commits may happen once more.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_attempt(message: *const ctalk_message) -> u32 {
    guard_value(0, || Some(handle::find(message)?.attempt))
}

/// Frees a message; see ctalk_message for one of which nobody said what became of it. NULL is allowed, and
/// freeing twice does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_message_free(message: *mut ctalk_message) {
    guard_value((), || {
        handle::free(message);
        Some(())
    });
}

fn view(
    message: *const ctalk_message,
    part: impl FnOnce(&Message) -> Option<&[u8]>,
) -> ctalk_slice {
    guard_value(ctalk_slice::NONE, || {
        Some(ctalk_slice::of(part(&*handle::find(message)?)?))
    })
}

fn text(text: Option<&String>) -> Option<&[u8]> {
    text.map(String::as_bytes)
}

/// What bytes say, by their content type.
pub(crate) fn content(bytes: &[u8], content_type: Option<&str>) -> Result<Content, Fault> {
    let text = || match str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Fault::new(Code::CTALK_NOT_UTF8, "the text is not UTF-8")),
    };
    match content_type {
        None => Ok(Content::from_bytes(bytes.to_vec())),
        Some("text/plain") => Ok(Content::Text(text()?)),
        Some("application/json") => Content::from_json(text()?).map_err(|error| {
            Fault::new(
                Code::CTALK_MALFORMED,
                format!("the data is not JSON: {error}"),
            )
        }),
        Some("application/octet-stream") => Ok(Content::Bytes(bytes.to_vec())),
        Some(_) => Err(Fault::new(
            Code::CTALK_BAD_OPTIONS,
            "`contentType` is text/plain, application/json or application/octet-stream",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_wiped_content() {
        for mut content in [
            Content::Text("secret".to_owned()),
            Content::from_json(r#"{"a":"secret"}"#.to_owned()).unwrap(),
            Content::Bytes(b"secret".to_vec()),
        ] {
            wipe(&mut content);
            assert!(content.as_bytes().is_empty());
        }
    }
}
