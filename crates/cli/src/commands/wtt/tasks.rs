//! `ctalk wtt task`. The service answers with more than is shown; `--json` shows all.

use anyhow::Result;
use clap::{Subcommand, builder::PossibleValuesParser};
use ctalk::relay::wtt::Method;
use serde_json::{Map, Value, json};

use super::{
    Connection,
    rows::{items, object, table},
    sealing::{Opener, Sealer},
};
use crate::{context::Context, runtime};

/// What is shown of a task in a list.
pub(super) const TASK: [&str; 6] = [
    "id",
    "status",
    "priority",
    "title",
    "owner_agent_id",
    "updated_at",
];
const PRIORITIES: [&str; 4] = ["P0", "P1", "P2", "P3"];
/// Most tasks that are listed.
pub(super) const LIMIT: &str = "100";

#[derive(Subcommand)]
pub(super) enum Task {
    /// List tasks
    List {
        /// Only those with this status
        #[arg(long)]
        status: Option<String>,
        /// Only those of this pipeline
        #[arg(long, value_name = "ID")]
        pipeline: Option<String>,
    },
    /// Make a task
    Create {
        /// What is to be done
        title: String,
        /// How
        #[arg(default_value = "")]
        description: String,
        #[command(flatten)]
        fields: Fields,
        /// The pipeline that it belongs to
        #[arg(long, value_name = "ID")]
        pipeline: Option<String>,
    },
    /// Show a task
    Detail {
        /// The task's id
        task: String,
    },
    /// Change a task
    Update {
        /// The task's id
        task: String,
        /// What is to be done
        #[arg(long)]
        title: Option<String>,
        /// How
        #[arg(long)]
        description: Option<String>,
        /// What came of it
        #[arg(long)]
        notes: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Give a task to an agent
    Assign {
        /// The task's id
        task: String,
        /// The agent's id
        agent: String,
    },
    /// Have a task run
    Run {
        /// The task's id
        task: String,
        /// The agent that runs it
        #[arg(long, value_name = "AGENT")]
        runner: Option<String>,
        /// A word to it
        #[arg(long)]
        note: Option<String>,
    },
    /// Judge what came of a task
    Review {
        /// The task's id
        task: String,
        /// What is said of it
        #[arg(value_parser = PossibleValuesParser::new(["approve", "reject", "block"]))]
        action: String,
        /// Why
        #[arg(default_value = "")]
        comment: String,
        /// Seal the comment to these contacts
        #[arg(long, value_name = "NAME")]
        seal_to: Vec<String>,
    },
    /// Delete a task, and its topic unless that is to stay
    Delete {
        /// The task's id
        task: String,
        /// Leave its topic
        #[arg(long)]
        keep_topic: bool,
    },
    /// Have a task wait for another one
    Deps {
        /// The task's id
        task: String,
        /// The id of the one that it waits for
        on: String,
        /// Wait no longer
        #[arg(long)]
        remove: bool,
    },
    /// Show which tasks wait for which
    Graph {
        /// Only those of this pipeline
        #[arg(long, value_name = "ID")]
        pipeline: Option<String>,
    },
    /// Show how far tasks are
    Progress,
}

/// What a task may have.
#[derive(clap::Args)]
pub(super) struct Fields {
    /// How urgent it is
    #[arg(long, value_parser = PossibleValuesParser::new(PRIORITIES))]
    priority: Option<String>,
    /// Where it stands
    #[arg(long, value_parser = PossibleValuesParser::new(["todo", "doing", "review", "done", "blocked", "cancelled"]))]
    status: Option<String>,
    /// The agent that owns it
    #[arg(long, value_name = "AGENT")]
    owner: Option<String>,
    /// The agent that runs it
    #[arg(long, value_name = "AGENT")]
    runner: Option<String>,
    /// Seal what is said in words to these contacts, for at most 30 days; the service sees the rest
    #[arg(long, value_name = "NAME")]
    seal_to: Vec<String>,
}

pub(super) fn run(task: Task, connection: &Connection, context: &Context<'_>) -> Result<()> {
    let output = context.output;
    let me = connection.wtt.agent();
    let call = |method: Method, path: &[&str], query: &[(&str, &str)], body: Option<Value>| {
        let call = connection.wtt.call(method, path, query, body.as_ref());
        runtime::run(async { Ok(call.await?) })
    };
    match task {
        Task::List { status, pipeline } => {
            let mut query = vec![("limit", LIMIT)];
            query.extend(status.as_deref().map(|status| ("status", status)));
            query.extend(
                pipeline
                    .as_deref()
                    .map(|pipeline| ("pipeline_id", pipeline)),
            );
            let answer = call(Method::GET, &["tasks"], &query, None)?;
            table(output, &opened(items(answer, "tasks")?, context)?, TASK)
        }
        Task::Create {
            title,
            description,
            fields,
            pipeline,
        } => {
            let said = [("title", Some(title)), ("description", Some(description))];
            let mut body = fields.body(said, context)?;
            body.insert("created_by".to_owned(), me.into());
            let mode = if pipeline.is_some() {
                "pipeline"
            } else {
                "single"
            };
            body.insert("task_mode".to_owned(), mode.into());
            if let Some(pipeline) = pipeline {
                body.insert("pipeline_id".to_owned(), pipeline.into());
            }
            show(
                call(Method::POST, &["tasks"], &[], Some(body.into()))?,
                context,
            )
        }
        Task::Detail { task } => show(call(Method::GET, &["tasks", &task], &[], None)?, context),
        Task::Update {
            task,
            title,
            description,
            notes,
            fields,
        } => {
            let said = [
                ("title", title),
                ("description", description),
                ("notes", notes),
            ];
            let body = fields.body(said, context)?;
            let path = ["tasks", &task];
            show(call(Method::PATCH, &path, &[], Some(body.into()))?, context)
        }
        Task::Assign { task, agent } => {
            let path = ["tasks", &task, "assign"];
            call(Method::POST, &path, &[("agent_id", &agent)], None).map(drop)
        }
        Task::Run { task, runner, note } => {
            let body = json!({ "trigger_agent_id": me, "runner_agent_id": runner, "note": note });
            call(Method::POST, &["tasks", &task, "run"], &[], Some(body)).map(drop)
        }
        Task::Review {
            task,
            action,
            comment,
            seal_to,
        } => {
            let comment = match Sealer::new(&seal_to, context)? {
                Some(sealer) => sealer.seal(&comment)?,
                None => comment,
            };
            let body = json!({ "action": action, "comment": comment, "reviewer": me });
            call(Method::POST, &["tasks", &task, "review"], &[], Some(body)).map(drop)
        }
        Task::Delete { task, keep_topic } => {
            let delete_topic = if keep_topic { "false" } else { "true" };
            let query = [("agent_id", me), ("delete_topic", delete_topic)];
            call(Method::DELETE, &["tasks", &task], &query, None).map(drop)
        }
        Task::Deps {
            task,
            on,
            remove: true,
        } => {
            let path = ["tasks", &task, "dependencies", &on];
            call(Method::DELETE, &path, &[], None).map(drop)
        }
        Task::Deps { task, on, .. } => {
            let body =
                json!({ "depends_on_task_id": on, "mode": "finish_to_start", "required": true });
            let path = ["tasks", &task, "dependencies"];
            call(Method::POST, &path, &[], Some(body)).map(drop)
        }
        Task::Graph { pipeline } => {
            let mut query = vec![("limit", "300")];
            query.extend(
                pipeline
                    .as_deref()
                    .map(|pipeline| ("pipeline_id", pipeline)),
            );
            let answer = call(Method::GET, &["tasks", "graph"], &query, None)?;
            let edges = items(answer, "edges")?.into_iter().map(edge);
            table(
                output,
                &edges.collect::<Vec<_>>(),
                ["task", "waits for", "mode"],
            )
        }
        Task::Progress => {
            let answer = call(Method::GET, &["tasks", "progress"], &[], None)?;
            table(output, &progress(answer), ["task", "progress"])
        }
    }
}

impl Fields {
    /// The members of a task, with what is said in words sealed where that is asked for.
    fn body<const N: usize>(
        self,
        said: [(&str, Option<String>); N],
        context: &Context<'_>,
    ) -> Result<Map<String, Value>> {
        let sealer = Sealer::new(&self.seal_to, context)?;
        let mut body = Map::new();
        for (member, text) in said {
            let Some(text) = text else { continue };
            let text = match &sealer {
                Some(sealer) if !text.is_empty() => sealer.seal(&text)?,
                _ => text,
            };
            body.insert(member.to_owned(), text.into());
        }
        for (member, value) in [
            ("priority", self.priority),
            ("status", self.status),
            ("owner_agent_id", self.owner),
            ("runner_agent_id", self.runner),
        ] {
            if let Some(value) = value {
                body.insert(member.to_owned(), value.into());
            }
        }
        Ok(body)
    }
}

/// Shows a task; an answer that says nothing of it is shown as nothing.
fn show(task: Value, context: &Context<'_>) -> Result<()> {
    let mut shown = opened(vec![task], context)?;
    object(context.output, &shown.pop())
}

/// Tasks with their texts opened where they are sealed to this agent.
pub(super) fn opened(mut tasks: Vec<Value>, context: &Context<'_>) -> Result<Vec<Value>> {
    let is_sealed = tasks
        .iter()
        .any(|task| task.to_string().contains("\"ctalk2:"));
    if is_sealed && let Some(opener) = Opener::new(context)? {
        tasks.iter_mut().for_each(|task| opener.open_all(task));
    }
    Ok(tasks)
}

/// An edge of the graph under either of its members' names.
fn edge(edge: Value) -> Value {
    let member = |names: [&str; 2]| names.iter().find_map(|name| edge.get(*name)).cloned();
    json!({
        "task": member(["task_id", "to"]),
        "waits for": member(["depends_on_task_id", "from"]),
        "mode": edge.get("mode"),
    })
}

/// How far each task is, from a map of numbers or of objects with one.
fn progress(answer: Value) -> Vec<Value> {
    let Value::Object(tasks) = answer else {
        return Vec::new();
    };
    let tasks = tasks.into_iter().map(|(task, progress)| {
        let progress = progress.get("progress").cloned().unwrap_or(progress);
        json!({ "task": task, "progress": progress })
    });
    tasks.collect()
}
