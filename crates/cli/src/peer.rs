//! Whom an argument names: by a key card, wherever that is, or as a contact.

use std::{cell::OnceCell, path::Path};

use anyhow::Result;
use ctalk::{
    Class, Error, Profile,
    core::{CARD_PREFIX, Card, CardError, MAX_CARD_TEXT_LEN},
    store::{Contact, Store},
    text::without_line_end,
};

use crate::{args::RelayArg, context::Context, exit::Complaint, input};

/// What an argument stands for.
pub(crate) enum Peer {
    /// Somebody's card.
    Card(Box<Card>),
    /// A contact.
    Contact(Box<Contact>),
}

/// Finds peers; the profile's contacts are read when a name asks for them.
pub(crate) struct Peers<'a> {
    context: &'a Context<'a>,
    profile: &'a Profile,
    store: OnceCell<Store>,
}

impl<'a> Peers<'a> {
    pub(crate) fn new(context: &'a Context<'a>, profile: &'a Profile) -> Self {
        Self {
            context,
            profile,
            store: OnceCell::new(),
        }
    }

    /// A card's text, else stdin for `-`, else a file if there is a `/`, else a contact: a name
    /// never is a file, so that none in the current folder takes a contact's place.
    pub(crate) fn find(&self, named: &str) -> Result<Peer> {
        if let Some(card) = card(named)? {
            return Ok(Peer::Card(Box::new(card)));
        }
        let contact = self.store()?.contact(named)?;
        let contact = contact.ok_or_else(|| Error::UnknownContact {
            name: named.to_owned(),
        })?;
        Ok(Peer::Contact(Box::new(contact)))
    }

    /// The card behind an argument, for sealing to it.
    pub(crate) fn card(&self, named: &str) -> Result<Card> {
        let card = match self.find(named)? {
            Peer::Card(card) => *card,
            Peer::Contact(contact) => contact.card.ok_or_else(|| {
                let text = format!("no key card of `{}` is known", contact.name);
                Complaint::new(Class::NotTrusted, text)
                    .hint("ask for it, its owner prints it with `ctalk card`, and give it to --to")
            })?,
        };
        ctalk::check_not_ended(self.store()?, card.name(), card.signing_key())?;
        Ok(card)
    }

    /// The profile's contacts, for other questions.
    pub(crate) fn into_store(self) -> Result<Store> {
        match self.store.into_inner() {
            Some(store) => Ok(store),
            None => self.context.store(self.profile, RelayArg { url: None }),
        }
    }

    fn store(&self) -> Result<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = self.context.store(self.profile, RelayArg { url: None })?;
        Ok(self.store.get_or_init(|| store))
    }
}

/// The card that an argument is or points to; `None` for a name.
pub(crate) fn card(named: &str) -> Result<Option<Card>> {
    if named.starts_with(CARD_PREFIX) {
        return Ok(Some(Card::from_text(named).map_err(refused)?));
    }
    if named != "-" && !named.contains('/') {
        return Ok(None);
    }
    let mut text = Vec::new();
    // Room for a line end of two bytes.
    input::read(Path::new(named), MAX_CARD_TEXT_LEN + 2, &mut text)?;
    let text = str::from_utf8(&text).map_err(|_| refused(CardError::Text))?;
    let line = without_line_end(text);
    Ok(Some(Card::from_text(line).map_err(refused)?))
}

fn refused(error: CardError) -> Complaint {
    Complaint::new(Class::of(error.failure()), error.to_string())
}
