//! Opening ahead: while one message is made durable and handled, the next one is verified and opened on
//! another thread.
//!
//! That saves time and decides nothing. The message is judged when its turn comes, as any other, and only
//! the signature and the decryption, which depend on its bytes and the own keys alone, are not done again.
//! What cannot be opened ahead, for whatever reason, is opened in its turn, which says why.

use std::sync::Arc;

use ctalk_core::{
    Identity, Timestamp,
    envelope::{self, Envelope, Opened},
};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{Receiving, native::received_at};
use crate::{
    client::Client,
    error::Error,
    relay::{Incoming, Relay},
    store::Entry,
};

/// A message that is being opened before its turn.
pub(super) struct Ahead {
    number: i64,
    opened: JoinHandle<Option<Opened>>,
}

impl Client {
    /// Begins to open the message that is likely to be next, unless that is being done.
    pub(super) fn open_ahead(&self, receiving: &mut Receiving) -> Result<(), Error> {
        let (Ok(runtime), Some((_, number))) = (
            Handle::try_current(),
            self.store.next_place(receiving.place)?,
        ) else {
            return Ok(());
        };
        let is_begun = |ahead: &Ahead| ahead.number == number;
        if receiving.opened_ahead.as_ref().is_some_and(is_begun) {
            return Ok(());
        }
        let Some(entry) = self.store.new_entry(number)? else {
            return Ok(());
        };
        let (relay, identity) = (Arc::clone(&self.relay), Arc::clone(&self.identity));
        let now = self.now();
        let opened = runtime.spawn_blocking(move || open(&entry, &*relay, &identity, now));
        receiving.opened_ahead = Some(Ahead { number, opened });
        Ok(())
    }
}

impl Receiving {
    /// The message as it was opened ahead, if it was.
    pub(super) async fn take_opened(&mut self, number: i64) -> Option<Opened> {
        let ahead = self.opened_ahead.take_if(|ahead| ahead.number == number)?;
        ahead.opened.await.ok().flatten()
    }
}

fn open(entry: &Entry, relay: &dyn Relay, identity: &Identity, now: Timestamp) -> Option<Opened> {
    let Ok(Incoming::Native { text, .. }) = relay.read(&entry.raw) else {
        return None;
    };
    let bytes = envelope::from_text(&text).ok()?;
    let verified = Envelope::parse(&bytes).ok()?.verify().ok()?;
    let received_at = received_at(entry.stored_at, verified.header().created(), now);
    verified.open(identity, received_at).ok()
}
