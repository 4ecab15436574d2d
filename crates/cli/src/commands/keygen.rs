//! `ctalk keygen`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use ctalk::{
    Class, Profile,
    core::{Identity, MAX_KEYGEN_JSON_LEN},
    keystore::{self, Kind},
    shown::Myself,
};
use zeroize::Zeroizing;

use crate::{commands::whoami, context::Context, exit::Complaint, input};

/// Make or import the profile's identity
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The agent's name: 2 to 32 letters, digits, `_` or `-`
    #[arg(long, required_unless_present = "clawtalk")]
    name: Option<String>,
    /// Where to keep the secrets: keyring, file or plain [default: keyring if one answers, or file]
    #[arg(long, value_name = "KIND")]
    key_store: Option<Kind>,
    /// Take the keys from this file, or from stdin for `-`, as ClawTalk's key generator prints them
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,
    /// Only print a fresh key pair as ClawTalk's key generator does
    #[arg(long, conflicts_with_all = ["name", "key_store", "import"])]
    clawtalk: bool,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let Some(name) = args.name else {
        context.output.line(&generate().to_keygen_json())?;
        return Ok(ExitCode::SUCCESS);
    };
    let folder = context.folder()?;
    // Before the keyring is asked or a person is bothered.
    Profile::begin(&folder, &name, Kind::File)?;
    let identity = match args.import {
        Some(file) => import(&file)?,
        None => generate(),
    };
    let kind = args.key_store.unwrap_or_else(keystore::default_kind);
    let (profile, _) = context.with_passphrase(kind, |passphrase| {
        Profile::create(&folder, &name, kind, passphrase, &identity)
    })?;
    if kind == Kind::Plain {
        let folder = folder.display();
        context.output.note(&format!(
            "the keys lie unprotected in {folder}: whoever can read it is {name}"
        ));
    }
    whoami::show(
        &Myself::new(&profile, identity.public_keys()),
        context.output,
    )?;
    Ok(ExitCode::SUCCESS)
}

fn generate() -> Identity {
    Identity::generate(&mut rand_core::UnwrapErr(getrandom::SysRng))
}

fn import(file: &std::path::Path) -> Result<Identity> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEYGEN_JSON_LEN + 1));
    input::read(file, MAX_KEYGEN_JSON_LEN, &mut bytes)?;
    let text = str::from_utf8(&bytes)
        .map_err(|_| Complaint::new(Class::Malformed, "the key file is not UTF-8 text"))?;
    Ok(Identity::from_keygen_json(text)?)
}
