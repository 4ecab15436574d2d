//! `ctalk ack`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{Class, text::escaped};
use serde::Serialize;

use crate::{
    args::RelayArg,
    context::Context,
    exit::{self, Complaint},
};

/// Delete messages from the relay's inbox without reading them
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The relay's ids of the messages
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    relay: RelayArg,
}

#[derive(Serialize)]
struct Acknowledged<'a> {
    id: &'a str,
    deleted: bool,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    let relay = context.connection(&profile, args.relay)?;
    crate::runtime::run(async {
        let mut code = ExitCode::SUCCESS;
        for id in &args.ids {
            let deleted = relay.delete(id).await?;
            if output.is_json() {
                output.object(&Acknowledged { id, deleted })?;
            } else if deleted {
                output.line(&format!("deleted {}", escaped(id)))?;
            }
            if !deleted {
                let text = format!("the relay holds no message `{id}` for this agent");
                output.failure(anyhow::Error::from(Complaint::new(
                    Class::RelayRefused,
                    text,
                )));
                code = exit::code(Class::RelayRefused);
            }
        }
        Ok(code)
    })
}
