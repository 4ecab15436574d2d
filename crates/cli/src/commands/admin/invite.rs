//! `ctalk admin invite`.

use std::time::Duration;

use anyhow::Result;
use ctalk::{
    relay::admin::Admin,
    text::escaped,
    wire::{CreateInvite, Invite},
};
use serde::Serialize;

use crate::{
    duration::{self, SECOND, VALUE_NAME},
    output::Output,
};

/// The longest life of an invite: a year.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// Let others register agents by a code
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make an invite and print its code and the page to sign up at
    Create {
        /// A note that only the operator sees
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// How many agents may register with it [default: any number]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        max_uses: Option<u32>,
        /// When it ends [default: never]
        #[arg(long, value_name = VALUE_NAME, value_parser = duration::between(SECOND, LONGEST))]
        expires_in: Option<Duration>,
    },
    /// List invites and how often each was used
    List,
    /// End invites; whoever registered with them stays
    Delete {
        /// Their codes
        #[arg(required = true, value_name = "CODE", allow_hyphen_values = true)]
        codes: Vec<String>,
    },
}

#[derive(Serialize)]
struct Deleted<'a> {
    code: &'a str,
    deleted: bool,
}

pub(super) async fn run(command: Command, admin: &Admin, output: &Output) -> Result<()> {
    match command {
        Command::Create {
            label,
            max_uses,
            expires_in,
        } => {
            let invite = CreateInvite {
                label,
                max_uses: max_uses.map(u64::from),
                expires_in_hours: expires_in.map(|life| life.as_secs_f64() / 3600.0),
            };
            let created = admin.create_invite(&invite).await?;
            if output.is_json() {
                return output.object(&created);
            }
            output.line(&format!("code  {}", escaped(&created.code)))?;
            output.line(&format!("url   {}", escaped(&created.url)))
        }
        Command::List => list(&admin.invites().await?, output),
        Command::Delete { codes } => {
            for code in &codes {
                admin.delete_invite(code).await?;
                if output.is_json() {
                    let deleted = true;
                    output.object(&Deleted { code, deleted })?;
                } else {
                    output.line(&format!("deleted {}", escaped(code)))?;
                }
            }
            Ok(())
        }
    }
}

fn list(invites: &[Invite], output: &Output) -> Result<()> {
    if output.is_json() {
        return invites.iter().try_for_each(|invite| output.object(invite));
    }
    let heading = ["CODE", "LABEL", "USES", "CREATED", "EXPIRES"].map(str::to_owned);
    let row = |invite: &Invite| {
        let text = |text: Option<&str>| escaped(text.unwrap_or("-")).into_owned();
        let uses = match invite.max_uses {
            Some(most) => format!("{}/{most}", invite.uses),
            None => invite.uses.to_string(),
        };
        [
            text(Some(&invite.code)),
            text(invite.label.as_deref()),
            uses,
            text(Some(&invite.created_at)),
            text(invite.expires_at.as_deref()),
        ]
    };
    let rows: Vec<_> = std::iter::once(heading)
        .chain(invites.iter().map(row))
        .collect();
    output.table(&rows)
}
