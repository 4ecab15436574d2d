//! Key cards.

use std::{ffi::c_char, time::Duration};

use ctalk::core::{Card, CardError, CardNotCurrent, CardStatement, Timestamp};
use serde::Deserialize;

use crate::{
    bytes::{Bytes, ctalk_bytes, ctalk_slice},
    caller::Caller,
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::{guard, guard_value},
    handle::{self, Opaque},
    identity::ctalk_identity,
    options,
    shown::{self, ShownCard},
};

/// How long others may seal to a card, unless said otherwise.
pub(crate) const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A key card whose signature was checked: what others need to seal to an identity and to know its
/// envelopes. Owned by whoever got it; freed with ctalk_card_free. It never changes, and any number of
/// threads may use it at the same time.
pub struct ctalk_card {
    _private: [u8; 0],
}

impl Opaque for ctalk_card {
    type Value = HeldCard;
    const NAME: &'static str = "ctalk_card";
}

/// What is behind [`ctalk_card`].
pub(crate) struct HeldCard {
    pub(crate) card: Card,
    text: String,
    fingerprint: String,
}

impl From<Card> for HeldCard {
    fn from(card: Card) -> Self {
        Self {
            text: card.to_text(),
            fingerprint: card.fingerprint().to_hex(),
            card,
        }
    }
}

impl From<CardError> for Fault {
    fn from(error: CardError) -> Self {
        Self::new(Code::of_failure(error.failure()), error.to_string())
    }
}

impl From<CardNotCurrent> for Fault {
    fn from(error: CardNotCurrent) -> Self {
        Self::new(Code::CTALK_CARD_NOT_CURRENT, error.to_string())
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct CardOptions {
    name: Option<String>,
    serial: Option<u64>,
    created: Option<u64>,
    expires: Option<u64>,
    addresses: Vec<String>,
}

/// Makes the card of an identity, for its newest X-Wing key. The options, which may be empty, are `name`
/// (what the identity suggests to be called, 1 to 64 bytes; by default the first 16 digits of its
/// fingerprint), `created` and `expires` (by default now, and 30 days later), `serial` (which grows with
/// every card of an identity; by default `created`) and `addresses` (a list of texts). An identity that
/// was loaded from a profile has its card already and takes no options. CTALK_BAD_KEYS for an identity
/// without an X-Wing key, CTALK_MALFORMED for what no card can say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_identity_card(
    identity: *const ctalk_identity,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut ctalk_card,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let own = handle::get(identity)?;
        let out = caller.out(out)?;
        if let Some(card) = &own.card {
            if options_len > 0 {
                let text = "the identity has its card from its profile, which takes no options";
                return Err(Fault::new(Code::CTALK_BAD_OPTIONS, text));
            }
            out.put(card.clone().into());
            return Ok(());
        }
        let given: CardOptions = options::read(caller, options, options_len)?;
        let xwing = own.identity.xwing_keys().last().ok_or_else(|| {
            let text = "the identity has no X-Wing key that envelopes could be sealed to";
            Fault::new(Code::CTALK_BAD_KEYS, text)
        })?;
        let created = given.created.map_or_else(|| Ok(shown::now()), time)?;
        let expires = match given.expires {
            Some(millis) => time(millis)?,
            None => created.checked_add(LIFE).unwrap_or(Timestamp::MAX),
        };
        let addresses: Vec<&str> = given.addresses.iter().map(String::as_str).collect();
        let default_name = own.fingerprint.get(..16).unwrap_or_default();
        let statement = CardStatement {
            name: given.name.as_deref().unwrap_or(default_name),
            serial: given.serial.unwrap_or_else(|| created.as_millis()),
            created,
            expires,
            addresses: &addresses,
        };
        out.put(Card::sign(&own.identity, xwing, &statement)?.into());
        Ok(())
    })
}

fn time(millis: u64) -> Result<Timestamp, Fault> {
    Timestamp::from_millis(millis)
        .ok_or_else(|| Fault::new(Code::CTALK_BAD_OPTIONS, "a time is beyond 2^53 - 1"))
}

/// Reads a card from its bytes and checks its signature. CTALK_MALFORMED, CTALK_NEWER or
/// CTALK_NOT_VERIFIED for what is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_card_from_bytes(
    data: *const u8,
    len: usize,
    out: *mut *mut ctalk_card,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        out.put(Card::parse(caller.bytes(data, len)?)?.into());
        Ok(())
    })
}

/// Reads a card from its one-line text (`ctalk-card:` and base64url) with nothing around it, and checks
/// its signature. The errors are those of ctalk_card_from_bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_card_from_text(
    text: *const c_char,
    len: usize,
    out: *mut *mut ctalk_card,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        out.put(Card::from_text(caller.text(text, len)?)?.into());
        Ok(())
    })
}

/// Checks that others may seal to the card at `now` (milliseconds; 0 is now): CTALK_CARD_NOT_CURRENT if
/// it has expired or comes from the future.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_card_check_current(
    card: *const ctalk_card,
    now: u64,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |_| {
        let held = handle::get(card)?;
        Ok(held.card.check_current(shown::time_or_now(now)?)?)
    })
}

/// What the card says, as JSON: `card` (its one-line text), `name`, `fingerprint`, `serial`, `created`,
/// `expires` and `addresses`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_card_json(
    card: *const ctalk_card,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let held = handle::get(card)?;
        let out = caller.out(out)?;
        out.put(Bytes::json(&ShownCard::new(&held.card, &held.text))?);
        Ok(())
    })
}

/// A view of what `part` takes out of the card behind a handle.
fn view(card: *const ctalk_card, part: impl FnOnce(&HeldCard) -> Option<&[u8]>) -> ctalk_slice {
    guard_value(ctalk_slice::NONE, || {
        let held = handle::find(card)?;
        Some(ctalk_slice::of(part(&held)?))
    })
}

/// The one-line text, which passes through everything that carries text. Valid as long as the card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_text(card: *const ctalk_card) -> ctalk_slice {
    view(card, |held| Some(held.text.as_bytes()))
}

/// The bytes as they were signed. Valid as long as the card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_data(card: *const ctalk_card) -> ctalk_slice {
    view(card, |held| Some(held.card.as_bytes()))
}

/// What the identity suggests to be called: not unique, and not to be believed. Valid as long as the
/// card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_name(card: *const ctalk_card) -> ctalk_slice {
    view(card, |held| Some(held.card.name().as_bytes()))
}

/// The fingerprint, for people to compare: 64 lower-case hex digits, the same on all cards of an
/// identity. Valid as long as the card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_fingerprint(card: *const ctalk_card) -> ctalk_slice {
    view(card, |held| Some(held.fingerprint.as_bytes()))
}

/// The Ed25519 public key that is the identity, 32 bytes. Valid as long as the card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_signing_key(card: *const ctalk_card) -> ctalk_slice {
    view(card, |held| Some(held.card.signing_key().as_bytes()))
}

/// The X25519 public key of ClawTalk's format, 32 bytes. Valid as long as the card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_encryption_key(card: *const ctalk_card) -> ctalk_slice {
    view(card, |held| {
        Some(held.card.public_keys().encryption().as_bytes())
    })
}

/// The X-Wing public key that envelopes are sealed to, 1216 bytes. Valid as long as the card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_xwing_key(card: *const ctalk_card) -> ctalk_slice {
    view(card, |held| Some(held.card.xwing_key().as_bytes()))
}

/// Where to reach the identity, the preferred place being 0; NULL after the last one. Valid as long as
/// the card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_address(card: *const ctalk_card, index: usize) -> ctalk_slice {
    view(card, |held| {
        Some(held.card.addresses().nth(index)?.as_bytes())
    })
}

/// What grows with every card of an identity; 0 for what is no card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_serial(card: *const ctalk_card) -> u64 {
    guard_value(0, || Some(handle::find(card)?.card.serial()))
}

/// When the card was made, in milliseconds; 0 for what is no card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_created(card: *const ctalk_card) -> u64 {
    guard_value(0, || Some(handle::find(card)?.card.created().as_millis()))
}

/// The last moment at which others may seal to it, in milliseconds; 0 for what is no card.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_expires(card: *const ctalk_card) -> u64 {
    guard_value(0, || Some(handle::find(card)?.card.expires().as_millis()))
}

/// Frees a card. NULL is allowed, and freeing twice does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_card_free(card: *mut ctalk_card) {
    guard_value((), || {
        handle::free(card);
        Some(())
    });
}
