//! The policy's place in receiving: after a message is known to be valid, before anybody is pinned
//! for it and before it is handed over.

use super::judge::{Judge, Refusal, Sender};
use crate::{
    client::Client,
    error::Error,
    message::Reason,
    policy::{Admission, Facts, Limits, Signer, Violation},
    store::{CountKey, Entry},
};

/// A valid message, as the policy sees it.
pub(super) struct Valid<'a> {
    pub(super) message_type: &'a str,
    pub(super) topic: Option<&'a str>,
    pub(super) correlation_id: Option<&'a str>,
    /// Bytes of the payload.
    pub(super) size: usize,
}

/// What a message counts against when it is handed over.
pub(super) struct Quota {
    limits: Limits,
    key: CountKey,
}

impl Judge<'_> {
    /// Holds a valid message against the policy; `sender` is absent where nobody signed it.
    pub(super) fn enforce(
        &self,
        sender: Option<&Sender>,
        valid: &Valid<'_>,
    ) -> Result<Option<Quota>, Refusal> {
        if self.entry.is_accepted {
            return Ok(None);
        }
        let (signer, contact) = match sender {
            Some(Sender::Pinned(contact)) => (Signer::Contact(contact), Some(&**contact)),
            Some(Sender::Offered(offer)) => (Signer::Stranger(&offer.name), None),
            None => (Signer::Nobody, None),
        };
        let policy = &self.client.policy;
        let admission = policy.admission(signer);
        if let Admission::Refused(detail) = admission {
            return Err(Refusal::Message(Reason::Policy, detail));
        }
        let rules = policy.rules(contact);
        rules.check(&Facts {
            message_type: valid.message_type,
            topic: valid.topic,
            size: valid.size,
            arrived: self.entry.stored_at,
            handler: self.receiving.handler.as_deref(),
        })?;
        if let Admission::Held(detail) = admission {
            return Err(Refusal::Held(detail));
        }
        Ok(rules.limits().map(|limits| {
            let key = sender.map(|sender| sender.keys().verifying().as_bytes().as_slice());
            Quota {
                limits,
                key: CountKey::new(key.unwrap_or_default(), valid.correlation_id),
            }
        }))
    }
}

impl Quota {
    /// Counts a message that is about to be handed over, unless that is one too many.
    pub(super) fn take(
        &self,
        client: &mut Client,
        entry: &Entry,
    ) -> Result<Result<(), Violation>, Error> {
        if entry.is_counted {
            return Ok(Ok(()));
        }
        let now = client.clock.now();
        let counts = client.store.counts(&self.key, now)?;
        let outcome = self.limits.check(counts.handed, counts.turns);
        if outcome.is_ok() {
            client.store.count(entry.number, &self.key, now)?;
        } else {
            client.store.set_minute_back(&self.key, now)?;
        }
        Ok(outcome)
    }

    /// What [`Quota::take`] would say after those `shown` had been handed over; counts nothing.
    pub(super) fn would_take(
        self,
        client: &Client,
        shown: &mut Vec<CountKey>,
    ) -> Result<Result<(), Violation>, Error> {
        let stored = client.store.counts(&self.key, client.clock.now())?;
        let counts = stored.plus(self.key.counts_among(shown));
        let outcome = self.limits.check(counts.handed, counts.turns);
        if outcome.is_ok() {
            shown.push(self.key);
        }
        Ok(outcome)
    }
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self::message(Reason::Policy, violation)
    }
}
