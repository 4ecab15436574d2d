//! Agents at a real relay, each with a store of its own.

use std::{
    fs,
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use ctalk::{
    Client, Content, Draft, Filter, Handover, Next, Received, SetAside,
    clock::{Clock, SystemClock},
    core::Identity,
    relay::clawtalk::{BearerKey, ClawTalk},
    store::Store,
};
use ctalk_relay::testing::TestRelay;
use tempfile::TempDir;

/// A registered agent.
pub(crate) struct Agent {
    pub(crate) client: Client,
    pub(crate) identity: Identity,
    pub(crate) api_key: String,
    pub(crate) folder: TempDir,
}

impl Agent {
    pub(crate) fn register(relay: &TestRelay, name: &str) -> Self {
        Self::register_with(relay, name, Arc::new(SystemClock))
    }

    pub(crate) fn register_with(relay: &TestRelay, name: &str, clock: Arc<dyn Clock>) -> Self {
        let identity = new_identity();
        let keys = identity.public_keys();
        let api_key = relay.register(
            name,
            &keys.encryption().to_base64(),
            &keys.verifying().to_base64(),
        );
        let folder = TempDir::new().unwrap();
        let client = connect(&relay.url(), name, &identity, &api_key, &folder, clock);
        Self {
            client,
            identity,
            api_key,
            folder,
        }
    }

    /// The same agent in a new process: nothing is left but what is on disk.
    pub(crate) fn restart(self, url: &str, name: &str) -> Self {
        let Self {
            client,
            identity,
            api_key,
            folder,
        } = self;
        drop(client);
        let client = connect(
            url,
            name,
            &identity,
            &api_key,
            &folder,
            Arc::new(SystemClock),
        );
        Self {
            client,
            identity,
            api_key,
            folder,
        }
    }

    /// Sends one message and expects it to leave.
    pub(crate) async fn say(&mut self, to: &str, text: &str) -> ctalk::Sent {
        self.try_say(to, text).await.unwrap()
    }

    pub(crate) async fn try_say(
        &mut self,
        to: &str,
        text: &str,
    ) -> Result<ctalk::Sent, ctalk::Error> {
        let mut outcomes = self
            .client
            .send(&[to.to_owned()], &text_draft(text))
            .await?;
        outcomes.remove(0)
    }

    /// Fetches and goes through the inbox, committing every message.
    pub(crate) async fn receive_all(&mut self) -> (Vec<Received>, Vec<SetAside>) {
        receive_all(&mut self.client).await
    }

    /// The next message, not committed.
    pub(crate) async fn peek_next(&mut self) -> Option<Handover> {
        let mut receiving = self.client.receive(Filter::default()).unwrap();
        match self.client.next(&mut receiving).await.unwrap() {
            Some(Next::Message(handover) | Next::Unauthenticated(handover)) => Some(*handover),
            Some(Next::SetAside(item)) => panic!("set aside: {item:?}"),
            None => None,
        }
    }

    /// What waits for this agent at the relay.
    pub(crate) async fn waiting(&mut self) -> usize {
        self.client
            .peek(Filter::default())
            .await
            .unwrap()
            .messages
            .len()
    }
}

/// Fetches and goes through the inbox, committing every message.
pub(crate) async fn receive_all(client: &mut Client) -> (Vec<Received>, Vec<SetAside>) {
    client.fetch(Duration::ZERO).await.unwrap();
    let mut receiving = client.receive(Filter::default()).unwrap();
    let (mut messages, mut set_aside) = (Vec::new(), Vec::new());
    while let Some(next) = client.next(&mut receiving).await.unwrap() {
        match next {
            Next::Message(handover) | Next::Unauthenticated(handover) => {
                messages.push(handover.message.clone());
                client.commit(*handover).unwrap();
            }
            Next::SetAside(item) => set_aside.push(item),
        }
    }
    (messages, set_aside)
}

pub(crate) fn connect(
    url: &str,
    name: &str,
    identity: &Identity,
    api_key: &str,
    folder: &TempDir,
    clock: Arc<dyn Clock>,
) -> Client {
    let relay = ClawTalk::new(url, Some(BearerKey::new(api_key)), Arc::clone(&clock)).unwrap();
    let identity = Identity::from_keygen_json(&identity.to_keygen_json()).unwrap();
    let store = folder.path().join("store.sqlite");
    make_store(&store);
    Client::new(name, identity, relay, &store, clock).unwrap()
}

/// Makes an empty store where there is none. The first one is copied, because the migrations would be a
/// good part of what most tests do.
fn make_store(path: &Path) {
    static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store.sqlite");
        drop(Store::open(&path, None).unwrap());
        fs::read(path).unwrap()
    });
    let mut new = OpenOptions::new();
    if let Ok(mut file) = new.write(true).create_new(true).mode(0o600).open(path) {
        file.write_all(&EMPTY).unwrap();
    }
}

pub(crate) fn new_identity() -> Identity {
    Identity::generate(&mut rng())
}

pub(crate) fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

pub(crate) fn draft(content: Content) -> Draft {
    Draft::new(content)
}

pub(crate) fn text_draft(text: &str) -> Draft {
    draft(Content::Text(text.to_owned()))
}

/// The text of a message, or its JSON.
pub(crate) fn body(message: &Received) -> String {
    match &message.payload {
        Content::Text(text) => text.clone(),
        Content::Json(json) => json.get().to_owned(),
        other => panic!("unexpected content {other:?}"),
    }
}
