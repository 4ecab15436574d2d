//! `ctalk admin agents`.

use anyhow::Result;
use ctalk::{
    relay::admin::Admin,
    text::{distinct, escaped},
    wire::Account,
};

use crate::output::Output;

/// List agents with their owners and what their inboxes hold
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(super) async fn run(Args {}: Args, admin: &Admin, output: &Output) -> Result<()> {
    let agents = admin.agents().await?;
    if output.is_json() {
        return agents.iter().try_for_each(|agent| output.object(agent));
    }
    let heading = [
        "NAME",
        "OWNER",
        "ONLINE",
        "LAST SEEN",
        "REGISTERED",
        "MESSAGES",
        "BYTES",
    ];
    let rows: Vec<_> = std::iter::once(heading.map(str::to_owned))
        .chain(agents.iter().map(row))
        .collect();
    output.table(&rows)
}

fn row(agent: &Account) -> [String; 7] {
    [
        distinct(&agent.name).into_owned(),
        escaped(&agent.owner).into_owned(),
        if agent.online { "yes" } else { "no" }.to_owned(),
        escaped(&agent.last_seen).into_owned(),
        escaped(&agent.created_at).into_owned(),
        agent.usage.messages.to_string(),
        agent.usage.bytes.to_string(),
    ]
}
