//! A relay made of a folder of files, such as one that a program keeps the same on two machines, and two
//! agents who talk over it. What ctalk asks of a relay is the trait [`Relay`]; this is an adapter of
//! one's own.
//!
//! Run with: cargo run -p ctalk --example folder_relay
//!
//! In the folder, `agents/NAME` is the key card of an agent, and each file in `inbox/NAME` a message for
//! it. Whoever can write there can lie, as any relay can: that is found out by those who verify each
//! other's cards.

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use ctalk::{
    Client, Content, Draft, Filter, Next, Profile, check_name,
    clock::{Clock, SystemClock},
    core::{Card, Identity, Timestamp},
    keystore::{Kind, PassphraseSource},
    own_card,
    relay::{Accepted, Body, Delivery, Destination, Outgoing, Relay, RelayError},
    store::Stored,
    wire::DirectoryEntry,
};
use tempfile::TempDir;

/// The relay, as the agent `name` sees it.
struct FolderRelay {
    folder: PathBuf,
    url: String,
    name: String,
}

impl FolderRelay {
    fn new(folder: &Path, name: &str) -> io::Result<Self> {
        for place in ["agents", "under-way", &format!("inbox/{name}")] {
            fs::create_dir_all(folder.join(place))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            url: format!("folder://{}", folder.display()),
            name: name.to_owned(),
        })
    }

    /// An error that may pass: what is in the outbox stays there, and is sent again.
    fn unreachable(&self, error: &io::Error) -> RelayError {
        RelayError::Unreachable {
            url: self.url.clone(),
            why: error.to_string(),
        }
    }

    /// Puts a file where it belongs at once as a whole, so that nobody reads half of it.
    fn put(&self, content: &str, place: &Path) -> io::Result<()> {
        let file = tempfile::NamedTempFile::new_in(self.folder.join("under-way"))?;
        fs::write(file.path(), content)?;
        file.as_file().sync_all()?;
        file.persist(place)?;
        Ok(())
    }

    fn inbox(&self) -> PathBuf {
        self.folder.join("inbox").join(&self.name)
    }

    /// What waits, oldest first.
    fn waiting(&self) -> io::Result<Vec<Delivery>> {
        let mut deliveries = Vec::new();
        for entry in fs::read_dir(self.inbox())? {
            let entry = entry?;
            deliveries.push(Delivery {
                relay_id: Some(entry.file_name().to_string_lossy().into_owned()),
                sent_at: None,
                raw: fs::read(entry.path())?.into(),
            });
        }
        deliveries.sort_by(|a, b| a.relay_id.cmp(&b.relay_id));
        Ok(deliveries)
    }
}

#[async_trait]
impl Relay for FolderRelay {
    fn url(&self) -> &str {
        &self.url
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        let (Destination::Agent(to), Body::Native(text)) = (&outgoing.to, &outgoing.body) else {
            return Err(RelayError::Unsupported {
                what: "anything but an envelope for one agent",
            });
        };
        check_name(to).map_err(|_| RelayError::Unsupported { what: "such names" })?;
        let random =
            getrandom::u64().map_err(|_| RelayError::Unsupported { what: "randomness" })?;
        // Sorted by its name, it comes after what was sent before.
        let id = format!("{:014}-{random:016x}", SystemClock.now());
        // As ClawTalk's relays write it, so that the trait's own `read` can read it.
        let message = serde_json::json!({
            "id": id, "from": self.name, "to": to, "type": outgoing.message_type, "payload": text,
        });
        let place = self.folder.join("inbox").join(to).join(&id);
        self.put(&message.to_string(), &place)
            .map_err(|error| self.unreachable(&error))?;
        Ok(Accepted {
            relay_id: Some(id),
            ts: None,
        })
    }

    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let waiting = || self.waiting().map_err(|error| self.unreachable(&error));
        let deliveries = waiting()?;
        if !deliveries.is_empty() || wait.is_zero() {
            return Ok(deliveries);
        }
        tokio::time::sleep(wait).await;
        waiting()
    }

    /// Only what the client has stored can be acknowledged: `Stored` is the proof.
    async fn acknowledge(&self, stored: Stored) -> Result<usize, RelayError> {
        let files = stored.into_relay_ids().into_iter();
        let removed = files.filter(|id| fs::remove_file(self.inbox().join(id)).is_ok());
        Ok(removed.count())
    }

    async fn directory(&self) -> Result<Vec<DirectoryEntry>, RelayError> {
        let listed = fs::read_dir(self.folder.join("agents")).and_then(|agents| {
            agents
                .map(|agent| {
                    let agent = agent?;
                    let name = agent.file_name().to_string_lossy().into_owned();
                    Ok((name, fs::read_to_string(agent.path())?))
                })
                .collect::<io::Result<Vec<_>>>()
        });
        let listed = listed.map_err(|error| self.unreachable(&error))?;
        Ok(listed.into_iter().filter_map(entry).collect())
    }

    async fn publish(
        &self,
        name: &str,
        card: &Card,
        _successions: &[String],
    ) -> Result<(), RelayError> {
        let place = self.folder.join("agents").join(name);
        self.put(&card.to_text(), &place)
            .map_err(|error| self.unreachable(&error))
    }
}

/// What the directory says of an agent, if its card is one.
fn entry((name, card): (String, String)) -> Option<DirectoryEntry> {
    let read = Card::from_text(&card).ok()?;
    let keys = read.public_keys();
    Some(DirectoryEntry {
        name,
        public_key: Some(keys.encryption().to_base64()),
        signing_key: Some(keys.verifying().to_base64()),
        capabilities: vec![card],
        online: None,
        last_seen: None,
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = TempDir::new()?;
    let mut alice = agent(folder.path(), "alice").await?;
    let mut bob = agent(folder.path(), "bob").await?;

    let draft = Draft::new(Content::Text("who needs a server?".to_owned()));
    for outcome in alice.send(&["bob".to_owned()], &draft).await? {
        println!("alice sent {}", outcome?.id.unwrap_or_default());
    }

    bob.fetch(Duration::ZERO).await?;
    let mut receiving = bob.receive(Filter::default())?;
    let mut received = 0;
    while let Some(next) = bob.next(&mut receiving).await? {
        let Next::Message(handover) = next else {
            return Err("something came that nobody signed".into());
        };
        let message = &handover.message;
        let from = message.from.as_deref().unwrap_or_default();
        println!("bob got {:?} from {from}", message.payload);
        bob.commit(*handover)?;
        received += 1;
    }
    if received != 1 || fs::read_dir(folder.path().join("relay/inbox/bob"))?.count() != 0 {
        return Err("not one message came and was acknowledged".into());
    }
    Ok(())
}

/// Makes an agent with a profile of its own, and puts its card into the relay's folder.
async fn agent(folder: &Path, name: &str) -> Result<Client, Box<dyn Error>> {
    let clock = Arc::new(SystemClock);
    let now = Timestamp::from_millis(u64::try_from(clock.now())?).ok_or("a clock from far away")?;
    let identity = Identity::generate(&mut rand_core::UnwrapErr(getrandom::SysRng));
    let path = folder.join("profiles").join(name);
    let (profile, keystore) =
        Profile::create(&path, name, Kind::Plain, PassphraseSource::None, &identity)?;
    let card = own_card(&profile, &keystore, &keystore.read()?, now)?;
    let relay = FolderRelay::new(&folder.join("relay"), name)?;
    relay.publish(name, &card, &[]).await?;
    let identity = keystore.read()?.unlock()?;
    Ok(Client::new(
        name,
        identity,
        relay,
        &profile.store_path(),
        clock,
    )?)
}
