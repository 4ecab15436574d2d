//! `ctalk ack`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{
    Class,
    core::envelope::{self, Envelope},
    relay::{Incoming, Relay, clawtalk::ClawTalk},
    text::escaped,
};
use serde::Serialize;

use crate::{
    args::RelayArg,
    context::Context,
    exit::{self, Complaint},
};

/// Hex digits of an envelope's id.
const ENVELOPE_ID_LEN: usize = 32;

/// Delete messages from the relay's inbox without reading them
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The messages' ids, or the relay's ids of them
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
            let deleted = match relay_id(&relay, id).await? {
                Some(relay_id) => relay.delete(&relay_id).await?,
                None => relay.delete(id).await?,
            };
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

/// What the relay calls the envelope with this id, if it is one of those that the relay shows.
async fn relay_id(relay: &ClawTalk, id: &str) -> Result<Option<String>> {
    // Else it is a relay's id, and there is no need to look.
    if id.len() != ENVELOPE_ID_LEN || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let waiting = relay.peek().await?.deliveries;
    let found = waiting.into_iter().find(|delivery| {
        let Ok(Incoming::Native { text, .. }) = relay.read(&delivery.raw) else {
            return false;
        };
        let bytes = envelope::from_text(&text).unwrap_or_default();
        Envelope::parse(&bytes).is_ok_and(|envelope| envelope.claims().id.to_string() == id)
    });
    Ok(found.and_then(|delivery| delivery.relay_id))
}
