//! What becomes of messages that were handed over.

use std::time::Duration;

use super::{Handover, Receiving, Ticket, answer::Answer};
use crate::{
    client::{Client, as_millis},
    error::Error,
    store::{EntryState, Fence, Mark, NewOutgoing, Settlement, StoreError},
};

/// What was said of a message and is not written yet.
pub(crate) struct Unsettled {
    pub(crate) fence: Fence,
    pub(crate) settlement: Settlement,
    /// What is put into the outbox with it.
    pub(crate) mail: Vec<NewOutgoing>,
    /// The receipt that is, and what it is kept by.
    pub(crate) answer: Option<(Mark, Answer)>,
}

impl Client {
    /// Ends a message after it was handled: it is not handed over again, whoever delivers it, for as
    /// long as an envelope lives, or for 90 days in ClawTalk's format.
    ///
    /// # Errors
    /// [`Error::LeaseLost`]; [`Error::Store`], and then the message will be handed over again.
    pub fn commit(&mut self, handover: Handover) -> Result<(), Error> {
        let settlement = handover.ticket.done();
        self.settle(&handover, settlement, EntryState::Done)
    }

    /// Gives a message back, to be handed over again after the contract's pause; or, if that was its
    /// last attempt, makes it a dead letter. `why` is kept beside it. Says which of both it is.
    ///
    /// # Errors
    /// As [`Client::commit`].
    pub fn retry(&mut self, handover: Handover, why: &str) -> Result<EntryState, Error> {
        let (settlement, state) = handover.ticket.again(self.clock.now(), why, None);
        self.settle(&handover, settlement, state)?;
        Ok(state)
    }

    /// Makes a message a dead letter, which stays in the inbox until the user retries or drops it.
    ///
    /// # Errors
    /// As [`Client::commit`].
    pub fn reject(&mut self, handover: Handover, why: &str) -> Result<(), Error> {
        let why = why.to_owned();
        self.settle(&handover, Settlement::Dead { why }, EntryState::Dead)
    }

    /// Makes the leases of everything in hand begin anew. Call it well before they are over.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn renew(&mut self) -> Result<(), Error> {
        if self.in_hand.is_empty() {
            return Ok(());
        }
        let until = self.lease();
        let claims: Vec<_> = self.in_hand.keys().copied().collect();
        Ok(self.store.renew(&claims, until)?)
    }

    /// Says what became of a message, to be written with the next claim or by
    /// [`Client::settle_unsettled`], whatever is first.
    pub(crate) fn settle_soon(&mut self, receiving: &mut Receiving, unsettled: Unsettled) {
        self.let_go(unsettled.fence);
        receiving.unsettled.push(unsettled);
    }

    /// Writes what was said of messages and is not written yet.
    pub(crate) fn settle_unsettled(&mut self, receiving: &mut Receiving) -> Result<(), Error> {
        if receiving.unsettled.is_empty() {
            return Ok(());
        }
        self.batch("settle-all", |client| {
            client.write_settlements(&receiving.unsettled)
        })?;
        receiving.unsettled.clear();
        Ok(())
    }

    /// Writes them within a batch, with what is to be sent on account of them. Of one whose lease was lost
    /// nothing is written, because another worker has the message.
    pub(super) fn write_settlements(&mut self, unsettled: &[Unsettled]) -> Result<(), Error> {
        let now = self.clock.now();
        for Unsettled {
            fence,
            settlement,
            mail,
            answer,
        } in unsettled
        {
            if !self.store.settle(*fence, settlement, now)? {
                continue;
            }
            if !mail.is_empty() {
                let _enqueued = self.store.enqueue(mail, None, now, None)?;
            }
            if let Some((mark, answer)) = answer {
                self.write_answer(mark, answer)?;
            }
        }
        Ok(())
    }

    /// Gives back everything in hand.
    pub(crate) fn release_all(&mut self) -> Result<(), StoreError> {
        if self.in_hand.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let held = std::mem::take(&mut self.in_hand);
        self.store.batch("release", |store| {
            for fence in held.into_keys() {
                let _is_mine = store.settle(fence, &Settlement::Released, now)?;
            }
            Ok(())
        })
    }

    fn settle(
        &mut self,
        handover: &Handover,
        settlement: Settlement,
        state: EntryState,
    ) -> Result<(), Error> {
        let ticket = &handover.ticket;
        let answer = self.answer(ticket, state, &[])?;
        let is_mine = self.batch("settle-one", |client| {
            let now = client.clock.now();
            let is_mine = client.store.settle(ticket.fence, &settlement, now)?;
            if let (true, Some(answer)) = (is_mine, &answer) {
                client.write_answer(&ticket.mark, answer)?;
            }
            Ok::<_, Error>(is_mine)
        })?;
        self.let_go(ticket.fence);
        if is_mine {
            Ok(())
        } else {
            Err(Error::LeaseLost)
        }
    }

    fn let_go(&mut self, fence: Fence) {
        self.in_hand.remove(&fence);
        self.settled = self.settled.wrapping_add(1);
    }
}

impl Ticket {
    pub(crate) fn done(&self) -> Settlement {
        Settlement::Done {
            mark: self.mark,
            relay_id: self.relay_id.clone(),
            keep: self.contract.keeps_done,
        }
    }

    /// Another attempt, if there is one, no sooner than `after` unless that is longer than any pause.
    pub(crate) fn again(
        &self,
        now: i64,
        why: &str,
        after: Option<Duration>,
    ) -> (Settlement, EntryState) {
        let why = why.to_owned();
        let contract = &self.contract;
        if contract.tries_again(self.fence.attempt) {
            let asked = after.unwrap_or_default().min(contract.longest_pause);
            let pause = contract.pause(self.fence.attempt).max(asked);
            let due = now.saturating_add(as_millis(pause));
            (Settlement::Retry { due, why }, EntryState::New)
        } else {
            (Settlement::Dead { why }, EntryState::Dead)
        }
    }
}
