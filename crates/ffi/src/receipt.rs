//! Receipts, for programs that open envelopes themselves.

use std::ffi::c_char;

use ctalk::core::envelope::{Kind, Metadata, Receipt, ReceiptError};
use serde::Serialize;

use crate::{
    bytes::{Bytes, ctalk_bytes},
    caller::Caller,
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::guard,
};

impl From<ReceiptError> for Fault {
    fn from(error: ReceiptError) -> Self {
        Self::new(Code::of_failure(error.failure()), error.to_string())
    }
}

#[derive(Serialize)]
struct ShownReceipt {
    id: String,
    outcome: &'static str,
    attempt: u32,
    digest: String,
}

/// Reads what an opened envelope of the type `receipt` says: its payload, its content type and what it
/// answers, which may be NULL. The JSON has `id` of the envelope that it is about, `outcome` (`done`,
/// `failed` or `refused`), `attempt`, the number of times that a handler was started, and `digest`, the
/// SHA-256 of the result in 64 hex digits. It counts only from somebody to whom that envelope was sealed.
/// Clients read theirs themselves. CTALK_MALFORMED for what is no receipt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_receipt_read(
    payload: *const u8,
    payload_len: usize,
    content_type: *const c_char,
    content_type_len: usize,
    reply_to: *const c_char,
    reply_to_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let payload = caller.bytes(payload, payload_len)?;
        let content_type = caller.text(content_type, content_type_len)?;
        let mut metadata = Metadata::new(Kind::Receipt, content_type);
        let reply_to = caller.text_or_none(reply_to, reply_to_len)?;
        metadata.reply_to = reply_to.map(str::to_owned);
        let receipt = Receipt::parse(&metadata, payload)?;
        out.put(Bytes::json(&ShownReceipt {
            id: receipt.id.to_string(),
            outcome: receipt.outcome.as_str(),
            attempt: receipt.attempt,
            digest: hex::encode(receipt.digest),
        })?);
        Ok(())
    })
}
