//! `ctalk card`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{Class, core::Fingerprint};
use serde::Serialize;

use crate::{context::Context, exit::Complaint, qr, runtime};

/// Print the profile's key card, which others need to seal envelopes to it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print it as a QR code
    #[arg(long, conflicts_with = "json")]
    qr: bool,
    /// Put it into the relay's directory too, as `ctalk register` did
    #[arg(long)]
    publish: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    card: String,
    name: &'a str,
    #[serde(serialize_with = "ctalk::shown::hex")]
    fingerprint: Fingerprint,
    serial: u64,
    created: String,
    expires: String,
    addresses: Vec<&'a str>,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    let (keystore, secrets) = context.keystore(&profile)?;
    context.check_not_ended(&profile, &secrets)?;
    let now = super::now();
    let card = if args.publish {
        let relays = context.relays(&profile, &secrets)?;
        runtime::run(async {
            for relay in relays {
                ctalk::publish(&profile, &keystore, &secrets, &*relay, now).await?;
            }
            Ok(())
        })?;
        ctalk::own_card(&profile, &keystore, &secrets, now)?
    } else {
        ctalk::own_card(&profile, &keystore, &secrets, now)?
    };
    let text = card.to_text();
    if output.is_json() {
        output.object(&Shown {
            card: text,
            name: card.name(),
            fingerprint: card.fingerprint(),
            serial: card.serial(),
            created: ctalk::shown::timestamp(card.created()),
            expires: ctalk::shown::timestamp(card.expires()),
            addresses: card.addresses().collect(),
        })?;
    } else if args.qr {
        let drawn = qr::draw(&text).map_err(|_| {
            let text = "the key card is too long for a QR code";
            Complaint::new(Class::Usage, text).hint("`ctalk card` prints it as text")
        })?;
        output.line(&drawn)?;
    } else {
        output.line(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
