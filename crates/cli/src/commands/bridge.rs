//! `ctalk bridge`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use async_trait::async_trait;
use ctalk::{
    Agent, Bridge, BridgeStatus, Bridged, Class, Client, Saying, Until,
    relay::opendialogue::OpenDialogue, store::EntryState,
};
use tokio::{net::TcpStream, sync::Mutex, time::timeout};
use url::Url;

use super::{
    opendialogue::connect,
    recv::{self, Doing, Taking},
};
use crate::{context::Context, exit::Complaint};

/// The port that the plugin serves.
const PORT: u16 = 18787;
/// How long what is to be sent waits at most.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a gateway may take to take a connection.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many messages of one conversation are handed over: the policy bounds that, not this.
const MAX_TURNS: u32 = 1_000_000_000;

/// Take the place of another program, for those that talk to it on this machine
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// OpenDialogue's plugin: send what is posted to /send, sealed where the peer can read it, and post
    /// what comes to OpenClaw's hook
    #[command(name = "opendialogue")]
    OpenDialogue(Args),
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = PORT)]
    port: u16,
    #[command(flatten)]
    taking: Taking,
}

pub(crate) fn run(command: Command, context: &Context<'_>) -> Result<ExitCode> {
    let Command::OpenDialogue(Args { port, mut taking }) = command;
    let gateway = taking.or_openclaw().to_owned();
    let output = context.output;
    let doing = Doing::of(&taking, output)?;
    let profile = context.profile()?;
    let url = context.relay_url(taking.relay.clone(), Some(&profile))?;
    let url = ctalk::relay::normalised(&url)?;
    let (keystore, secrets) = context.keystore(&profile)?;
    let keystore = Arc::new(keystore);
    let relay = connect(&url, &secrets)?;
    let client = || context.client_with(&profile, Arc::clone(&keystore), &secrets, &url);
    let (receiving, sending) = (client()?, client()?);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let bridge = Bridge::bind(address).map_err(|error| {
        let text = format!("cannot listen on {address}: {error}");
        Complaint::new(Class::Usage, text).hint("choose another --port")
    })?;
    output.note(&format!("listening on http://{}", bridge.local_addr()));
    let local = Local {
        url,
        relay,
        sending: Mutex::new(sending),
        gateway,
        began: Instant::now(),
    };
    let serving = async { Ok(bridge.serve(&local).await?) };
    let until = Until::Stopped {
        interval: INTERVAL,
        idle: None,
    };
    let agent = Agent::new(vec![(String::new(), receiving)]);
    recv::take(taking, doing, until, &profile, agent, serving, output)
}

/// What stands behind the local API.
struct Local {
    url: String,
    /// For REST calls.
    relay: OpenDialogue,
    /// Puts into the outbox what the receiving client sends.
    sending: Mutex<Client>,
    gateway: String,
    began: Instant,
}

#[async_trait]
impl Bridged for Local {
    async fn status(&self) -> BridgeStatus {
        // The relay knows best whether this agent is connected.
        let seen = self.relay.look_up(self.relay.agent()).await;
        BridgeStatus {
            connected: seen.as_ref().is_ok_and(|agent| agent.online),
            server_url: self.url.clone(),
            agent_id: self.relay.agent().to_owned(),
            queue_size: self.waiting().await,
            gateway_ready: self.is_gateway_ready().await,
            uptime_seconds: self.began.elapsed().as_secs(),
            max_turns_per_conversation: MAX_TURNS,
            last_error: seen.err().map(|error| error.to_string()),
        }
    }

    async fn say(&self, saying: Saying) -> Result<(), String> {
        let mut client = self.sending.lock().await;
        let queued = client.enqueue_words(&saying.to, saying.content).await;
        queued.map(|_| ()).map_err(|error| error.to_string())
    }
}

impl Local {
    /// How many messages are to be sent or handed over.
    async fn waiting(&self) -> usize {
        let (mut waiting, client) = (0, self.sending.lock().await);
        // What cannot be counted now is not worth failing for.
        let _ = client.store().each_outgoing(|_| waiting += 1);
        let _ = client.store().each_entry(EntryState::New, |_| waiting += 1);
        waiting
    }

    async fn is_gateway_ready(&self) -> bool {
        let Ok(url) = Url::parse(&self.gateway) else {
            return false;
        };
        let Ok(Some(address)) = url
            .socket_addrs(|| None)
            .map(|addresses| addresses.first().copied())
        else {
            return false;
        };
        matches!(
            timeout(PATIENCE, TcpStream::connect(address)).await,
            Ok(Ok(_))
        )
    }
}
