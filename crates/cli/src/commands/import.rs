//! `ctalk import`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use ctalk::{
    backup::{self, Imported},
    core::Fingerprint,
    keystore::{self, Kind},
};
use serde::Serialize;

use super::export::ExportPassphrase;
use crate::context::{self, Context};

/// Make the profile, which must not exist, of what `ctalk export` wrote
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    passphrase: ExportPassphrase,
    /// Where to keep the secrets: keyring, file or plain [default: keyring if one answers, or file]
    #[arg(long, value_name = "KIND")]
    key_store: Option<Kind>,
    /// What `ctalk export` wrote
    file: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    #[serde(serialize_with = "ctalk::shown::hex")]
    fingerprint: Fingerprint,
    key_store: String,
    profile: &'a str,
    relay: Option<&'a str>,
    contacts: usize,
    policy: bool,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let folder = context.folder()?;
    // Before the keyring is asked or a person is bothered.
    backup::refuse_occupied(&folder)?;
    let mut ask = context::asking("export");
    let opening = args.passphrase.source(&mut ask)?;
    let kind = args.key_store.unwrap_or_else(keystore::default_kind);
    let mut ask_new = context::asking("key store");
    let sealing = context.passphrase(kind, &mut ask_new)?;
    let Imported {
        profile,
        fingerprint,
        moved,
    } = backup::import(&args.file, opening, &folder, kind, sealing)?;
    let shown = Shown {
        name: profile.name(),
        fingerprint,
        key_store: kind.to_string(),
        profile: &context.profile_name,
        relay: profile.relay(),
        contacts: moved.contacts,
        policy: moved.has_policy,
    };
    if output.is_json() {
        output.object(&shown)?;
    } else {
        output.line(&format!(
            "imported {} and {} contacts into the profile {}",
            shown.name, shown.contacts, shown.profile
        ))?;
    }
    output
        .warning("one identity on two machines is unsupported: do not use the other one any more");
    if profile.relay().is_some() {
        output.hint("publish the key to seal to from now on (ctalk card --publish), and write to those who wait");
    }
    Ok(ExitCode::SUCCESS)
}
