//! `ctalk flush`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{Class, Fate, Flushed, relay::RelayError, text::distinct};
use serde::Serialize;

use crate::{
    args::RelayArg,
    context::{self, Context},
    exit,
    output::Output,
};

/// Send what is in the outbox
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    relay: RelayArg,
}

/// What became of a message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    number: i64,
    id: Option<&'a str>,
    to: &'a [String],
    /// `sent`, `queued`, `failed`, `expired` or `unanswered`.
    state: &'static str,
    relay_id: Option<&'a str>,
    ts: Option<&'a str>,
    error: Option<String>,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let profile = context.profile()?;
    let mut agent = context.agent(&profile, args.relay)?;
    let flushed = crate::runtime::run(async {
        let mut flushed = Vec::new();
        for client in agent.clients_mut() {
            context::refresh(client, context.output).await;
            flushed.extend(client.flush().await?);
        }
        agent.close().await?;
        Ok(flushed)
    });
    context.output.notices(agent.take_notices());
    let mut first = None;
    for flushed in flushed? {
        let failed = print(&flushed, context.output)?;
        first = first.or(failed);
    }
    Ok(first.map_or(ExitCode::SUCCESS, exit::code))
}

/// Prints what became of a message; returns the class of what kept it from leaving.
fn print(flushed: &Flushed, output: &Output) -> Result<Option<Class>> {
    let (state, accepted, error) = match &flushed.fate {
        Fate::Sent(accepted) => ("sent", Some(accepted), None),
        Fate::Queued(error) => ("queued", None, Some(error)),
        Fate::Failed(error) => ("failed", None, Some(error)),
        Fate::Unanswered => ("unanswered", None, None),
        _ => ("expired", None, None),
    };
    let class = match (error, accepted) {
        (Some(error), _) => Some(error.class()),
        (None, None) => Some(Class::TimedOut),
        (None, Some(_)) => None,
    };
    let error = error.map(RelayError::to_string);
    if output.is_json() {
        output.object(&Line {
            number: flushed.number,
            id: flushed.id.as_deref(),
            to: &flushed.to,
            state,
            relay_id: accepted.and_then(|accepted| accepted.relay_id.as_deref()),
            ts: accepted.and_then(|accepted| accepted.ts.as_deref()),
            error,
        })?;
        return Ok(class);
    }
    let to: Vec<_> = flushed.to.iter().map(|name| distinct(name)).collect();
    let id = flushed.id.as_deref().unwrap_or("-");
    let line = format!("{}  {}  {id}  {state}", flushed.number, to.join(","));
    output.line(&match error {
        Some(error) => format!("{line}: {error}"),
        None => line,
    })?;
    Ok(class)
}
