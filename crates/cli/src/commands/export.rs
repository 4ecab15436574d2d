//! `ctalk export`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use ctalk::{
    Error,
    backup::{self, BackupError, SealingKeys},
    keystore::{KeystoreError, Passphrase, PassphraseSource, Prompt},
};
use serde::Serialize;

use crate::context::{self, Context};

/// Write identity, contacts and policy to one file, sealed under a passphrase
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The new file; none is overwritten
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    passphrase: ExportPassphrase,
    /// Also write the keys that envelopes are sealed to: what is under way can be opened on the other
    /// machine then, and by whoever opens the export
    #[arg(long)]
    with_sealing_keys: bool,
}

/// Where an export's passphrase comes from.
#[derive(clap::Args)]
pub(crate) struct ExportPassphrase {
    /// Read the export's passphrase, which is not the key store's, from this file
    #[arg(long, value_name = "FILE")]
    export_passphrase_file: Option<PathBuf>,
}

impl ExportPassphrase {
    /// The passphrase in the file, or what `ask` gets.
    pub(crate) fn source<'a>(
        &self,
        ask: &'a mut dyn FnMut(Prompt) -> Result<Passphrase, KeystoreError>,
    ) -> Result<PassphraseSource<'a>, Error> {
        let source = context::passphrase(self.export_passphrase_file.as_deref(), ask);
        Ok(source.map_err(BackupError::Sealed)?)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exported<'a> {
    name: &'a str,
    file: String,
    contacts: usize,
    policy: bool,
    sealing_keys: bool,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    let (_, secrets) = context.keystore(&profile)?;
    let keys = if args.with_sealing_keys {
        SealingKeys::Included
    } else {
        SealingKeys::LeftOut
    };
    let mut ask = context::asking("export");
    let passphrase = args.passphrase.source(&mut ask)?;
    let moved = backup::export(&profile, &secrets, keys, passphrase, &args.out)?;
    let exported = Exported {
        name: profile.name(),
        file: args.out.display().to_string(),
        contacts: moved.contacts,
        policy: moved.has_policy,
        sealing_keys: args.with_sealing_keys,
    };
    if output.is_json() {
        output.object(&exported)?;
    } else {
        let Exported {
            name,
            file,
            contacts,
            ..
        } = exported;
        output.line(&format!(
            "exported {name} and {contacts} contacts to {file}"
        ))?;
    }
    output.note("whoever has the file and its passphrase is this identity");
    Ok(ExitCode::SUCCESS)
}
