//! Handing over what is too long for one message of a relay: part by part, each of which is recorded, so
//! that whoever goes on after a crash begins with the next.

use std::{iter, time::Duration};

use ctalk_core::{
    Identity,
    envelope::{self, TEXT_PREFIX},
    part::{Split, slice_len_for},
};

use crate::{
    client::Client,
    error::Error,
    relay::{Accepted, Body, MAX_RATE_WAIT, Outgoing, RelayError},
    store::Claimed,
};

/// Longest pause for a rate limit within which the claim on a message is kept.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// How far a message is that goes in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Bytes of the envelope that the relay has.
    pub done: u64,
    /// Bytes of the envelope.
    pub total: u64,
}

impl Client {
    /// Whether the relay takes an envelope of so many bytes as one message.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        TEXT_PREFIX.len() + (bytes * 4).div_ceil(3) <= self.relay.longest_text()
    }

    /// The longest slice of an envelope that may go in a part, whichever of the agent's relays takes it.
    pub(crate) fn longest_slice(&self) -> Option<u16> {
        slice_len_for(self.relay.longest_text().min(self.shortest))
    }

    /// Hands a message over, in parts if it is an envelope that is too long. Whoever `waits` does so for
    /// rate limits between parts, so long as each lets one through in time.
    pub(crate) async fn transmit(
        &mut self,
        message: &Claimed,
        waits: bool,
    ) -> Result<Result<Accepted, RelayError>, Error> {
        let text = match &message.outgoing.body {
            Body::Native(text) if text.len() > self.relay.longest_text() => text,
            _ => return Ok(self.relay.send(&message.outgoing).await),
        };
        let unsupported = |what| Ok(Err(RelayError::Unsupported { what }));
        let slice_len = message.slice_len;
        let Some(slice_len) = slice_len.or_else(|| self.longest_slice()) else {
            return unsupported("messages as long as a part of an envelope");
        };
        let bytes = envelope::from_text(text).unwrap_or_default();
        let split = identities(self).find_map(|own| Split::new(own, &bytes, slice_len).ok());
        let Some(split) = split else {
            return unsupported("a message that is as long as this envelope");
        };
        let (count, total) = (split.whole().count(), u64::from(split.whole().length()));
        // Of what the relay has confirmed as a whole, nothing counts when it is sent again.
        let first = Some(message.parts).filter(|parts| *parts < count);
        let mut accepted = Accepted {
            relay_id: None,
            ts: None,
        };
        for index in first.unwrap_or_default()..count {
            let Some(text) = identities(self).find_map(|own| split.text(own, index)) else {
                break;
            };
            let part = Outgoing {
                to: message.outgoing.to.clone(),
                message_type: message.outgoing.message_type,
                topic: message.outgoing.topic.clone(),
                correlation_id: None,
                reply_to: None,
                ttl: message.outgoing.ttl,
                body: Body::Native(text),
            };
            let mut waited = Duration::ZERO;
            accepted = loop {
                match self.relay.send(&part).await {
                    Ok(accepted) => break accepted,
                    Err(RelayError::RateLimited { pause })
                        if waits && pause <= MAX_PAUSE && waited < MAX_RATE_WAIT =>
                    {
                        self.clock.sleep(pause).await;
                        waited += pause;
                        if !self.advance(message, index, slice_len)? {
                            return Ok(Err(self.lost()));
                        }
                    }
                    Err(error) => return Ok(Err(error)),
                }
            };
            let parts = index.saturating_add(1);
            if !self.advance(message, parts, slice_len)? {
                return Ok(Err(self.lost()));
            }
            let done = total.min(u64::from(parts) * u64::from(slice_len));
            if let Some(show) = &mut self.on_transfer {
                show(Transfer { done, total });
            }
        }
        Ok(Ok(accepted))
    }

    fn advance(&mut self, message: &Claimed, parts: u16, slice_len: u16) -> Result<bool, Error> {
        let monotonic = self.clock.monotonic();
        let store = &mut self.store;
        Ok(store.advance_outgoing(message, parts, slice_len, monotonic)?)
    }

    /// Another process has the message, because this one took too long.
    fn lost(&self) -> RelayError {
        let url = self.relay.url().to_owned();
        RelayError::TimedOut { url }
    }
}

/// The own identities: an envelope may have been sealed before the present one.
fn identities(client: &Client) -> impl Iterator<Item = &Identity> {
    iter::once(&*client.identity).chain(&client.former)
}
