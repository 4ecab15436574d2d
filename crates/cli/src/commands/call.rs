//! `ctalk call`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use ctalk::{Call, Draft, Via, core::envelope::MAX_LIFE};

use super::send;
use crate::{
    args::{RelayArg, RequireArg},
    context::{self, Context},
    duration::{self, SECOND},
    progress, runtime,
};

/// Send a request, wait for its response, and print what it says
#[derive(clap::Args)]
#[command(override_usage = "ctalk call [OPTIONS] PEER [TEXT or -]")]
pub(crate) struct Args {
    /// The recipient, who needs a key card
    peer: String,
    /// The text, or `-` for stdin; without it and --data and --file, stdin is read
    text: Option<String>,
    /// Send this JSON, or that in a file for @FILE
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// Send this file's content
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    file: Option<PathBuf>,
    /// Conversation label, inside the envelope
    #[arg(long)]
    topic: Option<String>,
    /// Pairs the response with this request [default: a random one]
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// How long to wait for the response
    #[arg(long, value_name = duration::VALUE_NAME, default_value = "30s", value_parser = duration::between(SECOND, MAX_LIFE))]
    timeout: Duration,
    #[command(flatten)]
    require: RequireArg,
    #[command(flatten)]
    relay: RelayArg,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let profile = context.profile()?;
    let draft = Draft {
        name: send::file_name(args.file.as_deref()),
        topic: args.topic,
        correlation_id: args.correlation_id,
        ..Draft::new(send::content(args.text, args.data, args.file)?)
    };
    let agent = context.agent(&profile, args.relay)?;
    let mut client = agent.into_client_for(&args.peer, Via::Preferred)?;
    client.require(args.require.with(&profile));
    let bar = progress::Progress::new(context.output, None);
    client.on_transfer(move |transfer| bar.show_of(transfer.done, transfer.total));
    let answered = runtime::run(async {
        context::refresh(&mut client, context.output).await;
        let answered = async {
            let call = Call::begin(&mut client, &args.peer, draft, args.timeout).await?;
            let response = call.wait(&mut client).await?;
            if context.output.is_json() {
                context.output.object(&response.message)?;
            } else {
                context.output.bytes(response.message.payload.as_bytes())?;
            }
            // Only now: what could not be printed stays in the inbox.
            Ok(response.settle(&mut client)?)
        }
        .await;
        client.close().await?;
        answered
    });
    context.output.notices(client.take_notices());
    answered?;
    Ok(ExitCode::SUCCESS)
}
