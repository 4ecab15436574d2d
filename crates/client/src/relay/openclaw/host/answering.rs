//! Handling what clients ask, and saying on the way what happens.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::desk::Desk;
use crate::{
    clock::Clock,
    handler::{Attempt, Handler, Outcome, Show},
    message::{Received, Trust},
    store::{Learned, NewContact, Store, StoreError},
};

/// How often a client is told that the agent is at work.
const TYPING: Duration = Duration::from_secs(6);
/// How long a client is not shown more of an answer, in milliseconds, and the most bytes of one that is shown
/// before it is complete.
const SHOWN: i64 = 250;
const MAX_SHOWN: usize = 64 << 10;

/// A handler whose answers go to who asked: those to a contact the worker seals, all others are said in the
/// clear. What comes in the clear is handled one after the other in each session, which is a group or a
/// sender by his own word.
pub struct Answering {
    pub(super) handler: Box<dyn Handler>,
    pub(super) desk: Arc<Desk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Mutex<Store>,
    /// Lets as many messages be handled at once.
    pub(super) turns: tokio::sync::Semaphore,
    pub(super) sessions: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

#[async_trait]
impl Handler for Answering {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        let message = &attempt.message;
        let ask = message.relay_id.as_deref().unwrap_or_default();
        if let (Some(from), Some(fingerprint)) = (&message.from, &message.fingerprint) {
            if let Err(error) = self.give_address(from, fingerprint) {
                return Outcome::Retry {
                    why: error.to_string(),
                    after: None,
                };
            }
            self.desk.handles(fingerprint, ask);
            return self.work(ask, attempt, &|_| {}).await;
        }
        let session = self.session(message);
        let turn = session.lock().await;
        let shown = AtomicI64::new(i64::MIN);
        let show = |so_far: &[u8]| self.show(ask, so_far, &shown);
        let outcome = self.work(ask, attempt, &show).await;
        drop(turn);
        if let (Outcome::Done { output }, Trust::Plaintext) = (&outcome, message.trust) {
            match str::from_utf8(output) {
                Ok(text) => {
                    // Who is gone gets nothing, as everywhere in this protocol.
                    let _ = self.desk.respond(ask, text);
                }
                Err(_) => self.desk.fail(ask, "The answer is no text"),
            }
            self.desk.forget(ask);
        }
        outcome
    }
}

impl Answering {
    /// Runs the handler, and says that it runs.
    async fn work(&self, ask: &str, attempt: &Attempt, show: Show<'_>) -> Outcome {
        let _turn = self.turns.acquire().await;
        let mut handled = self.handler.handle_shown(attempt, show);
        loop {
            self.desk.typing(ask);
            tokio::select! {
                outcome = &mut handled => return outcome,
                () = self.clock.sleep(TYPING) => {}
            }
        }
    }

    /// Shows what the handler says so far, now and then.
    fn show(&self, ask: &str, so_far: &[u8], shown: &AtomicI64) {
        let now = self.clock.monotonic();
        let is_due = now.saturating_sub(shown.load(Ordering::Relaxed)) >= SHOWN;
        if so_far.len() > MAX_SHOWN || !is_due {
            return;
        }
        // What ends within a character is shown when that has come.
        if let Ok(text) = str::from_utf8(so_far) {
            shown.store(now, Ordering::Relaxed);
            self.desk.stream(ask, text);
        }
    }

    fn session(&self, message: &Received) -> Arc<tokio::sync::Mutex<()>> {
        let name = match &message.topic {
            Some(group) => format!("in {group}"),
            None => format!("of {}", message.relay_from),
        };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| Arc::strong_count(session) > 1);
        Arc::clone(sessions.entry(name).or_default())
    }

    /// Answers find a contact by its fingerprint.
    fn give_address(&self, from: &str, fingerprint: &str) -> Result<(), StoreError> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(contact) = store.contact(from)? else {
            return Ok(());
        };
        if contact.address.as_deref() == Some(fingerprint) {
            return Ok(());
        }
        let known = NewContact {
            name: &contact.name,
            address: Some(fingerprint),
            keys: &contact.keys,
            card: None,
            learned: Learned::Card,
            standing: contact.standing,
        };
        store.pin(known, self.clock.now())
    }
}
