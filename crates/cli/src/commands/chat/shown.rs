//! What is printed of a conversation.

use anyhow::Result;
use ctalk::{
    Answered, ChatEvent, Received, SetAside,
    relay::openclaw::Heard,
    text::{distinct, escaped},
};
use serde::Serialize;

use super::super::recv::printer::Printer;
use crate::output::Output;

/// How a conversation is printed.
pub(super) struct Shown<'a> {
    output: &'a Output,
    printer: Printer<'a>,
    /// Whom is talked with, where that is sealed.
    peer: Option<String>,
    /// Whether only the answer is wanted.
    is_one: bool,
    was_lost: bool,
}

/// An event in JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Message(&'a Received),
    SetAside(&'a SetAside),
    Lost { error: String },
    Answered { how: &'static str },
}

impl<'a> Shown<'a> {
    pub(super) fn new(output: &'a Output, peer: Option<&str>, is_one: bool) -> Self {
        Self {
            output,
            printer: Printer::new(output, None),
            peer: peer.map(str::to_owned),
            is_one,
            was_lost: false,
        }
    }

    /// Prints an event.
    pub(super) fn show(&mut self, event: &ChatEvent) -> Result<()> {
        if let ChatEvent::Notice(notice) = event {
            self.output.notice(notice);
            return Ok(());
        }
        if self.output.is_json() {
            return self.json(event);
        }
        match event {
            ChatEvent::Heard(heard) => self.heard(heard),
            // The host delivers whatever it likes, also what others have sealed.
            ChatEvent::Message(message) if self.is_one && message.from != self.peer => {
                let from = message.from.as_deref().unwrap_or("nobody");
                let text = format!("{}: a message that is no answer", distinct(from));
                self.output.warning(&text);
                Ok(())
            }
            ChatEvent::Message(message) if self.is_one => {
                self.output.bytes(message.payload.as_bytes())
            }
            ChatEvent::Message(message) => self.printer.message(message),
            ChatEvent::SetAside(aside) => {
                let from = aside.relay_from.as_deref().unwrap_or("the agent");
                let text = format!("{}: {}: {}", distinct(from), aside.reason, aside.detail);
                self.output.set_aside(&text);
                Ok(())
            }
            ChatEvent::Lost(error) => {
                self.was_lost = true;
                self.output.warning(&format!("{error}; trying on"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn json(&self, event: &ChatEvent) -> Result<()> {
        match event {
            ChatEvent::Heard(heard) => self.output.object(heard),
            ChatEvent::Message(message) => self.output.object(&Line::Message(message)),
            ChatEvent::SetAside(aside) => self.output.object(&Line::SetAside(aside)),
            ChatEvent::Lost(error) => {
                let error = error.to_string();
                self.output.object(&Line::Lost { error })
            }
            ChatEvent::Answered(how) => self.output.object(&Line::Answered { how: word(*how) }),
            _ => Ok(()),
        }
    }

    /// What was said in the clear. Of what is streamed, the answer has everything, unless there is none.
    fn heard(&mut self, heard: &Heard) -> Result<()> {
        match heard {
            Heard::Connected if std::mem::take(&mut self.was_lost) => {
                self.output.note("the host answers again");
            }
            Heard::Connected => self.output.detail("the host listens"),
            Heard::Typing => self.output.detail("the agent is at work"),
            Heard::Response { content, .. }
            | Heard::Stream {
                content,
                is_late: true,
                ..
            } => return self.words(content),
            Heard::Stream { content, .. } => self.output.detail(&format!("so far: {content}")),
            Heard::Error { error, .. } => self.output.warning(&format!("the host says: {error}")),
            _ => {}
        }
        Ok(())
    }

    fn words(&self, content: &str) -> Result<()> {
        if self.peer.is_some() && self.is_one {
            // A script would take it for the contact's.
            let text = format!("said in the clear, by whoever: {content}");
            self.output.warning(&text);
            return Ok(());
        }
        let text = if self.output.is_terminal() {
            let lines: Vec<_> = content.split('\n').map(escaped).collect();
            lines.join("\n  ")
        } else {
            content.to_owned()
        };
        if self.is_one {
            return self.output.line(&text);
        }
        let head = "[plaintext]  the agent's host";
        self.output.line(&format!("{head}\n  {text}"))
    }
}

const fn word(how: Answered) -> &'static str {
    match how {
        Answered::Sealed => "sealed",
        Answered::Clear => "clear",
        Answered::Failed => "failed",
        Answered::Late => "late",
        _ => "lost",
    }
}
