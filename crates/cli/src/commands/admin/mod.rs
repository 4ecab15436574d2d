//! `ctalk admin`.

mod agents;
mod audit;
mod invite;
mod quota;
mod revoke;

use std::{process::ExitCode, sync::Arc};

use anyhow::Result;
use ctalk::{
    Class, Profile, ProfileError,
    clock::SystemClock,
    relay::{admin::Admin, clawtalk::BearerKey},
};

use crate::{
    args::RelayArg,
    context::Context,
    environment::ADMIN_KEY,
    exit::Complaint,
    secrets::{self, SecretArg},
};

/// Look after a relay as its operator
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The relay's address [default: the one the profile is registered at] [env: CLAWTALK_URL]
    #[arg(long = "relay", value_name = "URL", global = true)]
    relay: Option<String>,
    /// The relay's admin key [env: ADMIN_KEY]
    #[arg(long, value_name = "@FILE", global = true)]
    admin_key: Option<SecretArg>,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    #[command(subcommand)]
    Invite(invite::Command),
    Agents(agents::Args),
    #[command(subcommand)]
    Audit(audit::Command),
    Quota(quota::Args),
    Revoke(revoke::Args),
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let admin = connect(args.relay, args.admin_key, context)?;
    let output = context.output;
    crate::runtime::run(async {
        match args.command {
            Command::Invite(command) => invite::run(command, &admin, output).await,
            Command::Agents(args) => agents::run(args, &admin, output).await,
            Command::Audit(command) => audit::run(command, &admin, output).await,
            Command::Quota(args) => quota::run(args, &admin, output).await,
            Command::Revoke(args) => revoke::run(args, &admin, output).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn connect(
    relay: Option<String>,
    admin_key: Option<SecretArg>,
    context: &Context<'_>,
) -> Result<Admin> {
    // An operator needs no identity.
    let profile = match Profile::open(&context.folder()?) {
        Ok(profile) => Some(profile),
        Err(ProfileError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let url = context.relay_url(RelayArg { url: relay }, profile.as_ref())?;
    let key = match admin_key {
        Some(given) => secrets::from_option("--admin-key", ADMIN_KEY, given, context.output)?,
        None => secrets::from_environment(ADMIN_KEY)?.ok_or_else(|| {
            Complaint::new(Class::Usage, "a relay obeys nobody without its admin key")
                .hint("give --admin-key @FILE, or set ADMIN_KEY")
        })?,
    };
    context.warn_of_clear_text(&url, "the admin key and everything else");
    let key = BearerKey::new(key.as_str());
    Ok(Admin::new(&url, key, Arc::new(SystemClock))?)
}
