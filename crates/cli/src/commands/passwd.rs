//! `ctalk passwd`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use ctalk::{
    Class,
    keystore::{KeystoreError, Kind},
};
use serde::Serialize;

use crate::{
    context::{self, Context},
    exit::Complaint,
};

/// Change the key store's passphrase, or its kind
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to keep the secrets from now on: keyring, file or plain [default: as before]
    #[arg(long, value_name = "KIND")]
    key_store: Option<Kind>,
    /// Read the new passphrase from this file; the present one is that of --passphrase-file
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed<'a> {
    name: &'a str,
    profile: &'a str,
    key_store: String,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let mut profile = context.profile()?;
    let present = Kind::of(profile.folder())?;
    let kind = args.key_store.unwrap_or(present);
    if (present, kind) == (Kind::Plain, Kind::Plain) && profile.key_store() == kind {
        let text = "a plain key store has no passphrase that could be changed";
        let complaint = Complaint::new(Class::Usage, text);
        return Err(complaint.hint("ctalk passwd --key-store file").into());
    }
    let (keystore, _) = context.keystore(&profile)?;
    let mut ask = context::asking("key store");
    let file = args.new_passphrase_file.as_deref();
    context::passphrase(file.filter(|_| kind == Kind::File), &mut ask)
        .and_then(|passphrase| keystore.change(kind, passphrase))
        .map_err(of_the_new)?;
    profile.set_key_store(kind);
    profile.save()?;
    if kind == Kind::Plain {
        let folder = profile.folder().display();
        let name = profile.name();
        output.note(&format!(
            "the keys lie unprotected in {folder}: whoever can read it is {name}"
        ));
    }
    if output.is_json() {
        output.object(&Changed {
            name: profile.name(),
            profile: &context.profile_name,
            key_store: kind.to_string(),
        })?;
    } else {
        output.line(&format!("the key store of {} is {kind}", profile.name()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Names the option that the new passphrase comes from, which is not that of the present one.
fn of_the_new(error: KeystoreError) -> anyhow::Error {
    match error {
        KeystoreError::PassphraseMissing
        | KeystoreError::PassphraseEmpty
        | KeystoreError::PassphraseFile { .. } => {
            let text = format!("no new passphrase: {error}");
            Complaint::new(Class::LocalStore, text)
                .hint("name a file that holds one line with `--new-passphrase-file FILE`")
                .into()
        }
        other => other.into(),
    }
}
