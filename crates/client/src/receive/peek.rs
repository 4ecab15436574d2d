//! Looking at what waits at the relay without taking it in.

use super::{
    Contract, Filter, Receiving,
    judge::{Judge, Refusal, Verdict},
};
use crate::{
    client::Client,
    error::Error,
    message::{Reason, Received, SetAside},
    relay::Delivery,
    store::{Entry, EntryState},
};

/// What [`Client::peek`] found.
#[derive(Debug)]
pub struct Peek {
    /// Each message or the reason why it would be set aside, oldest first.
    pub messages: Vec<Result<Received, SetAside>>,
    /// Whether the relay may hold more than it can show without deleting.
    pub truncated: bool,
}

impl Client {
    /// What waits at the relay, opened as far as possible; changes nothing here or there.
    ///
    /// # Errors
    /// [`Error::Relay`], [`Error::Store`].
    pub async fn peek(&mut self, filter: Filter) -> Result<Peek, Error> {
        let peeked = self.relay.peek().await?;
        let now = self.clock.now();
        let mut receiving = Receiving::new(filter, Contract::READER);
        let mut messages = Vec::new();
        for delivery in peeked.deliveries {
            let entry = unstored(delivery, now);
            let message = self.relay.read(&entry.raw);
            if !receiving.filter.wants(entry.sent_at, &message) {
                continue;
            }
            let mut judge = Judge {
                client: self,
                receiving: &mut receiving,
                entry: &entry,
                may_pin: false,
            };
            match judge.judge(message).await {
                Ok(Verdict::Deliver(delivered))
                    if !receiving
                        .filter
                        .wants_topic(delivered.message.topic.as_ref()) => {}
                Ok(Verdict::Deliver(delivered)) => {
                    let counted = match delivered.quota {
                        Some(quota) => quota.would_take(self, &mut receiving.shown)?,
                        None => Ok(()),
                    };
                    messages.push(match counted {
                        Ok(()) => Ok(delivered.message),
                        Err(violation) => Err(self.set_aside(
                            &entry,
                            EntryState::Quarantined,
                            (Reason::Policy, violation.to_string()),
                        )),
                    });
                }
                Ok(
                    Verdict::HandledBefore(_)
                    | Verdict::Absorbed(_)
                    | Verdict::Awaited(_)
                    | Verdict::Pairing
                    | Verdict::Part
                    | Verdict::RefusedPart(_),
                ) => {}
                Err(Refusal::Message(reason, detail)) => {
                    let refused = (reason, detail);
                    messages.push(Err(self.set_aside(
                        &entry,
                        EntryState::Quarantined,
                        refused,
                    )));
                }
                Err(Refusal::Held(detail)) => {
                    let held = (Reason::Policy, detail);
                    messages.push(Err(self.set_aside(&entry, EntryState::Held, held)));
                }
                Err(Refusal::Relay(error)) => return Err(Error::Relay(error)),
                Err(Refusal::Local(error)) => return Err(error),
            }
        }
        Ok(Peek {
            messages,
            truncated: peeked.truncated,
        })
    }
}

fn unstored(delivery: Delivery, now: i64) -> Entry {
    Entry {
        number: 0,
        relay_id: delivery.relay_id,
        sent_at: delivery.sent_at.unwrap_or(now),
        stored_at: now,
        state: EntryState::New,
        reason: None,
        detail: None,
        raw: delivery.raw.into_vec(),
        envelope: None,
        attempt: 0,
        due: None,
        is_accepted: false,
        is_counted: false,
    }
}
