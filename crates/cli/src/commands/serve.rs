//! `ctalk serve`.

use std::{cell::Cell, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use ctalk::{
    Class, Contract, Event, Filter, Until, Work,
    clock::SystemClock,
    relay::openclaw::{Auth, Host, Rules},
};

use super::recv::{self, handlers::HandlerArgs};
use crate::{
    args::RequireArg,
    context::Context,
    duration,
    exit::Complaint,
    runtime::{self, Signal},
};

/// The longest pause between two looks at the outbox while nothing comes.
const INTERVAL: Duration = Duration::from_secs(1);

/// Have a program answer clients of another protocol
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Openclaw(Args),
}

/// Be the server of OpenClaw's WebSocket channel, with a program in the agent's place
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The address and port to listen on; port 0 takes a free one. Whatever leads here from outside should do
    /// TLS
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Where the WebSocket is
    #[arg(long, value_name = "PATH", default_value = "/ws", value_parser = path)]
    path: String,
    /// Let in whose token this service knows: it is posted the query's parameters as JSON
    #[arg(long, value_name = "URL")]
    auth: Option<String>,
    /// Let in others, too, as nobody in particular
    #[arg(long, requires = "auth")]
    auth_optional: bool,
    /// How long the service may take
    #[arg(long, value_name = duration::VALUE_NAME, default_value = "5s", requires = "auth", value_parser = duration::pause())]
    auth_timeout: Duration,
    /// Answer what is said in the clear, too; the program is told that nobody signed it
    #[arg(long)]
    plaintext: bool,
    #[command(flatten)]
    handlers: HandlerArgs,
    #[command(flatten)]
    require: RequireArg,
}

pub(crate) fn run(command: Command, context: &Context<'_>) -> Result<ExitCode> {
    let Command::Openclaw(args) = command;
    let (handlers, output) = (args.handlers, context.output);
    let handler = handlers.handler(output)?.ok_or_else(|| {
        let text = "there is nothing that answers";
        Complaint::new(Class::Usage, text).hint("--exec COMMAND, or --post URL")
    })?;
    let is_open = args.auth.is_none() || args.auth_optional;
    if args.plaintext && is_open && !args.listen.ip().is_loopback() {
        let text = "anybody who reaches this address could have the program run";
        return Err(Complaint::new(Class::Usage, text)
            .hint("let in who has a token: --auth URL; or leave out --plaintext")
            .into());
    }
    let auth = match &args.auth {
        Some(url) => Some(Auth::new(url, args.auth_timeout, !args.auth_optional)?),
        None => None,
    };
    let clock = Arc::new(SystemClock);
    let rules = Rules {
        path: args.path,
        auth,
        takes_plaintext: args.plaintext,
        clock: clock.clone(),
    };
    let profile = context.profile()?;
    let (keystore, secrets) = context.keystore(&profile)?;
    context.check_not_ended(&profile, &secrets)?;
    let host = Host::bind(args.listen, rules).map_err(|error| {
        let text = format!("cannot listen on {}: {error}", args.listen);
        Complaint::new(Class::Usage, text).hint("choose another --listen")
    })?;
    let mut client = ctalk::client_over(&profile, keystore, &secrets, host.clone(), clock)?;
    client.require(args.require.with(&profile));
    let work = Work {
        filter: Filter::default(),
        contract: Contract {
            holds_unsigned: !args.plaintext,
            ..handlers.contract()
        },
        handler: handlers.name(),
        replies: true,
        concurrency: Host::MOST_AT_ONCE,
        most: None,
        until: Until::Stopped {
            interval: INTERVAL,
            idle: None,
        },
    };
    let store = profile.store_path();
    let answering = host.answering(handler, &store, handlers.concurrency())?;
    output.note(&format!("listening on ws://{}", host.local_addr()));
    let ended_by = Cell::new(None);
    runtime::run_through(async {
        let stop = async { ended_by.set(Some(runtime::signalled(1).await)) };
        let observe = |event: Event<'_>| {
            host.observe(&event);
            recv::report(&event, output);
        };
        let working = async {
            let _worked = client.work(&work, &answering, stop, observe).await?;
            host.close().await;
            Ok(())
        };
        tokio::select! {
            worked = working => worked,
            failed = host.serve() => match failed? {},
            signal = runtime::signalled(2) => Err(signal.into()),
        }
    })?;
    match ended_by.get() {
        Some(Signal::Interrupt) => Err(Signal::Interrupt.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn path(text: &str) -> Result<String, &'static str> {
    let is_path = text.starts_with('/') && !text.contains(['?', '#']);
    is_path
        .then(|| text.to_owned())
        .ok_or("a path begins with `/` and has no `?` and no `#`")
}
