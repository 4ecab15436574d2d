//! Answering messages that ask for a receipt, whatever became of them.

use ctalk_core::{
    VerifyingKey,
    envelope::{EnvelopeId, Receipt, ReceiptOutcome},
};

use super::Ticket;
use crate::{
    client::Client,
    error::Error,
    send,
    store::{Contact, EntryState, Mark, NewOutgoing},
};

/// A receipt on its way.
pub(crate) struct Answer {
    pub(crate) receipt: Receipt,
    pub(crate) mail: NewOutgoing,
}

impl Client {
    /// The receipt for a message, if it asks for one and this is its end. Without a current card of the
    /// sender there is none, because nobody else may read it; the sender asks again.
    pub(crate) fn answer(
        &self,
        ticket: &Ticket,
        state: EntryState,
        output: &[u8],
    ) -> Result<Option<Answer>, Error> {
        let outcome = match state {
            EntryState::Done => ReceiptOutcome::Done,
            EntryState::Dead => ReceiptOutcome::Failed,
            EntryState::Quarantined => ReceiptOutcome::Refused,
            _ => return Ok(None),
        };
        let Some(id) = ticket.receipt else {
            return Ok(None);
        };
        let Some(contact) = self.signer(ticket.signer)? else {
            return Ok(None);
        };
        let receipt = Receipt::new(id, outcome, ticket.fence.attempt, output);
        Ok(self.sealed_answer(&contact, receipt))
    }

    /// The contact whose key signed a message, whatever it is called by now.
    pub(crate) fn signer(&self, signer: Option<[u8; 32]>) -> Result<Option<Contact>, Error> {
        match signer.and_then(|key| VerifyingKey::from_bytes(key).ok()) {
            Some(key) => Ok(self.store.contact_signing_with(&key)?),
            None => Ok(None),
        }
    }

    /// Puts the receipt for a message that is not handed over into the outbox; where it was put there
    /// before, only as one that is repeated.
    pub(super) fn answer_now(
        &mut self,
        contact: &Contact,
        sender: &VerifyingKey,
        mark: &Mark,
        receipt: Receipt,
    ) -> Result<(), Error> {
        if self.store.is_answered(mark, &receipt)? {
            return self.repeat_answer(contact, sender, receipt.id);
        }
        let Some(answer) = self.sealed_answer(contact, receipt) else {
            return Ok(());
        };
        self.batch("answer", |client| client.write_answer(mark, &answer))
    }

    /// Puts the receipt for a message that came again into the outbox once more, if there is one and it was
    /// not sent a moment ago: it may have got lost, or its message would not come again.
    pub(super) fn repeat_answer(
        &mut self,
        contact: &Contact,
        sender: &VerifyingKey,
        id: EnvelopeId,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let Some(receipt) = self.store.answer_to_repeat(sender, id, now)? else {
            return Ok(());
        };
        let Some(answer) = self.sealed_answer(contact, receipt) else {
            return Ok(());
        };
        self.batch("repeat-answer", |client| {
            client.store.answer_repeated(sender, id, now)?;
            let _enqueued = client.store.enqueue(&[answer.mail], &[], None, now, None)?;
            Ok(())
        })
    }

    /// Writes a receipt within a batch.
    pub(super) fn write_answer(&mut self, mark: &Mark, answer: &Answer) -> Result<(), Error> {
        let now = self.clock.now();
        self.store.record_answer(mark, &answer.receipt, now)?;
        let _enqueued =
            self.store
                .enqueue(std::slice::from_ref(&answer.mail), &[], None, now, None)?;
        Ok(())
    }

    pub(super) fn sealed_answer(&self, contact: &Contact, receipt: Receipt) -> Option<Answer> {
        let mail = send::answer(self, contact, receipt.metadata(), &receipt.payload()).ok()?;
        Some(Answer { receipt, mail })
    }
}
