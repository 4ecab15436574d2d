//! An agent, and messages that it wrote.

use std::{fs, path::Path, sync::Arc};

use ctalk::{
    Client,
    clock::{Clock, SystemClock},
    core::{
        Card, CardStatement, Identity, Timestamp, XWingSecret,
        envelope::{self, Kind, Metadata},
    },
    relay::{
        Body, Destination, Outgoing, Relay,
        clawtalk::{BearerKey, ClawTalk},
    },
    wire::{DirectoryEntry, MessageType, RegisterAgent},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use getrandom::{SysRng, rand_core::UnwrapErr};

use crate::Error;

/// Bytes of text in each message.
pub(crate) const TEXT_LEN: usize = 1024;
/// How long cards and messages are valid, in milliseconds.
const LIFE: u64 = 7 * 24 * 60 * 60 * 1000;
/// How many messages are on their way to a relay at once.
const UNDER_WAY: usize = 32;

pub(crate) struct Author {
    name: String,
    identity: Identity,
    xwing: XWingSecret,
    card: Card,
    now: Timestamp,
}

impl Author {
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        let mut rng = UnwrapErr(SysRng);
        let xwing = XWingSecret::generate(&mut rng);
        let key = xwing.public_key().clone();
        let identity =
            Identity::generate(&mut rng).with_xwing(XWingSecret::from_seed(&xwing.seed()));
        let now = u64::try_from(SystemClock.now())?;
        let now = Timestamp::from_millis(now).ok_or("no time")?;
        let statement = CardStatement {
            name,
            serial: 1,
            created: now,
            expires: later(now)?,
            addresses: &[],
        };
        let card = Card::sign(&identity, &key, &statement)?;
        Ok(Self {
            name: name.to_owned(),
            identity,
            xwing,
            card,
            now,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn card(&self) -> &Card {
        &self.card
    }

    /// Its entry of a relay's directory.
    pub(crate) fn entry(&self) -> DirectoryEntry {
        let keys = self.identity.public_keys();
        DirectoryEntry {
            name: self.name.clone(),
            public_key: Some(keys.encryption().to_base64()),
            signing_key: Some(keys.verifying().to_base64()),
            capabilities: vec![self.card.to_text()],
            online: None,
            last_seen: None,
        }
    }

    pub(crate) fn client(
        &self,
        relay: impl Relay + 'static,
        store: &Path,
    ) -> Result<Client, Error> {
        let clock = Arc::new(SystemClock);
        Ok(Client::new(
            &self.name,
            self.identity()?,
            relay,
            store,
            clock,
        )?)
    }

    pub(crate) fn identity(&self) -> Result<Identity, Error> {
        let identity = Identity::from_keygen_json(&self.identity.to_keygen_json())?;
        Ok(identity.with_xwing(XWingSecret::from_seed(&self.xwing.seed())))
    }

    /// When it came to be.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// A message of its own for the holder of a card.
    pub(crate) fn seal(&self, to: &Card) -> Result<String, Error> {
        let metadata = Metadata::new(Kind::Notification, "text/plain");
        let text = "x".repeat(TEXT_LEN);
        let sealed = envelope::seal(
            &self.identity,
            [to],
            &metadata,
            text.as_bytes(),
            self.now,
            later(self.now)?,
            &mut UnwrapErr(SysRng),
        )?;
        Ok(envelope::to_text(&sealed))
    }
}

fn later(now: Timestamp) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_millis(now.as_millis() + LIFE).ok_or("no time")?)
}

/// Sends `count` messages to the agent `to` of the relay at `url`, as a new agent of that relay.
pub(crate) async fn feed(url: &str, admin_key: &str, to: &str, count: usize) -> Result<(), Error> {
    let clock = Arc::new(SystemClock);
    // Each process is another agent of the relay.
    let author = Author::new(&format!("feeder-{}", std::process::id()))?;
    let admin_key = fs::read_to_string(admin_key.trim_start_matches('@'))?;
    let entry = author.entry();
    let agent = RegisterAgent {
        name: entry.name,
        owner: "bench".to_owned(),
        public_key: entry.public_key.unwrap_or_default(),
        signing_key: entry.signing_key.unwrap_or_default(),
        capabilities: None,
        webhook_url: None,
    };
    let registered = ClawTalk::new(url, None, clock.clone())?
        .register(&BearerKey::new(admin_key.trim()), &agent)
        .await?;
    let relay = ClawTalk::new(url, Some(BearerKey::new(registered.api_key)), clock)?;
    relay.publish(&author.name, &author.card, &[]).await?;
    let directory = relay.directory().await?;
    let entry = directory.into_iter().find(|entry| entry.name == to);
    let capabilities = entry.map(|entry| entry.capabilities).unwrap_or_default();
    let card = capabilities
        .iter()
        .find_map(|text| Card::from_text(text).ok());
    let card = card.ok_or("the recipient has no card")?;
    stream::iter(0..count)
        .map(|_| async {
            let outgoing = Outgoing {
                to: Destination::Agent(to.to_owned()),
                message_type: MessageType::Notification,
                topic: None,
                correlation_id: None,
                reply_to: None,
                ttl: None,
                body: Body::Native(author.seal(&card)?),
            };
            relay.send(&outgoing).await?;
            Ok::<_, Error>(())
        })
        .buffer_unordered(UNDER_WAY)
        .try_collect::<()>()
        .await
}
