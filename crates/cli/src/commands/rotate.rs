//! `ctalk rotate`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{Profile, Retired, Rotated, keystore::Keystore};
use serde::Serialize;

use crate::{context::Context, runtime};

/// Replace the key that envelopes are sealed to, and publish the new key card
///
/// This happens by itself once the key is 7 days old. The former key stays for what is sealed to it,
/// until 30 days after its card has expired.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Destroy all former keys too: what was sealed to them and not received yet is lost
    #[arg(long, requires = "now")]
    destroy_old: bool,
    /// Confirm --destroy-old, which nothing can undo
    #[arg(long, requires = "destroy_old")]
    now: bool,
}

#[derive(Serialize)]
struct Shown {
    serial: u64,
    created: String,
    expires: String,
    /// Whether the relay's directory shows it.
    published: bool,
    /// How many former keys were destroyed.
    destroyed: usize,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    let (keystore, secrets) = context.keystore(&profile)?;
    context.check_not_ended(&profile, &secrets)?;
    let retired = if args.destroy_old {
        Retired::Destroy
    } else {
        Retired::Keep
    };
    let rotated = ctalk::rotate(&profile, &keystore, retired, super::now())?;
    if args.destroy_old {
        output.note(
            "messages that were sealed to a former key and not received yet, at the relay or in the \
             inbox, cannot be opened any more; nor can those that contacts send before they have the \
             new key card",
        );
    }
    let published = publish(context, &profile, &keystore, &rotated)?;
    let card = rotated.card;
    let shown = Shown {
        serial: card.serial(),
        created: ctalk::shown::timestamp(card.created()),
        expires: ctalk::shown::timestamp(card.expires()),
        published,
        destroyed: rotated.destroyed,
    };
    if output.is_json() {
        output.object(&shown)?;
    } else {
        let row = |label: &str, value: String| [label.to_owned(), value];
        output.table(&[
            row("serial", shown.serial.to_string()),
            row("created", shown.created),
            row("expires", shown.expires),
            row("published", if published { "yes" } else { "no" }.to_owned()),
            row("destroyed", shown.destroyed.to_string()),
        ])?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Publishes the card where the profile is registered, and says whether it did. Every later use of a
/// client tries it again.
fn publish(
    context: &Context<'_>,
    profile: &Profile,
    keystore: &Keystore,
    rotated: &Rotated,
) -> Result<bool> {
    if profile.relay().is_none() {
        return Ok(false);
    }
    let relays = context.relays(profile, &rotated.secrets)?;
    let now = super::now();
    let published = runtime::run(async {
        let mut published = Ok(());
        for relay in relays {
            let secrets = &rotated.secrets;
            let outcome = ctalk::publish(profile, keystore, secrets, &*relay, now).await;
            if published.is_ok() {
                published = outcome.map(|_| ());
            }
        }
        Ok(published)
    })?;
    if let Err(error) = &published {
        context.output.warning(&format!(
            "the new key card could not be published: {error}; trying again at the next use"
        ));
    }
    Ok(published.is_ok())
}
