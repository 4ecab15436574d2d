//! Topics: where many agents read the same. Who is in one, and who may speak there, is the service's word.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Wtt,
    address::is_id,
    content::Message,
    post::{Post, TOPIC},
    variants::{MESSAGES, Object, ROLE, TIME, text, time},
};
use crate::relay::{RelayError, chat::texts};

/// A topic as the service describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    /// Its id.
    pub id: String,
    /// What it is called; not unique.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// `broadcast`, `discussion`, `p2p` or `collaborative`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `public` or `private`.
    pub visibility: Option<String>,
    /// `open` or `invite_only`.
    pub join_method: Option<String>,
    /// The id of the agent that is said to have made it.
    pub creator: Option<String>,
    /// How many members it has.
    pub members: Option<u64>,
    /// `owner`, `admin`, `member` or `observer`, where the service says what this agent is there.
    pub role: Option<String>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created: Option<i64>,
}

/// A topic to be made.
#[derive(Clone, Debug)]
pub struct NewTopic<'a> {
    /// What it is called, for everybody to see.
    pub name: &'a str,
    /// What it is about, for everybody to see.
    pub description: &'a str,
    /// As [`Topic::kind`].
    pub kind: &'a str,
    /// As [`Topic::visibility`].
    pub visibility: &'a str,
    /// As [`Topic::join_method`].
    pub join_method: &'a str,
}

/// A member of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The agent's id.
    pub agent: String,
    /// What it calls itself; not unique.
    pub name: Option<String>,
    /// As [`Topic::role`].
    pub role: Option<String>,
}

/// A message of the past. Nothing in it may be believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// The service's id.
    pub id: Option<String>,
    /// The topic's id.
    pub topic: Option<String>,
    /// What the service says of its sender.
    pub from: String,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub at: Option<i64>,
    /// What stands in it.
    pub content: String,
    /// The envelope, or the part of one, that stands in it.
    pub sealed: Option<String>,
}

/// What there is with one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// The peer's id.
    pub peer: String,
    /// What stands in the last message.
    pub last: Option<String>,
    /// How many messages the service thinks are unread.
    pub unread: Option<u64>,
}

/// The address of a topic at this service, for a message to everybody who reads it.
#[must_use]
pub fn topic_address(id: &str) -> String {
    format!("{TOPIC}{id}")
}

impl Wtt {
    /// The public topics.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn topics(&self) -> Result<Vec<Topic>, RelayError> {
        self.topics_at("/topics/", &[]).await
    }

    /// The public topics that the service finds for some words.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn find_topics(&self, words: &str) -> Result<Vec<Topic>, RelayError> {
        self.topics_at("/topics/search", &[("query", words)]).await
    }

    /// The topics that this agent is in.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn subscribed_topics(&self) -> Result<Vec<Topic>, RelayError> {
        self.topics_at("/topics/subscribed", &[("agent_id", self.agent())])
            .await
    }

    /// One topic.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn topic(&self, id: &str) -> Result<Topic, RelayError> {
        let path = topic_path(id, "")?;
        let answer = self.rest.call(Method::GET, &path, &[], None).await?;
        self.read_topic(answer)
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn create_topic(&self, new: &NewTopic<'_>) -> Result<Topic, RelayError> {
        let body = json!({
            "name": new.name,
            "description": new.description,
            "type": new.kind,
            "visibility": new.visibility,
            "join_method": new.join_method,
            "creator_agent_id": self.agent(),
        });
        let call = self.rest.call(Method::POST, "/topics/", &[], Some(&body));
        let mut topic = self.read_topic(call.await?)?;
        if topic.name.is_empty() {
            new.name.clone_into(&mut topic.name);
        }
        Ok(topic)
    }

    /// Deletes a topic, which only its owner may. What was said there may stay with the service.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn delete_topic(&self, id: &str) -> Result<(), RelayError> {
        self.act_on(Method::DELETE, id, "").await
    }

    /// Joins a topic.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn join_topic(&self, id: &str) -> Result<(), RelayError> {
        self.act_on(Method::POST, id, "/join").await
    }

    /// Leaves a topic.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn leave_topic(&self, id: &str) -> Result<(), RelayError> {
        self.act_on(Method::POST, id, "/leave").await
    }

    /// Who is in a topic now.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn members(&self, id: &str) -> Result<Vec<Member>, RelayError> {
        let path = topic_path(id, "/members")?;
        let answer = self.rest.call(Method::GET, &path, &[], None).await?;
        let members = self.rest.list(answer, &["members"])?;
        Ok(members.iter().filter_map(read_member).collect())
    }

    /// The last messages of a topic, or those before a moment in milliseconds since the Unix epoch; the
    /// oldest comes first. There may be more before them if there are `limit`.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn history(
        &self,
        id: &str,
        limit: usize,
        before: Option<i64>,
    ) -> Result<Vec<Past>, RelayError> {
        let path = topic_path(id, "/messages")?;
        let limit = limit.to_string();
        let before = before.map(crate::relay::clawtalk::timestamp);
        let mut query = vec![("agent_id", self.agent()), ("limit", &*limit)];
        query.extend(before.as_deref().map(|before| ("before", before)));
        self.past(&path, &query).await
    }

    /// The last messages with one agent, the oldest first.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn history_with(&self, agent: &str, limit: usize) -> Result<Vec<Past>, RelayError> {
        check_id(agent)?;
        let path = format!("/messages/p2p/{agent}/history");
        self.past(&path, &[("limit", &limit.to_string())]).await
    }

    /// The last messages of all topics of this agent's user, the oldest first.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn feed(&self, page: u32, limit: usize) -> Result<Vec<Past>, RelayError> {
        let (page, limit) = (page.to_string(), limit.to_string());
        let query = [("page", &*page), ("limit", &*limit)];
        let answer = self
            .rest
            .call_as_user(Method::GET, "/feed", &query, None)
            .await?;
        self.read_past(answer)
    }

    /// The conversations of this agent's user.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn inbox(&self, page: u32, limit: usize) -> Result<Vec<Conversation>, RelayError> {
        let (page, limit) = (page.to_string(), limit.to_string());
        let query = [("page", &*page), ("limit", &*limit)];
        let answer = self
            .rest
            .call_as_user(Method::GET, "/feed/p2p-inbox", &query, None)
            .await?;
        let conversations = self.rest.list(answer, &["conversations"])?;
        Ok(conversations.iter().filter_map(read_conversation).collect())
    }

    /// The ids of the agents that may not speak in a topic.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn blacklist(&self, id: &str) -> Result<Vec<String>, RelayError> {
        let path = topic_path(id, "/blacklist")?;
        let query = [("operator_agent_id", self.agent())];
        let answer = self.rest.call(Method::GET, &path, &query, None).await?;
        let rows = self.rest.list(answer, &["blacklist"])?;
        let ids = rows.iter().filter_map(|row| match row {
            Value::String(id) => Some(id.clone()),
            row => text(row.as_object()?, &["agent_id", "target_agent_id"]),
        });
        Ok(ids.collect())
    }

    /// Takes from an agent the right to speak in a topic.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn ban(&self, id: &str, agent: &str) -> Result<(), RelayError> {
        check_id(agent)?;
        let path = topic_path(id, "/blacklist")?;
        let query = [("operator_agent_id", self.agent())];
        let body = json!({ "target_agent_id": agent, "mode": "permanent" });
        let call = self.rest.call(Method::POST, &path, &query, Some(&body));
        call.await.map(drop)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn unban(&self, id: &str, agent: &str) -> Result<(), RelayError> {
        check_id(agent)?;
        let path = topic_path(id, &format!("/blacklist/{agent}"))?;
        let query = [("operator_agent_id", self.agent())];
        let call = self.rest.call(Method::DELETE, &path, &query, None);
        call.await.map(drop)
    }

    /// Says something in a topic that everybody can read and change, the service too. The id that the
    /// service gave it, if it did.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn say(&self, id: &str, words: &str) -> Result<Option<String>, RelayError> {
        self.hand_over(&Post::new(&topic_address(id), words, false)?)
            .await
    }

    async fn topics_at(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<Topic>, RelayError> {
        let answer = self.rest.call(Method::GET, path, query, None).await?;
        let topics = self.rest.list(answer, &["topics"])?;
        let topics = topics.into_iter().filter_map(|topic| match topic {
            Value::Object(topic) => Topic::read(&topic),
            _ => None,
        });
        Ok(topics.collect())
    }

    fn read_topic(&self, answer: Value) -> Result<Topic, RelayError> {
        let topic = self.rest.object(answer, "topic")?;
        Topic::read(&topic).ok_or_else(|| self.rest.bad_answer("its topic has no id"))
    }

    async fn act_on(&self, method: Method, id: &str, what: &str) -> Result<(), RelayError> {
        let path = topic_path(id, what)?;
        let query = [("agent_id", self.agent())];
        self.rest.call(method, &path, &query, None).await.map(drop)
    }

    async fn past(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Past>, RelayError> {
        let answer = self.rest.call(Method::GET, path, query, None).await?;
        self.read_past(answer)
    }

    fn read_past(&self, answer: Value) -> Result<Vec<Past>, RelayError> {
        let rows = self.rest.list(answer, MESSAGES)?;
        let mut past: Vec<_> = rows
            .iter()
            .filter_map(|row| Message::of(row, self.agent()))
            .map(Past::from)
            .collect();
        past.sort_by_key(|message| message.at);
        Ok(past)
    }
}

impl Topic {
    fn read(topic: &Object) -> Option<Self> {
        let named = |name: &str| text(topic, &[name]);
        Some(Self {
            id: text(topic, &["id", "topic_id"]).filter(|id| is_id(id))?,
            name: named("name").unwrap_or_default(),
            description: named("description"),
            kind: named("type"),
            visibility: named("visibility"),
            join_method: named("join_method"),
            creator: named("creator_agent_id"),
            members: topic.get("member_count").and_then(Value::as_u64),
            role: text(topic, ROLE),
            created: time(topic, TIME),
        })
    }
}

impl From<Message> for Past {
    fn from(message: Message) -> Self {
        let sealed = texts(&message.content).next().map(str::to_owned);
        Self {
            sealed,
            id: message.id,
            topic: message.topic,
            from: message.from,
            at: message.at,
            content: message.content,
        }
    }
}

fn read_member(member: &Value) -> Option<Member> {
    if let Value::String(agent) = member {
        return Some(Member {
            agent: agent.clone(),
            name: None,
            role: None,
        });
    }
    let member = member.as_object()?;
    Some(Member {
        agent: text(member, &["agent_id", "id"])?,
        name: text(member, &["display_name", "name"]),
        role: text(member, ROLE),
    })
}

fn read_conversation(conversation: &Value) -> Option<Conversation> {
    let conversation = conversation.as_object()?;
    let last = conversation.get("last_message");
    let last = last.and_then(|last| match last {
        Value::String(last) => Some(last.clone()),
        last => text(last.as_object()?, &["content"]),
    });
    Some(Conversation {
        peer: text(conversation, &["peer_agent_id"])?,
        last,
        unread: conversation.get("unread_count").and_then(Value::as_u64),
    })
}

fn topic_path(id: &str, rest: &str) -> Result<String, RelayError> {
    check_id(id)?;
    Ok(format!("/topics/{id}{rest}"))
}

fn check_id(id: &str) -> Result<(), RelayError> {
    if is_id(id) {
        Ok(())
    } else {
        Err(RelayError::Unsupported {
            what: "something that cannot be an id",
        })
    }
}
