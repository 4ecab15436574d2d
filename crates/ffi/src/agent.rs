//! What a `ctalk_client` stands for, and how several threads share it.
//!
//! Calls run on the threads that make them, on the client's one runtime, and take turns. Whoever only
//! waits for messages lets others go before it, so that a message can be committed, or another one sent,
//! while a thread waits for the next.

use std::{
    collections::VecDeque,
    io,
    ops::{Deref, DerefMut},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ctalk::{
    Client, Contract, Event, Filter, Following, Profile, Require, SetAside,
    clock::SystemClock,
    core::{Card, Identity},
    keystore::{Keystore, Kind, Passphrase, PassphraseSource},
    relay::clawtalk::BearerKey,
    shown::Failure,
    store::Store,
};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{self, Notify, watch},
};
use zeroize::Zeroizing;

use crate::{
    code::Code,
    error::Fault,
    handle,
    message::Unsaid,
    options,
    process::{self, Ours},
    shown,
    stopper::{Stopper, ctalk_stopper},
};

/// Most events that are kept for somebody to take them.
const MAX_EVENTS: usize = 1000;
/// How often the own keys are looked after.
const REFRESH: Duration = Duration::from_secs(60 * 60);

/// How a client is opened.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Opening {
    folder: Option<PathBuf>,
    passphrase: Option<Zeroizing<String>>,
    passphrase_file: Option<PathBuf>,
    relay: Option<String>,
    api_key: Option<Zeroizing<String>>,
    require: Option<Require>,
}

/// How messages are handed over.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Manner {
    topic: Option<String>,
    /// Milliseconds since the Unix epoch.
    since: Option<i64>,
    handler: Option<String>,
    interval_ms: Option<u64>,
    max_attempts: Option<u32>,
    retry_after_ms: Option<u64>,
    unordered: bool,
    unsigned: bool,
    keep: bool,
    sanitize: Option<bool>,
}

impl Manner {
    fn contract(&self) -> Contract {
        let first_pause = self
            .retry_after_ms
            .map_or(Contract::HANDLER.first_pause, Duration::from_millis);
        Contract {
            is_ordered: !self.unordered,
            most_attempts: self.max_attempts.or(Contract::HANDLER.most_attempts),
            first_pause,
            longest_pause: Contract::HANDLER.longest_pause.max(first_pause),
            keeps_done: self.keep,
            holds_unsigned: !self.unsigned,
            sanitizes: self.sanitize.unwrap_or(true),
        }
    }

    fn filter(&self) -> Filter {
        Filter {
            topic: self.topic.clone(),
            since: self.since,
        }
    }
}

/// One open profile.
pub(crate) struct Agent {
    inner: Ours<Inner>,
}

struct Inner {
    desk: sync::Mutex<Desk>,
    /// Held by the one call that waits for messages; others of its kind queue here, and not for a turn.
    watch: sync::Mutex<()>,
    /// How many calls wait for their turn.
    waiting: AtomicUsize,
    /// Rung for whoever waits for messages: somebody else wants a turn, or there is something to do.
    bell: Notify,
    events: Mutex<VecDeque<String>>,
    /// Messages that were freed without a word on what became of them.
    unsaid: Mutex<Vec<Unsaid>>,
    /// Whether it was freed: the calls that still run then end.
    is_freed: watch::Sender<bool>,
    runtime: Option<Runtime>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A name that is still being looked up must not hold it up.
            runtime.shutdown_background();
        }
    }
}

/// What one call at a time works with.
pub(crate) struct Desk {
    pub(crate) profile: Profile,
    pub(crate) keystore: Arc<Keystore>,
    relay: Option<String>,
    api_key: Option<Zeroizing<String>>,
    require: Option<Require>,
    following: Option<Following>,
    manner: Manner,
    client: Option<Client>,
    refreshed: Option<Instant>,
}

/// The desk, for as long as it is one's turn.
pub(crate) struct Turn<'a> {
    desk: sync::MutexGuard<'a, Desk>,
}

impl Deref for Turn<'_> {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

impl DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut Desk {
        &mut self.desk
    }
}

/// One who waits for a turn.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Agent {
    /// Opens a profile. Needs no relay.
    pub(crate) fn open(opening: Opening) -> Result<Self, Fault> {
        let folder = options::required(opening.folder, "folder")?;
        process::enter()?;
        let profile = Profile::open(&folder)?;
        let passphrase = match (opening.passphrase, opening.passphrase_file) {
            (Some(text), _) => PassphraseSource::Given(Passphrase::new(text)?),
            (None, Some(file)) => PassphraseSource::Given(Passphrase::read_file(&file)?),
            (None, None) => PassphraseSource::None,
        };
        let (keystore, _) = Keystore::open(&folder, Kind::of(&folder)?, passphrase)?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Fault::new(Code::CTALK_UNEXPECTED, error.to_string()))?;
        let desk = Desk {
            profile,
            keystore: Arc::new(keystore),
            relay: opening.relay,
            api_key: opening.api_key,
            require: opening.require,
            following: None,
            manner: Manner::default(),
            client: None,
            refreshed: None,
        };
        Ok(Self {
            inner: Ours::new(Inner {
                desk: sync::Mutex::new(desk),
                watch: sync::Mutex::default(),
                waiting: AtomicUsize::new(0),
                bell: Notify::new(),
                events: Mutex::default(),
                unsaid: Mutex::default(),
                is_freed: watch::Sender::new(false),
                runtime: Some(runtime),
            }),
        })
    }

    /// Ends the calls that run, as its handle is freed.
    pub(crate) fn close(&self) {
        if let Ok(inner) = self.inner.get() {
            inner.is_freed.send_replace(true);
        }
    }

    /// Runs `work` on this thread to its end, or until it is stopped or the client freed.
    pub(crate) fn run<T>(
        &self,
        stopper: *const ctalk_stopper,
        work: impl AsyncFnOnce(&At<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let inner = self.inner.get()?;
        let stopper = (!stopper.is_null())
            .then(|| handle::get(stopper))
            .transpose()?;
        if stopper.as_deref().is_some_and(Stopper::is_stopped) {
            return Err(interrupted());
        }
        if Handle::try_current().is_ok() {
            let text = "this thread runs asynchronous Rust code; call from another one";
            return Err(Fault::new(Code::CTALK_BUSY, text));
        }
        let runtime = inner.runtime.as_ref().ok_or_else(unforeseen)?;
        let at = At(inner);
        runtime.block_on(async {
            // Before anything is done: a call that nothing could stop does not begin.
            let watched = stopper.as_deref().map(Stopper::watch).transpose();
            let watched = watched.map_err(unwatched)?;
            let stopped = async {
                match &watched {
                    Some(watched) => watched
                        .readable()
                        .await
                        .map_or_else(unwatched, |()| interrupted()),
                    None => std::future::pending().await,
                }
            };
            let mut is_freed = inner.is_freed.subscribe();
            tokio::select! {
                biased;
                _ = is_freed.wait_for(|is_freed| *is_freed) => Err(freed()),
                fault = stopped => Err(fault),
                outcome = work(&at) => outcome,
            }
        })
    }

    /// As [`Agent::run`] for what does not wait for the relay.
    pub(crate) fn briefly<T>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.run(std::ptr::null(), async |at| work(&mut *at.turn().await))
    }

    /// Takes over a message of which nobody said what became of it.
    pub(crate) fn leave(&self, unsaid: Unsaid) {
        if let Ok(inner) = self.inner.get() {
            let mut all = inner.unsaid.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(unsaid);
            inner.bell.notify_one();
        }
    }

    /// What came up since this was last called.
    pub(crate) fn take_events(&self) -> Result<VecDeque<String>, Fault> {
        let events = &self.inner.get()?.events;
        let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *events))
    }
}

/// Where a call is at work.
pub(crate) struct At<'a>(&'a Inner);

impl At<'_> {
    /// Waits for its turn.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let desk = match self.0.desk.try_lock() {
            Ok(desk) => desk,
            Err(_) => {
                self.0.waiting.fetch_add(1, Ordering::SeqCst);
                let _waiting = Waiting(&self.0.waiting);
                self.0.bell.notify_one();
                self.0.desk.lock().await
            }
        };
        let mut turn = Turn { desk };
        let unsaid = {
            let mut unsaid = self.0.unsaid.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *unsaid)
        };
        if let Some(client) = &mut turn.client {
            for message in unsaid {
                // What fails comes again when its lease is over.
                let _ = message.give_back(client);
            }
        }
        turn
    }

    /// Waits until nobody else waits for messages. Two that do would ring for each other without end, and
    /// neither would hear what the relay answers.
    pub(crate) async fn watch(&self) -> sync::MutexGuard<'_, ()> {
        self.0.watch.lock().await
    }

    /// Returns when whoever waits for messages should let others go first, or has something to do.
    pub(crate) async fn rung(&self) {
        if self.0.waiting.load(Ordering::SeqCst) == 0 {
            self.0.bell.notified().await;
        }
    }

    /// Tells what came up.
    pub(crate) fn observe(&self, event: Event<'_>) {
        let told = match event {
            Event::SetAside(aside) => Told::SetAside(aside),
            Event::Notice(notice) => Told::Notice(notice),
            Event::Trouble(error) => Told::Trouble(Failure::from(error)),
            Event::Recovered => Told::Recovered,
            _ => return,
        };
        self.tell(&told);
    }

    /// Tells that a contact's keys were pinned.
    pub(crate) fn tell_pinned(&self, name: &str, fingerprint: &str) {
        self.tell(&Told::Pinned { name, fingerprint });
    }

    fn tell(&self, told: &Told<'_>) {
        let Ok(line) = serde_json::to_string(told) else {
            return;
        };
        let mut events = self.0.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == MAX_EVENTS {
            events.pop_front();
        }
        events.push_back(line);
    }
}

/// Something that came up, in JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Told<'a> {
    SetAside(&'a SetAside),
    Notice(&'a ctalk::Notice),
    Trouble(Failure<'a>),
    Recovered,
    Pinned { name: &'a str, fingerprint: &'a str },
}

impl Desk {
    /// The profile's client at its relay.
    pub(crate) fn client(&mut self) -> Result<&mut Client, Fault> {
        if self.client.is_none() {
            let url = self.relay_url().ok_or_else(|| {
                let text = "no relay is known: name one when the client is opened, or register";
                Fault::new(Code::CTALK_BAD_ARGUMENT, text)
            })?;
            let secrets = self.keystore.read()?;
            let api_key = self.api_key.as_ref();
            let mut client = ctalk::client(
                &self.profile,
                Arc::clone(&self.keystore),
                &secrets,
                url,
                api_key.map(|key| BearerKey::new(key.as_str())),
                Arc::new(SystemClock),
            )?;
            if let Some(require) = self.require {
                client.require(self.profile.require().and(require));
            }
            self.client = Some(client);
        }
        self.client.as_mut().ok_or_else(unforeseen)
    }

    /// The client, with its keys looked after.
    pub(crate) async fn refreshed(&mut self, at: &At<'_>) -> Result<&mut Client, Fault> {
        let is_due = self.refreshed.is_none_or(|then| then.elapsed() >= REFRESH);
        let client = self.client()?;
        if is_due {
            if let Err(error) = client.refresh().await {
                at.observe(Event::Trouble(&error));
            }
            self.refreshed = Some(Instant::now());
        }
        self.client()
    }

    /// The client, and where it is in its inbox.
    pub(crate) fn following(&mut self) -> Result<(&mut Client, &mut Following), Fault> {
        let manner = self.manner.clone();
        let is_new = self.following.is_none();
        let client = self.client()?;
        if is_new {
            client.keep_leases()?;
            let interval = manner.interval_ms.unwrap_or(2000);
            let following = client.follow(
                manner.contract(),
                manner.filter(),
                manner.handler,
                Duration::from_millis(interval),
            )?;
            self.following = Some(following);
        }
        match (&mut self.client, &mut self.following) {
            (Some(client), Some(following)) => Ok((client, following)),
            _ => Err(unforeseen()),
        }
    }

    /// Hands messages over in this manner from now on.
    pub(crate) fn follow(&mut self, manner: Manner) -> Result<(), Fault> {
        self.following = None;
        self.manner = manner;
        self.following().map(|_| ())
    }

    /// Something may have come into the inbox.
    pub(crate) fn stir(&mut self) {
        if let Some(following) = &mut self.following {
            following.look_again();
        }
    }

    /// Forgets the client, whose relay or keys are others now. What it had in hand is given back.
    pub(crate) fn reopen(&mut self) {
        self.following = None;
        self.client = None;
    }

    /// Runs `work` on contacts and messages.
    pub(crate) fn with_store<T>(
        &mut self,
        work: impl FnOnce(&mut Store) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if let Some(client) = &mut self.client {
            return work(client.store_mut());
        }
        // Without a relay there are contacts nevertheless, only no addresses.
        let relay = self
            .relay_url()
            .map(ctalk::relay::normalised)
            .transpose()
            .map_err(ctalk::Error::from)?;
        work(&mut Store::open(
            &self.profile.store_path(),
            relay.as_deref(),
        )?)
    }

    /// The current key card.
    pub(crate) fn card(&self) -> Result<Card, Fault> {
        let secrets = self.keystore.read()?;
        let card = ctalk::own_card(&self.profile, &self.keystore, &secrets, shown::now())?;
        Ok(card)
    }

    /// The identity with all its keys.
    pub(crate) fn identity(&self) -> Result<Identity, Fault> {
        Ok(self.keystore.read()?.unlock()?)
    }

    /// Registers at this relay from now on.
    pub(crate) fn set_relay(&mut self, url: String) {
        self.relay = Some(url);
    }

    /// The relay's address: as given, else that of the profile.
    pub(crate) fn relay_url(&self) -> Option<&str> {
        self.relay.as_deref().or_else(|| self.profile.relay())
    }
}

fn interrupted() -> Fault {
    Fault::new(Code::CTALK_INTERRUPTED, "stopped")
}

fn unwatched(error: io::Error) -> Fault {
    let text = format!("the stopper cannot be watched: {error}");
    Fault::new(Code::CTALK_UNEXPECTED, text)
}

fn freed() -> Fault {
    Fault::new(Code::CTALK_WRONG_HANDLE, "the client was freed meanwhile")
}

fn unforeseen() -> Fault {
    Fault::new(Code::CTALK_UNEXPECTED, "the client is gone")
}
