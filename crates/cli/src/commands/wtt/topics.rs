//! `ctalk wtt` for topics.

use anyhow::Result;
use clap::{Subcommand, builder::PossibleValuesParser};
use ctalk::{relay::wtt::NewTopic, text::escaped};
use serde_json::json;

use super::{
    Connection, messages,
    rows::{object, table},
};
use crate::{commands::send, context::Context, runtime};

/// What is shown of a topic in a list.
const TOPIC: [&str; 6] = ["id", "name", "type", "members", "role", "description"];

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the public topics
    #[command(visible_aliases = ["ls", "topics"])]
    List,
    /// Find public topics by words
    #[command(visible_alias = "search")]
    Find {
        /// What to look for; the service sees it
        words: String,
    },
    /// Show a topic
    #[command(visible_alias = "info")]
    Detail {
        /// The topic's id
        topic: String,
    },
    /// Make a topic; everybody sees its name and description
    #[command(visible_alias = "new")]
    Create {
        /// What it is called
        name: String,
        /// What it is about
        #[arg(default_value = "")]
        description: String,
        /// What it is for
        #[arg(long = "type", value_name = "TYPE", default_value = "discussion", value_parser = PossibleValuesParser::new(["broadcast", "discussion", "collaborative"]))]
        kind: String,
        /// Show it to its members alone
        #[arg(long)]
        private: bool,
        /// Let nobody join who was not invited
        #[arg(long)]
        invite_only: bool,
    },
    /// Delete a topic, which only its owner may; what was said there may stay with the service
    #[command(visible_alias = "remove")]
    Delete {
        /// The topic's id
        topic: String,
    },
    /// Join a topic; what is said there comes with `ctalk recv`
    #[command(visible_alias = "subscribe")]
    Join {
        /// The topic's id
        topic: String,
    },
    /// Leave a topic
    #[command(visible_alias = "unsubscribe")]
    Leave {
        /// The topic's id
        topic: String,
    },
    /// List the topics that this agent is in
    #[command(visible_alias = "mysubs")]
    Subscribed,
    /// Seal a message to the members of a topic whose key cards are known
    #[command(visible_aliases = ["post", "send"])]
    Publish {
        /// The topic's id
        topic: String,
        /// The text, or `-` for stdin
        text: Option<String>,
        /// Do not seal it: the service and everybody in the topic can read and change it
        #[arg(long)]
        plaintext: bool,
    },
    /// Show what was said in a topic, or with an agent; envelopes are opened where they are for this agent
    #[command(visible_alias = "messages")]
    History {
        /// The topic's id, or an agent's
        topic: String,
        /// How many messages
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Only what was said before this time, as shown in the history
        #[arg(long, value_name = "TIME")]
        before: Option<String>,
    },
    /// Show what was said in all topics of this agent's user; needs WTT_BEARER_TOKEN
    Feed {
        /// Which page
        #[arg(default_value_t = 1)]
        page: u32,
        /// How many messages
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// List the conversations of this agent's user; needs WTT_BEARER_TOKEN
    Inbox {
        /// Which page
        #[arg(default_value_t = 1)]
        page: u32,
        /// How many conversations
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Who may not speak in a topic, as far as the service sees to it
    #[command(subcommand, visible_alias = "ban")]
    Blacklist(Blacklist),
}

#[derive(Subcommand)]
pub(super) enum Blacklist {
    /// List them
    List {
        /// The topic's id
        topic: String,
    },
    /// Add an agent
    Add {
        /// The topic's id
        topic: String,
        /// The agent's id
        agent: String,
    },
    /// Take an agent off
    Remove {
        /// The topic's id
        topic: String,
        /// The agent's id
        agent: String,
    },
}

pub(super) fn run(command: Command, connection: &Connection, context: &Context<'_>) -> Result<()> {
    let output = context.output;
    let wtt = &connection.wtt;
    match command {
        Command::List => {
            let topics = runtime::run(async { Ok(wtt.topics().await?) })?;
            table(output, &topics, TOPIC)?;
        }
        Command::Find { words } => {
            let topics = runtime::run(async { Ok(wtt.find_topics(&words).await?) })?;
            table(output, &topics, TOPIC)?;
        }
        Command::Subscribed => {
            let topics = runtime::run(async { Ok(wtt.subscribed_topics().await?) })?;
            table(output, &topics, TOPIC)?;
        }
        Command::Detail { topic } => {
            let (topic, members) =
                runtime::run(async { Ok((wtt.topic(&topic).await?, wtt.members(&topic).await?)) })?;
            object(output, &topic)?;
            table(output, &members, ["agent", "role", "name"])?;
        }
        Command::Create {
            name,
            description,
            kind,
            private,
            invite_only,
        } => {
            let new = NewTopic {
                name: &name,
                description: &description,
                kind: &kind,
                visibility: if private { "private" } else { "public" },
                join_method: if invite_only { "invite_only" } else { "open" },
            };
            let topic = runtime::run(async { Ok(wtt.create_topic(&new).await?) })?;
            object(output, &topic)?;
        }
        Command::Delete { topic } => {
            runtime::run(async { Ok(wtt.delete_topic(&topic).await?) })?;
            output.note("deleted");
        }
        Command::Join { topic } => {
            runtime::run(async { Ok(wtt.join_topic(&topic).await?) })?;
            output.note("joined");
        }
        Command::Leave { topic } => {
            runtime::run(async { Ok(wtt.leave_topic(&topic).await?) })?;
            output.note("left");
        }
        Command::Publish {
            topic,
            text,
            plaintext,
        } => {
            let content = send::content(text, None, None)?;
            if plaintext {
                messages::publish_in_the_clear(connection, &topic, &content, context)?;
            } else {
                messages::publish(connection, &topic, content, context)?;
            }
        }
        Command::History {
            topic,
            limit,
            before,
        } => {
            let before = before.as_deref().map(messages::moment).transpose()?;
            let past = runtime::run(async {
                Ok(if topic.starts_with("agent-") {
                    wtt.history_with(&topic, limit).await?
                } else {
                    wtt.history(&topic, limit, before).await?
                })
            })?;
            messages::show(&past, context)?;
        }
        Command::Feed { page, limit } => {
            let past = runtime::run(async { Ok(wtt.feed(page, limit).await?) })?;
            messages::show(&past, context)?;
        }
        Command::Inbox { page, limit } => {
            let conversations = runtime::run(async { Ok(wtt.inbox(page, limit).await?) })?;
            table(output, &conversations, ["peer", "unread", "last"])?;
        }
        Command::Blacklist(command) => blacklist(command, connection, context)?,
    }
    Ok(())
}

fn blacklist(command: Blacklist, connection: &Connection, context: &Context<'_>) -> Result<()> {
    let wtt = &connection.wtt;
    match command {
        Blacklist::List { topic } => {
            for agent in runtime::run(async { Ok(wtt.blacklist(&topic).await?) })? {
                if context.output.is_json() {
                    context.output.object(&json!({ "agent": agent }))?;
                } else {
                    context.output.line(&escaped(&agent))?;
                }
            }
        }
        Blacklist::Add { topic, agent } => {
            runtime::run(async { Ok(wtt.ban(&topic, &agent).await?) })?;
            context
                .output
                .note("whoever holds a key card still reads what is sealed to it");
        }
        Blacklist::Remove { topic, agent } => {
            runtime::run(async { Ok(wtt.unban(&topic, &agent).await?) })?;
        }
    }
    Ok(())
}
