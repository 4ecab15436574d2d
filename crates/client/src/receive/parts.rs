//! Judging parts of envelopes. A part is stored for whoever signed it, and only the envelope that all of
//! them make is a message.

use std::collections::HashSet;

use ctalk_core::{
    Timestamp,
    classic::Claims,
    envelope::{EnvelopeId, Failure, MAX_LIFE},
    part::{Part, PartError, Whole},
};

use super::judge::{Judge, Refusal, Sender, Verdict};
use crate::{
    client::{millis, timestamp},
    message::Reason,
    policy::{Admission, Signer},
    store::Kept,
};

/// Of how many envelopes it is remembered that parts were refused.
const REMEMBERED: usize = 1000;

/// A part that is not stored.
pub(super) struct RefusedPart {
    /// Its sender's key, and which of the sender's envelopes it is of.
    envelope: ([u8; 32], EnvelopeId),
    pub(super) detail: String,
}

/// Envelopes of which the user was told that parts are refused.
#[derive(Default)]
pub(super) struct Told(HashSet<([u8; 32], EnvelopeId)>);

impl Told {
    /// Whether the user is to be told of a part: of the first of each envelope.
    pub(super) fn is_first(&mut self, part: &RefusedPart) -> bool {
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(part.envelope)
    }
}

impl Judge<'_> {
    pub(super) async fn part(&mut self, claims: Claims, text: &str) -> Result<Verdict, Refusal> {
        let entry = self.entry;
        if let Some(envelope) = &entry.envelope {
            return self.envelope(claims, envelope).await;
        }
        let bytes = Part::from_text(text)?;
        let part = Part::parse(&bytes)?.verify()?;
        self.check_not_ended(part.sender())?;
        let contact = self.client.store.contact_signing_with(part.sender())?;
        self.trust(contact.as_ref())?;
        // The keys of a stranger are looked for when the envelope is whole.
        let signer = contact
            .as_ref()
            .map_or(Signer::Stranger(&claims.from), Signer::Contact);
        if let Admission::Refused(detail) = self.client.policy.admission(signer) {
            return Err(Refusal::Message(Reason::Policy, detail));
        }
        let sender = contact.map(Sender::pinned).transpose()?;
        self.receiving.contact = sender.as_ref().and_then(Sender::known);
        let received_at = self.received_at(earliest(part.whole()));
        part.whole().check_life(received_at)?;
        if !self.may_pin {
            return Ok(Verdict::Part);
        }
        let now = self.client.clock.now();
        let received_at = millis(received_at).min(now);
        let store = &mut self.client.store;
        let kept = store.keep_part(entry.number, &part, sender.is_some(), received_at, now)?;
        match kept {
            Kept::Stored => Ok(Verdict::Part),
            Kept::Repeated => {
                // Of all parts that come again, one is answered.
                let is_last = part.index().saturating_add(1) == part.whole().count();
                if let (true, Some(Sender::Pinned(contact))) = (is_last, &sender) {
                    let id = part.whole().id();
                    self.client.repeat_answer(contact, part.sender(), id)?;
                }
                Ok(Verdict::Part)
            }
            Kept::Whole(envelope) => self.envelope(claims, &envelope).await,
            Kept::Refused(why) => Ok(Verdict::RefusedPart(RefusedPart {
                envelope: (*part.sender().as_bytes(), part.whole().id()),
                detail: why.to_string(),
            })),
        }
    }
}

/// When an envelope can have been made at the earliest, if its life is none that is too long.
fn earliest(whole: &Whole) -> Timestamp {
    let life = i64::try_from(MAX_LIFE.as_millis()).unwrap_or(i64::MAX);
    timestamp(millis(whole.expires()).saturating_sub(life))
}

impl From<PartError> for Refusal {
    fn from(error: PartError) -> Self {
        let reason = match error.failure() {
            Failure::NotVerified => Reason::NotVerified,
            Failure::Expired => Reason::Expired,
            _ => Reason::Malformed,
        };
        Self::message(reason, error)
    }
}
