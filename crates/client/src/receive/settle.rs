//! What becomes of messages that were handed over.

use std::time::Duration;

use super::{Receiving, Ticket, answer::Answer};
use crate::{
    client::{Client, as_millis},
    error::Error,
    message::{Content, Received},
    reply,
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
    pub fn commit(&mut self, message: impl Into<Ticket>) -> Result<(), Error> {
        let ticket = message.into();
        self.settle(&ticket, ticket.done(), EntryState::Done, Vec::new(), &[])
    }

    /// Ends a request after it was handled, as [`Client::commit`] does, with `content` on its way to
    /// whoever asked: both become durable together. The next flush sends it.
    ///
    /// The response is sealed to the keys that are pinned for the sender; the relay is not asked.
    ///
    /// # Errors
    /// [`Error::NotAsked`], those of sealing, and those of [`Client::commit`]; then the message is still
    /// in hand, unless its lease was lost.
    pub fn respond(
        &mut self,
        message: &Received,
        ticket: &Ticket,
        content: Content,
    ) -> Result<(), Error> {
        let contact = self.signer(ticket.signer)?;
        let Some(contact) = contact.filter(|_| reply::is_wanted(message)) else {
            return Err(Error::NotAsked);
        };
        let said = content.as_bytes().to_vec();
        let mail = reply::seal(self, &contact, message, content)?;
        self.settle(ticket, ticket.done(), EntryState::Done, mail, &said)
    }

    /// Gives a message back, to be handed over again after the contract's pause; or, if that was its
    /// last attempt, makes it a dead letter. `why` is kept beside it. Says which of both it is.
    ///
    /// # Errors
    /// As [`Client::commit`].
    pub fn retry(&mut self, message: impl Into<Ticket>, why: &str) -> Result<EntryState, Error> {
        self.retry_after(message, why, Duration::ZERO)
    }

    /// As [`Client::retry`], and no sooner than after `pause`, which counts for no longer than the
    /// contract's longest pause.
    ///
    /// # Errors
    /// As [`Client::commit`].
    pub fn retry_after(
        &mut self,
        message: impl Into<Ticket>,
        why: &str,
        pause: Duration,
    ) -> Result<EntryState, Error> {
        let ticket = message.into();
        let (settlement, state) = ticket.again(self.clock.now(), why, Some(pause));
        self.settle(&ticket, settlement, state, Vec::new(), &[])?;
        Ok(state)
    }

    /// Makes a message a dead letter, which stays in the inbox until the user retries or drops it.
    ///
    /// # Errors
    /// As [`Client::commit`].
    pub fn reject(&mut self, message: impl Into<Ticket>, why: &str) -> Result<(), Error> {
        let why = why.to_owned();
        let dead = Settlement::Dead { why };
        self.settle(&message.into(), dead, EntryState::Dead, Vec::new(), &[])
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
                let _enqueued = self.store.enqueue(mail, &[], None, now, None)?;
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
        if let Some(keeper) = &self.keeper {
            keeper.let_all_go();
        }
        self.store.batch("release", |store| {
            for fence in held.into_keys() {
                let _is_mine = store.settle(fence, &Settlement::Released, now)?;
            }
            Ok(())
        })
    }

    fn settle(
        &mut self,
        ticket: &Ticket,
        settlement: Settlement,
        state: EntryState,
        mail: Vec<NewOutgoing>,
        said: &[u8],
    ) -> Result<(), Error> {
        let answer = self.answer(ticket, state, said)?;
        let is_mine = self.batch("settle-one", |client| {
            let now = client.clock.now();
            let is_mine = client.store.settle(ticket.fence, &settlement, now)?;
            if is_mine && !mail.is_empty() {
                let _enqueued = client.store.enqueue(&mail, &[], None, now, None)?;
            }
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
        if let Some(keeper) = &self.keeper {
            keeper.let_go(fence);
        }
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
