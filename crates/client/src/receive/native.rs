//! Judging envelopes.

use std::time::Duration;

use ctalk_core::{
    CLOCK_SKEW, Card, Succession, Timestamp, VerifyingKey,
    classic::Claims,
    envelope::{
        self, Envelope, Failure, Kind, Metadata, OpenError, Opened, Receipt, ReceiptOutcome,
        Verified,
    },
};

use super::{
    enforce::Valid,
    judge::{Awaited, Delivered, Judge, Refusal, Sender, Verdict},
};
use crate::{
    client::timestamp,
    contacts, endings,
    message::{Content, Format, Reason, Received},
    store::{CallKey, CallState, Mark},
};

/// How long an envelope that was set aside can be retried after it was received.
const RETRIED: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Bytes of a succession, which the card of the successor follows in the payload.
const SUCCESSION_LEN: usize = 208;

impl Judge<'_> {
    pub(super) async fn native(&mut self, claims: Claims, text: &str) -> Result<Verdict, Refusal> {
        let bytes = envelope::from_text(text)
            .map_err(|error| Refusal::message(Reason::Malformed, error))?;
        self.envelope(claims, &bytes).await
    }

    /// An envelope, however it came.
    pub(super) async fn envelope(
        &mut self,
        claims: Claims,
        bytes: &[u8],
    ) -> Result<Verdict, Refusal> {
        let envelope = match self.receiving.take_opened(self.entry.number).await {
            Some(opened) => Proven::Opened(opened),
            None => Proven::Verified(verify(bytes)?),
        };
        let signer = *envelope.sender();
        // Of an identity that has ended nothing is taken but what says so.
        let sender = match self.check_not_ended(&signer) {
            Ok(()) => Ok(self.native_sender(&claims.from, &signer).await?),
            Err(ended) => Err(ended),
        };
        let opened = match envelope {
            Proven::Opened(opened) => opened,
            Proven::Verified(verified) => self.open(verified, bytes)?,
        };
        if let Ok(sender) = &sender {
            self.receiving.contact = sender.known();
        }
        // Copies of it that were received within its life may still be retried.
        let expires = opened
            .expires
            .checked_add(CLOCK_SKEW + RETRIED)
            .unwrap_or(Timestamp::MAX);
        let mark = Mark::Native {
            sender: *signer.as_bytes(),
            id: *opened.id.as_bytes(),
            digest: opened.header_digest,
            expires: i64::try_from(expires.as_millis()).unwrap_or(i64::MAX),
        };
        let asks = opened.metadata.receipt;
        if self.was_handled(&mark)? {
            if let (true, Ok(Sender::Pinned(contact))) = (asks && self.may_pin, &sender) {
                self.client.repeat_answer(contact, &signer, opened.id)?;
            }
            return Ok(Verdict::HandledBefore(mark));
        }
        if opened.metadata.kind == Kind::Succession {
            self.succession(sender.as_ref().ok(), &signer, &opened.payload)?;
            return Ok(Verdict::Absorbed(mark));
        }
        let sender = sender?;
        if opened.metadata.kind == Kind::Card {
            // Nobody is pinned for a card alone.
            if let (Sender::Pinned(contact), Some(card), true) =
                (&sender, &opened.metadata.card, self.may_pin)
            {
                let _ = contacts::renew(self.client, contact, card);
            }
            return Ok(Verdict::Absorbed(mark));
        }
        if opened.metadata.kind == Kind::Receipt {
            self.receipt(&sender, &opened.metadata, &opened.payload, &mark)?;
            return Ok(Verdict::Absorbed(mark));
        }
        if let Sender::Offered(offer) = &sender {
            // Before a stranger is pinned for a message that is refused.
            self.trust(None)?;
            if self.may_pin {
                self.check_first_contact(offer).await?;
            }
        }
        let valid = Valid {
            message_type: opened.metadata.kind.as_str(),
            topic: opened.metadata.topic.as_deref(),
            correlation_id: opened.metadata.correlation_id.as_deref(),
            size: opened.payload.len(),
        };
        let answers = asks && self.may_pin && !self.receiving.attends;
        let enforced = self
            .enforce(Some(&sender), &valid)
            .and_then(|quota| Ok((quota, self.awaiting(&sender, &opened.metadata)?)));
        if let (Err(Refusal::Message(..)), Sender::Pinned(contact), true) =
            (&enforced, &sender, answers)
        {
            let receipt = Receipt::new(opened.id, ReceiptOutcome::Refused, 0, &[]);
            self.client.answer_now(contact, &signer, &mark, receipt)?;
        }
        let (quota, awaiting) = enforced?;
        let card = opened.metadata.card.as_ref();
        let (contact, pinned_now) = match sender {
            Sender::Pinned(contact) => (Some(*contact), false),
            Sender::Offered(_) if !self.may_pin => (None, false),
            Sender::Offered(offer) => {
                // A card with other classic keys than the relay shows is not taken over.
                let card = card.filter(|card| *card.public_keys() == offer.keys);
                self.pin(&offer, offer.card.as_ref().or(card))?;
                (self.client.store.contact_at(&offer.name)?, true)
            }
        };
        if let (Some(contact), Some(card), true) = (&contact, card, self.may_pin) {
            // The message stands for itself; a card in it that is out of order changes nothing.
            let _ = contacts::renew(self.client, contact, card);
        }
        if let (Some(contact), true) = (&contact, self.may_pin) {
            self.locate(contact).await;
        }
        let trust = self.trust(contact.as_ref())?;
        let payload = Content::from_native(&opened.metadata.content_type, opened.payload);
        let message = Received {
            id: Some(opened.id.to_string()),
            relay_id: self.entry.relay_id.clone(),
            from: Some(
                contact
                    .as_ref()
                    .map_or(&claims.from, |contact| &contact.name)
                    .clone(),
            ),
            relay_from: claims.from,
            fingerprint: Some(ctalk_core::Fingerprint::native(&signer).to_hex()),
            // Whoever can open it is meant, whatever the relay writes.
            to: self.client.name.clone(),
            message_type: opened.metadata.kind.as_str().to_owned(),
            topic: opened.metadata.topic,
            correlation_id: opened.metadata.correlation_id,
            reply_to: opened.metadata.reply_to,
            ts: claims.ts,
            created: Some(rfc3339(opened.created)),
            format: Format::Native,
            encrypted: true,
            trust,
            content_type: opened.metadata.content_type,
            name: opened.metadata.name,
            payload,
            hygiene: None,
        };
        let delivered = Delivered {
            message,
            mark,
            signer: Some(*signer.as_bytes()),
            pinned_now,
            quota,
            receipt: asks.then_some(opened.id),
        };
        Ok(match awaiting {
            Some((call, until)) => Verdict::Awaited(Box::new(Awaited {
                delivered,
                call,
                until,
            })),
            None => Verdict::Deliver(Box::new(delivered)),
        })
    }

    /// Opens an envelope with whichever of the own keys it is for.
    fn open(&mut self, verified: Verified<'_>, bytes: &[u8]) -> Result<Opened, Refusal> {
        let created = verified.header().created();
        let received_at = self.received_at(created);
        let mut opened = match verified.open(&self.client.identity, received_at) {
            // It may be sealed to a key that another process of this profile made meanwhile.
            Err(OpenError::NotForMe) if self.client.reload_keys()? => {
                verify(bytes)?.open(&self.client.identity, received_at)
            }
            outcome => outcome,
        };
        for former in &self.client.former {
            if !matches!(opened, Err(OpenError::NotForMe)) {
                break;
            }
            // It may have been sealed before its sender knew of the present identity.
            opened = verify(bytes)?.open(former, received_at);
        }
        opened.map_err(|error| {
            let reason = match error.failure() {
                Failure::Expired => Reason::Expired,
                Failure::NotVerified => Reason::NotVerified,
                Failure::NotForMe | Failure::CannotOpen => Reason::CannotOpen,
                _ => Reason::Malformed,
            };
            Refusal::message(reason, error)
        })
    }

    /// The call that waits for this message as its response, and until when.
    fn awaiting(
        &self,
        sender: &Sender,
        metadata: &Metadata,
    ) -> Result<Option<(CallKey, i64)>, Refusal> {
        let (Kind::Response, Sender::Pinned(contact), Some(correlation_id)) =
            (metadata.kind, sender, &metadata.correlation_id)
        else {
            return Ok(None);
        };
        let call = CallKey::new(contact.id, correlation_id);
        let detail = match self.client.store.call(&call, self.client.clock.now())? {
            None => return Ok(None),
            Some(CallState::Open { until }) => return Ok(Some((call, until))),
            Some(CallState::Answered) => "the call that it answers has its response already",
            Some(CallState::Ended) => "the call that it answers has ended",
        };
        Err(Refusal::message(Reason::Unasked, detail))
    }

    /// Keeps a receipt for a message that its sender was sent and asked for one.
    fn receipt(
        &mut self,
        sender: &Sender,
        metadata: &Metadata,
        payload: &[u8],
        mark: &Mark,
    ) -> Result<(), Refusal> {
        let receipt = Receipt::parse(metadata, payload)
            .map_err(|error| Refusal::message(Reason::Malformed, error))?;
        if !self.may_pin {
            return Ok(());
        }
        let now = self.client.clock.now();
        let store = &mut self.client.store;
        let is_asked = match sender {
            Sender::Pinned(contact) => {
                store.keep_receipt(contact.id, &receipt, now, mark.expires())?
            }
            Sender::Offered(_) => false,
        };
        if is_asked {
            return Ok(());
        }
        let detail = "it is a receipt, and its sender was not asked for one";
        Err(Refusal::message(Reason::Unasked, detail))
    }

    pub(super) fn received_at(&self, created: Timestamp) -> Timestamp {
        received_at(self.entry.stored_at, created, self.client.now())
    }

    /// Whose key it is that signed an envelope: a contact's, else the one that the relay shows for
    /// the name. A contact keeps its name whatever the relay calls it.
    async fn native_sender(
        &mut self,
        from: &str,
        signer: &VerifyingKey,
    ) -> Result<Sender, Refusal> {
        if let Some(contact) = self.client.store.contact_signing_with(signer)? {
            return Sender::pinned(contact);
        }
        if let Some(contact) = self.successor(from, signer).await? {
            return Sender::pinned(contact);
        }
        let sender = self.sender(from).await?;
        if sender.keys().verifying() == signer {
            return Ok(sender);
        }
        let detail = format!("it is signed by another key than that of `{from}`");
        Err(self.explain(&sender, Reason::NotVerified, detail).await)
    }

    /// Follows the succession in an envelope of the identity that ends. Of whom nobody knows, nobody
    /// has to know the successor.
    fn succession(
        &mut self,
        sender: Option<&Sender>,
        signer: &VerifyingKey,
        payload: &[u8],
    ) -> Result<(), Refusal> {
        let malformed = |error: &dyn core::fmt::Display| Refusal::message(Reason::Malformed, error);
        let (statement, card) = payload
            .split_at_checked(SUCCESSION_LEN)
            .ok_or_else(|| malformed(&"it is too short for a succession and a key card"))?;
        let succession = Succession::parse(statement).map_err(|error| malformed(&error))?;
        let card = Card::parse(card).map_err(|error| malformed(&error))?;
        if succession.predecessor() != signer {
            return Err(malformed(&"the succession in it is not its sender's own"));
        }
        if succession.successor() != card.signing_key() {
            return Err(malformed(
                &"the key card in it is not that of the successor",
            ));
        }
        if !self.may_pin {
            return Ok(());
        }
        let contact = match sender {
            Some(Sender::Pinned(contact)) => Some((**contact).clone()),
            Some(Sender::Offered(_)) => return Ok(()),
            // It ended, and its keys are still a contact's if its successor's card was not seen yet.
            None => self.client.store.contact_signing_with(signer)?,
        };
        match contact {
            Some(contact) => endings::adopt(self.client, &contact, &[&succession], &card)
                .map(|_| ())
                .map_err(Refusal::of_succession),
            None => {
                let now = self.client.now();
                let known = self
                    .client
                    .store
                    .record_successions(&[&succession], None, now)?;
                known.map_err(|refused| Refusal::message(Reason::Ended, refused))
            }
        }
    }
}

/// An envelope with a proven sender.
enum Proven<'b> {
    Verified(Verified<'b>),
    /// It was opened ahead.
    Opened(Opened),
}

impl Proven<'_> {
    const fn sender(&self) -> &VerifyingKey {
        match self {
            Self::Verified(verified) => verified.header().sender(),
            Self::Opened(opened) => &opened.sender,
        }
    }
}

fn verify(bytes: &[u8]) -> Result<Verified<'_>, Refusal> {
    Envelope::parse(bytes)
        .map_err(|error| Refusal::message(Reason::Malformed, error))?
        .verify()
        .map_err(|error| Refusal::message(Reason::NotVerified, error))
}

/// When a message counts as received that was stored at `stored_at`, in milliseconds since the Unix
/// epoch: its life ends at first receipt, not when it is looked at again, but for 90 days at most, and
/// not by a clock that was behind the sender's.
pub(super) fn received_at(stored_at: i64, created: Timestamp, now: Timestamp) -> Timestamp {
    let stored = timestamp(stored_at);
    let is_recent = stored.checked_add(RETRIED).is_some_and(|end| now < end);
    let was_ahead = stored
        .checked_add(CLOCK_SKEW)
        .is_some_and(|latest| created > latest);
    if is_recent && !was_ahead { stored } else { now }
}

/// A time as relays write theirs.
fn rfc3339(time: Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    crate::relay::clawtalk::timestamp(millis)
}
