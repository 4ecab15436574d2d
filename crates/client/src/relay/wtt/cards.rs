//! Key cards at a service that has no place for them: a public topic for each agent, under a name that
//! follows from its id. Anybody can make one of that name and speak there, so that nothing found there is
//! pinned.

use ctalk_core::{CARD_PREFIX, Card, StatementKind};

use super::{
    Wtt,
    post::Post,
    topics::{NewTopic, topic_address},
};
use crate::relay::RelayError;

/// Messages that are looked through for cards in each topic, and topics.
const MAX_LOOKED: usize = 50;
const MAX_TOPICS: usize = 8;

impl Wtt {
    /// What anybody says are key cards of an agent, with the successions that led to them, as text, the
    /// newest first. Who made them is to be verified before they are used.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn cards(&self, agent: &str) -> Result<Vec<String>, RelayError> {
        let name = name_of(agent);
        let mut found = Vec::new();
        let topics = self.find_topics(&name).await?;
        let topics = topics.into_iter().filter(|topic| topic.name == name);
        for topic in topics.take(MAX_TOPICS) {
            let past = self.history(&topic.id, MAX_LOOKED, None).await?;
            for message in past.iter().rev() {
                let lines = message.content.lines().map(str::trim);
                for line in lines.filter(|line| is_statement(line)) {
                    if !found.iter().any(|known| known == line) {
                        found.push(line.to_owned());
                    }
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn publish_card(
        &self,
        card: &Card,
        successions: &[String],
    ) -> Result<(), RelayError> {
        let name = name_of(self.agent());
        let topics = self.find_topics(&name).await?;
        let own = topics
            .into_iter()
            .find(|topic| topic.name == name && topic.creator.as_deref() == Some(self.agent()));
        let topic = match own {
            Some(topic) => topic,
            None => {
                let new = NewTopic {
                    name: &name,
                    description: "Key card of this agent, to be verified before it is used",
                    kind: "broadcast",
                    visibility: "public",
                    join_method: "open",
                };
                self.create_topic(&new).await?
            }
        };
        let mut lines = vec![card.to_text()];
        lines.extend_from_slice(successions);
        let (address, content) = (topic_address(&topic.id), lines.join("\n"));
        self.hand_over(&Post::new(&address, &content, true)?)
            .await?;
        Ok(())
    }
}

fn name_of(agent: &str) -> String {
    format!("ctalk-card {agent}")
}

fn is_statement(line: &str) -> bool {
    line.starts_with(CARD_PREFIX) || line.starts_with(StatementKind::Succession.prefix())
}
