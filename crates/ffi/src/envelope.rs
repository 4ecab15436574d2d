//! Envelopes that lie in memory.

use std::{borrow::Cow, ffi::c_char, io::Cursor, sync::Arc, time::Duration};

use ctalk::{
    core::{
        Card, Fingerprint, Timestamp, VerifyingKey,
        envelope::{
            self, Envelope, Kind, Metadata, NotVerified, OpenError, ParseError, SealError,
            TEXT_PREFIX, TextError, VerifiedHeader,
        },
    },
    stream::{self, Form, StreamError},
};
use serde::Deserialize;

use crate::{
    bytes::{Bytes, ctalk_bytes},
    caller::Caller,
    card::{HeldCard, ctalk_card},
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::guard,
    handle,
    identity::{Own, ctalk_identity},
    opened::{Opened, ctalk_opened},
    options, shown,
};

/// How long recipients can open an envelope, unless said otherwise.
const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl From<StreamError> for Fault {
    fn from(error: StreamError) -> Self {
        let code = match &error {
            StreamError::Read(_) => Code::CTALK_READ_FAILED,
            StreamError::Write(_) => Code::CTALK_WRITE_FAILED,
            StreamError::Text(error) => Code::of_failure(error.failure()),
            StreamError::Parse(error) => Code::of_failure(error.failure()),
            StreamError::NotVerified(error) => Code::of_failure(error.failure()),
            StreamError::Open(error) => Code::of_failure(error.failure()),
            StreamError::Seal(SealError::Card(_)) => Code::CTALK_CARD_NOT_CURRENT,
            StreamError::Seal(
                SealError::DuplicateRecipient { .. }
                | SealError::NoRecipients
                | SealError::TooManyRecipients,
            ) => Code::CTALK_BAD_RECIPIENTS,
            StreamError::Seal(SealError::Life) => Code::CTALK_BAD_LIFE,
            other => Code::of(other.class()),
        };
        Self::new(code, error.to_string())
    }
}

/// Errors of the core whose code is that of [`StreamError`].
macro_rules! as_of_a_stream {
    ($($error:ty),*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                StreamError::from(error).into()
            }
        })*
    };
}

as_of_a_stream!(TextError, ParseError, NotVerified, OpenError, SealError);

/// What a sender can say about a payload.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct SealOptions {
    #[serde(rename = "type")]
    kind: SealKind,
    topic: Option<String>,
    correlation_id: Option<String>,
    reply_to: Option<String>,
    content_type: Option<String>,
    name: Option<String>,
    receipt: bool,
    card: Option<String>,
    created: Option<u64>,
    ttl: Option<u64>,
    armor: bool,
}

/// What users send.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SealKind {
    Request,
    Response,
    #[default]
    Notification,
}

/// What is ready to be sealed.
pub(crate) struct Order {
    pub(crate) own: Arc<Own>,
    cards: Vec<Arc<HeldCard>>,
    pub(crate) metadata: Metadata,
    pub(crate) created: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) form: Form,
}

impl Order {
    pub(crate) fn read(
        caller: &Caller,
        identity: *const ctalk_identity,
        recipients: *const *const ctalk_card,
        recipients_count: usize,
        options: *const c_char,
        options_len: usize,
    ) -> Result<Self, Fault> {
        let own = handle::get(identity)?;
        let cards = caller.handles(recipients, recipients_count)?;
        let given: SealOptions = options::read(caller, options, options_len)?;
        let created = shown::time_or_now(given.created.unwrap_or_default())?;
        let life = given.ttl.map_or(LIFE, Duration::from_secs);
        let too_long = || Fault::new(Code::CTALK_BAD_LIFE, SealError::Life.to_string());
        let expires = created.checked_add(life).ok_or_else(too_long)?;
        let kind = match given.kind {
            SealKind::Request => Kind::Request,
            SealKind::Response => Kind::Response,
            SealKind::Notification => Kind::Notification,
        };
        let content_type = given.content_type;
        let metadata = Metadata {
            receipt: given.receipt,
            topic: given.topic,
            correlation_id: given.correlation_id,
            reply_to: given.reply_to,
            name: given.name,
            card: given.card.as_deref().map(Card::from_text).transpose()?,
            ..Metadata::new(
                kind,
                content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            )
        };
        Ok(Self {
            own,
            cards,
            metadata,
            created,
            expires,
            form: if given.armor {
                Form::Text
            } else {
                Form::Binary
            },
        })
    }

    pub(crate) fn recipients(&self) -> impl ExactSizeIterator<Item = &Card> {
        self.cards.iter().map(|held| &held.card)
    }
}

/// Seals a payload for the owners of the given cards, at most 1024, and signs it. The options, which may
/// be empty, are `type` (`request`, `response` or `notification`, which is the default), `topic`,
/// `correlationId`, `replyTo`, `contentType` (by default `application/octet-stream`), `name` (of a file),
/// `receipt` (whether one is asked for), `card` (the sender's own, as text, to go along), `created` (by
/// default now), `ttl` (for how many seconds it can be opened, by default 7 days, at most 30 days) and
/// `armor` (whether the envelope is one line of text instead of bytes). CTALK_BAD_RECIPIENTS,
/// CTALK_CARD_NOT_CURRENT or CTALK_BAD_LIFE where those are at fault, CTALK_MALFORMED for metadata over a
/// limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_envelope_seal(
    identity: *const ctalk_identity,
    recipients: *const *const ctalk_card,
    recipients_count: usize,
    payload: *const u8,
    payload_len: usize,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let order = Order::read(
            caller,
            identity,
            recipients,
            recipients_count,
            options,
            options_len,
        )?;
        let sealed = envelope::seal(
            &order.own.identity,
            order.recipients(),
            &order.metadata,
            caller.bytes(payload, payload_len)?,
            order.created,
            order.expires,
            &mut crate::rng(),
        )?;
        out.put(match order.form {
            Form::Binary => sealed.into(),
            Form::Text => envelope::to_text(&sealed).into(),
        });
        Ok(())
    })
}

/// Opens an envelope, given as bytes or as its one line of text, that is alive at `now` (milliseconds; 0
/// is now). `from` is the card of the one sender it is taken from, or NULL for anybody: then look at
/// ctalk_opened_fingerprint before using the payload. The signature is checked in either case. Whether it
/// was opened before is for the caller to remember, by sender, id and digest.
///
/// CTALK_MALFORMED, CTALK_NEWER, CTALK_NOT_VERIFIED, CTALK_EXPIRED, CTALK_NOT_FOR_ME or CTALK_CANNOT_OPEN
/// say why it does not open, CTALK_NOT_TRUSTED that it is from somebody else than `from`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_envelope_open(
    identity: *const ctalk_identity,
    from: *const ctalk_card,
    data: *const u8,
    len: usize,
    now: u64,
    out: *mut *mut ctalk_opened,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let own = handle::get(identity)?;
        let out = caller.out(out)?;
        let named = Named::get(from)?;
        let now = shown::time_or_now(now)?;
        let bytes = unarmored(caller.bytes(data, len)?)?;
        let verified = Envelope::parse(&bytes)?.verify()?;
        named.check(verified.header())?;
        let shown = shown::Verified::new(verified.header(), named.is_given());
        let recipients = verified.header().recipients();
        let opened = verified.open(&own.identity, now)?;
        out.put(Opened::new(opened, recipients, shown)?);
        Ok(())
    })
}

/// Checks the signatures of a whole envelope, given as bytes or as its one line of text, without opening
/// it, and says as JSON who signed it: `from` (null), `fingerprint`, `trust` (`unknown`), `id`, `created`,
/// `expires` and `recipients`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_envelope_verify(
    data: *const u8,
    len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let bytes = unarmored(caller.bytes(data, len)?)?;
        let header = Envelope::parse(&bytes)?.verify()?.verify_all()?;
        out.put(Bytes::json(&shown::Verified::new(&header, false))?);
        Ok(())
    })
}

/// Says as JSON what everybody can see of an envelope, given as bytes or as its one line of text, none of
/// it proven: `form`, `claimedSender`, `id`, `created`, `expires`, `recipients`, `segments` and
/// `paddedBytes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_envelope_inspect(
    data: *const u8,
    len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let bytes = caller.bytes(data, len)?.to_vec();
        let outside = stream::inspect(Cursor::new(bytes), |_| ())?;
        out.put(Bytes::json(&shown::Outside::new(&outside))?);
        Ok(())
    })
}

/// The bytes of an envelope in either form.
fn unarmored(input: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    if !input.starts_with(TEXT_PREFIX.as_bytes()) {
        return Ok(Cow::Borrowed(input));
    }
    let text = str::from_utf8(input).map_err(|_| TextError::Alphabet)?;
    Ok(Cow::Owned(envelope::from_text(text)?))
}

/// The one sender that an envelope is taken from, or anybody.
pub(crate) struct Named(Option<VerifyingKey>);

impl Named {
    pub(crate) fn get(from: *const ctalk_card) -> Result<Self, Fault> {
        if from.is_null() {
            return Ok(Self(None));
        }
        Ok(Self(Some(*handle::get(from)?.card.signing_key())))
    }

    pub(crate) const fn is_given(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn check(&self, header: &VerifiedHeader) -> Result<(), Fault> {
        match &self.0 {
            Some(named) if named != header.sender() => {
                let (found, named) = (
                    Fingerprint::native(header.sender()),
                    Fingerprint::native(named),
                );
                let text = format!("the envelope is from {found}, not from {named}");
                Err(Fault::new(Code::CTALK_NOT_TRUSTED, text))
            }
            _ => Ok(()),
        }
    }
}
