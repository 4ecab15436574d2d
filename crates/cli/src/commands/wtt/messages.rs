//! What is said in topics, and was.

use anyhow::Result;
use ctalk::{
    Class, Content, Draft, Sent,
    relay::{
        Relay,
        wtt::{Past, topic_address},
    },
    text::{distinct, escaped},
    wire::MessageType,
};
use serde::Serialize;
use serde_json::json;

use super::{Connection, sealing::Opener};
use crate::{args::RelayArg, context::Context, exit::Complaint, runtime};

/// What became of a message to a topic.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Published<'a> {
    #[serde(flatten)]
    sent: &'a Sent,
    readers: &'a [String],
    left_out: Vec<LeftOut<'a>>,
}

#[derive(Serialize)]
struct LeftOut<'a> {
    address: &'a str,
    why: String,
}

/// Seals a message to the members of a topic whose key cards are known, and says who they are.
pub(super) fn publish(
    connection: &Connection,
    topic: &str,
    content: Content,
    context: &Context<'_>,
) -> Result<()> {
    let output = context.output;
    let profile = context.profile()?;
    let url = connection.wtt.url().to_owned();
    let mut client = context.client(&profile, RelayArg { url: Some(url) })?;
    let mut draft = Draft::new(content);
    draft.message_type = MessageType::Notification;
    draft.topic = Some(topic.to_owned());
    let me = connection.wtt.agent();
    let published = runtime::run(async {
        // Anew for each message: who has left is not sealed to.
        let members = connection.wtt.members(topic).await?;
        let members: Vec<_> = members
            .into_iter()
            .map(|member| member.agent)
            .filter(|agent| agent != me)
            .collect();
        Ok(client
            .publish_to(&topic_address(topic), &members, &draft)
            .await?)
    });
    output.notices(client.take_notices());
    drop(client);
    let published = published?;
    if output.is_json() {
        let left_out = published.left_out.iter().map(|left_out| LeftOut {
            address: &left_out.address,
            why: left_out.why.to_string(),
        });
        output.object(&Published {
            sent: &published.sent,
            readers: &published.readers,
            left_out: left_out.collect(),
        })?;
    } else {
        let readers: Vec<_> = published
            .readers
            .iter()
            .map(|name| distinct(name))
            .collect();
        let id = published.sent.id.as_deref().unwrap_or("-");
        output.line(&format!("{id}  {}", readers.join(" ")))?;
    }
    for left_out in &published.left_out {
        output.warning(&format!(
            "{} cannot read it: {}",
            left_out.address, left_out.why
        ));
    }
    Ok(())
}

/// Says something that everybody in a topic, and the service, can read and change.
pub(super) fn publish_in_the_clear(
    connection: &Connection,
    topic: &str,
    content: &Content,
    context: &Context<'_>,
) -> Result<()> {
    let Content::Text(words) = content else {
        let text = "only text can be said in the clear";
        return Err(Complaint::new(Class::Usage, text).into());
    };
    if let Ok(profile) = context.profile() {
        super::super::check_plaintext(&profile)?;
    }
    let id = runtime::run(async { Ok(connection.wtt.say(topic, words).await?) })?;
    let id = id.as_deref();
    if context.output.is_json() {
        context
            .output
            .object(&json!({ "relayId": id, "encrypted": false }))
    } else {
        context.output.line(&escaped(id.unwrap_or("-")))
    }
}

/// A message of the past, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(flatten)]
    past: &'a Past,
    /// The contact that sealed it.
    by: Option<String>,
    /// What it says, where it was opened.
    text: Option<String>,
}

/// Shows messages of the past, opened where they are for this agent.
pub(super) fn show(past: &[Past], context: &Context<'_>) -> Result<()> {
    let opener = if past.iter().any(|message| message.sealed.is_some()) {
        Opener::new(context)?
    } else {
        None
    };
    for message in past {
        let sealed = message.sealed.as_deref();
        let opened = opener
            .as_ref()
            .zip(sealed)
            .and_then(|(opener, text)| opener.open(text));
        if context.output.is_json() {
            let (by, text) = opened.map_or((None, None), |opened| (opened.from, Some(opened.text)));
            context.output.object(&Shown {
                past: message,
                by,
                text,
            })?;
            continue;
        }
        let at = message.at.map(ctalk::shown::time).unwrap_or_default();
        let from = escaped(&message.from);
        let line = match (opened, sealed) {
            (Some(opened), _) => {
                let by = opened
                    .from
                    .map_or_else(|| "me".to_owned(), |name| distinct(&name).into_owned());
                format!("{at}  {by} (sealed)  {}", escaped(&opened.text))
            }
            (None, Some(_)) => {
                format!("{at}  {from} (sealed, not for this agent or of nobody it knows)")
            }
            (None, None) => format!("{at}  {from} (plain)  {}", escaped(&message.content)),
        };
        context.output.line(&line)?;
    }
    Ok(())
}

/// A time as the history shows it, in milliseconds since the Unix epoch.
pub(super) fn moment(text: &str) -> Result<i64> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| Complaint::new(Class::Usage, "a time is written like 2026-01-02T03:04:05Z"))?;
    Ok(time.as_millisecond())
}
