//! From whom an envelope is taken, and how its sender is shown.

use anyhow::Result;
use ctalk::{
    Class, Trust,
    core::{Fingerprint, VerifyingKey, envelope::VerifiedHeader},
    text::escaped,
};

use crate::{
    exit::Complaint,
    peer::{Peer, Peers},
};

/// The word for a sender of whom nothing is known.
pub(crate) const UNKNOWN: &str = "unknown";

/// The senders that are accepted.
pub(crate) struct Senders {
    /// The one that the user named.
    named: Option<VerifyingKey>,
    /// Contacts by their local names.
    contacts: Vec<(VerifyingKey, String)>,
    /// The option that accepts all others too, if the command has it, and whether it is set.
    any: Option<bool>,
}

/// What is known of a sender.
pub(crate) struct Known<'s> {
    /// The contact's name.
    pub(crate) name: Option<&'s str>,
    /// The word for it.
    pub(crate) trust: &'static str,
}

impl Senders {
    pub(crate) fn new(from: Option<&str>, any: Option<bool>, peers: &Peers<'_>) -> Result<Self> {
        let named = match from.map(|from| peers.find(from)).transpose()? {
            Some(Peer::Card(card)) => Some(*card.signing_key()),
            Some(Peer::Contact(contact)) => Some(*contact.keys.verifying()),
            None => None,
        };
        let contacts = peers.store()?.contacts()?;
        let contacts = contacts
            .into_iter()
            .map(|contact| (*contact.keys.verifying(), contact.name))
            .collect();
        Ok(Self {
            named,
            contacts,
            any,
        })
    }

    /// Refuses a sender who is not accepted.
    pub(crate) fn check(&self, header: &VerifiedHeader) -> Result<()> {
        let sender = header.sender();
        let refuse = |text: String, hint: &str| {
            Err(Complaint::new(Class::NotTrusted, text).hint(hint).into())
        };
        let fingerprint = Fingerprint::native(sender);
        match self.named {
            Some(named) if named == *sender => Ok(()),
            Some(named) => refuse(
                format!(
                    "the envelope is from {fingerprint}, not from {}",
                    Fingerprint::native(&named)
                ),
                "ask over another channel who sent it",
            ),
            None if self.any == Some(true) || self.known(sender).name.is_some() => Ok(()),
            None => refuse(
                format!("the envelope is from {fingerprint}, who is no contact"),
                if self.any.is_some() {
                    "compare the fingerprint, then name the sender's key card with --from; \
                     --any-sender takes it from anybody"
                } else {
                    "compare the fingerprint, then name the sender's key card with --from"
                },
            ),
        }
    }

    pub(crate) fn known(&self, sender: &VerifyingKey) -> Known<'_> {
        let contact = self.contacts.iter().find(|(key, _)| key == sender);
        let trust = match contact {
            Some(_) => Trust::Pinned.as_str(),
            None if self.named.as_ref() == Some(sender) => "named",
            None => UNKNOWN,
        };
        Known {
            name: contact.map(|(_, name)| name.as_str()),
            trust,
        }
    }
}

impl Known<'_> {
    /// The sender in words.
    pub(crate) fn describe(&self, fingerprint: &Fingerprint) -> String {
        match self.name {
            Some(name) => format!("{} {fingerprint} ({})", escaped(name), self.trust),
            None => format!("{fingerprint} ({})", self.trust),
        }
    }
}
