//! Attending: whoever waits for receipts, or for the response to a call, takes those out of the inbox
//! beside whoever else receives, and leaves everything else to them.

use std::time::Duration;

use ctalk_core::{
    classic::Malformed,
    envelope::{self, Envelope, EnvelopeId, Receipt, ReceiptOutcome},
    part::Part,
};

use super::{
    Contract, Filter, Receiving, Snapshot,
    judge::{Judge, Refusal, Verdict},
};
use crate::{
    client::{Client, as_millis},
    error::Error,
    message::Received,
    relay::{Incoming, RelayError},
    store::{CallKey, Entry, Mark},
};

/// How often the relay is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often the inbox is looked at, which others fill too.
const LOOK: Duration = Duration::from_millis(50);

/// A place in the inbox, from which on it is attended to.
pub(crate) struct Attending {
    receiving: Receiving,
    /// Number of the last message that was looked at.
    place: i64,
    /// When the relay is asked again, by the monotonic clock.
    next_fetch: i64,
}

/// The response to a call. Its bytes stay in the inbox until it is [settled](Response::settle).
#[derive(Debug)]
#[must_use = "a response that is not settled is set aside once its call is over"]
pub struct Response {
    /// The response.
    pub message: Received,
    number: i64,
    mark: Mark,
    signer: Option<[u8; 32]>,
    call: CallKey,
    /// The envelope's id, where its sender wants a receipt.
    receipt: Option<EnvelopeId>,
}

impl Response {
    /// Ends the call: durably, this is its response, and no other one is taken.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn settle(self, client: &mut Client) -> Result<(), Error> {
        let done = |id| Receipt::new(id, ReceiptOutcome::Done, 1, &[]);
        let answer = client
            .signer(self.signer)?
            .zip(self.receipt)
            .and_then(|(contact, id)| client.sealed_answer(&contact, done(id)));
        client.batch("settle-response", |client| {
            let (now, relay_id) = (client.clock.now(), self.message.relay_id.as_deref());
            client
                .store
                .absorb(self.number, &self.mark, relay_id, now)?;
            client.store.answer_call(&self.call)?;
            match answer {
                Some(answer) => client.write_answer(&self.mark, &answer),
                None => Ok(()),
            }
        })
    }
}

impl Client {
    /// Begins to attend to what is stored from now on.
    pub(crate) fn begin_attending(&self) -> Result<Attending, Error> {
        let mut receiving = Receiving::new(Filter::default(), Contract::READER);
        receiving.attends = true;
        // Contacts alone are attended to, and their keys are known.
        receiving.directory = Snapshot::None;
        receiving.asked_at = i64::MAX;
        Ok(Attending {
            receiving,
            place: self.store.last_number()?,
            next_fetch: i64::MIN,
        })
    }

    /// Takes what contacts sent to ctalk itself, such as receipts and parts, and returns the response to
    /// `call` if it is there. Everything else is left for whoever receives.
    pub(crate) async fn attend(
        &mut self,
        attending: &mut Attending,
        call: Option<CallKey>,
    ) -> Result<Option<Response>, Error> {
        while let Some(entry) = self.store.new_above(attending.place)? {
            attending.place = entry.number;
            let message = self.relay.read(&entry.raw);
            if !self.is_contacts(&entry, &message)? {
                continue;
            }
            let mut judge = Judge {
                client: self,
                receiving: &mut attending.receiving,
                entry: &entry,
                may_pin: true,
            };
            match judge.judge(message).await {
                Ok(Verdict::Absorbed(mark)) => {
                    let (now, relay_id) = (self.clock.now(), entry.relay_id.as_deref());
                    self.store.absorb(entry.number, &mark, relay_id, now)?;
                }
                Ok(Verdict::Awaited(awaited)) if Some(awaited.call) == call => {
                    let delivered = awaited.delivered;
                    return Ok(Some(Response {
                        message: delivered.message,
                        number: entry.number,
                        mark: delivered.mark,
                        signer: delivered.signer,
                        call: awaited.call,
                        receipt: delivered.receipt,
                    }));
                }
                Err(Refusal::Local(error)) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Waits until it is worth another look: sends what is due and asks the relay now and then, but not
    /// beyond `deadline` by the monotonic clock.
    pub(crate) async fn await_more(
        &mut self,
        attending: &mut Attending,
        deadline: i64,
    ) -> Result<(), Error> {
        let clock = self.clock.clone();
        let left = u64::try_from(deadline.saturating_sub(clock.monotonic())).unwrap_or(0);
        let left = Duration::from_millis(left);
        if clock.monotonic() < attending.next_fetch {
            clock.sleep(LOOK.min(left)).await;
            return Ok(());
        }
        let fetched = async {
            self.flush_due().await?;
            self.fetch(Duration::ZERO).await
        };
        let pause = match tokio::time::timeout(left, fetched).await {
            Err(_) | Ok(Ok(_)) => INTERVAL,
            Ok(Err(Error::Relay(RelayError::RateLimited { pause }))) => pause.max(INTERVAL),
            // It may come back in time.
            Ok(Err(error)) if error.may_pass() => INTERVAL,
            Ok(Err(error)) => return Err(error),
        };
        attending.next_fetch = clock.monotonic().saturating_add(as_millis(pause));
        Ok(())
    }

    /// Whether a message claims to be signed by a contact. Nothing is checked.
    fn is_contacts(
        &self,
        entry: &Entry,
        message: &Result<Incoming, Malformed>,
    ) -> Result<bool, Error> {
        let signer = match (&entry.envelope, message) {
            (Some(envelope), _) => signer(envelope),
            (None, Ok(Incoming::Native { text, .. })) => envelope::from_text(text)
                .ok()
                .and_then(|bytes| signer(&bytes)),
            (None, Ok(Incoming::Part { text, .. })) => Part::from_text(text)
                .ok()
                .and_then(|bytes| Some(*Part::parse(&bytes).ok()?.claims().sender())),
            (None, Ok(Incoming::Classic(_) | Incoming::Pairing { .. }) | Err(_)) => None,
        };
        Ok(self.signer(signer)?.is_some())
    }
}

/// Whom an envelope says that it is from.
fn signer(envelope: &[u8]) -> Option<[u8; 32]> {
    Some(Envelope::parse(envelope).ok()?.claims().sender)
}
