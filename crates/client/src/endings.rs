//! Identities that ended: what a directory's entry says of it, who takes a contact's place, and whom
//! nothing is sent to and taken from any more.
//!
//! Statements stand in an entry's `capabilities`, beside the key card. A relay can hide one, and then
//! its contact's keys changed and nothing more is known; it cannot make one up.

use core::fmt;

use ctalk_core::{
    Card, Fingerprint, Identity, PublicKeys, Revocation, StatementError, StatementKind, Succession,
    Timestamp, VerifyingKey,
    trust::{self, Ending, RevocationStep, Standing, SuccessionRefused},
};
use ctalk_wire::DirectoryEntry;
use serde::{Serialize, Serializer};

use crate::{
    client::Client,
    contacts,
    directory::{self, Directory},
    error::Error,
    store::{Contact, EntryState, Store},
};

/// Most statements of each kind that are read in one entry, because each costs two signatures.
const MAX_STATEMENTS: usize = 64;

/// Something that came up beside what was asked for, and that the user has to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "notice",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum Notice {
    /// Another identity took the contact's place.
    Succeeded {
        /// The contact.
        contact: String,
        /// Fingerprint of the former identity.
        #[serde(serialize_with = "crate::shown::hex")]
        former: Fingerprint,
        /// Fingerprint of the one that the contact has now.
        #[serde(serialize_with = "crate::shown::hex")]
        fingerprint: Fingerprint,
        /// What its keys count for now.
        #[serde(serialize_with = "word")]
        standing: Standing,
    },
    /// The contact's owner ended its identity.
    Revoked {
        /// The contact.
        contact: String,
        /// Its fingerprint.
        #[serde(serialize_with = "crate::shown::hex")]
        fingerprint: Fingerprint,
    },
    /// An identity was revoked after another one had taken its place.
    RevokedAfterSuccession {
        /// The identity that was revoked.
        #[serde(serialize_with = "crate::shown::hex")]
        former: Fingerprint,
        /// The one that took its place, which stays.
        #[serde(serialize_with = "crate::shown::hex")]
        fingerprint: Fingerprint,
    },
    /// An identity that was succeeded names somebody else now.
    SecondSuccessor {
        /// The identity.
        #[serde(serialize_with = "crate::shown::hex")]
        former: Fingerprint,
        /// The successor seen first, which stays.
        #[serde(serialize_with = "crate::shown::hex")]
        fingerprint: Fingerprint,
        /// The successor that is refused.
        #[serde(serialize_with = "crate::shown::hex")]
        refused: Fingerprint,
    },
    /// The relay refuses a message that was in the outbox, where it stays.
    SendFailed {
        /// Its number there.
        number: i64,
        /// Names of those who were to get it.
        to: Vec<String>,
        /// What the relay said.
        why: String,
    },
    /// A message that asked for receipts lived as long as it could, and one of them did not come.
    NoReceipt {
        /// Its number in the outbox.
        number: i64,
        /// Names of those who were to get it.
        to: Vec<String>,
    },
    /// A message was handled, and what its handler says cannot be sent to whoever asked.
    NoReply {
        /// Who asked.
        to: String,
        /// Why it cannot.
        why: String,
    },
    /// A message was in the outbox until its life was over, and is not sent any more.
    SendExpired {
        /// Its number there.
        number: i64,
        /// Names of those who were to get it.
        to: Vec<String>,
    },
    /// Messages in parts were not whole when their lives were over, and what was there of them is dropped.
    Unfinished {
        /// The contact that sent them; `None` for strangers.
        from: Option<String>,
        /// How many messages.
        messages: u64,
    },
    /// Too much lay in the inbox waiting for the user, and the oldest of it was dropped.
    Dropped {
        /// The state that the messages were in: dead, held or quarantined.
        state: EntryState,
        /// How many messages were dropped.
        messages: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded {
                contact,
                former,
                fingerprint,
                standing,
            } => write!(
                formatter,
                "{contact}'s identity {former} was succeeded by {fingerprint}, which is {standing}; \
                 compare the safety number with {contact}"
            ),
            Self::Revoked {
                contact,
                fingerprint,
            } => write!(
                formatter,
                "{contact}'s identity {fingerprint} was revoked by its owner"
            ),
            Self::RevokedAfterSuccession {
                former,
                fingerprint,
            } => write!(
                formatter,
                "{former} was revoked after {fingerprint} had succeeded it; whoever stole the old key \
                 may have named the successor, so compare its fingerprint"
            ),
            Self::SecondSuccessor {
                former,
                fingerprint,
                refused,
            } => SuccessionRefused::Second {
                identity: *former,
                first: *fingerprint,
                second: *refused,
            }
            .fmt(formatter),
            Self::SendFailed { number, to, why } => write!(
                formatter,
                "the relay refuses message {number} to {}, which stays in the outbox: {why}",
                to.join(", ")
            ),
            Self::NoReceipt { number, to } => write!(
                formatter,
                "message {number} to {} was sent, and not everybody gave a receipt in time",
                to.join(", ")
            ),
            Self::NoReply { to, why } => write!(
                formatter,
                "a message of {to} was handled, and the reply cannot be sent: {why}"
            ),
            Self::SendExpired { number, to } => write!(
                formatter,
                "message {number} to {} could not be sent in time and was taken out of the outbox",
                to.join(", ")
            ),
            Self::Unfinished { from, messages } => {
                let from = from.as_deref().unwrap_or("strangers");
                let count = match messages {
                    1 => "a long message".to_owned(),
                    messages => format!("{messages} long messages"),
                };
                write!(
                    formatter,
                    "{count} of {from} did not come in full in time and cannot be read; ask for it again"
                )
            }
            Self::Dropped { state, messages } => write!(
                formatter,
                "the oldest {messages} of the {state} messages were dropped, because the inbox keeps \
                 no more; look after them with `ctalk inbox`"
            ),
        }
    }
}

fn word<S: Serializer>(standing: &Standing, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(standing.as_str())
}

/// What an entry says of identities' ends. Every statement is verified; whether it counts is not
/// decided yet.
struct Statements {
    successions: Vec<Succession>,
    revocations: Vec<Revocation>,
    /// Why a succession could not be read.
    unreadable: Option<StatementError>,
}

impl Statements {
    /// A revocation that cannot be read is an error, because it may be that of whoever is written to.
    fn read(entry: &DirectoryEntry) -> Result<Self, Error> {
        let of_kind = |kind: StatementKind| {
            let texts = entry.capabilities.iter().map(String::as_str);
            texts
                .filter(move |text| text.starts_with(kind.prefix()))
                .take(MAX_STATEMENTS)
        };
        let mut statements = Self {
            successions: Vec::new(),
            revocations: Vec::new(),
            unreadable: None,
        };
        for text in of_kind(StatementKind::Succession) {
            match Succession::from_text(text) {
                Ok(succession) => statements.successions.push(succession),
                Err(error) => statements.unreadable = Some(error),
            }
        }
        for text in of_kind(StatementKind::Revocation) {
            let revocation = Revocation::from_text(text).map_err(|why| Error::BadStatement {
                name: entry.name.clone(),
                why,
            })?;
            statements.revocations.push(revocation);
        }
        Ok(statements)
    }

    /// The successions that lead from one identity to another, in their order.
    fn line(
        &self,
        from: &VerifyingKey,
        to: &VerifyingKey,
    ) -> Result<Option<Vec<&Succession>>, SuccessionRefused> {
        let mut line: Vec<&Succession> = Vec::new();
        let mut last = from;
        while line.is_empty() || last != to {
            let mut by_last = self.successions.iter().filter(|s| s.predecessor() == last);
            let Some(next) = by_last.next() else {
                return Ok(None);
            };
            if let Some(other) = by_last.find(|other| other.successor() != next.successor()) {
                return Err(SuccessionRefused::Second {
                    identity: Fingerprint::native(last),
                    first: Fingerprint::native(next.successor()),
                    second: Fingerprint::native(other.successor()),
                });
            }
            if line.len() == self.successions.len() {
                // Round in a circle.
                return Ok(None);
            }
            line.push(next);
            last = next.successor();
        }
        Ok(Some(line))
    }

    /// The contact that handed over to the identity of an entry which nobody is known by.
    fn predecessor(&self, store: &Store, to: &VerifyingKey) -> Result<Option<Contact>, Error> {
        if let Some(contact) = store.contact_succeeded_by(to)? {
            return Ok(Some(contact));
        }
        for succession in &self.successions {
            let Some(contact) = store.contact_signing_with(succession.predecessor())? else {
                continue;
            };
            // One that is known here under another name has an entry of its own to look at.
            if contact.address.is_none()
                && let Ok(Some(_)) = self.line(succession.predecessor(), to)
            {
                return Ok(Some(contact));
            }
        }
        Ok(None)
    }
}

/// Whether an entry says that its identity succeeded the contact's.
pub(crate) fn is_successor(contact: &Contact, entry: &DirectoryEntry) -> bool {
    let (Ok(statements), Ok(keys)) = (Statements::read(entry), Directory::keys(entry)) else {
        return false;
    };
    let line = statements.line(contact.keys.verifying(), keys.verifying());
    matches!(line, Ok(Some(_)))
}

/// Takes to heart what an entry with these keys says of identities that ended. `known` is the contact
/// that the entry stands for, if any. Returns that contact, or the one that handed over to the entry's
/// identity, with its present keys: they are those of the entry.
///
/// # Errors
/// [`Error::KeyChanged`] when nothing leads from the pinned keys to the entry's, [`Error::Ended`] when
/// the entry's identity ended itself.
pub(crate) fn heed(
    client: &mut Client,
    known: Option<Contact>,
    entry: &DirectoryEntry,
    keys: &PublicKeys,
) -> Result<Option<Contact>, Error> {
    let statements = Statements::read(entry)?;
    let known = match known {
        Some(contact) => Some(contact),
        None => statements.predecessor(&client.store, keys.verifying())?,
    };
    let contact = match known {
        Some(contact) if contact.keys != *keys => {
            check_not_ended(&client.store, &contact.name, keys.verifying())?;
            Some(follow(client, contact, entry, keys, &statements)?)
        }
        other => other,
    };
    let name = contact
        .as_ref()
        .map_or(entry.name.as_str(), |contact| &contact.name);
    let ending = match &contact {
        Some(contact) => end(client, contact, &statements)?,
        None => ending_of_stranger(keys.verifying(), &statements),
    };
    let ended = |why| Error::Ended {
        name: name.to_owned(),
        why,
    };
    trust::not_ended(keys.verifying(), ending.as_ref()).map_err(ended)?;
    check_not_ended(&client.store, name, keys.verifying())?;
    report(client, &statements)?;
    Ok(contact)
}

/// Lets the entry's identity take the contact's place, if the statements lead there.
fn follow(
    client: &mut Client,
    contact: Contact,
    entry: &DirectoryEntry,
    keys: &PublicKeys,
    statements: &Statements,
) -> Result<Contact, Error> {
    let (from, to) = (*contact.keys.verifying(), keys.verifying());
    let refused = |why| succession_refused(&contact, why);
    let known = client.store.ending(&from)? == Some(Ending::Succeeded { successor: *to });
    let line = match statements.line(&from, to).map_err(refused)? {
        Some(line) => line,
        None if known => Vec::new(),
        None => {
            if let Some(why) = statements.unreadable {
                return Err(Error::BadStatement {
                    name: entry.name.clone(),
                    why,
                });
            }
            check_no_second(&client.store, &contact, to, statements)?;
            directory::check_pinned(&contact, keys)?;
            return Ok(contact);
        }
    };
    let Some(card) = Directory::card(entry, keys)? else {
        directory::check_pinned(&contact, keys)?;
        return Ok(contact);
    };
    adopt(client, &contact, &line, &card)
}

/// Tells a second successor of an identity from keys that changed for no reason that is given.
fn check_no_second(
    store: &Store,
    contact: &Contact,
    offered: &VerifyingKey,
    statements: &Statements,
) -> Result<(), Error> {
    for succession in &statements.successions {
        if succession.successor() == offered
            && let Some(Ending::Succeeded { successor }) = store.ending(succession.predecessor())?
        {
            let second = SuccessionRefused::Second {
                identity: Fingerprint::native(succession.predecessor()),
                first: Fingerprint::native(&successor),
                second: Fingerprint::native(offered),
            };
            return Err(succession_refused(contact, second));
        }
    }
    Ok(())
}

/// As [`take_over`], and the user will be told.
pub(crate) fn adopt(
    client: &mut Client,
    contact: &Contact,
    line: &[&Succession],
    card: &Card,
) -> Result<Contact, Error> {
    let now = client.now();
    let successor = take_over(
        &mut client.store,
        &client.identity,
        contact,
        line,
        card,
        now,
    )?;
    client.notices.push(Notice::Succeeded {
        contact: successor.name.clone(),
        former: contact.fingerprint(),
        fingerprint: successor.fingerprint(),
        standing: successor.standing,
    });
    Ok(successor)
}

/// Replaces a contact's keys by those on its successor's card, to which `line` leads or what is known
/// already.
pub(crate) fn take_over(
    store: &mut Store,
    me: &Identity,
    contact: &Contact,
    line: &[&Succession],
    card: &Card,
    now: Timestamp,
) -> Result<Contact, Error> {
    let name = contact.name.as_str();
    check_not_ended(store, name, card.signing_key())?;
    trust::card_update(None, card, now).map_err(Error::CardRefused)?;
    directory::check_holders(name, card.public_keys(), me.public_keys(), store)?;
    contacts::check_known(name, card, me, store)?;
    for succession in line {
        check_holder(store, me, contact, succession.successor())?;
    }
    store
        .record_successions(line, Some((contact, card)), now)?
        .map_err(|why| succession_refused(contact, why))?;
    contacts::found(store, name)
}

fn succession_refused(contact: &Contact, why: SuccessionRefused) -> Error {
    Error::SuccessionRefused {
        name: contact.name.clone(),
        why: Box::new(why),
    }
}

/// Refuses a successor that signs with my key or another contact's.
fn check_holder(
    store: &Store,
    me: &Identity,
    contact: &Contact,
    successor: &VerifyingKey,
) -> Result<(), Error> {
    let conflict = |holder| {
        Error::KeyConflict(trust::KeyConflict {
            offered_name: contact.name.clone(),
            holder,
            part: trust::KeyPart::Signing,
        })
    };
    if me.public_keys().verifying() == successor {
        return Err(conflict(None));
    }
    match store.contact_signing_with(successor)? {
        Some(holder) if holder.id != contact.id => Err(conflict(Some(holder.name))),
        _ => Ok(()),
    }
}

/// Records what the statements say of the contact's own identity, and returns how it ended if it did.
fn end(
    client: &mut Client,
    contact: &Contact,
    statements: &Statements,
) -> Result<Option<Ending>, Error> {
    let (identity, now) = (contact.keys.verifying(), client.now());
    for revocation in &statements.revocations {
        if revocation.identity() == identity
            && client.store.record_revocation(revocation, now)? == RevocationStep::First
        {
            client.notices.push(Notice::Revoked {
                contact: contact.name.clone(),
                fingerprint: contact.fingerprint(),
            });
        }
    }
    for succession in &statements.successions {
        // Its successor's card is not shown here, so there is nobody yet to follow to.
        if succession.predecessor() == identity {
            client
                .store
                .record_successions(&[succession], None, now)?
                .map_err(|why| succession_refused(contact, why))?;
        }
    }
    Ok(client.store.ending(identity)?)
}

/// How the identity of somebody who is no contact ended. Nothing is recorded, or anybody could fill the
/// store with identities made for that.
fn ending_of_stranger(identity: &VerifyingKey, statements: &Statements) -> Option<Ending> {
    let mut revocations = statements.revocations.iter();
    if revocations.any(|revocation| revocation.identity() == identity) {
        return Some(Ending::Revoked);
    }
    let mut successions = statements.successions.iter();
    let succession = successions.find(|succession| succession.predecessor() == identity)?;
    Some(Ending::Succeeded {
        successor: *succession.successor(),
    })
}

/// Tells of statements that come too late to change anything.
fn report(client: &mut Client, statements: &Statements) -> Result<(), Error> {
    for succession in &statements.successions {
        if let Some(Ending::Succeeded { successor }) =
            client.store.ending(succession.predecessor())?
            && successor != *succession.successor()
        {
            client.notices.push(Notice::SecondSuccessor {
                former: Fingerprint::native(succession.predecessor()),
                fingerprint: Fingerprint::native(&successor),
                refused: Fingerprint::native(succession.successor()),
            });
        }
    }
    for revocation in &statements.revocations {
        if let Some(Ending::Succeeded { successor }) = client.store.ending(revocation.identity())? {
            client.notices.push(Notice::RevokedAfterSuccession {
                former: Fingerprint::native(revocation.identity()),
                fingerprint: Fingerprint::native(&successor),
            });
        }
    }
    Ok(())
}

/// Refuses an identity that has ended, under the name that it goes by here.
///
/// # Errors
/// [`Error::Ended`], [`Error::Store`].
pub fn check_not_ended(store: &Store, name: &str, identity: &VerifyingKey) -> Result<(), Error> {
    let ending = store.ending(identity)?;
    trust::not_ended(identity, ending.as_ref()).map_err(|why| Error::Ended {
        name: name.to_owned(),
        why,
    })
}

/// Refuses to speak for an identity of one's own that has ended.
///
/// # Errors
/// [`Error::OwnIdentityEnded`], [`Error::Store`].
pub fn check_own_not_ended(store: &Store, me: &PublicKeys) -> Result<(), Error> {
    let ending = store.ending(me.verifying())?;
    trust::not_ended(me.verifying(), ending.as_ref()).map_err(|why| Error::OwnIdentityEnded { why })
}
