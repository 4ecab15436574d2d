//! From whom an envelope is taken, and how its sender is shown.

use anyhow::Result;
use ctalk::{
    Class,
    core::{Fingerprint, VerifyingKey, envelope::VerifiedHeader, trust::Standing},
    store::Store,
    text::distinct,
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
    /// Where the contacts are.
    store: Store,
    /// The option that accepts all others too, if the command has it, and whether it is set.
    any: Option<bool>,
}

/// What is known of a sender who is accepted.
pub(crate) struct Known {
    /// The contact's name.
    pub(crate) name: Option<String>,
    /// The word for it.
    pub(crate) trust: &'static str,
}

impl Senders {
    pub(crate) fn new(from: Option<&str>, any: Option<bool>, peers: Peers<'_>) -> Result<Self> {
        let named = match from.map(|from| peers.find(from)).transpose()? {
            Some(Peer::Card(card)) => Some(*card.signing_key()),
            Some(Peer::Contact(contact)) => Some(*contact.keys.verifying()),
            None => None,
        };
        Ok(Self {
            named,
            store: peers.into_store()?,
            any,
        })
    }

    /// What is known of a sender; refuses one who is not accepted.
    pub(crate) fn check(&self, header: &VerifiedHeader) -> Result<Known> {
        let sender = header.sender();
        let refuse = |text: String, hint: &str| {
            Err(Complaint::new(Class::NotTrusted, text).hint(hint).into())
        };
        let fingerprint = Fingerprint::native(sender);
        if let Some(named) = self.named.filter(|named| named != sender) {
            let named = Fingerprint::native(&named);
            return refuse(
                format!("the envelope is from {fingerprint}, not from {named}"),
                "ask over another channel who sent it",
            );
        }
        let contact = self.store.contact_signing_with(sender)?;
        let name = contact
            .as_ref()
            .map_or("the sender", |contact| &contact.name);
        ctalk::check_not_ended(&self.store, name, sender)?;
        match contact {
            Some(contact) if contact.standing == Standing::Blocked => {
                let text = format!("the envelope is from {}, who is blocked", contact.name);
                let hint = format!("ctalk contact unblock {}", contact.name);
                Err(Complaint::new(Class::Refused, text).hint(hint).into())
            }
            Some(contact) => Ok(Known {
                trust: contact.standing.as_str(),
                name: Some(contact.name),
            }),
            None if self.named.is_some() => Ok(Known {
                name: None,
                trust: "named",
            }),
            None if self.any == Some(true) => Ok(Known {
                name: None,
                trust: UNKNOWN,
            }),
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
}

impl Known {
    /// The sender in words.
    pub(crate) fn describe(&self, fingerprint: &Fingerprint) -> String {
        match &self.name {
            Some(name) => format!("{} {fingerprint} ({})", distinct(name), self.trust),
            None => format!("{fingerprint} ({})", self.trust),
        }
    }
}
