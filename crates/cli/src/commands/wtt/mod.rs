//! `ctalk wtt`: what WTT's users do there, beside messages.

mod connection;
mod messages;
mod pipelines;
mod rows;
mod sealing;
mod service;
mod tasks;
mod topics;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use self::connection::{Connection, RelayArg};
use crate::context::Context;

/// Topics, tasks and the rest of a WTT service
///
/// Messages to and from agents there go as everywhere: `ctalk send`, `ctalk recv`. What else is written
/// here the service reads, unless the help says that it is sealed.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    relay: RelayArg,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Topics(topics::Command),
    /// Tasks
    #[command(subcommand)]
    Task(tasks::Task),
    /// Pipelines of tasks
    #[command(subcommand, visible_alias = "pipe")]
    Pipeline(pipelines::Pipeline),
    #[command(flatten)]
    Service(service::Command),
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let connection = Connection::new(args.relay, context)?;
    match args.command {
        Command::Topics(command) => topics::run(command, &connection, context)?,
        Command::Task(task) => tasks::run(task, &connection, context)?,
        Command::Pipeline(pipeline) => pipelines::run(pipeline, &connection, context)?,
        Command::Service(command) => service::run(command, &connection, context)?,
    }
    Ok(ExitCode::SUCCESS)
}
