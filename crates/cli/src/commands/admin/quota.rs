//! `ctalk admin quota`.

use std::str::FromStr;

use anyhow::Result;
use ctalk::{
    relay::admin::Admin,
    wire::{PatchQuota, Usage},
};

use crate::{commands::relay::Limit, output::Output};

/// Show or change how much an agent's inbox may hold
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The agent, as it is registered
    name: String,
    /// The most messages; `off` for no limit, `default` for the relay's own
    #[arg(long, value_name = "N")]
    max_messages: Option<OwnLimit>,
    /// The most bytes; `off` for no limit, `default` for the relay's own
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<OwnLimit>,
}

/// A limit of one agent's own, or `default` for none of its own.
#[derive(Clone, Copy)]
struct OwnLimit(Option<u64>);

impl FromStr for OwnLimit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text == "default" {
            return Ok(Self(None));
        }
        let limit: Limit = text
            .parse()
            .map_err(|_| "a limit is a whole number, off or default")?;
        Ok(Self(Some(limit.0)))
    }
}

pub(super) async fn run(args: Args, admin: &Admin, output: &Output) -> Result<()> {
    let patch = PatchQuota {
        max_messages: args.max_messages.map(|limit| limit.0),
        max_bytes: args.max_bytes.map(|limit| limit.0),
    };
    let usage = if patch == PatchQuota::default() {
        admin.usage(&args.name).await?
    } else {
        admin.set_quota(&args.name, &patch).await?
    };
    if output.is_json() {
        return output.object(&usage);
    }
    show(usage, output)
}

fn show(usage: Usage, output: &Output) -> Result<()> {
    let of =
        |limit: Option<u64>| limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    let (messages, bytes) = (usage.messages, usage.bytes);
    output.line(&format!(
        "messages  {messages} of {}",
        of(usage.max_messages)
    ))?;
    output.line(&format!("bytes     {bytes} of {}", of(usage.max_bytes)))
}
