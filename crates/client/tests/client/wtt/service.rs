//! What a WTT service knows and does, whichever way it is asked: agents, topics, messages and what waits
//! for whom. What the real one does wrong, or is thought to do, it does when a test says so.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio_tungstenite::tungstenite::Message;

use super::tasks::Kept;

/// The quirks and faults that a test can switch on.
#[derive(Default)]
pub(crate) struct Switches {
    /// Nobody's token is looked at.
    pub(crate) believes_everybody: bool,
    /// A poll does not take messages away.
    pub(crate) keeps_polled: bool,
    /// A poll brings so many messages at most, whatever is asked for.
    pub(crate) page: Option<usize>,
    /// It gives nothing out to `poll` over a socket, or over REST.
    pub(crate) refuses_socket_poll: bool,
    pub(crate) refuses_rest_poll: bool,
    /// Messages have the names that they have in REST, and times that are numbers.
    pub(crate) other_names: bool,
    /// Lists are wrapped in objects.
    pub(crate) wraps_lists: bool,
    /// Single objects are wrapped, too.
    pub(crate) wraps_objects: bool,
    /// A banner stands before what was not said to be encrypted.
    pub(crate) banner: bool,
    /// Own messages are pushed back, before the answer to them.
    pub(crate) echoes: bool,
    /// Every message is pushed so often more.
    pub(crate) repeats: usize,
    /// Every message to a peer begins a topic of its own.
    pub(crate) scatters: bool,
    /// Refusals have a list of reasons.
    pub(crate) lists_reasons: bool,
    /// Every answer to a REST call is this, with this status.
    pub(crate) answers: Option<(u16, String)>,
    /// Messages to topics are taken at `/messages/` alone.
    pub(crate) has_no_topic_posts: bool,
    /// There are no WebSockets.
    pub(crate) has_no_sockets: bool,
    /// It takes frames and does not answer them any more, heartbeats included.
    pub(crate) is_mute: bool,
    /// It does not answer requests, but heartbeats.
    pub(crate) answers_nothing: bool,
    /// The answer to `auth` does not say which request it is to.
    pub(crate) forgets_ids: bool,
    /// It closes the connection of a wrong token without a word.
    pub(crate) hangs_up: bool,
}

pub(crate) struct Agent {
    pub(crate) token: String,
    pub(crate) sockets: Vec<(usize, UnboundedSender<Message>)>,
    /// What was not pushed, or is polled again.
    pub(crate) unread: Vec<Value>,
    pub(crate) code: Option<String>,
}

pub(crate) struct Topic {
    pub(crate) id: String,
    pub(crate) about: Value,
    pub(crate) members: BTreeMap<String, String>,
    pub(crate) messages: Vec<Value>,
    pub(crate) blacklist: Vec<String>,
}

/// A REST call as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Method, path and query.
    pub(crate) line: String,
    pub(crate) token: Option<String>,
    pub(crate) bearer: Option<String>,
    pub(crate) body: Value,
}

#[derive(Default)]
pub(crate) struct Service {
    pub(crate) switches: Switches,
    pub(crate) agents: BTreeMap<String, Agent>,
    /// Agents of users, by the users' tokens.
    pub(crate) users: HashMap<String, Vec<String>>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) kept: Kept,
    pub(crate) calls: Vec<Call>,
    /// What came over sockets, with whose it is.
    pub(crate) frames: Vec<(String, String)>,
    pub(crate) connections: usize,
    pub(crate) paths: Vec<String>,
    count: u64,
}

/// An answer, or a refusal with its status.
pub(crate) type Answer = Result<Value, (u16, &'static str)>;

impl Service {
    pub(crate) fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub(crate) fn register(&mut self, body: &Value) -> Answer {
        if body["platform"].as_str().is_none() {
            return Err((422, "platform: field required"));
        }
        let number = self.number();
        let id = format!("agent-{number:012x}");
        let token = format!("token-of-{number}");
        let agent = Agent {
            token: token.clone(),
            sockets: Vec::new(),
            unread: Vec::new(),
            code: None,
        };
        self.agents.insert(id.clone(), agent);
        Ok(json!({ "agent_id": id, "agent_token": token }))
    }

    pub(crate) fn claim_code(&mut self, agent: &str) -> Answer {
        let number = self.number();
        let code = format!("WTT-CLAIM-{number:08X}");
        let known = self.agents.get_mut(agent).ok_or((404, "no such agent"))?;
        known.code = Some(code.clone());
        let name = if self.switches.other_names {
            "claim_code"
        } else {
            "code"
        };
        Ok(json!({ name: code, "expires_in_seconds": 900 }))
    }

    pub(crate) fn topic(&mut self, id: &str) -> Result<&mut Topic, (u16, &'static str)> {
        let found = self.topics.iter_mut().find(|topic| topic.id == id);
        found.ok_or((404, "Topic not found"))
    }

    pub(crate) fn create(&mut self, creator: &str, about: Value) -> String {
        let id = format!("topic-{:06}", self.number());
        self.topics.push(Topic {
            id: id.clone(),
            about,
            members: BTreeMap::from([(creator.to_owned(), "owner".to_owned())]),
            messages: Vec::new(),
            blacklist: Vec::new(),
        });
        id
    }

    /// The topic of two agents, made on first use.
    fn pair(&mut self, one: &str, other: &str) -> String {
        let found = self.topics.iter().find(|topic| {
            topic.about["type"] == "p2p"
                && [one, other]
                    .iter()
                    .all(|agent| topic.members.contains_key(*agent))
        });
        if let Some(topic) = found.filter(|_| !self.switches.scatters) {
            return topic.id.clone();
        }
        let id = self.create(
            one,
            json!({ "name": "", "type": "p2p", "visibility": "private" }),
        );
        let topic = self.topic(&id).unwrap();
        topic.members.insert(other.to_owned(), "member".to_owned());
        id
    }

    pub(crate) fn tell(&mut self, sender: &str, to: &str, fields: &Value) -> Answer {
        if !self.agents.contains_key(to) {
            return Err((404, "Agent not found"));
        }
        let id = self.pair(sender, to);
        self.publish(sender, &id, fields)
    }

    pub(crate) fn publish(&mut self, sender: &str, id: &str, fields: &Value) -> Answer {
        let content = fields["content"]
            .as_str()
            .ok_or((422, "content: field required"))?;
        let is_encrypted = fields["encrypted"].as_bool().unwrap_or(false);
        let content = if self.switches.banner && !is_encrypted {
            format!("┌─ source: web ─┐\n└───────────────┘\n{content}")
        } else {
            content.to_owned()
        };
        let number = self.number();
        let topic = self.topic(id)?;
        if !topic.members.contains_key(sender) {
            return Err((403, "not a member"));
        }
        if topic.blacklist.iter().any(|agent| agent == sender) {
            return Err((403, "blacklisted"));
        }
        let message = json!({
            "id": format!("m-{number}"),
            "topic_id": id,
            "topic_type": topic.about["type"],
            "sender_id": sender,
            "sender_type": "agent",
            "content": content,
            "content_type": fields["content_type"],
            "semantic_type": fields["semantic_type"],
            "encrypted": is_encrypted,
            "created_at": format!("2026-01-02T03:{:02}:{:02}.000000", number / 60 % 60, number % 60),
        });
        topic.messages.push(message.clone());
        let members: Vec<_> = topic.members.keys().cloned().collect();
        for member in members {
            if member != sender || self.switches.echoes {
                self.deliver(&member, &message);
            }
        }
        Ok(self.shown(&message))
    }

    /// Pushes a message to whoever is there; else it waits for a poll.
    pub(crate) fn deliver(&mut self, to: &str, message: &Value) {
        let frame = json!({ "type": "new_message", "message": self.shown(message) });
        let copies = self.switches.repeats + 1;
        let keeps = self.switches.keeps_polled;
        let agent = self.agents.get_mut(to).unwrap();
        agent.sockets.retain(|(_, frames)| !frames.is_closed());
        for (_, frames) in &agent.sockets {
            for _ in 0..copies {
                let _ = frames.send(Message::text(frame.to_string()));
            }
        }
        if agent.sockets.is_empty() || keeps {
            agent.unread.push(message.clone());
        }
    }

    /// A message under the names of the day.
    pub(crate) fn shown(&self, message: &Value) -> Value {
        let mut shown = message.clone();
        if self.switches.other_names {
            let fields = shown.as_object_mut().unwrap();
            let id = fields.remove("id").unwrap();
            fields.insert("message_id".to_owned(), id);
            let time: jiff::civil::DateTime = fields
                .remove("created_at")
                .unwrap()
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            let time = time.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
            fields.insert("timestamp".to_owned(), time.timestamp().as_second().into());
            let topic = fields.remove("topic_id").unwrap();
            fields.insert("topicId".to_owned(), topic);
            fields.insert("sender_type".to_owned(), "AGENT".into());
        }
        shown
    }

    pub(crate) fn list(&self, name: &str, list: Vec<Value>) -> Value {
        if self.switches.wraps_lists {
            json!({ "data": { name: list } })
        } else {
            list.into()
        }
    }

    pub(crate) fn poll(&mut self, agent: &str, limit: Option<usize>) -> Answer {
        let keeps = self.switches.keeps_polled;
        let limit = self.switches.page.or(limit).unwrap_or(usize::MAX);
        let known = self.agents.get_mut(agent).ok_or((404, "no such agent"))?;
        let count = limit.min(known.unread.len());
        let page: Vec<_> = if keeps {
            known.unread[..count].to_vec()
        } else {
            known.unread.drain(..count).collect()
        };
        let page: Vec<_> = page.iter().map(|message| self.shown(message)).collect();
        Ok(if self.switches.wraps_lists {
            json!({ "data": { "items": page } })
        } else {
            json!({ "messages": page, "topics": [] })
        })
    }

    /// What is said to a frame that came over an agent's socket.
    pub(crate) fn judge(
        &mut self,
        agent: &str,
        is_known: &mut bool,
        text: &str,
    ) -> Option<Message> {
        self.frames.push((agent.to_owned(), text.to_owned()));
        if self.switches.is_mute {
            return None;
        }
        if text == "ping" {
            return Some(Message::text("pong"));
        }
        let frame: Value = serde_json::from_str(text).ok()?;
        let action = frame["action"].as_str()?;
        if self.switches.answers_nothing && action != "auth" {
            return None;
        }
        let result = self.act(agent, is_known, action, &frame);
        let mut answer = json!({ "type": "action_result", "request_id": frame["request_id"] });
        if action == "auth" && self.switches.forgets_ids {
            answer.as_object_mut().unwrap().remove("request_id");
        }
        match result {
            Ok(data) => {
                answer["ok"] = true.into();
                answer["data"] = data;
            }
            Err((_, why)) => {
                if action == "auth" && self.switches.hangs_up {
                    return Some(Message::Close(None));
                }
                answer["ok"] = false.into();
                answer["error"] = why.into();
            }
        }
        Some(Message::text(answer.to_string()))
    }

    fn act(&mut self, agent: &str, is_known: &mut bool, action: &str, frame: &Value) -> Answer {
        if action == "auth" {
            let known = self.agents.get(agent).ok_or((404, "no such agent"))?;
            if frame["token"] != *known.token && !self.switches.believes_everybody {
                return Err((401, "bad token"));
            }
            *is_known = true;
            return Ok(json!({ "authenticated": true, "agent_display_name": agent }));
        }
        if !*is_known {
            return Err((401, "not authenticated"));
        }
        let field = |name: &str| frame[name].as_str().unwrap_or_default();
        match action {
            "poll" if self.switches.refuses_socket_poll => Err((400, "unknown action")),
            "poll" => {
                let limit = frame["limit"]
                    .as_u64()
                    .and_then(|limit| limit.try_into().ok());
                self.poll(agent, limit)
            }
            "p2p" => self.tell(agent, field("target_agent_id"), frame),
            "publish" => self.publish(agent, field("topic_id"), frame),
            _ => Err((400, "unknown action")),
        }
    }
}
