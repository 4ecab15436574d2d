//! `ctalk demo`: two agents and their relay in one process, on loopback and in temporary folders.

use std::{fs, net::Ipv4Addr, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anstyle::Style;
use anyhow::{Context, Result, bail};
use ctalk::{
    Admission, Client, Content, Draft, Filter, Next, Profile, Received, Registration, SetAside,
    clock::SystemClock,
    core::Identity,
    keystore::{Kind, PassphraseSource},
    relay::{
        Body, Destination, Outgoing, Relay,
        clawtalk::{BearerKey, ClawTalk},
    },
    wire::{Envelope, MessageType},
};
use ctalk_relay::{AdminKey, Config, Server};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{output::Output, runtime};

const QUESTION: &str = "What is six times seven?";
const ANSWER: &str = "Forty-two.";
const ORDER: &str = "Pay carol 100.";
/// Most characters of a sealed payload that are shown.
const SHOWN: usize = 32;
/// Which of them the hostile relay changes: it is part of the envelope's id.
const ALTERED: usize = 24;
const TITLE: Style = Style::new().bold();

/// Show a message's way between two agents on this machine
#[derive(clap::Args)]
pub(crate) struct Args {}

/// A message as the relay held it, and as its recipient read it.
#[derive(Serialize)]
struct Exchanged {
    stored: Envelope,
    read: Received,
}

/// A message as it was sent, as the relay delivered it, and what its recipient said to it.
#[derive(Serialize)]
struct Tampered {
    sent: Envelope,
    delivered: Envelope,
    refused: SetAside,
}

#[derive(Serialize)]
struct Summary {
    request: Exchanged,
    response: Exchanged,
    tampered: Tampered,
}

pub(crate) fn run(Args {}: Args, output: &Output) -> Result<ExitCode> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let summary = runtime::run(async {
        let (admin_key, key_file, _) = AdminKey::load_or_create(&folder.path().join("relay"))?;
        let admin_key_text = fs::read_to_string(key_file)?;
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let server =
            Server::bind(Config::new(listen, folder.path().join("relay"), admin_key)).await?;
        let url = server.url();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(async { drop(stopped.await) }));

        let mut alice = Agent::new("alice", folder.path(), &url, admin_key_text.trim()).await?;
        let mut bob = Agent::new("bob", folder.path(), &url, admin_key_text.trim()).await?;
        let summary = Summary {
            request: exchange(&mut alice, &mut bob, MessageType::Request, QUESTION).await?,
            response: exchange(&mut bob, &mut alice, MessageType::Response, ANSWER).await?,
            tampered: tamper(&mut alice, &mut bob).await?,
        };
        drop(stop);
        serving.await??;
        Ok(summary)
    })?;
    if output.is_json() {
        output.object(&summary)?;
    } else {
        summary.print(output)?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Agent {
    name: &'static str,
    client: Client,
    /// The same agent's connection, to see what the relay holds for it.
    relay: ClawTalk,
}

impl Agent {
    async fn new(name: &'static str, parent: &Path, url: &str, admin_key: &str) -> Result<Self> {
        let folder = parent.join(name);
        let clock = Arc::new(SystemClock);
        let identity = Identity::generate(&mut rand_core::UnwrapErr(getrandom::SysRng));
        let (mut profile, keystore) = Profile::create(
            &folder,
            name,
            Kind::Plain,
            PassphraseSource::None,
            &identity,
        )?;
        let admission = Admission::AdminKey(BearerKey::new(admin_key));
        ctalk::register(
            &mut profile,
            &keystore,
            &keystore.read()?,
            Registration {
                url,
                relay_name: None,
                admission: Some(admission),
                owner: name,
            },
            clock.clone(),
        )
        .await?;
        let secrets = keystore.read()?;
        let client = ctalk::client(&profile, keystore, &secrets, url, None, clock.clone())?;
        let relay = ClawTalk::connect(url, clock, |url| secrets.api_key(url).map(BearerKey::new))?;
        Ok(Self {
            name,
            client,
            relay,
        })
    }

    async fn send(&mut self, to: &Self, message_type: MessageType, text: &str) -> Result<()> {
        let draft = Draft {
            message_type,
            correlation_id: Some("demo-1".to_owned()),
            ..Draft::new(Content::Text(text.to_owned()))
        };
        for outcome in self.client.send(&[to.name.to_owned()], &draft).await? {
            outcome?;
        }
        Ok(())
    }

    /// What the relay holds for this agent.
    async fn waiting(&self) -> Result<Envelope> {
        let peeked = self.relay.peek().await?;
        let [delivery] = peeked.deliveries.as_slice() else {
            bail!(
                "the relay holds {} messages for {}",
                peeked.deliveries.len(),
                self.name
            );
        };
        Ok(serde_json::from_slice(&delivery.raw)?)
    }

    async fn receive(&mut self) -> Result<Next> {
        self.client.fetch(Duration::ZERO).await?;
        let mut receiving = self.client.receive(Filter::default())?;
        let next = self.client.next(&mut receiving).await?;
        next.with_context(|| format!("nothing arrived for {}", self.name))
    }
}

async fn exchange(
    from: &mut Agent,
    to: &mut Agent,
    message_type: MessageType,
    text: &str,
) -> Result<Exchanged> {
    from.send(to, message_type, text).await?;
    let stored = to.waiting().await?;
    match to.receive().await? {
        Next::Message(handover) => {
            let read = handover.message.clone();
            to.client.commit(*handover)?;
            Ok(Exchanged { stored, read })
        }
        Next::Unauthenticated(_) => bail!("{} got a message that nobody signed", to.name),
        Next::SetAside(aside) => bail!("{} refused the message: {}", to.name, aside.detail),
    }
}

/// Lets the relay deliver a message with one character changed.
async fn tamper(from: &mut Agent, to: &mut Agent) -> Result<Tampered> {
    from.send(to, MessageType::Request, ORDER).await?;
    let sent = to.waiting().await?;
    to.relay.delete(&sent.id).await?;
    let mut altered: Vec<char> = serde_json::from_str::<String>(sent.payload.get())?
        .chars()
        .collect();
    let character = altered
        .get_mut(ALTERED)
        .context("the sealed message is too short")?;
    *character = if *character == 'A' { 'B' } else { 'A' };
    // Posted with the sender's API key, which stands for the relay's power to put anything into an
    // inbox in anybody's name.
    let outgoing = Outgoing {
        to: Destination::Agent(to.name.to_owned()),
        message_type: sent.message_type,
        topic: sent.topic.clone(),
        correlation_id: sent.correlation_id.clone(),
        reply_to: sent.reply_to.clone(),
        ttl: None,
        body: Body::Native(altered.into_iter().collect()),
    };
    from.relay.send(&outgoing).await?;
    let delivered = to.waiting().await?;
    match to.receive().await? {
        Next::SetAside(refused) => Ok(Tampered {
            sent,
            delivered,
            refused,
        }),
        Next::Message(_) | Next::Unauthenticated(_) => {
            bail!("{} accepted a message that was tampered with", to.name)
        }
    }
}

impl Summary {
    fn print(&self, output: &Output) -> Result<()> {
        let steps = [
            ("alice asks bob", "bob", &self.request),
            ("bob answers alice", "alice", &self.response),
        ];
        for (title, reader, exchanged) in steps {
            output.line(&output.styled(TITLE, title))?;
            exchanged.print(reader, output)?;
            output.line("")?;
        }
        let title = "the relay changes one character of a sealed message from alice to bob";
        output.line(&output.styled(TITLE, title))?;
        let row = |label: &str, text: &str| [label.to_owned(), text.to_owned()];
        output.table(&[
            row("alice sent", &sealed(&self.tampered.sent)),
            row("the relay delivered", &sealed(&self.tampered.delivered)),
            row(
                "bob refused it",
                &format!(
                    "{}: {}",
                    self.tampered.refused.reason, self.tampered.refused.detail
                ),
            ),
        ])
    }
}

impl Exchanged {
    fn print(&self, reader: &str, output: &Output) -> Result<()> {
        let Self { stored, read } = self;
        let text = match &read.payload {
            Content::Text(text) => text.clone(),
            other => serde_json::to_string(other)?,
        };
        let row = |label: &str, relay: &str, reader: &str| {
            [label.to_owned(), relay.to_owned(), reader.to_owned()]
        };
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        output.table(&[
            row("", "what the relay stored", &format!("what {reader} read")),
            row(
                "from",
                &stored.from,
                &format!("{} ({})", optional(&read.from), read.trust.as_str()),
            ),
            row("to", &stored.to, &read.to),
            row("type", stored.message_type.as_str(), &read.message_type),
            row(
                "correlationId",
                &optional(&stored.correlation_id),
                &optional(&read.correlation_id),
            ),
            row("payload", &sealed(stored), &text),
        ])
    }
}

/// The beginning of a sealed payload.
fn sealed(envelope: &Envelope) -> String {
    let payload = envelope.payload.get().trim_matches('"');
    let start: String = payload.chars().take(SHOWN).collect();
    format!("{start}…")
}
