//! `ctalk webhook`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{keystore::Keystore, relay::clawtalk::ClawTalk, text::escaped, wire::Webhook};
use serde_json::json;

use crate::{args::RelayArg, context::Context, output::Output, runtime};

/// Have the relay tell when something comes, instead of being asked
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Have the relay post to a URL, signed with a secret that the profile keeps
    Set(Set),
    /// Show where the relay posts to, and how that goes
    Show(Here),
    /// Have the relay sign with another secret
    Rotate(Here),
    /// Have the relay post nothing any more
    Clear(Here),
}

#[derive(clap::Args)]
pub(crate) struct Set {
    /// Where to, for example https://agent.example.org/ctalk, which leads to `ctalk listen`
    #[arg(value_name = "URL")]
    target: String,
    #[command(flatten)]
    here: Here,
}

#[derive(clap::Args)]
pub(crate) struct Here {
    #[command(flatten)]
    relay: RelayArg,
}

pub(crate) fn run(command: Command, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let here = match &command {
        Command::Set(Set { here, .. })
        | Command::Show(here)
        | Command::Rotate(here)
        | Command::Clear(here) => here.relay.clone(),
    };
    let profile = context.profile()?;
    let url = context.relay_url(here, Some(&profile))?;
    let (keystore, secrets) = context.keystore(&profile)?;
    let relay = context.connect(&url, &secrets)?;
    let webhook = runtime::run(webhook(&command, &relay, &keystore, profile.name()))?;
    match webhook {
        Some(webhook) if output.is_json() => output.object(&webhook)?,
        Some(webhook) => show(&webhook, output)?,
        None if output.is_json() => output.object(&json!({}))?,
        None => output.line("the relay posts nothing")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Does what is asked for, and looks at the webhook afterwards.
async fn webhook(
    command: &Command,
    relay: &ClawTalk,
    keystore: &Keystore,
    name: &str,
) -> Result<Option<Webhook>> {
    match command {
        Command::Set(Set { target, .. }) => {
            ctalk::set_webhook(relay, keystore, name, target).await?;
        }
        Command::Show(_) => {}
        Command::Rotate(_) => ctalk::rotate_webhook_secret(relay, keystore, name).await?,
        Command::Clear(_) => {
            ctalk::clear_webhook(relay, keystore, name).await?;
            return Ok(None);
        }
    }
    Ok(relay.webhook().await?)
}

fn show(webhook: &Webhook, output: &Output) -> Result<()> {
    let url = webhook.url.as_ref().unwrap_or(&webhook.target);
    let mut rows = vec![
        ["posts to".to_owned(), escaped(url).into_owned()],
        ["queued".to_owned(), webhook.queued.to_string()],
        ["delivered".to_owned(), webhook.delivered.to_string()],
        ["failed".to_owned(), webhook.failed.to_string()],
        ["skipped".to_owned(), webhook.skipped.to_string()],
    ];
    if let Some(ts) = &webhook.last_delivered {
        rows.push(["last delivered".to_owned(), escaped(ts).into_owned()]);
    }
    if let Some(failure) = &webhook.last_failure {
        let status = failure.status.map(|status| format!(" {status}"));
        let failure = format!(
            "{}  {}{}",
            failure.ts,
            failure.reason,
            status.unwrap_or_default()
        );
        rows.push(["last failure".to_owned(), escaped(&failure).into_owned()]);
    }
    output.table(&rows)
}
