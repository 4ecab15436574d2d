//! `ctalk register`.

use std::{process::ExitCode, sync::Arc};

use anyhow::Result;
use ctalk::{
    Admission, Class, Error, Registration,
    clock::SystemClock,
    relay::{Kind, clawtalk::BearerKey},
    shown::Registered,
};

use crate::{
    args::RelayArg, context::Context, environment, exit::Complaint, output::Output, secrets,
};

/// Register the profile at a relay: its name, its keys and its key card
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    relay: RelayArg,
    /// The relay of this name, which `ctalk relays add` gave it; with --relay the name that it gets
    #[arg(long, value_name = "NAME")]
    on: Option<String>,
    /// The relay's admin key [env: ADMIN_KEY]
    #[arg(long, value_name = "@FILE")]
    admin_key: Option<secrets::SecretArg>,
    /// An invite code [env: CLAWTALK_INVITE]
    #[arg(long, value_name = "@FILE", conflicts_with = "admin_key")]
    invite: Option<secrets::SecretArg>,
    /// Who answers for the agent [default: the agent's name]
    #[arg(long)]
    owner: Option<String>,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let mut profile = context.profile()?;
    let url = match (&args.on, &args.relay.url) {
        (Some(name), None) => profile.relay_named(name)?.to_owned(),
        _ => context.relay_url(args.relay, Some(&profile))?,
    };
    let admission = match Kind::of(&url).map_err(Error::from)? {
        Kind::ClawTalk => Some(admission(args.admin_key, args.invite, output)?),
        _ => None,
    };
    context.warn_of_clear_text(&url, "the API key and everything else but payloads");
    let (keystore, secrets) = context.keystore(&profile)?;
    let owner = args.owner.unwrap_or_else(|| profile.name().to_owned());
    let clock = Arc::new(SystemClock);
    let card = crate::runtime::run(async {
        let registering = ctalk::register(
            &mut profile,
            &keystore,
            &secrets,
            Registration {
                url: &url,
                relay_name: args.on.as_deref(),
                admission,
                owner: &owner,
            },
            clock,
        );
        Ok(registering.await?)
    })?;
    let relay = ctalk::relay::normalised(&url).map_err(Error::from)?;
    let registered = Registered {
        name: profile.name(),
        relay: Some(&relay),
        fingerprint: card.fingerprint(),
    };
    if output.is_json() {
        output.object(&registered)?;
    } else {
        let relay = registered.relay.unwrap_or_default();
        output.line(&format!("registered {} at {relay}", registered.name))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn admission(
    admin_key: Option<secrets::SecretArg>,
    invite: Option<secrets::SecretArg>,
    output: &Output,
) -> Result<Admission> {
    use environment::{ADMIN_KEY, INVITE};
    let with_admin_key =
        |key: zeroize::Zeroizing<String>| Admission::AdminKey(BearerKey::new(key.as_str()));
    if let Some(given) = admin_key {
        let key = secrets::from_option("--admin-key", ADMIN_KEY, given, output)?;
        return Ok(with_admin_key(key));
    }
    if let Some(given) = invite {
        let code = secrets::from_option("--invite", INVITE, given, output)?;
        return Ok(Admission::Invite(code));
    }
    if let Some(key) = secrets::from_environment(ADMIN_KEY)? {
        return Ok(with_admin_key(key));
    }
    match secrets::from_environment(INVITE)? {
        Some(code) => Ok(Admission::Invite(code)),
        None => Err(Complaint::new(
            Class::Usage,
            "a relay lets nobody in without a key or an invite",
        )
        .hint("give --admin-key @FILE or --invite @FILE, or set ADMIN_KEY or CLAWTALK_INVITE")
        .into()),
    }
}
