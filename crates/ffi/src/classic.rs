//! ClawTalk's message format.

use std::{ffi::c_char, sync::PoisonError};

use ctalk::core::{
    KeyError, PublicKeys,
    classic::{self, CannotOpen, Claims, Malformed, Message, Metadata, NotVerified, SealError},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{
    bytes::{Bytes, ctalk_bytes, ctalk_slice},
    caller::{Caller, Out},
    card::ctalk_card,
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::{guard, guard_value},
    handle::{self, Opaque},
    identity::ctalk_identity,
    options,
};

/// The public keys of another agent that speaks ClawTalk's format. Owned by whoever got it; freed with
/// ctalk_peer_free. It never changes, and any number of threads may use it at the same time.
pub struct ctalk_peer {
    _private: [u8; 0],
}

impl Opaque for ctalk_peer {
    type Value = Peer;
    const NAME: &'static str = "ctalk_peer";
}

/// What is behind [`ctalk_peer`].
pub(crate) struct Peer {
    keys: PublicKeys,
    fingerprint: String,
}

impl From<PublicKeys> for Peer {
    fn from(keys: PublicKeys) -> Self {
        Self {
            fingerprint: keys.fingerprint().to_hex(),
            keys,
        }
    }
}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        Self::new(Code::CTALK_BAD_KEYS, error.to_string())
    }
}

impl From<Malformed> for Fault {
    fn from(error: Malformed) -> Self {
        Self::new(Code::CTALK_MALFORMED, error.to_string())
    }
}

impl From<NotVerified> for Fault {
    fn from(error: NotVerified) -> Self {
        Self::new(Code::CTALK_NOT_VERIFIED, error.to_string())
    }
}

impl From<CannotOpen> for Fault {
    fn from(error: CannotOpen) -> Self {
        Self::new(Code::CTALK_CANNOT_OPEN, error.to_string())
    }
}

impl From<SealError> for Fault {
    fn from(error: SealError) -> Self {
        let code = match error {
            SealError::TooLong { .. } => Code::CTALK_TOO_LONG,
            // Also what a later version of the core may add.
            _ => Code::CTALK_MALFORMED,
        };
        Self::new(code, error.to_string())
    }
}

/// Reads the keys of another agent as a directory lists them, each in 44 characters of padded standard
/// base64: `public_key` is X25519, `signing_key` Ed25519. CTALK_BAD_KEYS for keys that must not be used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_peer_new(
    public_key: *const c_char,
    public_key_len: usize,
    signing_key: *const c_char,
    signing_key_len: usize,
    out: *mut *mut ctalk_peer,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let keys = PublicKeys::from_base64(
            caller.text(public_key, public_key_len)?,
            caller.text(signing_key, signing_key_len)?,
        )?;
        out.put(keys.into());
        Ok(())
    })
}

/// The keys of ClawTalk's format that are on a card.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_peer_of_card(
    card: *const ctalk_card,
    out: *mut *mut ctalk_peer,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let held = handle::get(card)?;
        caller.out(out)?.put((*held.card.public_keys()).into());
        Ok(())
    })
}

/// The fingerprint of both keys together, which is not that of a key card: 64 lower-case hex digits.
/// Valid as long as the handle.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_peer_fingerprint(peer: *const ctalk_peer) -> ctalk_slice {
    guard_value(ctalk_slice::NONE, || {
        Some(ctalk_slice::of(handle::find(peer)?.fingerprint.as_bytes()))
    })
}

/// Frees a peer. NULL is allowed, and freeing twice does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_peer_free(peer: *mut ctalk_peer) {
    guard_value((), || {
        handle::free(peer);
        Some(())
    });
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ClassicOptions {
    to: Option<String>,
    #[serde(rename = "type")]
    message_type: Option<String>,
    topic: Option<String>,
    correlation_id: Option<String>,
}

/// What sealing makes of a message.
#[derive(Serialize)]
struct Sealed<'a> {
    payload: &'a str,
    nonce: &'a str,
    signature: &'a str,
}

/// Seals a payload, which is JSON of at most 49,136 bytes, for one agent in ClawTalk's format and signs
/// it. The result is a JSON object with `payload`, `nonce` and `signature` in padded standard base64, as
/// they go into a relay's request. Of the options, `to` (the recipient's name at the relay) is needed;
/// `type` is `notification` unless given; `topic` and `correlationId` are left out unless given. All four
/// are signed, so the request has to carry them unchanged. CTALK_MALFORMED for a payload that is no JSON,
/// CTALK_TOO_LONG for a longer one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_classic_seal(
    identity: *const ctalk_identity,
    peer: *const ctalk_peer,
    payload: *const u8,
    payload_len: usize,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let own = handle::get(identity)?;
        let peer = handle::get(peer)?;
        let out = caller.out(out)?;
        let given: ClassicOptions = options::read(caller, options, options_len)?;
        let no_name = || Fault::new(Code::CTALK_BAD_OPTIONS, "the options need a `to`");
        let metadata = Metadata {
            to: given.to.as_deref().ok_or_else(no_name)?,
            message_type: given.message_type.as_deref().unwrap_or("notification"),
            topic: given.topic.as_deref(),
            correlation_id: given.correlation_id.as_deref(),
        };
        let payload: &RawValue = serde_json::from_slice(caller.bytes(payload, payload_len)?)
            .map_err(|_| Fault::new(Code::CTALK_MALFORMED, "the payload is no JSON"))?;
        let sealed = {
            let mut keys = own.box_keys.lock().unwrap_or_else(PoisonError::into_inner);
            let recipient = peer.keys.encryption();
            let mut rng = crate::rng();
            classic::seal(
                &own.identity,
                &mut keys,
                recipient,
                &metadata,
                payload,
                &mut rng,
            )?
        };
        out.put(Bytes::json(&Sealed {
            payload: &sealed.payload,
            nonce: &sealed.nonce,
            signature: &sealed.signature,
        })?);
        Ok(())
    })
}

/// What relay and sender say about a message, by the names of the relay's JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    id: Option<&'a str>,
    from: &'a str,
    to: &'a str,
    #[serde(rename = "type")]
    message_type: &'a str,
    topic: Option<&'a str>,
    correlation_id: Option<&'a str>,
    reply_to: Option<&'a str>,
    ts: Option<&'a str>,
}

impl<'a> From<&'a Claims> for Shown<'a> {
    fn from(claims: &'a Claims) -> Self {
        Self {
            id: claims.id.as_deref(),
            from: &claims.from,
            to: &claims.to,
            message_type: &claims.message_type,
            topic: claims.topic.as_deref(),
            correlation_id: claims.correlation_id.as_deref(),
            reply_to: claims.reply_to.as_deref(),
            ts: claims.ts.as_deref(),
        }
    }
}

/// Checks that `peer` signed a message in ClawTalk's format, given as JSON as a relay lists it, and opens
/// it. The payload is JSON. `claims`, which may be NULL, is a JSON object with `id`, `from`, `to`, `type`,
/// `topic`, `correlationId`, `replyTo` and `ts`, of which only `to`, `type`, `topic` and `correlationId`
/// are signed. Nothing in the format tells a message from its repetition.
///
/// CTALK_MALFORMED, CTALK_NOT_VERIFIED or CTALK_CANNOT_OPEN say why it does not open, CTALK_NOT_SIGNED
/// that nobody signed it: then ctalk_classic_open_unsigned reads it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_classic_open(
    identity: *const ctalk_identity,
    peer: *const ctalk_peer,
    message: *const u8,
    message_len: usize,
    payload: *mut *mut ctalk_bytes,
    claims: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let own = handle::get(identity)?;
        let peer = handle::get(peer)?;
        let (payload, claims) = (caller.out(payload)?, caller.out_or_none(claims)?);
        let Message::Signed(message) = Message::parse(caller.bytes(message, message_len)?)? else {
            let text = "nobody signed the message, so it could be from anybody";
            return Err(Fault::new(Code::CTALK_NOT_SIGNED, text));
        };
        let verified = message.verify(&peer.keys)?;
        let opened = {
            let mut keys = own.box_keys.lock().unwrap_or_else(PoisonError::into_inner);
            verified.open(&own.identity, &mut keys)?
        };
        let said = claims.map(|out| told(opened.claims(), out)).transpose()?;
        put(opened.into_payload(), payload, said);
        Ok(())
    })
}

/// Reads a message in ClawTalk's format that nobody signed, boxed or in plain text: anybody may have
/// written it, and where it is in plain text anybody may have read it. `peer` is whom it claims to be
/// from. Outputs and errors are those of ctalk_classic_open, but for CTALK_BAD_ARGUMENT where it is
/// signed, so that no signature is left unchecked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_classic_open_unsigned(
    identity: *const ctalk_identity,
    peer: *const ctalk_peer,
    message: *const u8,
    message_len: usize,
    payload: *mut *mut ctalk_bytes,
    claims: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let own = handle::get(identity)?;
        let peer = handle::get(peer)?;
        let (payload, claims) = (caller.out(payload)?, caller.out_or_none(claims)?);
        let opened = match Message::parse(caller.bytes(message, message_len)?)? {
            Message::Plain(message) => message.accept(),
            Message::Unsigned(message) => {
                let mut keys = own.box_keys.lock().unwrap_or_else(PoisonError::into_inner);
                message.open(&peer.keys, &own.identity, &mut keys)?
            }
            Message::Signed(_) => {
                let text = "the message is signed; ctalk_classic_open checks by whom";
                return Err(Fault::new(Code::CTALK_BAD_ARGUMENT, text));
            }
        };
        let said = claims.map(|out| told(opened.claims(), out)).transpose()?;
        put(opened.into_payload(), payload, said);
        Ok(())
    })
}

/// What the claims say, beside the place for it.
fn told<'c>(
    claims: &Claims,
    out: Out<'c, ctalk_bytes>,
) -> Result<(Out<'c, ctalk_bytes>, Bytes), Fault> {
    Ok((out, Bytes::json(&Shown::from(claims))?))
}

fn put(
    payload: Box<RawValue>,
    payload_out: Out<'_, ctalk_bytes>,
    said: Option<(Out<'_, ctalk_bytes>, Bytes)>,
) {
    let text = String::from(Box::<str>::from(payload));
    payload_out.put(Zeroizing::new(text).into());
    if let Some((out, said)) = said {
        out.put(said);
    }
}
