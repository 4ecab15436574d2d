//! Texts that the service keeps and cannot read: sealed to contacts, and opened where they are mine.

use std::io::Cursor;

use anyhow::Result;
use ctalk::{
    Class,
    core::{
        Card, Identity,
        envelope::{Kind, MAX_LIFE, Metadata, Sealing, TEXT_PREFIX, VerifiedHeader},
    },
    stream::{self, Form, StreamError},
};
use serde_json::Value;

use crate::{commands, context::Context, exit::Complaint, peer::Peers, senders::Senders};

/// Seals texts to some contacts.
pub(super) struct Sealer {
    identity: Identity,
    cards: Vec<Card>,
}

impl Sealer {
    /// For the named contacts; none where nobody is named.
    pub(super) fn new(names: &[String], context: &Context<'_>) -> Result<Option<Self>> {
        if names.is_empty() {
            return Ok(None);
        }
        let profile = context.profile()?;
        let peers = Peers::new(context, &profile);
        let cards = names.iter().map(|name| peers.card(name));
        let mut cards = cards.collect::<Result<Vec<_>>>()?;
        let (_, secrets) = context.keystore(&profile)?;
        context.check_not_ended(&profile, &secrets)?;
        // What is kept is to be read by whoever wrote it, too.
        cards.extend(secrets.card().and_then(|text| Card::from_text(text).ok()));
        let identity = secrets.unlock()?;
        Ok(Some(Self { identity, cards }))
    }

    /// A text that only they can read, for as long as an envelope lives.
    pub(super) fn seal(&self, text: &str) -> Result<String> {
        let created = commands::now();
        let expires = created
            .checked_add(MAX_LIFE)
            .ok_or_else(|| Complaint::new(Class::Usage, "this machine's clock is wrong"))?;
        let metadata = Metadata::new(Kind::Notification, "text/plain");
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let sealing = Sealing::new(
            &self.identity,
            &self.cards,
            &metadata,
            created,
            expires,
            &mut rng,
        )
        .map_err(StreamError::from)?;
        let mut sealed = Vec::new();
        stream::seal(
            sealing,
            Form::Text,
            Cursor::new(text.to_owned()),
            &mut sealed,
            |_| {},
        )?;
        Ok(String::from_utf8(sealed)?.trim_end().to_owned())
    }
}

/// Opens texts that contacts, or this agent itself, have sealed.
pub(super) struct Opener {
    identity: Identity,
    senders: Senders,
}

/// A text that was opened.
pub(super) struct Opened {
    /// The contact who sealed it; none for this agent itself.
    pub(super) from: Option<String>,
    pub(super) text: String,
}

impl Opener {
    /// None where there is no profile, so that there is nothing to open with.
    pub(super) fn new(context: &Context<'_>) -> Result<Option<Self>> {
        let Ok(profile) = context.profile() else {
            return Ok(None);
        };
        let (_, secrets) = context.keystore(&profile)?;
        let identity = secrets.unlock()?;
        let senders = Senders::new(None, Some(false), Peers::new(context, &profile))?;
        Ok(Some(Self { identity, senders }))
    }

    /// The words in an envelope; none if it is not for this agent, or of nobody whom it knows. It is kept,
    /// not delivered, so that its age does not matter.
    pub(super) fn open(&self, sealed: &str) -> Option<Opened> {
        let reader = || Cursor::new(sealed.to_owned());
        let now = commands::now().min(stream::inspect(reader(), |_| {}).ok()?.claims.expires);
        let mut from = None;
        let mut text = Vec::new();
        let decide = |header: &VerifiedHeader| {
            if header.sender() != self.identity.public_keys().verifying() {
                from = self.senders.check(header)?.name;
            }
            Ok::<_, anyhow::Error>(())
        };
        stream::open(&self.identity, now, reader(), &mut text, decide, |_| {}).ok()?;
        let text = String::from_utf8(text).ok()?;
        Some(Opened { from, text })
    }

    /// Opens every text in a value that is an envelope and can be opened.
    pub(super) fn open_all(&self, value: &mut Value) {
        match value {
            Value::String(text) if text.starts_with(TEXT_PREFIX) => {
                if let Some(opened) = self.open(text) {
                    *text = opened.text;
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.open_all(value)),
            Value::Object(object) => object.values_mut().for_each(|value| self.open_all(value)),
            _ => {}
        }
    }
}
