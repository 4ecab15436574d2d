//! What ctalk asks of a relay, and the relays that it knows.
//!
//! A relay is a place that takes bytes for a name and gives them out again. Nothing that it says is
//! believed. The [`Relay`] trait asks for little, because relays differ: some push and some are
//! polled, some hold a directory of keys and some none, some must be told that a message arrived
//! and some forget it by handing it out. The order that keeps messages safe is the same for all and
//! stands in the types: [`Relay::fetch`] gives deliveries, only the store turns them into a
//! [`Stored`], and only that can be given to [`Relay::acknowledge`].

pub mod admin;
mod chat;
pub mod clawtalk;
mod exclusive;
mod kind;
pub mod openclaw;
pub mod opendialogue;
mod socket;
pub mod wtt;

use std::time::Duration;

use async_trait::async_trait;
use ctalk_core::{
    Card, classic, envelope::TEXT_PREFIX, pairing::MESSAGE_PREFIX, part::PART_PREFIX,
};
use serde_json::value::RawValue;

pub(crate) use self::exclusive::Exclusive;
pub use self::kind::{Kind, connect, normalised};
use crate::{clock::Clock, store::Stored};

/// One relay, as one agent sees it.
///
/// Every future may be dropped at any time without losing a message: what an adapter took from its
/// connection it keeps until the next [`fetch`](Self::fetch) or
/// [`take_buffered`](Self::take_buffered).
#[async_trait]
pub trait Relay: Send + Sync {
    /// The address that tells this relay from others.
    fn url(&self) -> &str;

    /// The longest text of an envelope, or of a part of one, in characters, that it takes as a message.
    /// What is longer goes in parts.
    fn longest_text(&self) -> usize {
        60_000
    }

    /// Whether this process may talk to the relay: one that knows a single connection of each agent is
    /// talked to by one process at a time, which sends what the others put into the outbox.
    fn is_mine(&self) -> bool {
        true
    }

    /// Hands over one message. Ok means that the relay accepted it, never that it arrived. Does not
    /// wait for a rate limit; [`RelayError::RateLimited`] says how long to wait.
    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError>;

    /// Takes what is waiting, at most one page or one burst of pushes. When nothing is waiting it
    /// may take up to `wait` before it says so with an empty answer.
    ///
    /// The same deliveries come again until they are acknowledged, except from relays that forget
    /// by handing out: there the caller's storing is the acknowledgement.
    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError>;

    /// Gives away what arrived unasked during another call. Relays that push or that forget by
    /// handing out deliver whenever they are connected; the client stores this after every call.
    fn take_buffered(&self) -> Vec<Delivery> {
        Vec::new()
    }

    /// Ends the connection in good order, and gives away what came until the relay took note of that.
    /// Nothing else is asked of the adapter afterwards.
    async fn close(&self) -> Vec<Delivery> {
        Vec::new()
    }

    /// Lets the relay forget what is now stored here. Returns how many messages it dropped: zero
    /// for a whole page means that fetching again would only bring the same page, which is what
    /// relays without acknowledgements always answer.
    async fn acknowledge(&self, _stored: Stored) -> Result<usize, RelayError> {
        Ok(0)
    }

    /// Looks at what is waiting without taking it. Relays that forget by handing out cannot.
    async fn peek(&self) -> Result<Peeked, RelayError> {
        Err(RelayError::Unsupported {
            what: "looking without taking",
        })
    }

    /// All agents with the keys that the relay claims for them. Without a directory only contacts
    /// with a known address can be written to, and strangers' signatures cannot be checked.
    async fn directory(&self) -> Result<Vec<ctalk_wire::DirectoryEntry>, RelayError> {
        Err(RelayError::Unsupported {
            what: "a directory of agents",
        })
    }

    /// Puts one's own key card, and the successions that led to its identity, into one's entry of the
    /// directory, in place of former ones.
    async fn publish(
        &self,
        _name: &str,
        _card: &Card,
        _successions: &[String],
    ) -> Result<(), RelayError> {
        Err(RelayError::Unsupported {
            what: "a directory of agents",
        })
    }

    /// Reads a delivery's bytes as this relay writes them. Pure: the inbox calls it again for
    /// messages that were stored long ago.
    ///
    /// # Errors
    /// [`classic::Malformed`] for bytes that are no message of this relay.
    fn read(&self, raw: &[u8]) -> Result<Incoming, classic::Malformed> {
        clawtalk::read(raw)
    }
}

/// How long a message may be held back by a relay's rate limit.
pub(crate) const MAX_RATE_WAIT: Duration = Duration::from_secs(300);

/// Hands over one message as soon as the relay's rate limit lets it.
pub(crate) async fn send_patiently(
    relay: &dyn Relay,
    clock: &dyn Clock,
    outgoing: &Outgoing,
) -> Result<Accepted, RelayError> {
    let mut waited = Duration::ZERO;
    loop {
        match relay.send(outgoing).await {
            Err(RelayError::RateLimited { pause }) if waited < MAX_RATE_WAIT => {
                clock.sleep(pause).await;
                waited += pause;
            }
            answer => return answer,
        }
    }
}

/// So many random bytes, as hex.
fn random<const N: usize>() -> Result<String, RelayError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| RelayError::Unsupported {
        what: "anything without the system's randomness",
    })?;
    Ok(hex::encode(bytes))
}

/// A delivery, read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Incoming {
    /// A message in ClawTalk's format, sealed or plain.
    Classic(classic::Message),
    /// An envelope in its text form.
    Native {
        /// What the relay says about it.
        claims: classic::Claims,
        /// The text, which begins with `ctalk2:`.
        text: String,
    },
    /// A part of an envelope in its text form.
    Part {
        /// What the relay says about it.
        claims: classic::Claims,
        /// The text, which begins with `ctalk2p:`.
        text: String,
    },
    /// A message of a pairing in its text form.
    Pairing {
        /// What the relay says about it.
        claims: classic::Claims,
        /// The text, which begins with `ctalk-pair:`.
        text: String,
    },
}

/// What ctalk's own texts begin with.
const OWN_PREFIXES: [&str; 3] = [TEXT_PREFIX, PART_PREFIX, MESSAGE_PREFIX];

impl Incoming {
    /// What a text of ctalk's own is, by its beginning.
    fn of(claims: classic::Claims, text: String) -> Self {
        if text.starts_with(MESSAGE_PREFIX) {
            Self::Pairing { claims, text }
        } else if text.starts_with(PART_PREFIX) {
            Self::Part { claims, text }
        } else {
            Self::Native { claims, text }
        }
    }

    /// What relay and sender say about the message; nothing of it is proven.
    #[must_use]
    pub const fn claims(&self) -> &classic::Claims {
        match self {
            Self::Classic(message) => message.claims(),
            Self::Native { claims, .. }
            | Self::Part { claims, .. }
            | Self::Pairing { claims, .. } => claims,
        }
    }
}

/// A message on its way to a relay, sealed or deliberately not.
#[derive(Debug)]
pub struct Outgoing {
    /// Who gets it, in the relay's spelling.
    pub to: Destination,
    /// `request`, `response` or `notification`.
    pub message_type: ctalk_wire::MessageType,
    /// Conversation label, visible to the relay.
    pub topic: Option<String>,
    /// Pairs requests with responses, visible to the relay.
    pub correlation_id: Option<String>,
    /// The id of the message this one answers, visible to the relay.
    pub reply_to: Option<String>,
    /// How long the relay may keep it, in seconds.
    pub ttl: Option<u64>,
    /// What it carries.
    pub body: Body,
}

/// Where an [`Outgoing`] goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One agent.
    Agent(String),
    /// Several agents, who get the same message.
    Agents(Vec<String>),
    /// Every agent of the relay but the sender.
    Everyone,
}

/// What an [`Outgoing`] carries.
#[derive(Debug)]
pub enum Body {
    /// A box with its nonce and signature in ClawTalk's format.
    Classic(classic::Sealed),
    /// An envelope in its text form.
    Native(String),
    /// JSON that everybody on the way can read.
    Plaintext(Box<RawValue>),
    /// A message of a pairing in its text form, which everybody on the way can read.
    Pairing(String),
}

/// The relay's answer to a message that it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The relay's id for the message, if it gave one.
    pub relay_id: Option<String>,
    /// The relay's time, if it gave one.
    pub ts: Option<String>,
}

/// One message as it came from a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The id that acknowledges it; `None` when the relay gave none that can be used.
    pub relay_id: Option<String>,
    /// The relay's time in milliseconds since the Unix epoch, for ordering only.
    pub sent_at: Option<i64>,
    /// The bytes as received.
    pub raw: Box<[u8]>,
}

/// What [`Relay::peek`] saw.
#[derive(Clone, Debug)]
pub struct Peeked {
    /// The messages, oldest first.
    pub deliveries: Vec<Delivery>,
    /// Whether more may be waiting that this relay cannot show without deleting.
    pub truncated: bool,
}

/// Why a relay did not do what it was asked.
///
/// Texts that came from the relay are cut and cleaned of control characters; they are shown to
/// people and never matched on.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// No connection; the relay did nothing.
    #[error("cannot reach the relay at {url}: {why}")]
    Unreachable {
        /// The relay's URL.
        url: String,
        /// What the network said.
        why: String,
    },
    /// The connection ended before the answer came; the relay may have done what was asked.
    #[error("the connection to the relay at {url} ended before it answered: {why}")]
    Interrupted {
        /// The relay's URL.
        url: String,
        /// What the network said.
        why: String,
    },
    /// The relay took too long; it may or may not have done what was asked.
    #[error("the relay at {url} did not answer in time")]
    TimedOut {
        /// The relay's URL.
        url: String,
    },
    /// This call needs an API key and none is known.
    #[error("no API key for the relay at {url} is known")]
    NoKey {
        /// The relay's URL.
        url: String,
    },
    /// The relay refused the API or admin key.
    #[error("the relay at {url} does not accept this key")]
    Unauthorized {
        /// The relay's URL.
        url: String,
    },
    /// The relay answered with another error.
    #[error("the relay refused: {text} ({status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The relay's code.
        code: ctalk_wire::ErrorCode,
        /// The relay's words, cleaned.
        text: String,
    },
    /// The relay refuses for too many messages; it did nothing.
    #[error("the relay's rate limit is reached: it takes no more for {} s", pause.as_secs().max(1))]
    RateLimited {
        /// How long it wants to be left alone.
        pause: Duration,
    },
    /// The answer is not what the protocol says.
    #[error("the answer of the relay at {url} makes no sense: {why}")]
    BadAnswer {
        /// The relay's URL.
        url: String,
        /// What was wrong with it.
        why: String,
    },
    /// The API key cannot be sent at all.
    #[error("the key for the relay holds characters that no key has")]
    BadKey,
    /// The URL is not one that this relay kind can use.
    #[error("`{url}` is not a relay's address: {why}")]
    BadUrl {
        /// The text given.
        url: String,
        /// What was wrong with it.
        why: &'static str,
    },
    /// The relay has no such thing.
    #[error("this relay does not offer {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
}
