//! One error for callers, and the classes that exit codes and language bindings share.

use ctalk_core::{
    CardError, CardNotCurrent, KeyError, KeygenError, StatementError,
    classic::SealError,
    envelope,
    envelope::ReceiptOutcome,
    pairing::{CodeError, PairingError},
    trust,
};

use crate::{
    backup::BackupError,
    keystore::KeystoreError,
    message::Sent,
    policy::PolicyError,
    profile::ProfileError,
    relay::RelayError,
    store::{EntryState, StoreError},
};

/// What kind of thing went wrong; the number is the command line's exit code.
///
/// The numbers are part of the interface: they are never reused and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// A bug, or something that nobody foresaw.
    Unexpected = 1,
    /// The caller asked for something that makes no sense.
    Usage = 2,
    /// A signature is missing or wrong.
    NotVerified = 3,
    /// It cannot be opened with the keys at hand.
    CannotOpen = 4,
    /// A key changed, conflicts with another contact's, or is unknown.
    NotTrusted = 5,
    /// No answer from the relay.
    RelayUnreachable = 6,
    /// The relay answered no.
    RelayRefused = 7,
    /// The key store or the local store failed.
    LocalStore = 8,
    /// Some messages were set aside; everything else went well.
    SetAside = 9,
    /// The input is malformed.
    Malformed = 10,
    /// The remote handler failed.
    RemoteFailed = 11,
    /// It took too long.
    TimedOut = 12,
    /// The peer or a policy refused.
    Refused = 13,
    /// Ended by the user.
    Interrupted = 130,
}

impl Class {
    /// Every class, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Unexpected,
        Self::Usage,
        Self::NotVerified,
        Self::CannotOpen,
        Self::NotTrusted,
        Self::RelayUnreachable,
        Self::RelayRefused,
        Self::LocalStore,
        Self::SetAside,
        Self::Malformed,
        Self::RemoteFailed,
        Self::TimedOut,
        Self::Refused,
        Self::Interrupted,
    ];

    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::NotVerified => 3,
            Self::CannotOpen => 4,
            Self::NotTrusted => 5,
            Self::RelayUnreachable => 6,
            Self::RelayRefused => 7,
            Self::LocalStore => 8,
            Self::SetAside => 9,
            Self::Malformed => 10,
            Self::RemoteFailed => 11,
            Self::TimedOut => 12,
            Self::Refused => 13,
            Self::Interrupted => 130,
        }
    }

    /// The word for it in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unexpected => "unexpected",
            Self::Usage => "usage",
            Self::NotVerified => "not-verified",
            Self::CannotOpen => "cannot-open",
            Self::NotTrusted => "not-trusted",
            Self::RelayUnreachable => "relay-unreachable",
            Self::RelayRefused => "relay-refused",
            Self::LocalStore => "local-store",
            Self::SetAside => "set-aside",
            Self::Malformed => "malformed",
            Self::RemoteFailed => "remote-failed",
            Self::TimedOut => "timed-out",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Why a client did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The profile is missing, damaged or already there.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The key store failed.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The own key card is not in the relay's directory yet.
    #[error("the new key card could not be published: {why}")]
    Unpublished {
        /// What the relay said.
        why: RelayError,
    },
    /// An export cannot be written or read.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The relay failed or refused.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// An identity cannot be read.
    #[error(transparent)]
    Keygen(#[from] KeygenError),
    /// A key card cannot be made or read.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The directory's card for an agent is unusable.
    #[error("the relay's key card for `{name}` cannot be used: {why}")]
    BadCard {
        /// The agent.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A message that a recipient shares with others, or gets under two names, was not sent.
    #[error("the message that this recipient shares with another one was not sent")]
    SharedMessage {
        /// What kind of thing went wrong; the other recipient's error says what.
        class: Class,
    },
    /// The envelope would live too long.
    #[error("an envelope lives at most 30 days")]
    LifeTooLong,
    /// A payload longer than [`MAX_PAYLOAD`](crate::MAX_PAYLOAD).
    #[error(
        "the message has {found} bytes, more than the {} that can be sent",
        crate::MAX_PAYLOAD
    )]
    PayloadTooLong {
        /// Bytes found.
        found: usize,
    },
    /// An envelope that was just sealed does not parse.
    #[error("the envelope that was just sealed is none: {0}")]
    OwnEnvelope(envelope::ParseError),
    /// A key card must not be used.
    #[error(transparent)]
    CardRefused(trust::CardRefused),
    /// The contact's card is not current.
    #[error("cannot seal for `{name}`: {why}")]
    CardNotCurrent {
        /// The contact.
        name: String,
        /// Why its card cannot be used now.
        why: CardNotCurrent,
    },
    /// An identity has ended, so nothing is sent to it and nothing taken from it.
    #[error("`{name}`: {why}")]
    Ended {
        /// The contact, or the name that goes with the identity.
        name: String,
        /// Which identity, and how.
        why: trust::Ended,
    },
    /// The identity of this profile has ended.
    #[error("this profile's identity has ended: {why}")]
    OwnIdentityEnded {
        /// How.
        why: trust::Ended,
    },
    /// The key store holds another identity than it did a moment ago.
    #[error("another process has replaced this profile's identity meanwhile")]
    IdentityReplaced,
    /// A succession cannot be made or read.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A contact's succession must not be followed.
    #[error("`{name}`: {why}")]
    SuccessionRefused {
        /// The contact.
        name: String,
        /// Why.
        why: Box<trust::SuccessionRefused>,
    },
    /// A statement about the end of an identity is unusable.
    #[error("the relay's entry for `{name}` holds a statement that cannot be used: {why}")]
    BadStatement {
        /// The agent.
        name: String,
        /// What is wrong with it.
        why: StatementError,
    },
    /// The contact is blocked.
    #[error("`{name}` is blocked")]
    Blocked {
        /// The contact.
        name: String,
    },
    /// The contact is not verified, and that is required.
    #[error("`{name}` is not verified, and that is required")]
    Unverified {
        /// The contact.
        name: String,
    },
    /// The contact has no key card, and one is required.
    #[error("no key card of `{name}` is known, and one is required")]
    NoCard {
        /// The contact.
        name: String,
    },
    /// Nobody could read a message to a place of the relay.
    #[error("nobody at {place} has a key card that is known here")]
    NoReaders {
        /// The address of the place.
        place: String,
    },
    /// An envelope cannot be sealed.
    #[error(transparent)]
    Envelope(#[from] envelope::SealError),
    /// A message cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// No agent of that name.
    #[error("the relay knows no agent `{name}`")]
    UnknownRecipient {
        /// The name asked for.
        name: String,
    },
    /// The recipient is the sender.
    #[error("`{name}` is this agent itself")]
    Myself {
        /// The agent's own name.
        name: String,
    },
    /// The directory names one agent twice, with different keys.
    #[error("the relay lists `{name}` more than once, with different keys")]
    AmbiguousName {
        /// The name.
        name: String,
    },
    /// The directory's keys for an agent are unusable.
    #[error("the relay's entry for `{name}` holds no usable keys: {why}")]
    BadKeys {
        /// The agent.
        name: String,
        /// What is wrong with them.
        why: KeyError,
    },
    /// A pinned contact shows another key.
    #[error(
        "the keys of `{name}`{} changed: {change}",
        if *verified { ", whom you verified," } else { "" }
    )]
    KeyChanged {
        /// The contact.
        name: String,
        /// Whether the user verified the pinned keys.
        verified: bool,
        /// Which key, and both fingerprints.
        change: trust::KeyChange,
    },
    /// The fingerprint is not that of the contact.
    #[error("`{name}` is pinned with the fingerprint {held}, not with {given}")]
    WrongFingerprint {
        /// The contact.
        name: String,
        /// What the caller named.
        given: ctalk_core::Fingerprint,
        /// That of the contact.
        held: ctalk_core::Fingerprint,
        /// Whether it is the fingerprint of both classic keys.
        is_classic: bool,
    },
    /// The contact is not the one any more that was looked at.
    #[error("`{name}` was removed or got other keys meanwhile")]
    ChangedMeanwhile {
        /// The contact.
        name: String,
    },
    /// Something is required that a message in the clear cannot meet.
    #[error("what is sent in the clear cannot be `{required}`, and that is required")]
    PlaintextRefused {
        /// The word for what is required.
        required: &'static str,
    },
    /// Somebody else holds the key.
    #[error("{0}")]
    KeyConflict(trust::KeyConflict),
    /// The name could be mistaken for another one, so it is not pinned by mere use.
    #[error("`{name}` is no plain name, and is not pinned on first use")]
    UnusualName {
        /// The name, escaped.
        name: String,
    },
    /// The message is in somebody else's hands: the lease on it was over.
    #[error("the lease on this message was over, and another worker has it")]
    LeaseLost,
    /// A response to what asks for none, or that nobody signed.
    #[error("only a request that a contact signed is answered")]
    NotAsked,
    /// A handler can go on no more.
    #[error("{why}")]
    Stopped {
        /// What it said.
        why: String,
    },
    /// The local name belongs to a contact with other keys.
    #[error("`{name}` is already the name of another contact, with other keys")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The fingerprint is not the one that the relay shows.
    #[error("the relay shows {offered} for `{name}`, not {given}")]
    OtherFingerprint {
        /// The agent.
        name: String,
        /// What the caller named.
        given: ctalk_core::Fingerprint,
        /// What the relay shows.
        offered: ctalk_core::Fingerprint,
    },
    /// There is no such contact.
    #[error("there is no contact `{name}`")]
    UnknownContact {
        /// The name asked for.
        name: String,
    },
    /// There is no such message in the inbox.
    #[error("the inbox holds no message `{id}`")]
    UnknownMessage {
        /// The id asked for.
        id: String,
    },
    /// The message does not wait for the user's decision.
    #[error("message {number} is {state}, not held")]
    NotHeld {
        /// Its number in the inbox.
        number: i64,
        /// Where it stands.
        state: EntryState,
    },
    /// The message waits for the user's decision.
    #[error("message {number} is held, and waits for a decision")]
    Held {
        /// Its number in the inbox.
        number: i64,
    },
    /// The message was not accepted.
    #[error("{detail}")]
    Message {
        /// Why.
        reason: crate::message::Reason,
        /// The same in words.
        detail: String,
    },
    /// A text is no pairing code, or none can be made with the own name.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// A pairing failed, and its code is used up.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// A pairing did not come to its end in time, and its code is used up.
    #[error("pairing failed: {why}; make a new code and try again")]
    PairingTimedOut {
        /// What did not come.
        why: &'static str,
    },
    /// The relay does not have the message yet.
    #[error("{}", queued(why.as_ref()))]
    Queued {
        /// Its number in the outbox, where it stays.
        number: i64,
        /// What the relay or the network said; `None` if older messages to the same recipient go first.
        why: Option<RelayError>,
        /// What is known of it.
        sent: Box<Sent>,
    },
    /// The agent has no relay of this name.
    #[error("there is no relay called `{name}`")]
    UnknownRelay {
        /// The name.
        name: String,
    },
    /// The relay refuses a message, which it may have got before.
    #[error("the relay refuses the message: {why}")]
    Refused {
        /// Its number in the outbox, where it stays.
        number: i64,
        /// What the relay said.
        why: String,
    },
    /// By its receipt, a message was not handled.
    #[error("{}", unhandled(*outcome, *attempt))]
    Unhandled {
        /// Whether it failed or was refused.
        outcome: ReceiptOutcome,
        /// The attempt at it, the first being 1; 0 if there was none.
        attempt: u32,
    },
    /// The receipt did not come while it was waited for.
    #[error("no receipt came in time")]
    NoReceipt,
    /// The response to a call did not come while it was waited for.
    #[error("no response came in time{}", if *is_handled { ", although the call was handled" } else { "" })]
    NoResponse {
        /// Whether a receipt says that the call was handled.
        is_handled: bool,
    },
    /// The response to a call with the same correlation id is waited for.
    #[error("another call to {name} with this correlation id is under way")]
    CallOpen {
        /// The contact.
        name: String,
    },
    /// The idempotency key was used for another message.
    #[error("this idempotency key was used for another message, or for other recipients")]
    IdempotencyMismatch,
    /// A message with this idempotency key was given up, and may have arrived.
    #[error("the message with this idempotency key was given up, and may have arrived")]
    GivenUp,
    /// There is no such message in the outbox.
    #[error("the outbox holds no message `{id}`")]
    UnknownOutgoing {
        /// The id asked for.
        id: String,
    },
    /// ClawTalk's format carries text and JSON only.
    #[error("bytes that are not UTF-8 text cannot be sent in ClawTalk's format")]
    NotText,
}

impl Error {
    /// The class that callers branch on.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Profile(error) => error.class(),
            Self::Policy(error) => error.class(),
            Self::Keystore(_)
            | Self::Store(
                StoreError::Failed { .. } | StoreError::Newer { .. } | StoreError::AlreadyPairing,
            ) => Class::LocalStore,
            Self::LeaseLost
            | Self::Stopped { .. }
            | Self::OwnEnvelope(_)
            | Self::IdentityReplaced => Class::Unexpected,
            Self::LifeTooLong
            | Self::NotAsked
            | Self::PayloadTooLong { .. }
            | Self::OwnIdentityEnded { .. }
            | Self::IdempotencyMismatch
            | Self::GivenUp
            | Self::CallOpen { .. }
            | Self::UnknownRelay { .. }
            | Self::UnknownOutgoing { .. } => Class::Usage,
            Self::Queued { why: None, .. } => Class::RelayUnreachable,
            Self::Queued { why: Some(why), .. } => why.class(),
            Self::Refused { .. } => Class::RelayRefused,
            Self::Blocked { .. } => Class::Refused,
            Self::SharedMessage { class } => *class,
            Self::Relay(error) | Self::Unpublished { why: error } => error.class(),
            Self::Keygen(_)
            | Self::Card(_)
            | Self::Code(_)
            | Self::Statement(_)
            | Self::Envelope(_)
            | Self::NotText
            | Self::Seal(_) => Class::Malformed,
            Self::Pairing(error) => Class::of(error.failure()),
            Self::PairingTimedOut { .. } | Self::NoReceipt | Self::NoResponse { .. } => {
                Class::TimedOut
            }
            Self::Unhandled {
                outcome: ReceiptOutcome::Refused,
                ..
            } => Class::Refused,
            Self::Unhandled { .. } => Class::RemoteFailed,
            Self::Backup(error) => error.class(),
            Self::UnknownRecipient { .. } => Class::RelayRefused,
            Self::Store(StoreError::NameTaken { .. })
            | Self::AmbiguousName { .. }
            | Self::BadKeys { .. }
            | Self::KeyChanged { .. }
            | Self::WrongFingerprint { .. }
            | Self::ChangedMeanwhile { .. }
            | Self::PlaintextRefused { .. }
            | Self::KeyConflict(_)
            | Self::BadCard { .. }
            | Self::CardRefused(_)
            | Self::CardNotCurrent { .. }
            | Self::Ended { .. }
            | Self::SuccessionRefused { .. }
            | Self::BadStatement { .. }
            | Self::Unverified { .. }
            | Self::NoCard { .. }
            | Self::NoReaders { .. }
            | Self::NameTaken { .. }
            | Self::UnusualName { .. }
            | Self::OtherFingerprint { .. } => Class::NotTrusted,
            Self::Myself { .. }
            | Self::UnknownContact { .. }
            | Self::UnknownMessage { .. }
            | Self::NotHeld { .. }
            | Self::Held { .. } => Class::Usage,
            Self::Message { reason, .. } => reason.class(),
        }
    }

    /// Whether trying again later may do.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Relay(RelayError::RateLimited { .. }) => true,
            Self::Relay(RelayError::Refused { status, .. }) => *status >= 500,
            _ => self.class() == Class::RelayUnreachable,
        }
    }

    /// What the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Profile(error) => error.hint(),
            Self::Policy(error) => error.hint(),
            Self::Keystore(error) => error.hint(),
            Self::Relay(error) => error.hint(),
            Self::Backup(error) => error.hint(),
            Self::Store(StoreError::Failed { hint, .. }) => hint.map(str::to_owned),
            Self::Store(StoreError::AlreadyPairing) => {
                Some("end the other `ctalk pair` of this profile first".to_owned())
            }
            Self::CardNotCurrent { name, .. } => Some(format!(
                "ask {name} for a new card (`ctalk card`) and add it: ctalk contact add FILE"
            )),
            Self::Ended { name, .. } | Self::SuccessionRefused { name, .. } => Some(format!(
                "ask {name} for the present card (`ctalk card`) and add it: ctalk contact add FILE"
            )),
            Self::OwnIdentityEnded { .. } => Some(
                "another identity needs another profile: ctalk --profile OTHER keygen --name NAME"
                    .to_owned(),
            ),
            Self::Blocked { name } => Some(format!("ctalk contact unblock {name}")),
            Self::Unverified { name } => Some(format!(
                "compare the safety number with {name}: ctalk contact verify {name}"
            )),
            Self::NoCard { name } => Some(format!(
                "ask {name} for the card (`ctalk card`) and add it: ctalk contact add FILE"
            )),
            Self::UnusualName { .. } => Some(
                "whoever knows its fingerprint can pin it: ctalk contact accept-key NAME FINGERPRINT"
                    .to_owned(),
            ),
            Self::Store(StoreError::Newer { .. }) => Some("use the newer ctalk".to_owned()),
            Self::UnknownRecipient { .. } => {
                Some("`ctalk agents` lists the agents of the relay".to_owned())
            }
            Self::KeyChanged {
                name,
                verified,
                change,
            } => Some(format!(
                "ask {name} for the fingerprint over another channel; if it is the new one: \
                 ctalk contact accept-key {name} {}{}",
                change.offered.to_hex(),
                if *verified { ", and verify it again" } else { "" }
            )),
            Self::WrongFingerprint {
                name, is_classic, ..
            } => Some(format!(
                "have {name} read it from `ctalk whoami`{}; if it stays another, somebody may be \
                 in between: ctalk contact block {name}",
                if *is_classic {
                    ", where it is the classic fingerprint"
                } else {
                    ""
                }
            )),
            Self::ChangedMeanwhile { name } => {
                Some(format!("look at it again: ctalk contact show {name}"))
            }
            Self::KeyConflict(_) => Some(
                "find out over another channel whose key it is; then `ctalk contact remove NAME` \
                 or `ctalk contact accept-key NAME FINGERPRINT`"
                    .to_owned(),
            ),
            Self::NameTaken { name } | Self::Store(StoreError::NameTaken { name }) => Some(
                format!("`ctalk contact show {name}` shows who holds the name"),
            ),
            Self::OtherFingerprint { .. } => {
                Some("compare the whole fingerprint with its owner's `ctalk whoami`".to_owned())
            }
            Self::UnknownContact { .. } => Some("`ctalk contact list` shows them all".to_owned()),
            Self::UnknownMessage { .. } => Some("`ctalk inbox list` shows them all".to_owned()),
            Self::Held { number } => Some(format!(
                "ctalk inbox accept {number}, or ctalk inbox reject {number}"
            )),
            Self::NotHeld { .. } => {
                Some("`ctalk inbox list --state held` shows what waits for a decision".to_owned())
            }
            Self::Queued { number, .. } => Some(format!(
                "it stays in the outbox: `ctalk flush` sends it, as does the next send or recv; \
                 `ctalk outbox drop {number}` takes it back"
            )),
            Self::Refused { number, .. } => Some(format!(
                "it stays in the outbox: ctalk outbox retry {number}, or ctalk outbox drop {number}"
            )),
            Self::NoReceipt => Some(
                "the message stays in the outbox until its receipt comes: ctalk outbox list".to_owned(),
            ),
            Self::NoResponse { is_handled: false } => Some(
                "nobody begins with it any more, but a handler that runs may go on".to_owned(),
            ),
            Self::NoResponse { is_handled: true } => Some(
                "the other side may not reply: it takes `ctalk recv` with a handler and --reply"
                    .to_owned(),
            ),
            Self::IdempotencyMismatch => {
                Some("use a key of its own for each message".to_owned())
            }
            Self::GivenUp => {
                Some("ask whether it arrived; if not, send it with another key".to_owned())
            }
            Self::UnknownRelay { .. } => Some("see them: ctalk relays".to_owned()),
            Self::UnknownOutgoing { .. } => Some("`ctalk outbox list` shows them all".to_owned()),
            Self::NotText => {
                Some("encode them first, for example with `base64 FILE | ctalk send …`".to_owned())
            }
            _ => None,
        }
    }
}

/// What a receipt says of a message that was not handled.
fn unhandled(outcome: ReceiptOutcome, attempt: u32) -> String {
    match (outcome, attempt) {
        (ReceiptOutcome::Refused, _) => "the recipient refused it".to_owned(),
        (_, 0 | 1) => "the recipient failed to handle it".to_owned(),
        (_, attempts) => format!("the recipient failed to handle it, {attempts} times"),
    }
}

/// Why a message is still in the outbox.
fn queued(why: Option<&RelayError>) -> String {
    match why {
        Some(why) => why.to_string(),
        None => "older messages to the same recipient have to leave first".to_owned(),
    }
}

impl RelayError {
    /// The class that callers branch on.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::TimedOut { .. } => {
                Class::RelayUnreachable
            }
            Self::Unauthorized { .. }
            | Self::NoKey { .. }
            | Self::Refused { .. }
            | Self::RateLimited { .. }
            | Self::BadAnswer { .. } => Class::RelayRefused,
            Self::BadUrl { .. } | Self::BadKey | Self::Unsupported { .. } => Class::Usage,
        }
    }

    /// A relay that does not know a route has not what it is for.
    pub(crate) fn or_unsupported(self, what: &'static str) -> Self {
        match self {
            Self::Refused { status: 404, .. } => Self::Unsupported { what },
            other => other,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { url, .. } => Some(format!(
                "is it running? `ctalk health --relay {url}` asks it"
            )),
            Self::TimedOut { .. } | Self::Interrupted { .. } => Some(
                "a message that was being sent may have arrived: ask before sending it again"
                    .to_owned(),
            ),
            Self::Unauthorized { .. } | Self::NoKey { .. } => Some(
                "`ctalk register --relay URL` makes an API key; CLAWTALK_API_KEY overrides it"
                    .to_owned(),
            ),
            Self::Refused {
                code: ctalk_wire::ErrorCode::Conflict,
                ..
            } => Some("take another name: `ctalk --profile OTHER keygen --name NAME`".to_owned()),
            Self::BadUrl { .. } => Some("for example --relay http://127.0.0.1:8787".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Class;

    #[test]
    fn every_class_has_its_own_exit_code_and_it_is_its_number() {
        let codes: BTreeSet<u8> = Class::ALL.iter().map(|class| class.code()).collect();
        assert_eq!(codes.len(), Class::ALL.len());
        for class in Class::ALL {
            assert_eq!(class as u8, class.code());
        }
    }

    #[test]
    fn every_class_has_its_own_word() {
        let words: BTreeSet<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
        assert_eq!(words.len(), Class::ALL.len());
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes: Vec<u8> = Class::ALL.iter().map(|class| class.code()).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 130]);
    }
}
