//! `ctalk listen`.

use std::{
    cell::RefCell,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use ctalk::{Agent, Class, Listener, Refusal, Until, clock::SystemClock, relay::Relay};

use super::recv::{self, Doing, Taking};
use crate::{context::Context, duration, exit::Complaint};

/// How long a relay's hint can be missed while something else is waited for.
const PAUSE: Duration = Duration::from_secs(2);

/// Receive when the relay posts to the profile's webhook
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The port that the webhook leads to; 0 takes a free one
    #[arg(long)]
    port: u16,
    /// The address of this machine to listen on; whatever leads here from outside should do TLS
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Ask the relay after so long without being told, too
    #[arg(long, value_name = duration::VALUE_NAME, default_value = "5m", value_parser = duration::pause())]
    interval: Duration,
    /// Stop after so long without a message, a running handler or a retry that is due by then
    #[arg(long, value_name = duration::VALUE_NAME, value_parser = duration::pause())]
    idle_exit: Option<Duration>,
    #[command(flatten)]
    taking: Taking,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let (taking, output) = (args.taking, context.output);
    let doing = Doing::of(&taking, output)?;
    let profile = context.profile()?;
    let url = context.relay_url(taking.relay.clone(), Some(&profile))?;
    let (keystore, secrets) = context.keystore(&profile)?;
    let relay = context.connect(&url, &secrets)?;
    let secret = ctalk::webhook_secret(&secrets, relay.url()).ok_or_else(|| {
        let text = format!("no webhook is set at {}", relay.url());
        Complaint::new(Class::Usage, text)
            .hint("ctalk webhook set URL, with the URL that leads here")
    })?;
    let keystore = Arc::new(keystore);
    let mut client = context.client_with(&profile, Arc::clone(&keystore), &secrets, &url)?;
    let address = SocketAddr::new(args.bind, args.port);
    // After `ctalk webhook rotate`.
    let renew = move || ctalk::webhook_secret(&keystore.read().ok()?, relay.url());
    let listener = Listener::bind(address, secret, renew, Arc::new(SystemClock));
    let listener = listener.map_err(|error| {
        let text = format!("cannot listen on {address}: {error}");
        Complaint::new(Class::Usage, text).hint("choose another --port or --bind")
    })?;
    listener.wake(&mut client, args.interval);
    output.note(&format!("listening on http://{}", listener.local_addr()));
    let until = Until::Stopped {
        interval: PAUSE.min(args.interval),
        idle: args.idle_exit,
    };
    // Anybody may post anything at any rate.
    let told = RefCell::new(Vec::new());
    let refused = |refusal: Refusal| {
        let mut told = told.borrow_mut();
        if told.contains(&refusal) {
            return;
        }
        told.push(refusal);
        output.warning(&format!(
            "refused a post: {refusal}; others like it are not told of"
        ));
        if refusal == Refusal::Unsigned {
            output.hint("if it came from the relay: ctalk webhook rotate");
        }
    };
    let serving = async { Ok(listener.serve(refused).await?) };
    let agent = Agent::new(vec![(String::new(), client)]);
    recv::take(taking, doing, until, &profile, agent, serving, output)
}
