//! What else the service keeps or makes up, as far as anybody needs it here: tasks, pipelines, delegations
//! and texts that it reads.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::service::{Answer, Call, Service};

/// What it keeps.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) tasks: Vec<Value>,
    pipelines: Vec<Value>,
    edges: Vec<Value>,
    delegations: Vec<Value>,
}

/// What is answered to a call about them.
pub(crate) fn answer(
    service: &mut Service,
    method: &str,
    segments: &[&str],
    query: &HashMap<String, String>,
    call: &Call,
) -> Answer {
    let parameter = |name: &str| query.get(name).map(String::as_str);
    let body = &call.body;
    let number = service.number();
    let kept = &mut service.kept;
    match (method, segments) {
        ("GET", ["tasks"]) => {
            let wanted = |task: &&Value| {
                ["status", "pipeline_id"]
                    .iter()
                    .all(|name| parameter(name).is_none_or(|value| task[*name] == value))
            };
            let tasks = kept.tasks.iter().filter(wanted).cloned().collect();
            Ok(service.list("tasks", tasks))
        }
        ("POST", ["tasks"]) => {
            let mut task = body.clone();
            task["id"] = format!("task-{number}").into();
            if task["status"].is_null() {
                task["status"] = "todo".into();
            }
            kept.tasks.push(task.clone());
            Ok(task)
        }
        ("GET", ["tasks", "graph"]) => {
            let graph = json!({ "nodes": kept.tasks, "edges": kept.edges });
            Ok(graph)
        }
        ("GET", ["tasks", "progress"]) => {
            let tasks = kept.tasks.iter().enumerate().map(|(place, task)| {
                // A number, or an object with one.
                let progress = if place == 0 {
                    json!(50)
                } else {
                    json!({ "progress": 100 })
                };
                (task["id"].as_str().unwrap().to_owned(), progress)
            });
            Ok(Value::Object(tasks.collect()))
        }
        ("GET", ["tasks", "pipelines"]) => {
            let pipelines = kept.pipelines.clone();
            Ok(service.list("pipelines", pipelines))
        }
        ("POST", ["tasks", "pipelines"]) => {
            let mut pipeline = body.clone();
            pipeline["id"] = format!("pipeline-{number}").into();
            pipeline["auto_review"] = false.into();
            kept.pipelines.push(pipeline.clone());
            Ok(pipeline)
        }
        ("POST", ["tasks", "pipeline", "execute"]) => {
            let of_it = kept
                .tasks
                .iter()
                .filter(|task| task["pipeline_id"] == body["pipeline_id"]);
            Ok(json!({ "count": of_it.count() }))
        }
        ("PATCH", ["tasks", "pipelines", id]) => change(&mut kept.pipelines, id, body),
        ("DELETE", ["tasks", "pipelines", id]) => {
            kept.pipelines.retain(|pipeline| pipeline["id"] != *id);
            Ok(Value::Null)
        }
        ("GET", ["tasks", id]) => change(&mut kept.tasks, id, &json!({})),
        ("PATCH", ["tasks", id]) => change(&mut kept.tasks, id, body),
        ("DELETE", ["tasks", id]) => {
            kept.tasks.retain(|task| task["id"] != *id);
            Ok(Value::Null)
        }
        ("POST", ["tasks", id, "assign"]) => {
            let owner = json!({ "owner_agent_id": parameter("agent_id") });
            change(&mut kept.tasks, id, &owner)
        }
        ("POST", ["tasks", id, "run"]) => {
            change(&mut kept.tasks, id, &json!({ "status": "doing" }))
        }
        ("POST", ["tasks", id, "review"]) => {
            let status = match body["action"].as_str() {
                Some("approve") => "done",
                Some("block") => "blocked",
                _ => "todo",
            };
            let change_to = json!({ "status": status, "comment": body["comment"] });
            change(&mut kept.tasks, id, &change_to)
        }
        ("POST", ["tasks", id, "dependencies"]) => {
            let mut edge = body.clone();
            edge["task_id"] = (*id).into();
            kept.edges.push(edge);
            Ok(Value::Null)
        }
        ("DELETE", ["tasks", id, "dependencies", on]) => {
            kept.edges
                .retain(|edge| edge["task_id"] != *id || edge["depends_on_task_id"] != *on);
            Ok(Value::Null)
        }
        ("GET", ["manager", "delegations"]) => {
            let delegations = kept.delegations.clone();
            Ok(service.list("delegations", delegations))
        }
        ("POST", ["manager", "delegations"]) => {
            kept.delegations.push(body.clone());
            Ok(Value::Null)
        }
        ("DELETE", ["manager", "delegations"]) => {
            let target = parameter("target_agent_id").unwrap();
            kept.delegations
                .retain(|row| row["target_agent_id"] != target);
            Ok(Value::Null)
        }
        ("POST", ["manager", "publish-as"]) => {
            let sender = body["target_agent_id"].as_str().unwrap();
            service.publish(sender, body["topic_id"].as_str().unwrap(), body)
        }
        ("POST", ["manager", "p2p-as"]) => {
            let sender = body["target_agent_id"].as_str().unwrap();
            service.tell(sender, body["peer_agent_id"].as_str().unwrap(), body)
        }
        ("POST", ["memory", "recall", "export"]) => Ok(json!({ "path": "memory/of-it.md" })),
        ("GET", ["memory", "recall", "read"]) => {
            Ok(json!({ "content": format!("# {}\n", parameter("target_path").unwrap()) }))
        }
        ("POST", ["talk", "random"]) => {
            let topics = service.topics.iter();
            let matched: Vec<_> = topics
                .map(|topic| json!({ "id": topic.id, "name": topic.about["name"] }))
                .collect();
            Ok(json!({ "matched": matched }))
        }
        ("POST", ["rich", "publish"]) => {
            let text = &body["blocks"][0]["content"];
            let content = json!({ "content": text });
            let agent = body["agent_id"].as_str().unwrap();
            service.publish(agent, body["topic_id"].as_str().unwrap(), &content)
        }
        ("GET", ["export", "topic", id]) => {
            let messages = service.topic(id)?.messages.iter();
            let lines = messages.map(|message| message["content"].as_str().unwrap());
            Ok(json!({ "content": lines.collect::<Vec<_>>().join("\n") }))
        }
        ("POST", ["preview", "url"]) => Ok(json!({ "title": "A page", "site_name": body["url"] })),
        _ => Err((404, "Not Found")),
    }
}

fn change(things: &mut [Value], id: &str, to: &Value) -> Answer {
    let thing = things.iter_mut().find(|thing| thing["id"] == id);
    let thing = thing.ok_or((404, "Task not found"))?;
    for (name, value) in to.as_object().unwrap() {
        thing[name] = value.clone();
    }
    Ok(thing.clone())
}
