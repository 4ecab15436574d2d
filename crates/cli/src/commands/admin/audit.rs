//! `ctalk admin audit`.

use anyhow::Result;
use ctalk::{
    relay::admin::{Admin, AuditFilter},
    text::{distinct, escaped},
    wire::AuditEntry,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::output::Output;

/// Look after the audit log
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List entries in the order in which they were logged
    List {
        /// Only those about messages later than this
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<String>,
        /// Only those about messages from this agent
        #[arg(long, value_name = "NAME")]
        from: Option<String>,
        /// Only those about messages to this agent
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        /// Only those about this topic
        #[arg(long)]
        topic: Option<String>,
        /// How many to list at most
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Delete entries about messages from before a time
    Clear {
        /// The time, for example 2026-03-21T10:11:12Z
        #[arg(long, value_name = "TIME", value_parser = time)]
        before: String,
    },
}

/// Reads an ISO 8601 time, so that one that the relay would ignore is refused here.
fn time(text: &str) -> Result<String, &'static str> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| "not a time such as 2026-03-21T10:11:12Z")?;
    Ok(format!("{time:.3}"))
}

#[derive(Serialize)]
struct Cleared {
    deleted: u64,
}

pub(super) async fn run(command: Command, admin: &Admin, output: &Output) -> Result<()> {
    match command {
        Command::List {
            since,
            from,
            to,
            topic,
            limit,
        } => {
            let filter = AuditFilter {
                since,
                from,
                to,
                topic,
                after: None,
            };
            list(filter, limit.unwrap_or(usize::MAX), admin, output).await
        }
        Command::Clear { before } => {
            let deleted = admin.clear_audit(&before).await?;
            if output.is_json() {
                return output.object(&Cleared { deleted });
            }
            output.line(&format!("deleted {deleted}"))
        }
    }
}

async fn list(mut filter: AuditFilter, limit: usize, admin: &Admin, output: &Output) -> Result<()> {
    let mut left = limit;
    while left > 0 {
        let page = admin.audit(&filter).await?;
        // A relay that does not go on would show the same page for ever.
        if page.cursor <= filter.after {
            break;
        }
        for entry in page.entries.iter().take(left) {
            left -= 1;
            if output.is_json() {
                output.object(entry)?;
            } else {
                show(entry, output)?;
            }
        }
        filter.after = page.cursor;
    }
    Ok(())
}

fn show(raw: &RawValue, output: &Output) -> Result<()> {
    let Ok(entry) = serde_json::from_str::<AuditEntry>(raw.get()) else {
        return output.line(&escaped(raw.get()));
    };
    let mut line = format!(
        "{}  {}  {} -> {}  id={}",
        escaped(&entry.ts),
        entry.direction.as_str(),
        distinct(&entry.from),
        distinct(&entry.to),
        escaped(&entry.message_id),
    );
    for (name, value) in [
        ("topic", &entry.topic),
        ("correlationId", &entry.correlation_id),
    ] {
        if let Some(value) = value {
            line += &format!("  {name}={}", escaped(value));
        }
    }
    line += &format!("  by={}", distinct(&entry.logged_by));
    output.line(&line)?;
    output.line(&escaped(entry.payload.get()))
}
