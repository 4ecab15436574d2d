//! What was in an envelope.

use ctalk::core::{Fingerprint, envelope};
use zeroize::Zeroizing;

use crate::{
    bytes::ctalk_slice,
    caller::Caller,
    card::ctalk_card,
    code::ctalk_code,
    error::{Fault, ctalk_error},
    guard::{guard, guard_value},
    handle::{self, Opaque},
    shown,
};

/// An envelope that was verified and opened. Owned by whoever got it; freed with ctalk_opened_free, which
/// wipes the payload. It never changes, and any number of threads may use it at the same time.
pub struct ctalk_opened {
    _private: [u8; 0],
}

impl Opaque for ctalk_opened {
    type Value = Opened;
    const NAME: &'static str = "ctalk_opened";
}

/// What is behind [`ctalk_opened`].
pub(crate) struct Opened {
    opened: envelope::Opened,
    payload: Zeroizing<Vec<u8>>,
    recipients: u16,
    id: String,
    fingerprint: String,
    json: Vec<u8>,
}

impl Opened {
    pub(crate) fn new(
        mut opened: envelope::Opened,
        recipients: u16,
        verified: shown::Verified,
    ) -> Result<Self, Fault> {
        let payload = Zeroizing::new(std::mem::take(&mut opened.payload));
        let length = payload.len() as u64;
        let shown = shown::Opened::new(&verified, &opened.metadata, length);
        let json = crate::bytes::to_json(&shown)?;
        Ok(Self {
            payload,
            recipients,
            id: opened.id.to_string(),
            fingerprint: Fingerprint::native(&opened.sender).to_hex(),
            json,
            opened,
        })
    }
}

/// A view of what `part` takes out of the opened envelope behind a handle.
fn view(opened: *const ctalk_opened, part: impl FnOnce(&Opened) -> Option<&[u8]>) -> ctalk_slice {
    guard_value(ctalk_slice::NONE, || {
        let opened = handle::find(opened)?;
        Some(ctalk_slice::of(part(&opened)?))
    })
}

/// The payload, byte for byte. Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_payload(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| Some(&it.payload))
}

/// The fingerprint of whoever signed the envelope: 64 lower-case hex digits. Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_fingerprint(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| Some(it.fingerprint.as_bytes()))
}

/// The Ed25519 public key of whoever signed the envelope, 32 bytes. Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_sender(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| Some(it.opened.sender.as_bytes()))
}

/// The envelope's id, 32 hex digits, which another sender may have used too. Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_id(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| Some(it.id.as_bytes()))
}

/// The SHA-256 of the header, 32 bytes. Valid as long as the handle. One sender and id with two digests
/// are two envelopes, of which the second is to be refused.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_digest(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| Some(&it.opened.header_digest))
}

/// `request`, `response`, `notification`, `receipt`, `card`, `succession` or `pairing`. Valid as long as
/// the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_type(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| {
        Some(it.opened.metadata.kind.as_str().as_bytes())
    })
}

/// What the message is about; NULL if it does not say. Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_topic(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| {
        Some(it.opened.metadata.topic.as_ref()?.as_bytes())
    })
}

/// What ties a request to its response; NULL if it does not say. Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_correlation_id(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| {
        Some(it.opened.metadata.correlation_id.as_ref()?.as_bytes())
    })
}

/// Which message this one answers; NULL if it does not say. Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_reply_to(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| {
        Some(it.opened.metadata.reply_to.as_ref()?.as_bytes())
    })
}

/// The payload's media type. Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_content_type(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| {
        Some(it.opened.metadata.content_type.as_bytes())
    })
}

/// The name of the file that the payload is; NULL if it does not say. Any text: check it before using it
/// as a path. Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_name(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| {
        Some(it.opened.metadata.name.as_ref()?.as_bytes())
    })
}

/// 1 if the sender asks for a receipt, else 0.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_wants_receipt(opened: *const ctalk_opened) -> u32 {
    guard_value(0, || {
        Some(handle::find(opened)?.opened.metadata.receipt.into())
    })
}

/// When the envelope was sealed, in milliseconds.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_created(opened: *const ctalk_opened) -> u64 {
    guard_value(0, || Some(handle::find(opened)?.opened.created.as_millis()))
}

/// Until when it could be opened, and has to be remembered, in milliseconds.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_expires(opened: *const ctalk_opened) -> u64 {
    guard_value(0, || Some(handle::find(opened)?.opened.expires.as_millis()))
}

/// How many keys it was sealed to.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_recipients(opened: *const ctalk_opened) -> u32 {
    guard_value(0, || Some(handle::find(opened)?.recipients.into()))
}

/// What the envelope says besides its payload, as JSON: `from` (null), `fingerprint`, `trust` (`named` if
/// the caller named the sender, else `unknown`), `id`, `created`, `expires`, `recipients`, `type`,
/// `topic`, `correlationId`, `replyTo`, `contentType`, `name` and `bytes`. Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_json(opened: *const ctalk_opened) -> ctalk_slice {
    view(opened, |it| Some(&it.json))
}

/// The sender's card that came along; NULL is written where none did.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_opened_card(
    opened: *const ctalk_opened,
    out: *mut *mut ctalk_card,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let opened = handle::get(opened)?;
        let out = caller.out(out)?;
        match &opened.opened.metadata.card {
            Some(card) => out.put(card.clone().into()),
            None => out.put_none(),
        }
        Ok(())
    })
}

/// Frees what was opened and wipes the payload. NULL is allowed, and freeing twice does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_opened_free(opened: *mut ctalk_opened) {
    guard_value((), || {
        handle::free(opened);
        Some(())
    });
}
