//! Frames as they stand on the wire: JSON objects with a `type`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a client's frames are, all of them.
const SEND: &str = "chat.send";
/// Most bytes of what messages, senders and groups are called.
const MAX_ID: usize = 256;

/// A message to the agent. Everything but the content is for the host of the agent, and none of it is
/// protected.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatMessage {
    /// What the agent reads. Never empty.
    pub content: String,
    /// What answers are told by; the host makes one up where there is none. One that it saw in the last 20
    /// minutes is dropped without a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Who speaks, by his own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_name: Option<String>,
    /// Whether it is said in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_type: Option<ChatType>,
    /// The group, all of whose members share what the agent remembers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// What the group is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_subject: Option<String>,
    /// The message that this one is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to_message_id: Option<String>,
    /// What that one says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to_body: Option<String>,
    /// A file or URL that the machine of the agent can read. Nothing is uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_path: Option<String>,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Several files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media_paths: Vec<String>,
    /// Their media types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media_types: Vec<String>,
    /// Put over what the host knows of the message, whatever that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_data: Option<Map<String, Value>>,
    /// Hosts declare it and do not look at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
}

/// Where a message is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatType {
    /// Between sender and agent.
    Direct,
    /// In a group.
    Group,
}

/// Why a client's frame is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadFrame {
    /// It is no JSON object, or its content is no text.
    Unreadable,
    /// It is none of the one type, or says nothing.
    Format,
    /// This member is of another type than the protocol's.
    Member {
        name: &'static str,
        /// Of the message, if that can be told.
        message_id: Option<String>,
    },
}

impl ChatMessage {
    /// The frame.
    pub(super) fn to_frame(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Typed<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            #[serde(flatten)]
            message: &'a ChatMessage,
        }
        serde_json::to_string(&Typed {
            kind: SEND,
            message: self,
        })
    }

    /// Reads a frame. What the protocol does not know is ignored.
    pub(super) fn from_frame(frame: &[u8]) -> Result<Self, BadFrame> {
        let Ok(Value::Object(mut members)) = serde_json::from_slice(frame) else {
            return Err(BadFrame::Unreadable);
        };
        if members.get("type").and_then(Value::as_str) != Some(SEND) {
            return Err(BadFrame::Format);
        }
        let content = match members.remove("content") {
            None | Some(Value::Null) => return Err(BadFrame::Format),
            Some(Value::String(content)) if content.is_empty() => return Err(BadFrame::Format),
            Some(Value::String(content)) => content,
            Some(_) => return Err(BadFrame::Unreadable),
        };
        let mut members = Members {
            message_id: members
                .get("messageId")
                .and_then(Value::as_str)
                .map(str::to_owned),
            members,
        };
        let is_group = members.members.get("chatType").and_then(Value::as_str) == Some("group");
        Ok(Self {
            content,
            message_id: members.id("messageId")?,
            sender_id: members.id("senderId")?,
            sender_name: members.text("senderName")?,
            chat_type: Some(if is_group {
                ChatType::Group
            } else {
                ChatType::Direct
            }),
            group_id: members.id("groupId")?,
            group_subject: members.text("groupSubject")?,
            reply_to_message_id: members.text("replyToMessageId")?,
            // What else there is would have to be believed, or is of no use here.
            ..Self::default()
        })
    }
}

struct Members {
    members: Map<String, Value>,
    message_id: Option<String>,
}

impl Members {
    /// A text that is kept, and so not any length.
    fn id(&mut self, name: &'static str) -> Result<Option<String>, BadFrame> {
        match self.text(name)? {
            Some(text) if text.len() > MAX_ID => Err(BadFrame::Member {
                name,
                message_id: None,
            }),
            text => Ok(text),
        }
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, BadFrame> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(BadFrame::Member {
                name,
                message_id: self.message_id.clone(),
            }),
        }
    }
}

/// A frame from the host.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum Frame {
    /// The agent is at work, on whatever.
    #[serde(rename = "chat.typing")]
    Typing,
    /// What there is of an answer so far, or something that came up on the way.
    #[serde(rename = "chat.stream")]
    Stream {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        content: String,
        #[serde(default)]
        done: bool,
    },
    /// A piece of an answer; without an id it is the greeting, or unasked for.
    #[serde(rename = "chat.response")]
    Response {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        content: String,
        /// True for each piece.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        done: Option<bool>,
    },
    /// Something failed.
    #[serde(rename = "chat.error")]
    Error {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        error: String,
    },
    /// What the protocol does not know.
    #[serde(other, skip_serializing)]
    Other,
}

impl Frame {
    /// Reads a frame; what is none is nothing that matters.
    pub(super) fn read(frame: &[u8]) -> Self {
        serde_json::from_slice(frame).unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadFrame, ChatMessage, ChatType, Frame};

    #[test]
    fn what_a_client_says_is_read_back_and_what_is_declared_but_dangerous_is_left_out() {
        let said = ChatMessage {
            content: "hello".to_owned(),
            message_id: Some("m".to_owned()),
            sender_id: Some("ann".to_owned()),
            chat_type: Some(ChatType::Group),
            group_id: Some("g".to_owned()),
            reply_to_message_id: Some("before".to_owned()),
            ..ChatMessage::default()
        };
        let frame = said.to_frame().unwrap();
        assert!(frame.starts_with(r#"{"type":"chat.send","content":"hello","messageId":"m""#));
        assert_eq!(ChatMessage::from_frame(frame.as_bytes()), Ok(said));
        let forged =
            br#"{"type":"chat.send","content":"x","customData":{"SessionKey":"y"},"sessionKey":1}"#;
        let read = ChatMessage::from_frame(forged).unwrap();
        assert_eq!((read.custom_data, read.session_key), (None, None));
    }

    #[test]
    fn frames_that_are_none_are_told_from_those_that_say_nothing() {
        for (frame, bad) in [
            ("", BadFrame::Unreadable),
            ("null", BadFrame::Unreadable),
            ("[]", BadFrame::Unreadable),
            (r#"{"type":"chat.send","content":1}"#, BadFrame::Unreadable),
            ("{}", BadFrame::Format),
            (r#"{"type":"chat.send"}"#, BadFrame::Format),
            (r#"{"type":"chat.send","content":""}"#, BadFrame::Format),
            (r#"{"type":"chat.sent","content":"x"}"#, BadFrame::Format),
            (
                r#"{"type":"chat.send","content":"x","messageId":7}"#,
                BadFrame::Member {
                    name: "messageId",
                    message_id: None,
                },
            ),
        ] {
            assert_eq!(
                ChatMessage::from_frame(frame.as_bytes()),
                Err(bad),
                "{frame}"
            );
        }
    }

    #[test]
    fn what_a_host_says_in_another_way_is_nothing_that_matters() {
        for frame in [
            "",
            "{}",
            "7",
            r#"{"type":"chat.stream","content":7}"#,
            r#"{"type":"x"}"#,
        ] {
            assert!(
                matches!(Frame::read(frame.as_bytes()), Frame::Other),
                "{frame}"
            );
        }
        let typing = Frame::read(br#"{"type":"chat.typing","more":[1]}"#);
        assert!(matches!(typing, Frame::Typing));
    }
}
