//! Judging messages in ClawTalk's format.

use ctalk_core::{
    classic::{
        Claims, Message, PlainMessage, SeenKey, SignedMessage, Unauthenticated, UnsignedMessage,
    },
    trust::{self, Standing},
};

use super::{
    enforce::Valid,
    judge::{Delivered, Judge, Refusal, Sender, Verdict},
};
use crate::{
    error::Error,
    message::{Content, Format, Reason, Received, Trust},
    store::{Contact, Entry, Mark, REMEMBERED, Store},
};

impl Judge<'_> {
    pub(super) async fn signed(&mut self, message: SignedMessage) -> Result<Verdict, Refusal> {
        let from = message.claims().from.clone();
        self.refuse_downgrade(&from, None)?;
        let sender = self.sender(&from).await?;
        self.refuse_downgrade(&from, Some(sender.keys()))?;
        let verified = match message.verify(sender.keys()) {
            Ok(verified) => verified,
            Err(error) => {
                return Err(self.explain(&sender, Reason::NotVerified, error).await);
            }
        };
        if verified.claims().to != self.client.name {
            return Err(Refusal::message(
                Reason::Misaddressed,
                format!(
                    "{from} sealed it for another agent than `{}`",
                    self.client.name
                ),
            ));
        }
        let mark = self.classic_mark(verified.seen_key());
        if self.was_handled(&mark)? {
            return Ok(Verdict::HandledBefore(mark));
        }
        if let Sender::Offered(offer) = &sender {
            self.check_first_contact(offer).await?;
        }
        let opened = match verified.open(&self.client.identity, &mut self.client.box_keys) {
            Ok(opened) => opened,
            Err(error) => {
                return Err(self.explain(&sender, Reason::CannotOpen, error).await);
            }
        };
        self.receiving.contact = sender.known();
        let claims = opened.claims().clone();
        let payload = Content::from_classic(opened.into_payload());
        let quota = self.enforce(Some(&sender), &valid(&claims, &payload))?;
        let (name, trust, pinned_now) = match &sender {
            Sender::Pinned(contact) => (contact.name.clone(), self.trust(Some(contact))?, false),
            Sender::Offered(offer) => {
                let trust = self.trust(None)?;
                if self.may_pin {
                    // Not its card: without mine it has no choice but this format.
                    self.pin(offer, None)?;
                    (from, Trust::Pinned, true)
                } else {
                    (from, trust, false)
                }
            }
        };
        let by = (name, sender.keys().fingerprint().to_hex());
        Ok(Verdict::Deliver(Box::new(Delivered {
            message: received(self.entry, claims, Some(by), trust, payload),
            mark,
            signer: Some(*sender.keys().verifying().as_bytes()),
            pinned_now,
            quota,
            receipt: None,
        })))
    }

    pub(super) async fn unsigned(&mut self, message: UnsignedMessage) -> Result<Verdict, Refusal> {
        let from = message.claims().from.clone();
        self.refuse_downgrade(&from, None)?;
        let sender = self.sender(&from).await?;
        self.refuse_downgrade(&from, Some(sender.keys()))?;
        if let Sender::Offered(offer) = &sender {
            // Else somebody's box could be shown as from whoever lists that person's key.
            self.check_first_contact(offer).await?;
        }
        let (identity, box_keys) = (&self.client.identity, &mut self.client.box_keys);
        match message.open(sender.keys(), identity, box_keys) {
            Ok(message) => self.unauthenticated(message),
            Err(error) => Err(self.explain(&sender, Reason::CannotOpen, error).await),
        }
    }

    pub(super) async fn plain(&mut self, message: PlainMessage) -> Result<Verdict, Refusal> {
        let from = message.claims().from.clone();
        self.refuse_downgrade(&from, None)?;
        // Whom the relay does not know, or cannot tell of, has no keys to belong to a contact.
        match self.sender(&from).await {
            Ok(sender) => self.refuse_downgrade(&from, Some(sender.keys()))?,
            Err(refused @ Refusal::Message(Reason::Blocked | Reason::Ended, _)) => {
                return Err(refused);
            }
            Err(_) => {}
        }
        self.unauthenticated(message.accept())
    }

    fn unauthenticated(&self, message: Unauthenticated) -> Result<Verdict, Refusal> {
        let mark = self.classic_mark(message.seen_key());
        if self.was_handled(&mark)? {
            return Ok(Verdict::HandledBefore(mark));
        }
        let trust = if message.was_encrypted() {
            Trust::Unsigned
        } else {
            Trust::Plaintext
        };
        self.require_trust(trust)?;
        let claims = message.claims().clone();
        let payload = Content::from_classic(message.into_payload());
        let quota = self.enforce(None, &valid(&claims, &payload))?;
        Ok(Verdict::Deliver(Box::new(Delivered {
            message: received(self.entry, claims, None, trust, payload),
            mark,
            signer: None,
            pinned_now: false,
            quota,
            receipt: None,
        })))
    }

    fn classic_mark(&self, seen: SeenKey) -> Mark {
        Mark::Classic {
            seen,
            expires: self.client.clock.now().saturating_add(REMEMBERED),
        }
    }
}

/// Checks one message, as a ClawTalk relay gives it, against a pinned sender, without opening it
/// and without asking anybody.
///
/// # Errors
/// [`Error::Message`] with the reason, [`Error::Store`].
pub fn verify(store: &Store, raw: &[u8]) -> Result<VerifiedSender, Error> {
    let refuse = |reason: Reason, detail: String| Error::Message { reason, detail };
    let message =
        Message::parse(raw).map_err(|error| refuse(Reason::Malformed, error.to_string()))?;
    let Message::Signed(message) = message else {
        return Err(refuse(
            Reason::NotVerified,
            "the message is not signed".to_owned(),
        ));
    };
    let from = &message.claims().from;
    let Some(contact) = store.contact_at(from)? else {
        let from = crate::text::escaped(from);
        let detail = format!("`{from:.128}` is no contact, so there is no key to check against");
        return Err(refuse(Reason::UnknownSender, detail));
    };
    if contact.standing == Standing::Blocked {
        return Err(refuse(
            Reason::Blocked,
            format!("{} is blocked", contact.name),
        ));
    }
    if contact.card.is_some() {
        let detail = format!("{} has a key card, and this is no envelope", contact.name);
        return Err(refuse(Reason::Downgrade, detail));
    }
    let verified = message
        .verify(&contact.keys)
        .map_err(|error| refuse(Reason::NotVerified, error.to_string()))?;
    let claims = verified.claims().clone();
    let identity = contact.keys.verifying();
    trust::not_ended(identity, store.ending(identity)?.as_ref())
        .map_err(|ended| refuse(Reason::Ended, ended.to_string()))?;
    Ok(VerifiedSender { contact, claims })
}

/// The outcome of [`verify`].
#[derive(Debug)]
pub struct VerifiedSender {
    /// Whose key signed it.
    pub contact: Contact,
    /// What the message says around its payload; `to`, type, topic and correlation id are signed.
    pub claims: Claims,
}

fn valid<'a>(claims: &'a Claims, payload: &Content) -> Valid<'a> {
    Valid {
        message_type: &claims.message_type,
        topic: claims.topic.as_deref(),
        correlation_id: claims.correlation_id.as_deref(),
        size: payload.as_bytes().len(),
    }
}

fn received(
    entry: &Entry,
    claims: Claims,
    by: Option<(String, String)>,
    trust: Trust,
    payload: Content,
) -> Received {
    let (from, fingerprint) = by.unzip();
    Received {
        id: claims.id,
        relay_id: entry.relay_id.clone(),
        from,
        relay_from: claims.from,
        fingerprint,
        to: claims.to,
        message_type: claims.message_type,
        topic: claims.topic,
        correlation_id: claims.correlation_id,
        reply_to: claims.reply_to,
        ts: claims.ts,
        created: None,
        format: if trust == Trust::Plaintext {
            Format::Plain
        } else {
            Format::Classic
        },
        encrypted: trust != Trust::Plaintext,
        trust,
        content_type: payload.content_type().to_owned(),
        name: None,
        payload,
        hygiene: None,
    }
}
