//! What a host of OpenClaw reads beside what is said.

use std::path::Path;

use anyhow::Result;
use ctalk::{
    Class,
    relay::openclaw::{ChatMessage, ChatType},
};

use crate::{exit::Complaint, input};

/// Most bytes of custom data.
const MAX_DATA: usize = 1 << 20;

/// All of it is in the clear.
#[derive(clap::Args)]
#[command(next_help_heading = "What the host reads beside the text, with --plaintext")]
pub(super) struct Fields {
    /// What answers name [default: a random one]
    #[arg(
        long,
        value_name = "ID",
        requires = "plaintext",
        conflicts_with = "lines"
    )]
    message_id: Option<String>,
    /// What the group is called
    #[arg(long, value_name = "TEXT", requires_all = ["plaintext", "group"])]
    group_subject: Option<String>,
    /// The message that this one is about
    #[arg(long, value_name = "ID", requires = "plaintext")]
    reply_to: Option<String>,
    /// What that one says
    #[arg(long, value_name = "TEXT", requires = "plaintext")]
    quote: Option<String>,
    /// A file or URL that the agent's machine can read; may be given several times. Nothing is uploaded
    #[arg(long, value_name = "PATH", requires = "plaintext")]
    media: Vec<String>,
    /// The media type of each of them, in their order
    #[arg(long, value_name = "TYPE", requires = "media")]
    media_type: Vec<String>,
    /// A JSON object that is put over what the host knows of the message, or one in a file for @FILE
    #[arg(long, value_name = "JSON", requires = "plaintext")]
    custom_data: Option<String>,
    /// A session key, which hosts declare and do not look at
    #[arg(long, value_name = "KEY", requires = "plaintext")]
    session_key: Option<String>,
}

impl Fields {
    /// A message without its text.
    pub(super) fn message(self, group: Option<String>) -> Result<ChatMessage> {
        if !self.media_type.is_empty() && self.media_type.len() != self.media.len() {
            let text = "--media-type is given for each --media, or for none";
            return Err(Complaint::new(Class::Usage, text).into());
        }
        let mut message = ChatMessage {
            message_id: self.message_id,
            chat_type: group.as_ref().map(|_| ChatType::Group),
            group_id: group,
            group_subject: self.group_subject,
            reply_to_message_id: self.reply_to,
            reply_to_body: self.quote,
            custom_data: self.custom_data.map(custom_data).transpose()?,
            session_key: self.session_key,
            ..ChatMessage::default()
        };
        if let ([_], [] | [_]) = (&*self.media, &*self.media_type) {
            message.media_path = self.media.into_iter().next();
            message.media_type = self.media_type.into_iter().next();
        } else {
            message.media_paths = self.media;
            message.media_types = self.media_type;
        }
        Ok(message)
    }
}

fn custom_data(given: String) -> Result<serde_json::Map<String, serde_json::Value>> {
    let text = match given.strip_prefix('@') {
        Some(file) => {
            let mut bytes = Vec::new();
            input::read(Path::new(file), MAX_DATA, &mut bytes)?;
            bytes
        }
        None => given.into_bytes(),
    };
    serde_json::from_slice(&text).map_err(|error| {
        let text = format!("the custom data is no JSON object: {error}");
        Complaint::new(Class::Malformed, text).into()
    })
}
