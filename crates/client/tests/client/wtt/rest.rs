//! The REST side of the stand-in.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    service::{Answer, Call, Service, Topic},
    tasks,
};

/// Who calls, as far as anything shows it.
fn caller(service: &Service, call: &Call) -> Option<String> {
    let tokens = [call.token.as_ref(), call.bearer.as_ref()];
    service
        .agents
        .iter()
        .find(|(_, agent)| tokens.contains(&Some(&agent.token)))
        .map(|(id, _)| id.clone())
}

/// Whether somebody may speak as this agent.
fn check(service: &Service, call: &Call, agent: &str) -> Result<(), (u16, &'static str)> {
    let is_it = caller(service, call).is_some_and(|caller| caller == agent);
    if is_it || service.switches.believes_everybody {
        Ok(())
    } else {
        Err((401, "Not authenticated"))
    }
}

/// What is answered to a call.
pub(crate) fn answer(
    service: &mut Service,
    method: &str,
    path: &str,
    query: &HashMap<String, String>,
    call: &Call,
) -> Answer {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let parameter = |name: &str| query.get(name).map_or("", String::as_str);
    let body = &call.body;
    let field = |name: &str| body[name].as_str().unwrap_or_default();
    match (method, &segments[..]) {
        ("POST", ["agents", "register"]) => service.register(body),
        ("POST", ["agents", "claim-code"]) => {
            check(service, call, field("agent_id"))?;
            service.claim_code(field("agent_id"))
        }
        ("POST", ["messages", "p2p"]) => {
            check(service, call, parameter("sender_id"))?;
            if body["target_id"] != body["target_agent_id"] {
                return Err((422, "target_id: field required"));
            }
            let mut message = body.clone();
            // It does not know that here.
            message["encrypted"] = false.into();
            service.tell(parameter("sender_id"), field("target_id"), &message)
        }
        ("GET", ["messages", "poll", agent]) => {
            check(service, call, agent)?;
            if service.switches.refuses_rest_poll {
                return Err((403, "bind a user first"));
            }
            service.poll(agent, None)
        }
        ("GET", ["feed"]) => {
            let user = call
                .bearer
                .as_ref()
                .and_then(|bearer| service.users.get(bearer));
            let agents = user.ok_or((401, "Not authenticated"))?.clone();
            let mut rows = Vec::new();
            for topic in &service.topics {
                for agent in agents
                    .iter()
                    .filter(|agent| topic.members.contains_key(*agent))
                {
                    rows.extend(topic.messages.iter().map(|message| {
                        let mut row = service.shown(message);
                        row["received_by_agent"] = agent.as_str().into();
                        row
                    }));
                }
            }
            Ok(service.list("messages", rows))
        }
        ("GET", ["feed", "p2p-inbox"]) => {
            let user = call
                .bearer
                .as_ref()
                .and_then(|bearer| service.users.get(bearer));
            let agents = user.ok_or((401, "Not authenticated"))?;
            let pairs = service
                .topics
                .iter()
                .filter(|topic| topic.about["type"] == "p2p");
            let conversations = pairs.map(|topic| {
                let peer = topic.members.keys().find(|member| !agents.contains(*member));
                let last = topic.messages.last().map(|message| &message["content"]);
                json!({ "peer_agent_id": peer, "last_message": { "content": last }, "unread_count": 1 })
            });
            Ok(service.list("conversations", conversations.collect()))
        }
        ("GET", ["messages", "p2p", peer, "history"]) => {
            let me = caller(service, call).ok_or((401, "Not authenticated"))?;
            let pair = service.topics.iter().find(|topic| {
                topic.about["type"] == "p2p"
                    && [&me, *peer]
                        .iter()
                        .all(|agent| topic.members.contains_key(*agent))
            });
            let messages = pair.map_or(&[][..], |topic| &topic.messages);
            let shown = messages.iter().rev().map(|message| service.shown(message));
            Ok(service.list("messages", shown.collect()))
        }
        ("POST", ["messages", ""]) => {
            check(service, call, field("sender_id"))?;
            let mut message = body.clone();
            message["encrypted"] = false.into();
            service.publish(field("sender_id"), field("topic_id"), &message)
        }
        (_, ["topics", rest @ ..]) => topics(service, method, rest, query, call),
        _ => tasks::answer(service, method, &segments, query, call),
    }
}

/// What is answered to a call about topics.
fn topics(
    service: &mut Service,
    method: &str,
    segments: &[&str],
    query: &HashMap<String, String>,
    call: &Call,
) -> Answer {
    let parameter = |name: &str| query.get(name).map_or("", String::as_str);
    let body = &call.body;
    match (method, segments) {
        ("GET", [""]) => {
            let public = service
                .topics
                .iter()
                .filter(|topic| topic.about["visibility"] == "public");
            Ok(service.list(
                "topics",
                public.map(|topic| about(service, topic, "")).collect(),
            ))
        }
        ("GET", ["search"]) => {
            let found = service.topics.iter().filter(|topic| {
                topic.about["visibility"] == "public"
                    && topic.about["name"]
                        .as_str()
                        .unwrap()
                        .contains(parameter("query"))
            });
            Ok(service.list(
                "topics",
                found.map(|topic| about(service, topic, "")).collect(),
            ))
        }
        ("GET", ["subscribed"]) => {
            let me = parameter("agent_id");
            let mine = service
                .topics
                .iter()
                .filter(|topic| topic.members.contains_key(me));
            Ok(service.list(
                "topics",
                mine.map(|topic| about(service, topic, me)).collect(),
            ))
        }
        ("POST", [""]) => {
            let creator = body["creator_agent_id"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            check(service, call, &creator)?;
            let id = service.create(&creator, body.clone());
            Ok(json!({ "id": id }))
        }
        ("GET", [id]) => {
            let id = service.topic(id)?.id.clone();
            let topic = service.topics.iter().find(|topic| topic.id == id).unwrap();
            Ok(about(service, topic, ""))
        }
        ("DELETE", [id]) => {
            let me = parameter("agent_id").to_owned();
            check(service, call, &me)?;
            if service.topic(id)?.members.get(&me).map(String::as_str) != Some("owner") {
                return Err((403, "Only the owner can delete a topic"));
            }
            // It is not shown any more, but for who knows its id.
            service.topic(id)?.about["visibility"] = "deleted".into();
            Ok(Value::Null)
        }
        ("POST", [id, "join"]) => {
            let me = parameter("agent_id").to_owned();
            check(service, call, &me)?;
            let topic = service.topic(id)?;
            if topic.about["join_method"] == "invite_only" {
                return Err((403, "invite only"));
            }
            topic.members.insert(me, "member".to_owned());
            Ok(json!({ "message": "joined" }))
        }
        ("POST", [id, "leave"]) => {
            let me = parameter("agent_id").to_owned();
            check(service, call, &me)?;
            service.topic(id)?.members.remove(&me);
            Ok(Value::Null)
        }
        ("GET", [id, "members"]) => {
            let members = service.topic(id)?.members.clone().into_iter();
            let members = members.map(|(agent, role)| {
                json!({ "agent_id": agent, "display_name": "somebody", "role": role })
            });
            let members = members.collect();
            Ok(service.list("members", members))
        }
        ("GET", [id, "messages"]) => {
            let limit: usize = parameter("limit").parse().unwrap();
            let before: Option<jiff::Timestamp> = parameter("before").parse().ok();
            let messages = service.topic(id)?.messages.clone();
            let is_before = |message: &&Value| {
                let at = format!("{}Z", message["created_at"].as_str().unwrap());
                before.is_none_or(|before| at.parse::<jiff::Timestamp>().unwrap() < before)
            };
            let shown = messages.iter().rev().filter(is_before);
            let mut shown: Vec<_> = shown.map(|message| service.shown(message)).collect();
            shown.truncate(limit);
            Ok(service.list("messages", shown))
        }
        ("POST", [_, "messages"]) if service.switches.has_no_topic_posts => {
            Err((405, "Method Not Allowed"))
        }
        ("POST", [id, "messages"]) => {
            let me = parameter("agent_id").to_owned();
            check(service, call, &me)?;
            service.publish(&me, id, body)
        }
        (_, [id, "blacklist", rest @ ..]) => {
            let me = parameter("operator_agent_id").to_owned();
            check(service, call, &me)?;
            let topic = service.topic(id)?;
            if topic.members.get(&me).map(String::as_str) != Some("owner") {
                return Err((403, "Only the owner can do that"));
            }
            match (method, rest) {
                ("GET", []) => {
                    let rows = topic
                        .blacklist
                        .iter()
                        .map(|agent| json!({ "agent_id": agent }));
                    let rows = rows.collect();
                    Ok(service.list("blacklist", rows))
                }
                ("POST", []) => {
                    let target = body["target_agent_id"].as_str().unwrap().to_owned();
                    topic.blacklist.push(target);
                    Ok(Value::Null)
                }
                ("DELETE", [target]) => {
                    topic.blacklist.retain(|agent| agent != target);
                    Ok(Value::Null)
                }
                _ => Err((405, "Method Not Allowed")),
            }
        }
        _ => Err((404, "Not Found")),
    }
}

/// A topic as an agent is told of it.
fn about(service: &Service, topic: &Topic, agent: &str) -> Value {
    let mut about = topic.about.clone();
    about["id"] = topic.id.as_str().into();
    about["member_count"] = topic.members.len().into();
    about["created_at"] = "2026-01-02T03:04:05".into();
    let name = if service.switches.other_names {
        "my_role"
    } else {
        "role"
    };
    if let Some(role) = topic.members.get(agent) {
        about[name] = role.as_str().into();
    }
    about
}

/// A refusal's body.
pub(crate) fn refusal(service: &Service, why: &str) -> Value {
    if service.switches.lists_reasons {
        json!({ "detail": [{ "loc": ["body"], "msg": why, "type": "value_error" }] })
    } else {
        json!({ "detail": why })
    }
}
