//! ctalk over OpenClaw's WebSocket channel, on either side of it.

mod hostile;
mod hosting;
mod stand_in;
mod talking;

use std::{sync::Arc, time::Duration};

use ctalk::{
    Answered, Chat, ChatEvent, Client, Received,
    clock::{Clock, SystemClock},
    core::{
        Card, Identity, Timestamp, XWingSecret,
        envelope::{self, Envelope, Kind, Metadata},
        trust::Standing,
    },
    relay::{
        Relay,
        openclaw::{Access, ChatMessage, Heard, OpenClaw},
    },
    store::{Learned, NewContact},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    agents::{new_identity, rng},
    scene::sign,
};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

/// Somebody with a key card.
struct Person {
    name: &'static str,
    identity: Identity,
    xwing: [u8; 32],
    card: Card,
    folder: TempDir,
}

impl Person {
    fn new(name: &'static str) -> Self {
        let xwing = XWingSecret::generate(&mut rng());
        let identity = new_identity();
        let card = sign(&identity, &xwing, name, 1, SystemClock.now());
        let seed = *xwing.seed();
        Self {
            name,
            identity: identity.with_xwing(xwing),
            xwing: seed,
            card,
            folder: TempDir::new().unwrap(),
        }
    }

    fn identity(&self) -> Identity {
        Identity::from_keygen_json(&self.identity.to_keygen_json())
            .unwrap()
            .with_xwing(XWingSecret::from_seed(&self.xwing))
    }

    fn client(&self, relay: impl Relay + 'static) -> Client {
        let store = self.folder.path().join("store.sqlite");
        let clock = Arc::new(SystemClock);
        Client::new(self.name, self.identity(), relay, &store, clock).unwrap()
    }

    /// Has the card of somebody else.
    fn knows(&self, client: &mut Client, other: &Self) {
        let new = NewContact {
            name: other.name,
            address: None,
            keys: other.card.public_keys(),
            card: Some(&other.card),
            learned: Learned::Card,
            standing: Standing::Pinned,
        };
        client.store_mut().pin(new, SystemClock.now()).unwrap();
    }

    /// A conversation in envelopes with somebody behind this URL.
    fn chat(&self, url: &str, peer: &Self) -> Chat {
        let line = line(url);
        let mut client = self.client(line.clone());
        self.knows(&mut client, peer);
        Chat::sealed(client, line, Some(peer.name), LONG).unwrap()
    }

    /// What an agent with ctalk answers to an envelope that stands somewhere in what it was told.
    fn answer(&self, to: &Self, told: &str, say: impl Fn(&str) -> String) -> String {
        let begin = told.find("ctalk2:").expect("an envelope");
        let text = told[begin..].split_whitespace().next().unwrap();
        let bytes = envelope::from_text(text).unwrap();
        let verified = Envelope::parse(&bytes).unwrap().verify().unwrap();
        let opened = verified.open(&self.identity, now()).unwrap();
        let mut metadata = Metadata::new(Kind::Response, "text/plain");
        metadata.reply_to = Some(opened.id.to_string());
        let asked = str::from_utf8(&opened.payload).unwrap();
        self.seal(to, &metadata, &say(asked))
    }

    fn seal(&self, to: &Self, metadata: &Metadata, text: &str) -> String {
        let (created, expires) = (now(), now().checked_add(LONG).unwrap());
        let cards = [&to.card];
        let sealed = envelope::seal(
            &self.identity,
            cards,
            metadata,
            text.as_bytes(),
            created,
            expires,
            &mut rng(),
        );
        envelope::to_text(&sealed.unwrap())
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(u64::try_from(SystemClock.now()).unwrap()).unwrap()
}

fn line(url: &str) -> OpenClaw {
    OpenClaw::new(url, Access::default(), None, Arc::new(SystemClock)).unwrap()
}

fn clear(url: &str) -> Chat {
    Chat::in_the_clear(line(url), Arc::new(SystemClock), LONG)
}

fn saying(text: &str) -> ChatMessage {
    ChatMessage {
        content: text.to_owned(),
        ..ChatMessage::default()
    }
}

/// What came of one message.
#[derive(Debug, Default)]
struct Came {
    /// Pieces of answers in the clear.
    said: Vec<String>,
    /// What was shown meanwhile, and whether it was late.
    streamed: Vec<(String, bool)>,
    errors: Vec<String>,
    messages: Vec<Received>,
    set_aside: usize,
    lost: usize,
    connected: usize,
    how: Option<Answered>,
}

impl Came {
    fn take(&mut self, event: ChatEvent) {
        match event {
            ChatEvent::Heard(Heard::Response { content, .. }) => self.said.push(content),
            ChatEvent::Heard(Heard::Stream {
                content, is_late, ..
            }) => self.streamed.push((content, is_late)),
            ChatEvent::Heard(Heard::Error { error, .. }) => self.errors.push(error),
            ChatEvent::Heard(Heard::Connected) => self.connected += 1,
            ChatEvent::Message(message) => self.messages.push(*message),
            ChatEvent::SetAside(_) => self.set_aside += 1,
            ChatEvent::Lost(_) => self.lost += 1,
            ChatEvent::Answered(how) => self.how = Some(how),
            _ => {}
        }
    }

    /// What the messages say.
    fn texts(&self) -> Vec<String> {
        let texts = self.messages.iter().map(|message| &message.payload);
        texts
            .map(|payload| String::from_utf8(payload.as_bytes().to_vec()).unwrap())
            .collect()
    }
}

/// Goes on until something holds.
async fn until(chat: &mut Chat, mut holds: impl FnMut(&Came) -> bool) -> Came {
    let mut came = Came::default();
    while !holds(&came) {
        for event in chat.next().await.unwrap() {
            came.take(event);
        }
    }
    chat.settle().unwrap();
    came
}

/// Says something and waits for the answer.
async fn ask(chat: &mut Chat, text: &str) -> Came {
    chat.say(saying(text)).await.unwrap();
    until(chat, |came| came.how.is_some()).await
}

/// What a client of the plugin's says.
fn send(members: Value) -> Value {
    let mut message = serde_json::json!({ "type": "chat.send" });
    let all = message.as_object_mut().unwrap();
    all.extend(members.as_object().unwrap().clone());
    message
}
