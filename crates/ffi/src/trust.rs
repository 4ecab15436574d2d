//! Whose keys somebody holds, and how long they count: safety numbers, and statements about the end of an
//! identity.

use std::ffi::c_char;

use ctalk::core::{
    Fingerprint, Revocation, SafetyNumber, StatementError, StatementKind, Succession, VerifyingKey,
};
use serde::Serialize;

use crate::{
    bytes::{Bytes, ctalk_bytes},
    caller::Caller,
    code::{Code, ctalk_code},
    contacts,
    error::{Fault, ctalk_error},
    guard::guard,
};

impl From<StatementError> for Fault {
    fn from(error: StatementError) -> Self {
        Self::new(Code::of_failure(error.failure()), error.to_string())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownNumber {
    safety_number: String,
    words: String,
    qr: String,
}

/// The number that the owners of two identities compare, which is the same in either order, as JSON:
/// `safetyNumber`, 75 digits in groups of five; `words`, the same in 23 words; and `qr`, the text of its QR
/// code. It is compared whole, in either form. The fingerprints are those of both key cards: 64 hex digits
/// in any grouping. CTALK_BAD_ARGUMENT for what is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_safety_number(
    one: *const c_char,
    one_len: usize,
    other: *const c_char,
    other_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let one = contacts::parsed(caller.text(one, one_len)?)?;
        let other = contacts::parsed(caller.text(other, other_len)?)?;
        let number = SafetyNumber::of(&one, &other);
        out.put(Bytes::json(&ShownNumber {
            safety_number: number.to_string(),
            words: number.words().join(" "),
            qr: number.qr_text(),
        })?);
        Ok(())
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownStatement {
    kind: &'static str,
    fingerprint: String,
    successor: Option<String>,
    created: u64,
}

impl ShownStatement {
    /// Reads a statement whose kind its prefix tells; what has neither is no revocation.
    fn read(text: &str) -> Result<Self, StatementError> {
        let hex = |key: &VerifyingKey| Fingerprint::native(key).to_hex();
        if text.starts_with(StatementKind::Succession.prefix()) {
            let read = Succession::from_text(text)?;
            return Ok(Self {
                kind: "succession",
                fingerprint: hex(read.predecessor()),
                successor: Some(hex(read.successor())),
                created: read.created().as_millis(),
            });
        }
        let read = Revocation::from_text(text)?;
        Ok(Self {
            kind: "revocation",
            fingerprint: hex(read.identity()),
            successor: None,
            created: read.created().as_millis(),
        })
    }
}

/// Reads the one-line text of a succession (`ctalk-succession:`) or a revocation (`ctalk-revocation:`) with
/// nothing around it, checks its signatures, and says as JSON what it states: `kind` (`succession` or
/// `revocation`), `fingerprint` of the identity that ends, `successor`, the fingerprint of the one that
/// takes its place or null, and `created`, in milliseconds. Whose identity that is, is known from its key
/// card: both have one fingerprint. CTALK_MALFORMED, CTALK_NEWER or CTALK_NOT_VERIFIED for what is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_statement_verify(
    text: *const c_char,
    len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let statement = ShownStatement::read(caller.text(text, len)?)?;
        out.put(Bytes::json(&statement)?);
        Ok(())
    })
}
