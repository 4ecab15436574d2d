//! ctalk: end-to-end encrypted, signed messages between programs, over relays nobody has to trust.
//!
//! A [`Client`] is one agent: an identity, a local store and a relay. What it receives is stored
//! before the relay may forget it, verified before it is opened (what nobody signed comes apart, as
//! [`Next::Unauthenticated`]), and handed over until it is committed; what it sends is sealed for exactly the named recipient. Peers' keys are pinned at
//! first use, and a relay that shows another key later is found out.
//!
//! - [`Profile`], [`register`], [`publish`], [`client`](fn@client), [`Client`], [`Require`], [`Error`],
//!   [`Class`]:
//!   the paved path
//! - [`Comparison`], [`verify_contact`], [`confirm`]: finding out whose keys a contact's are
//! - [`own_card`], [`rotate`], [`Retired`], [`Rotated`], [`Client::refresh`]: one's own key card, and
//!   keys that are replaced and destroyed
//! - [`add_contact`], [`Added`], [`listed_keys`]: others' key cards
//! - [`ListedContact`], [`import_contacts`]: contacts as lines of JSON
//! - [`Pairing`]: getting each other's cards by a short code, over the relay
//! - [`succeed`], [`revoke`], [`Notice`], [`check_not_ended`], [`check_own_not_ended`]: how identities
//!   end
//! - [`MAX_PAYLOAD`], [`Transfer`]: payloads that are too long for a relay's messages
//! - [`Draft`], [`Content`], [`Sent`], [`Received`], [`SetAside`], [`Reason`]: messages
//! - [`Progress`], [`Flushed`], [`Fate`]: what is on its way out
//! - [`Filter`], [`Receiving`], [`Next`], [`Handover`], [`Peek`], [`verify`]: receiving
//! - [`Client::work`], [`Work`], [`Until`], [`Contract`], [`Event`], [`Worked`], [`handler`]: programs
//!   that run on messages
//! - [`Client::follow`], [`Following`], [`Client::keep_leases`]: messages one by one as they come, for
//!   programs that ask for the next one
//! - [`Agent`], [`agent`](fn@agent), [`Via`], [`Sending`], [`NamedRelay`]: one agent at several relays
//! - [`Chat`], [`ChatEvent`], [`Answered`]: talking with one agent behind an OpenClaw host
//! - [`Call`], [`Response`], [`Client::send_and_wait`]: waiting for what becomes of a message
//! - [`Policy`], [`Rules`]: what others may send
//! - [`Listener`], [`Refusal`], [`set_webhook`], [`rotate_webhook_secret`], [`clear_webhook`],
//!   [`webhook_secret`]: being told by the relay that something came
//! - [`Bridge`], [`Bridged`], [`BridgeStatus`], [`Saying`], [`Client::enqueue_words`]: the local API of
//!   OpenDialogue's plugin
//! - [`relay`]: the [`Relay`](relay::Relay) trait and the adapters for ClawTalk, OpenDialogue and WTT relays and
//!   OpenClaw hosts
//! - [`store`]: contacts and the inbox, in SQLite
//! - [`keystore`]: where secrets are kept
//! - [`backup`]: a profile as one file, to move it to another machine
//! - [`doctor`]: what is not as it should be, and what to do about it
//! - [`sanitize`](fn@sanitize), [`Hygiene`]: hidden characters taken out, links listed
//! - [`stream`]: envelopes of any size, from a reader to a writer
//! - [`shown`]: the JSON that programs are shown
//! - [`clock`], [`text`]: time as an argument; foreign text fit to be shown
//! - [`core`]: identities, fingerprints and the message formats, without I/O

pub mod backup;
pub mod clock;
pub mod doctor;
pub mod handler;
pub mod keystore;
pub mod relay;
pub mod shown;
pub mod store;
pub mod stream;
pub mod text;

mod agent;
mod bridge;
mod call;
mod chat;
mod client;
mod contact_list;
mod contacts;
mod directory;
mod endings;
mod error;
mod fault;
mod follow;
mod http;
mod keeper;
mod listen;
mod message;
mod outbox;
mod own_ending;
mod pairing;
mod parts;
mod policy;
mod profile;
mod receive;
mod refresh;
mod registration;
mod reply;
mod require;
mod rotation;
mod sanitize;
mod send;
mod verification;
mod webhook;
mod worker;

pub use ctalk_core as core;
pub use ctalk_wire as wire;

pub use agent::{Agent, Sending, Via};
pub use bridge::{Bridge, BridgeStatus, Bridged, Saying};
pub use call::Call;
pub use chat::{Answered, Chat, ChatEvent};
pub use client::{Client, MAX_PAYLOAD};
pub use contact_list::{ImportError, Imported, LineError, ListedContact, import_contacts};
pub use contacts::{Added, add_contact};
pub use directory::listed_keys;
pub use endings::{Notice, check_not_ended, check_own_not_ended};
pub use error::{Class, Error};
pub use follow::Following;
pub use listen::{Listener, Refusal};
pub use message::{Content, Draft, Format, Progress, Reason, Received, Sent, SetAside, Trust};
pub use outbox::{Fate, Flushed};
pub use own_ending::{Succeeded, revoke, succeed};
pub use pairing::Pairing;
pub use parts::Transfer;
pub use policy::{Policy, PolicyError, Rules, Strangers, Violation};
pub use profile::{NamedRelay, Profile, ProfileError, check_name, profiles_folder};
pub use receive::{
    Contract, Filter, Handover, Next, Peek, Receiving, Response, Ticket, VerifiedSender, verify,
};
pub use registration::{
    Admission, Registration, agent, client, client_over, connect, publish, register,
};
pub use require::{Require, UnknownRequirement};
pub use rotation::{Retired, Rotated, own_card, rotate};
pub use sanitize::{Hygiene, Sanitized, sanitize};
pub use send::{LeftOut, Published};
pub use verification::{Comparison, confirm, verify_contact};
pub use webhook::{clear_webhook, rotate_webhook_secret, set_webhook, webhook_secret};
pub use worker::{Event, Until, Work, Worked};

/// The operating system's randomness.
fn rng() -> impl rand_core::CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}
