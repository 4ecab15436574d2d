//! `ctalk whoami`, and how one's own identity is shown.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{
    Profile,
    core::{Fingerprint, Identity, PublicKeys},
};
use serde::Serialize;

use crate::{context::Context, output::Output};

/// Show the profile's name, fingerprint and public keys
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(Args {}: Args, context: &Context<'_>) -> Result<ExitCode> {
    let profile = context.profile()?;
    let (_, secrets) = context.keystore(&profile)?;
    let identity = Identity::from_keygen_json(secrets.identity())?;
    Me::new(&profile, &context.profile_name, identity.public_keys()).print(context.output)?;
    Ok(ExitCode::SUCCESS)
}

/// The public side of a profile.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me<'a> {
    name: &'a str,
    #[serde(serialize_with = "hex")]
    fingerprint: Fingerprint,
    /// What those who know no key card of it see.
    #[serde(serialize_with = "hex")]
    classic_fingerprint: Fingerprint,
    public_key: String,
    signing_key: String,
    key_store: String,
    profile: &'a str,
    relay: Option<&'a str>,
}

impl<'a> Me<'a> {
    pub(crate) fn new(profile: &'a Profile, profile_name: &'a str, keys: &PublicKeys) -> Self {
        Self {
            name: profile.name(),
            fingerprint: Fingerprint::native(keys.verifying()),
            classic_fingerprint: keys.fingerprint(),
            public_key: keys.encryption().to_base64(),
            signing_key: keys.verifying().to_base64(),
            key_store: profile.key_store().to_string(),
            profile: profile_name,
            relay: profile.relay(),
        }
    }

    pub(crate) fn print(&self, output: &Output) -> Result<()> {
        if output.is_json() {
            return output.object(self);
        }
        let row = |label: &str, value: &str| [label.to_owned(), value.to_owned()];
        output.table(&[
            row("name", self.name),
            row("fingerprint", &self.fingerprint.to_string()),
            row("classic fingerprint", &self.classic_fingerprint.to_string()),
            row("public key", &self.public_key),
            row("signing key", &self.signing_key),
            row("key store", &self.key_store),
            row("profile", self.profile),
            row("relay", self.relay.unwrap_or("-")),
        ])
    }
}

/// 64 hex digits, as JSON carries fingerprints.
pub(crate) fn hex<S: serde::Serializer>(
    fingerprint: &Fingerprint,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&fingerprint.to_hex())
}
