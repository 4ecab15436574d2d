//! The commands, one file each.

pub(crate) mod ack;
pub(crate) mod admin;
pub(crate) mod agents;
pub(crate) mod bridge;
pub(crate) mod call;
pub(crate) mod card;
pub(crate) mod channels;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod contact;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod flush;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod inbox;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod listen;
pub(crate) mod man;
pub(crate) mod open;
pub(crate) mod opendialogue;
pub(crate) mod outbox;
pub(crate) mod pair;
pub(crate) mod passwd;
pub(crate) mod recv;
pub(crate) mod register;
pub(crate) mod relay;
pub(crate) mod relays;
pub(crate) mod revoke;
pub(crate) mod rotate;
pub(crate) mod seal;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod succeed;
pub(crate) mod verify;
pub(crate) mod webhook;
pub(crate) mod whoami;
pub(crate) mod wtt;

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{
    clock::{Clock, SystemClock},
    core::Timestamp,
};

use crate::{
    args::{Cli, Command},
    context::Context,
    output::Output,
};

/// Runs the command; the exit code is not that of success when parts of the work failed and were
/// reported.
pub(crate) fn run(cli: Cli, output: &Output) -> Result<ExitCode> {
    let context = Context::new(cli.global, output);
    match cli.command {
        Command::Relay(args) => relay::run(args, output),
        Command::Admin(args) => admin::run(args, &context),
        Command::Keygen(args) => keygen::run(args, &context),
        Command::Register(args) => register::run(args, &context),
        Command::Agents(args) => agents::run(args, &context),
        Command::Channels(args) => channels::run(args, &context),
        Command::Health(args) => health::run(args, &context),
        Command::Whoami(args) => whoami::run(args, &context),
        Command::Card(args) => card::run(args, &context),
        Command::Rotate(args) => rotate::run(args, &context),
        Command::Succeed(args) => succeed::run(args, &context),
        Command::Revoke(args) => revoke::run(args, &context),
        Command::Contact(command) => contact::run(command, &context),
        Command::Pair(args) => pair::run(args, &context),
        Command::Send(args) => send::run(args, &context),
        Command::Call(args) => call::run(args, &context),
        Command::Chat(args) => chat::run(args, &context),
        Command::Outbox(command) => outbox::run(command, &context),
        Command::Flush(args) => flush::run(args, &context),
        Command::Relays(args) => relays::run(args, &context),
        Command::Recv(args) => recv::run(args, &context),
        Command::Listen(args) => listen::run(args, &context),
        Command::OpenDialogue(command) => opendialogue::run(command, &context),
        Command::Bridge(command) => bridge::run(command, &context),
        Command::Webhook(command) => webhook::run(command, &context),
        Command::Serve(command) => serve::run(command, &context),
        Command::Service(args) => service::run(&args, &context),
        Command::Inbox(command) => inbox::run(command, &context),
        Command::Seal(args) => seal::run(args, &context),
        Command::Open(args) => open::run(args, &context),
        Command::Verify(args) => verify::run(args, &context),
        Command::Inspect(args) => inspect::run(args, &context),
        Command::Ack(args) => ack::run(args, &context),
        Command::Passwd(args) => passwd::run(args, &context),
        Command::Export(args) => export::run(args, &context),
        Command::Import(args) => import::run(args, &context),
        Command::Doctor(args) => doctor::run(args, &context),
        Command::Wtt(args) => wtt::run(args, &context),
        Command::Demo(args) => demo::run(args, output),
        Command::Completions(args) => completions::run(args, output),
        Command::Man(args) => man::run(args),
    }
}

/// What this machine's clock says.
fn now() -> Timestamp {
    u64::try_from(SystemClock.now())
        .ok()
        .and_then(Timestamp::from_millis)
        .unwrap_or(Timestamp::MAX)
}

/// A span of time in milliseconds, as people write one.
pub(crate) fn span(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Refuses what is in the clear where the profile requires something.
fn check_plaintext(profile: &ctalk::Profile) -> Result<()> {
    match profile.require().words().next() {
        None => Ok(()),
        Some(required) => Err(ctalk::Error::PlaintextRefused { required }.into()),
    }
}
