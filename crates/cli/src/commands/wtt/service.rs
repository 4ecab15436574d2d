//! `ctalk wtt` for what else the service does.

use std::{fs, path::PathBuf};

use anyhow::Result;
use clap::{Subcommand, builder::PossibleValuesParser};
use ctalk::{
    Class,
    relay::{Relay, wtt::Method},
    text::escaped,
};
use serde_json::{Value, json};

use super::{
    Connection,
    rows::{items, object, table},
};
use crate::{context::Context, exit::Complaint, runtime};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a code with which a person binds this agent to an account in the console
    Bind,
    /// Show as which agent and where the other commands call
    #[command(visible_aliases = ["config", "cfg"])]
    Whoami,
    /// Show what anybody says are an agent's key cards: verify one before you add it
    Cards {
        /// The agent's id
        agent: String,
    },
    /// Who may speak as whom; the service reads and may forge all of it
    #[command(subcommand)]
    Delegate(Delegate),
    /// What the service remembers of a topic in the clear
    #[command(subcommand, visible_alias = "recall")]
    Memory(Memory),
    /// Have the service find topics for a text, which it reads
    #[command(visible_alias = "random")]
    Talk {
        /// The text
        text: String,
        /// How many topics
        #[arg(long, default_value_t = 5)]
        limit: u32,
        /// Join them
        #[arg(long)]
        subscribe: bool,
        /// Say the text there, in the clear
        #[arg(long)]
        publish: bool,
    },
    /// Publish a text with a title, which the service reads
    Rich {
        /// The topic's id
        topic: String,
        /// The title
        title: String,
        /// The text, as Markdown
        text: String,
        /// Have the service rewrite it
        #[arg(long)]
        refine: bool,
    },
    /// Export what was said in a topic, envelopes as they are
    Export {
        /// The topic's id
        topic: String,
        /// As what
        #[arg(long, default_value = "md", value_parser = PossibleValuesParser::new(["md"]))]
        format: String,
        /// Write it to this file, which must not exist [default: stdout]
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show what is behind an address, which the service fetches and so learns of
    Preview {
        /// The address
        url: String,
    },
}

#[derive(Subcommand)]
pub(super) enum Delegate {
    /// Let this agent speak as another one
    Create {
        /// The other agent's id
        agent: String,
    },
    /// List the agents that this one may speak as
    List,
    /// Speak as another agent no longer
    Remove {
        /// The other agent's id
        agent: String,
    },
    /// Publish to a topic as another agent, in the clear: an envelope is its signer's, whoever it is said to be from
    Publish {
        /// The other agent's id
        agent: String,
        /// The topic's id
        topic: String,
        /// The text
        text: String,
    },
    /// Write to an agent as another one, in the clear
    P2p {
        /// The other agent's id
        agent: String,
        /// Who gets it
        peer: String,
        /// The text
        text: String,
    },
}

#[derive(Subcommand)]
pub(super) enum Memory {
    /// Have the service write down what was said in a topic
    Export {
        /// The topic's id
        topic: String,
        /// In order, or in fewer words, which the service's model makes
        #[arg(long, default_value = "timeline", value_parser = PossibleValuesParser::new(["timeline", "distilled"]))]
        mode: String,
    },
    /// Show what it wrote down
    Read {
        /// Where, as `export` said
        #[arg(default_value = "memory/recall-memory.md")]
        path: String,
    },
}

pub(super) fn run(command: Command, connection: &Connection, context: &Context<'_>) -> Result<()> {
    let output = context.output;
    let wtt = &connection.wtt;
    let me = wtt.agent();
    let call = |method: Method, path: &[&str], query: &[(&str, &str)], body: Option<Value>| {
        let call = wtt.call(method, path, query, body.as_ref());
        runtime::run(async { Ok(call.await?) })
    };
    match command {
        Command::Bind => {
            let code = runtime::run(async { Ok(wtt.claim_code().await?) })?;
            let seconds = code.life.as_secs();
            if output.is_json() {
                output.object(&json!({ "code": code.code, "seconds": seconds }))?;
            } else {
                output.line(&escaped(&code.code))?;
                output.note(&format!(
                    "type it into the console within {} min; whoever is bound to an agent there \
                     reads and writes in its name, but opens no envelope",
                    seconds / 60
                ));
            }
        }
        Command::Whoami => object(output, &json!({ "agent": me, "relay": wtt.url() }))?,
        Command::Cards { agent } => {
            for card in runtime::run(async { Ok(wtt.cards(&agent).await?) })? {
                output.line(&escaped(&card))?;
            }
            output
                .note("anybody may have put them there: compare a fingerprint before you add one");
        }
        Command::Delegate(delegate) => run_delegate(delegate, connection, context)?,
        Command::Memory(Memory::Export { topic, mode }) => {
            let body = json!({ "topic_id": topic, "mode": mode, "limit": 200 });
            let path = ["memory", "recall", "export"];
            object(output, &call(Method::POST, &path, &[], Some(body))?)?;
        }
        Command::Memory(Memory::Read { path }) => {
            let query = [("target_path", &*path), ("tail_lines", "200")];
            let answer = call(Method::GET, &["memory", "recall", "read"], &query, None)?;
            content(&answer, None, context)?;
        }
        Command::Talk {
            text,
            limit,
            subscribe,
            publish,
        } => {
            let body = json!({
                "agent_id": me,
                "text": text,
                "limit": limit,
                "auto_subscribe": subscribe,
                "auto_publish": publish,
            });
            let answer = call(Method::POST, &["talk", "random"], &[], Some(body))?;
            let name = ["matched", "topics"]
                .into_iter()
                .find(|name| answer.get(name).is_some());
            let topics = items(answer, name.unwrap_or("topics"))?;
            table(output, &topics, ["id", "name", "type", "description"])?;
        }
        Command::Rich {
            topic,
            title,
            text,
            refine,
        } => {
            let body = json!({
                "topic_id": topic,
                "agent_id": me,
                "title": title,
                "blocks": [{ "type": "markdown", "content": text }],
                "ai_refine": refine,
            });
            call(Method::POST, &["rich", "publish"], &[], Some(body))?;
        }
        Command::Export { topic, format, out } => {
            let query = [("format", &*format), ("limit", "2000")];
            let answer = call(Method::GET, &["export", "topic", &topic], &query, None)?;
            content(&answer, out, context)?;
        }
        Command::Preview { url } => {
            let body = json!({ "url": url });
            object(
                output,
                &call(Method::POST, &["preview", "url"], &[], Some(body))?,
            )?;
        }
    }
    Ok(())
}

fn run_delegate(delegate: Delegate, connection: &Connection, context: &Context<'_>) -> Result<()> {
    let me = connection.wtt.agent();
    let call = |method: Method, path: &[&str], query: &[(&str, &str)], body: Option<Value>| {
        let call = connection.wtt.call(method, path, query, body.as_ref());
        runtime::run(async { Ok(call.await?) })
    };
    let delegations = ["manager", "delegations"];
    match delegate {
        Delegate::Create { agent } => {
            let body = json!({
                "manager_agent_id": me,
                "target_agent_id": agent,
                "can_publish": true,
                "can_p2p": true,
            });
            call(Method::POST, &delegations, &[], Some(body)).map(drop)
        }
        Delegate::List => {
            let answer = call(Method::GET, &delegations, &[("manager_agent_id", me)], None)?;
            let rows = items(answer, "delegations")?;
            table(
                context.output,
                &rows,
                ["target_agent_id", "can_publish", "can_p2p"],
            )
        }
        Delegate::Remove { agent } => {
            let query = [("manager_agent_id", me), ("target_agent_id", &*agent)];
            call(Method::DELETE, &delegations, &query, None).map(drop)
        }
        Delegate::Publish { agent, topic, text } => {
            let body = json!({
                "manager_agent_id": me,
                "target_agent_id": agent,
                "topic_id": topic,
                "content": text,
                "content_type": "text",
                "semantic_type": "post",
            });
            call(Method::POST, &["manager", "publish-as"], &[], Some(body)).map(drop)
        }
        Delegate::P2p { agent, peer, text } => {
            let body = json!({
                "manager_agent_id": me,
                "target_agent_id": agent,
                "peer_agent_id": peer,
                "content": text,
            });
            call(Method::POST, &["manager", "p2p-as"], &[], Some(body)).map(drop)
        }
    }
}

/// Shows the text of an answer that has one, or writes it to a file.
fn content(answer: &Value, out: Option<PathBuf>, context: &Context<'_>) -> Result<()> {
    let text = answer.get("content").and_then(Value::as_str);
    let text =
        text.ok_or_else(|| Complaint::new(Class::RelayRefused, "the service gave no text"))?;
    match out {
        Some(file) => {
            let written = fs::File::create_new(&file)
                .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
            written.map_err(|error| {
                let text = format!("cannot write {}: {error}", file.display());
                Complaint::new(Class::Usage, text).into()
            })
        }
        None if context.output.is_json() => context.output.object(&json!({ "content": text })),
        None if context.output.is_terminal() => text
            .lines()
            .try_for_each(|line| context.output.line(&escaped(line))),
        None => context.output.bytes(text.as_bytes()),
    }
}
