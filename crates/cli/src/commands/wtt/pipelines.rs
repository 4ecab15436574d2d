//! `ctalk wtt pipeline`.

use anyhow::Result;
use clap::Subcommand;
use ctalk::relay::wtt::Method;
use serde_json::{Map, Value, json};

use super::{
    Connection,
    rows::{items, object, table},
    tasks::{LIMIT, TASK, opened},
};
use crate::{context::Context, runtime};

/// What is shown of a pipeline in a list.
const PIPELINE: [&str; 4] = ["id", "name", "task_count", "auto_review"];

#[derive(Subcommand)]
pub(super) enum Pipeline {
    /// List pipelines
    List,
    /// Make a pipeline
    Create {
        /// What it is called
        name: String,
        /// What it is about
        #[arg(default_value = "")]
        description: String,
    },
    /// Put a task into a pipeline
    Add {
        /// The pipeline's id
        pipeline: String,
        /// The task's id
        task: String,
    },
    /// Change a pipeline
    Update {
        /// The pipeline's id
        pipeline: String,
        /// What it is called
        #[arg(long)]
        name: Option<String>,
        /// Whether what comes of its tasks counts without a review
        #[arg(long)]
        auto_review: Option<bool>,
    },
    /// Delete a pipeline; the service moves its tasks to `default`
    Delete {
        /// The pipeline's id
        pipeline: String,
    },
    /// Have the tasks of a pipeline run
    Run {
        /// The pipeline's id
        pipeline: String,
        /// A word to their agents
        #[arg(long)]
        note: Option<String>,
    },
    /// Show where the tasks of a pipeline stand
    Status {
        /// The pipeline's id
        pipeline: String,
    },
}

pub(super) fn run(
    pipeline: Pipeline,
    connection: &Connection,
    context: &Context<'_>,
) -> Result<()> {
    let output = context.output;
    let call = |method: Method, path: &[&str], query: &[(&str, &str)], body: Option<Value>| {
        let call = connection.wtt.call(method, path, query, body.as_ref());
        runtime::run(async { Ok(call.await?) })
    };
    match pipeline {
        Pipeline::List => {
            let answer = call(Method::GET, &["tasks", "pipelines"], &[], None)?;
            table(output, &items(answer, "pipelines")?, PIPELINE)
        }
        Pipeline::Create { name, description } => {
            let body = json!({ "name": name, "description": description });
            let path = ["tasks", "pipelines"];
            object(output, &call(Method::POST, &path, &[], Some(body))?)
        }
        Pipeline::Add { pipeline, task } => {
            let body = json!({ "pipeline_id": pipeline, "task_mode": "pipeline" });
            call(Method::PATCH, &["tasks", &task], &[], Some(body)).map(drop)
        }
        Pipeline::Update {
            pipeline,
            name,
            auto_review,
        } => {
            let mut body = Map::new();
            for (member, value) in [
                ("name", name.map(Value::from)),
                ("auto_review", auto_review.map(Value::from)),
            ] {
                if let Some(value) = value {
                    body.insert(member.to_owned(), value);
                }
            }
            let path = ["tasks", "pipelines", &pipeline];
            object(output, &call(Method::PATCH, &path, &[], Some(body.into()))?)
        }
        Pipeline::Delete { pipeline } => {
            let path = ["tasks", "pipelines", &pipeline];
            call(Method::DELETE, &path, &[], None).map(drop)
        }
        Pipeline::Run { pipeline, note } => {
            let me = connection.wtt.agent();
            let body = json!({ "trigger_agent_id": me, "pipeline_id": pipeline, "note": note });
            let path = ["tasks", "pipeline", "execute"];
            object(output, &call(Method::POST, &path, &[], Some(body))?)
        }
        Pipeline::Status { pipeline } => {
            let query = [("limit", LIMIT), ("pipeline_id", &*pipeline)];
            let answer = call(Method::GET, &["tasks"], &query, None)?;
            table(output, &opened(items(answer, "tasks")?, context)?, TASK)
        }
    }
}
