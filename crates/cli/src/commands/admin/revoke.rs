//! `ctalk admin revoke`.

use anyhow::Result;
use ctalk::{Class, relay::admin::Admin, text::distinct};
use serde::Serialize;

use crate::{exit::Complaint, output::Output};

/// End an agent's API key
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The agent, as it is registered
    name: String,
    /// Make another key and print it; it is shown only now
    #[arg(long)]
    replace: bool,
    /// Delete the agent with its inbox and retire its name; with --yes
    #[arg(long, conflicts_with = "replace")]
    delete: bool,
    /// Do it: a deleted agent cannot be brought back
    #[arg(long, requires = "delete")]
    yes: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Revoked<'a> {
    name: &'a str,
    /// The key that took the place of the one that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
    deleted: bool,
}

pub(super) async fn run(args: Args, admin: &Admin, output: &Output) -> Result<()> {
    let name = args.name.as_str();
    if args.replace {
        let made = admin.replace_key(name).await?;
        if !output.is_json() {
            return output.line(&made.api_key);
        }
        return output.object(&Revoked {
            name,
            api_key: Some(&made.api_key),
            deleted: false,
        });
    }
    if args.delete && !args.yes {
        let text = "a deleted agent loses what waits for it, and nobody gets its name by invite";
        return Err(Complaint::new(Class::Usage, text)
            .hint("to delete it: ctalk admin revoke NAME --delete --yes")
            .into());
    }
    if args.delete {
        admin.delete_agent(name).await?;
    } else {
        admin.revoke_key(name).await?;
    }
    if output.is_json() {
        return output.object(&Revoked {
            name,
            api_key: None,
            deleted: args.delete,
        });
    }
    let done = if args.delete { "deleted" } else { "revoked" };
    output.line(&format!("{done} {}", distinct(name)))
}
