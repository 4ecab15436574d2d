//! The judging of one message: whose it is, and whether it may be handed over.

use ctalk_core::{
    Card, PublicKeys, VerifyingKey,
    classic::{Malformed, Message},
    envelope::EnvelopeId,
    trust::{self, Standing},
};

use super::{Receiving, Snapshot, enforce::Quota, parts::RefusedPart};
use crate::{
    client::Client,
    contacts,
    directory::{self, Directory, Listing},
    endings,
    error::Error,
    message::{Reason, Received, Trust},
    relay::{Incoming, RelayError},
    store::{CallKey, Contact, Entry, Learned, Mark, SeenBefore, StoreError},
};

/// Longest name of a sender, in bytes; relays allow 32 characters or do not say.
const MAX_NAME: usize = 128;

/// Judges one message.
pub(super) struct Judge<'a> {
    pub(super) client: &'a mut Client,
    pub(super) receiving: &'a mut Receiving,
    pub(super) entry: &'a Entry,
    pub(super) may_pin: bool,
}

impl Judge<'_> {
    pub(super) async fn judge(
        &mut self,
        message: Result<Incoming, Malformed>,
    ) -> Result<Verdict, Refusal> {
        let message = message.map_err(|error| Refusal::message(Reason::Malformed, error))?;
        if !has_usable_sender(&message) {
            return Err(Refusal::message(
                Reason::Malformed,
                "the sender's name is over-long or holds control characters",
            ));
        }
        match message {
            Incoming::Native { claims, text } => self.native(claims, &text).await,
            Incoming::Part { claims, text } => self.part(claims, &text).await,
            Incoming::Pairing { .. } => Ok(Verdict::Pairing),
            Incoming::Classic(_) if self.client.require.native => Err(Refusal::message(
                Reason::Downgrade,
                "this is no envelope, and one is required",
            )),
            Incoming::Classic(Message::Signed(message)) => self.signed(message).await,
            Incoming::Classic(Message::Unsigned(message)) => self.unsigned(message).await,
            Incoming::Classic(Message::Plain(message)) => self.plain(message).await,
        }
    }

    /// Whoever has a key card writes envelopes; anything weaker under that name or those keys is not
    /// from there.
    pub(super) fn refuse_downgrade(
        &self,
        from: &str,
        keys: Option<&PublicKeys>,
    ) -> Result<(), Refusal> {
        let store = &self.client.store;
        let by_name = [store.contact_at(from)?, store.contact(from)?];
        let holders = keys.map(|keys| store.holders(keys)).transpose()?;
        let mut by_key = Vec::new();
        for holder in holders.unwrap_or_default() {
            by_key.extend(store.contact(&holder.name)?);
        }
        let mut named = by_name.into_iter().flatten().chain(by_key);
        match named.find(|contact| contact.card.is_some()) {
            None => Ok(()),
            Some(contact) => Err(Refusal::message(
                Reason::Downgrade,
                format!("{} has a key card, and this is no envelope", contact.name),
            )),
        }
    }

    /// What is known about a signer: whatever its contact counts for, if it is one.
    pub(super) fn trust(&self, contact: Option<&Contact>) -> Result<Trust, Refusal> {
        let trust = match contact.map(|contact| contact.standing) {
            Some(Standing::Verified) => Trust::Verified,
            Some(_) => Trust::Pinned,
            None => Trust::Unknown,
        };
        self.require_trust(trust)?;
        Ok(trust)
    }

    pub(super) fn require_trust(&self, trust: Trust) -> Result<(), Refusal> {
        if self.client.require.verified && trust != Trust::Verified {
            return Err(Refusal::message(
                Reason::Unverified,
                "its sender is not verified, and that is required",
            ));
        }
        Ok(())
    }

    /// Whether this very copy was handled before, or is in somebody's hands; another copy of something
    /// handled is refused.
    pub(super) fn was_handled(&self, mark: &Mark) -> Result<bool, Refusal> {
        let relay_id = self.entry.relay_id.as_deref();
        let before = self.client.store.seen(self.entry.number, mark, relay_id)?;
        match before {
            SeenBefore::Never => Ok(false),
            SeenBefore::SameCopy => Ok(true),
            SeenBefore::OtherCopy => Err(Refusal::message(
                Reason::Replayed,
                "the same message came before, under another id",
            )),
        }
    }

    /// The keys to hold a message against: the pinned ones, else those of the directory. Those of an
    /// identity that has ended are none.
    pub(super) async fn sender(&mut self, from: &str) -> Result<Sender, Refusal> {
        let sender = self.listed_sender(from).await?;
        self.check_not_ended(sender.keys().verifying())?;
        Ok(sender)
    }

    pub(super) fn check_not_ended(&self, identity: &VerifyingKey) -> Result<(), Refusal> {
        let ending = self.client.store.ending(identity)?;
        trust::not_ended(identity, ending.as_ref())
            .map_err(|ended| Refusal::message(Reason::Ended, ended))
    }

    async fn listed_sender(&mut self, from: &str) -> Result<Sender, Refusal> {
        if let Some(contact) = self.client.store.contact_at(from)? {
            return Sender::pinned(contact);
        }
        let Some(directory) = self.directory().await? else {
            return Err(Refusal::message(
                Reason::UnknownSender,
                format!("`{from}` is no contact, and this relay has no directory"),
            ));
        };
        match directory.exact(from) {
            Listing::One(entry) => {
                let (keys, card) = directory::listed_keys(entry)
                    .map_err(|error| Refusal::message(Reason::UnknownSender, error))?;
                // A contact is one under whatever name and at whatever relay its keys are shown.
                match self.client.store.contact_signing_with(keys.verifying())? {
                    Some(contact) if contact.keys == keys => Sender::pinned(contact),
                    _ => Ok(Sender::Offered(Box::new(Offer {
                        name: from.to_owned(),
                        keys,
                        card,
                    }))),
                }
            }
            Listing::Absent => Err(Refusal::message(
                Reason::UnknownSender,
                format!("the relay knows no agent `{from}`"),
            )),
            Listing::Ambiguous => Err(Refusal::message(
                Reason::KeyConflict,
                format!("the relay lists `{from}` more than once, with different keys"),
            )),
        }
    }

    pub(super) async fn check_first_contact(&mut self, offer: &Offer) -> Result<(), Refusal> {
        self.directory().await?;
        let directory = match &self.receiving.directory {
            Snapshot::Taken(directory) => Some(&**directory),
            _ => None,
        };
        let Offer { name, keys, .. } = offer;
        let (me, store) = (self.client.identity.public_keys(), &self.client.store);
        let checked = directory::check_first_contact(directory, name, name, keys, me, store);
        let checked = checked.and_then(|()| match &offer.card {
            Some(card) => contacts::check_card(name, card, &self.client.identity, store),
            None => Ok(()),
        });
        match checked {
            Err(error @ (Error::KeyConflict(_) | Error::CardRefused(_))) => {
                Err(Refusal::message(Reason::KeyConflict, error))
            }
            other => Ok(other?),
        }
    }

    /// Pins a sender, with the card where it is one that may be used.
    pub(super) fn pin(&mut self, offer: &Offer, card: Option<&Card>) -> Result<(), Refusal> {
        let pin = directory::Pin {
            name: &offer.name,
            address: &offer.name,
            keys: &offer.keys,
            card: card.filter(|card| self.may_use(&offer.name, card)),
            learned: if self.entry.is_accepted {
                Learned::FirstUse
            } else {
                Learned::FirstMessage
            },
        };
        match pin.store(&mut self.client.store, self.client.clock.now()) {
            Err(error @ Error::NameTaken { .. }) => {
                Err(Refusal::message(Reason::KeyConflict, error))
            }
            Err(error @ Error::UnusualName { .. }) => {
                Err(Refusal::message(Reason::UnknownSender, error))
            }
            other => Ok(other?),
        }
    }

    fn may_use(&self, name: &str, card: &Card) -> bool {
        let Client {
            identity, store, ..
        } = &*self.client;
        trust::card_update(None, card, self.client.now()).is_ok()
            && contacts::check_card(name, card, identity, store).is_ok()
    }

    /// A pinned sender whose message fails may have other keys now: then that is the reason.
    pub(super) async fn explain(
        &mut self,
        sender: &Sender,
        reason: Reason,
        error: impl core::fmt::Display,
    ) -> Refusal {
        let detail = error.to_string();
        if let Sender::Pinned(contact) = sender {
            let address = contact.address.as_deref().unwrap_or(&contact.name);
            // Without an answer of the directory the message is refused for what it is.
            if let Ok(Some(directory)) = self.directory().await
                && let Listing::One(entry) = directory.exact(address)
                && let Ok(keys) = Directory::keys(entry)
                && let Err(change) = directory::check_pinned(contact, &keys)
            {
                return Refusal::message(Reason::KeyChanged, change);
            }
        }
        Refusal::Message(reason, detail)
    }

    /// The contact whose place the signer takes by what the directory says of `from`, brought up to
    /// date.
    pub(super) async fn successor(
        &mut self,
        from: &str,
        signer: &VerifyingKey,
    ) -> Result<Option<Contact>, Refusal> {
        if !self.may_pin {
            return Ok(None);
        }
        // Without an answer of the directory nobody is known to have succeeded anybody.
        let Ok(Some(directory)) = self.directory().await else {
            return Ok(None);
        };
        let Listing::One(entry) = directory.exact(from) else {
            return Ok(None);
        };
        let entry = entry.clone();
        let Ok(keys) = Directory::keys(&entry) else {
            return Ok(None);
        };
        if keys.verifying() != signer {
            return Ok(None);
        }
        let known = self.client.store.contact_at(from)?;
        match endings::heed(self.client, known, &entry, &keys) {
            Err(Error::KeyChanged { .. }) => Ok(None),
            Err(error) => Err(Refusal::of_succession(error)),
            Ok(contact) => Ok(contact),
        }
    }

    /// Finds out where somebody who was added by the card is at this relay, to be answered there.
    pub(super) async fn locate(&mut self, contact: &Contact) {
        if contact.address.is_some() {
            return;
        }
        // Whom it does not show, or with other keys, is not answered here.
        let entry = match self.directory().await {
            Ok(Some(directory)) => directory.entry_of(contact).ok().cloned(),
            _ => None,
        };
        if let Some(entry) = entry {
            let _ = contacts::meet(self.client, None, &entry, None);
        }
    }

    /// The directory, asked at most once in the life of this run; `None` where there is none.
    async fn directory(&mut self) -> Result<Option<&Directory>, Refusal> {
        let is_needed = match &self.receiving.directory {
            Snapshot::NotAsked => true,
            // Whoever wrote a message that another worker stored since then may have come after it.
            Snapshot::None | Snapshot::Taken(_) => self.receiving.asked_at < self.entry.stored_at,
            // A sender's later message must not get an answer where an earlier one got none.
            Snapshot::Failed(_) => false,
        };
        if is_needed {
            self.receiving.asked_at = self.client.clock.now();
            // The answer may take long, and what was handled must not wait for it.
            self.client.settle_unsettled(self.receiving)?;
            self.receiving.directory = match Directory::fetch(&*self.client.relay).await {
                Ok(Some(directory)) => Snapshot::Taken(Box::new(directory)),
                Ok(None) => Snapshot::None,
                Err(error) => Snapshot::Failed(error),
            };
        }
        match &self.receiving.directory {
            Snapshot::Taken(directory) => Ok(Some(directory)),
            Snapshot::None | Snapshot::NotAsked => Ok(None),
            Snapshot::Failed(error) => Err(Refusal::Relay(error.clone())),
        }
    }
}

/// Whether the name of the sender can be shown and written to.
pub(crate) fn has_usable_sender(message: &Incoming) -> bool {
    let from = &message.claims().from;
    from.len() <= MAX_NAME && !from.chars().any(crate::text::is_unsafe)
}

/// Whose keys a message is held against.
pub(super) enum Sender {
    Pinned(Box<Contact>),
    Offered(Box<Offer>),
}

/// What the relay shows for somebody who is no contact.
pub(super) struct Offer {
    pub(super) name: String,
    pub(super) keys: PublicKeys,
    pub(super) card: Option<Card>,
}

impl Sender {
    /// The contact, unless it only wrote first.
    pub(super) fn known(&self) -> Option<i64> {
        match self {
            Self::Pinned(contact) => (!contact.only_wrote_first()).then_some(contact.id),
            Self::Offered(_) => None,
        }
    }

    pub(super) fn pinned(contact: Contact) -> Result<Self, Refusal> {
        if contact.standing == Standing::Blocked {
            let detail = format!("{} is blocked", contact.name);
            return Err(Refusal::Message(Reason::Blocked, detail));
        }
        Ok(Self::Pinned(Box::new(contact)))
    }

    pub(super) fn keys(&self) -> &PublicKeys {
        match self {
            Self::Pinned(contact) => &contact.keys,
            Self::Offered(offer) => &offer.keys,
        }
    }
}

pub(super) enum Verdict {
    Deliver(Box<Delivered>),
    /// It is a copy of a message that was handled, or is in somebody's hands.
    HandledBefore(Mark),
    /// It is for whoever pairs, and never for the caller.
    Pairing,
    /// It is a part of an envelope that is not whole, stored with the others.
    Part,
    /// It is a part, and is not stored with the others of its envelope.
    RefusedPart(RefusedPart),
    /// It was for ctalk itself, which has done what it says.
    Absorbed(Mark),
    /// It is the response to a call, for whoever made that.
    Awaited(Box<Awaited>),
}

pub(super) struct Awaited {
    pub(super) delivered: Delivered,
    pub(super) call: CallKey,
    /// How long it is waited for, in milliseconds since the Unix epoch.
    pub(super) until: i64,
}

pub(super) struct Delivered {
    pub(super) message: Received,
    pub(super) mark: Mark,
    /// The key that signed it.
    pub(super) signer: Option<[u8; 32]>,
    pub(super) pinned_now: bool,
    pub(super) quota: Option<Quota>,
    /// The envelope's id, where its sender wants a receipt.
    pub(super) receipt: Option<EnvelopeId>,
}

/// Why there is no message to deliver.
pub(super) enum Refusal {
    /// This message is at fault.
    Message(Reason, String),
    /// The message is valid, and the policy wants the user to decide.
    Held(String),
    /// The relay could not be asked; nothing is said about the message.
    Relay(RelayError),
    /// This machine is at fault, and the run cannot go on.
    Local(Error),
}

impl Refusal {
    pub(super) fn message(reason: Reason, detail: impl core::fmt::Display) -> Self {
        Self::Message(reason, detail.to_string())
    }

    /// Why the sender is not somebody's successor; it is the message that suffers.
    pub(super) fn of_succession(error: Error) -> Self {
        let reason = match &error {
            Error::Ended { .. } | Error::SuccessionRefused { .. } => Reason::Ended,
            Error::KeyConflict(_) => Reason::KeyConflict,
            Error::BadCard { .. } | Error::BadStatement { .. } => Reason::UnknownSender,
            Error::KeyChanged { .. } | Error::CardRefused(_) => Reason::KeyChanged,
            _ => return error.into(),
        };
        Self::message(reason, error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Relay(error) => Self::Relay(error),
            other => Self::Local(other),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Local(Error::Store(error))
    }
}
