//! Calls, which are requests that are waited for: until a response comes, or receipts.
//!
//! Whoever fetches stores, and whoever waits takes what it waits for out of the inbox: so a call works
//! beside other processes that receive with the same store. Those leave its response alone, because the
//! call is on record before it leaves.

use std::time::Duration;

use ctalk_core::envelope::ReceiptOutcome;
use ctalk_wire::MessageType;
use rand_core::Rng;

use crate::{
    client::{Client, as_millis},
    error::Error,
    message::{Draft, Progress, Sent},
    receive::{Attending, Response},
    store::{CallKey, HeldReceipt},
};

/// A request whose response is waited for.
#[must_use = "the response is set aside unless it is waited for"]
pub struct Call {
    attending: Attending,
    key: CallKey,
    /// The envelope's id.
    id: String,
    /// When it is over, by the monotonic clock.
    deadline: i64,
}

impl Call {
    /// Sends a request to one contact, or agent of the relay, that has a key card, and has its response
    /// kept for this call for as long as `timeout`, which is its life too: nobody handles it later that
    /// has not got it by then. The draft becomes a request that asks for a receipt, under a random
    /// correlation id if it has none. What cannot leave now may leave in time.
    ///
    /// # Errors
    /// Those of [`Client::send`] but [`Error::Queued`], and [`Error::CallOpen`].
    pub async fn begin(
        client: &mut Client,
        peer: &str,
        draft: Draft,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let attending = client.begin_attending()?;
        let deadline = client.monotonic_after(timeout);
        let correlation_id = draft.correlation_id.unwrap_or_else(fresh_id);
        let draft = Draft {
            message_type: MessageType::Request,
            correlation_id: Some(correlation_id.clone()),
            receipt: true,
            ttl: Some(
                timeout
                    .as_millis()
                    .div_ceil(1000)
                    .try_into()
                    .unwrap_or(u64::MAX),
            ),
            ..draft
        };
        let mut recorded = None;
        let outcome = client
            .post_recorded(peer, &draft, |client, sent| {
                let to = &sent.to;
                let unknown = || Error::UnknownContact { name: to.clone() };
                let contact = client.contact_for(to)?.ok_or_else(unknown)?;
                let key = CallKey::new(contact.id, &correlation_id);
                let now = client.clock.now();
                let expires = now.saturating_add(as_millis(timeout));
                let id = sent.id.clone().unwrap_or_default();
                if !client.store.record_call(&key, &id, now, expires)? {
                    return Err(Error::CallOpen { name: to.clone() });
                }
                recorded = Some((key, id));
                Ok(())
            })
            .await;
        match (outcome, recorded) {
            (Ok(_) | Err(Error::Queued { .. }), Some((key, id))) => Ok(Self {
                attending,
                key,
                id,
                deadline,
            }),
            (Err(error), Some((key, _))) => {
                client.store.end_call(&key, client.clock.now())?;
                Err(error)
            }
            (Err(error), None) => Err(error),
            (Ok(sent), None) => Err(Error::UnknownContact { name: sent.to }),
        }
    }

    /// Waits for the response.
    ///
    /// # Errors
    /// Those of [`Call::advance`], and [`Error::Relay`] when the relay refuses.
    pub async fn wait(mut self, client: &mut Client) -> Result<Response, Error> {
        loop {
            if let Some(response) = self.advance(client).await? {
                return Ok(response);
            }
            self.pause(client).await?;
        }
    }

    /// Waits until it is worth another look: half a second at most, or as long as the relay takes.
    ///
    /// # Errors
    /// [`Error::Relay`] when the relay refuses, [`Error::Store`].
    pub async fn pause(&mut self, client: &mut Client) -> Result<(), Error> {
        client.await_more(&mut self.attending, self.deadline).await
    }

    /// Looks for the response in the inbox. After an error the call is over, and a response that comes
    /// late is set aside.
    ///
    /// # Errors
    /// [`Error::Unhandled`] by the receipt, [`Error::NoResponse`] when the time is over,
    /// [`Error::Store`].
    pub async fn advance(&mut self, client: &mut Client) -> Result<Option<Response>, Error> {
        let response = client.attend(&mut self.attending, Some(self.key)).await?;
        if response.is_some() {
            return Ok(response);
        }
        let receipt = client.receipt(&self.id, self.key.contact())?;
        let is_handled = receipt.is_some_and(|receipt| receipt.outcome == ReceiptOutcome::Done);
        let error = match receipt {
            Some(receipt) if !is_handled => unhandled(receipt),
            _ if client.clock.monotonic() >= self.deadline => Error::NoResponse { is_handled },
            _ => return Ok(None),
        };
        client.batch("give-up-call", |client| {
            let now = client.clock.now();
            // Nobody waits for it any more.
            for message in client.store.outgoing_named(&self.id)? {
                client.store.drop_outgoing(message.number)?;
            }
            client.store.end_call(&self.key, now)
        })?;
        Err(error)
    }
}

impl Client {
    /// As [`Client::send`], asks for receipts, and waits for them for as long as `timeout`. What could
    /// not leave is not waited for.
    ///
    /// # Errors
    /// As [`Client::send`]; an inner one may also be [`Error::Unhandled`] or [`Error::NoReceipt`].
    pub async fn send_and_wait(
        &mut self,
        recipients: &[String],
        draft: Draft,
        timeout: Duration,
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        let mut attending = self.begin_attending()?;
        let deadline = self.monotonic_after(timeout);
        let draft = Draft {
            receipt: true,
            ..draft
        };
        let mut outcomes = self.send(recipients, &draft).await?;
        let mut awaited = Vec::new();
        for (place, outcome) in outcomes.iter().enumerate() {
            if let Ok(Sent {
                to, id: Some(id), ..
            }) = outcome
                && let Some(contact) = self.contact_for(to)?
            {
                awaited.push((place, id.clone(), contact.id));
            }
        }
        loop {
            self.attend(&mut attending, None).await?;
            let mut missing = Vec::new();
            for (place, id, contact) in awaited {
                let Some(receipt) = self.receipt(&id, contact)? else {
                    missing.push((place, id, contact));
                    continue;
                };
                match outcomes.get_mut(place) {
                    Some(Ok(sent)) if receipt.outcome == ReceiptOutcome::Done => {
                        sent.state = Progress::Done;
                    }
                    Some(outcome) => *outcome = Err(unhandled(receipt)),
                    None => {}
                }
            }
            awaited = missing;
            if awaited.is_empty() || self.clock.monotonic() >= deadline {
                break;
            }
            self.await_more(&mut attending, deadline).await?;
        }
        for (place, ..) in awaited {
            if let Some(outcome) = outcomes.get_mut(place) {
                *outcome = Err(Error::NoReceipt);
            }
        }
        Ok(outcomes)
    }

    /// When `timeout` will be over, by the monotonic clock.
    fn monotonic_after(&self, timeout: Duration) -> i64 {
        self.clock.monotonic().saturating_add(as_millis(timeout))
    }

    fn receipt(&self, id: &str, contact: i64) -> Result<Option<HeldReceipt>, Error> {
        let mut receipts = self.store.receipts(id)?.into_iter();
        Ok(receipts.rfind(|receipt| receipt.contact == contact))
    }
}

const fn unhandled(receipt: HeldReceipt) -> Error {
    Error::Unhandled {
        outcome: receipt.outcome,
        attempt: receipt.attempt,
    }
}

/// A correlation id that nobody can guess: 32 hex digits.
fn fresh_id() -> String {
    let mut bytes = [0; 16];
    crate::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}
