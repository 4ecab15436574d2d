//! Printing messages, which is what `ctalk recv` does with them unless told otherwise.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anstyle::{AnsiColor, Style};
use anyhow::{Error, Result};
use async_trait::async_trait;
use ctalk::{
    Content, Received, Trust,
    handler::{Attempt, Handler, Outcome},
    text::{distinct, escaped},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::{output::Output, runtime, save::Folder};

const TRUSTED: Style = AnsiColor::Green.on_default();
const NOT_TRUSTED: Style = AnsiColor::Yellow.on_default().bold();

/// Prints messages, and keeps those that are files where that is wanted.
pub(in crate::commands) struct Printer<'a> {
    output: &'a Output,
    folder: Option<Folder>,
    /// Why printing had to end.
    failure: Mutex<Option<Error>>,
}

/// A message counts as handled only now that its file is kept and its line is out: a crash in between
/// keeps and prints it twice.
#[async_trait]
impl Handler for Printer<'_> {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        match self.take(&attempt.message).await {
            Ok(()) => Outcome::Done { output: Vec::new() },
            Err(error) => {
                let why = error.to_string();
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                *failure = Some(error);
                Outcome::Stop { why }
            }
        }
    }
}

impl<'a> Printer<'a> {
    pub(in crate::commands) const fn new(output: &'a Output, folder: Option<Folder>) -> Self {
        Self {
            output,
            folder,
            failure: Mutex::new(None),
        }
    }

    /// Why printing had to end, if it had to.
    pub(super) fn into_failure(self) -> Option<Error> {
        self.failure
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self, message: &Received) -> Result<()> {
        let saved = match &self.folder {
            Some(folder) => folder.save(message)?,
            None => None,
        };
        let (output, text) = (*self.output, self.text(message, saved.as_deref())?);
        // However long a reader stands still, leases are renewed and signals heard.
        runtime::blocking(move || output.line(&text)).await
    }

    /// Prints and flushes one message.
    pub(in crate::commands) fn message(&self, message: &Received) -> Result<()> {
        self.output.line(&self.text(message, None)?)
    }

    /// One message as it is printed, or where its payload was saved.
    fn text(&self, message: &Received, saved: Option<&Path>) -> Result<String> {
        match saved {
            Some(path) if self.output.is_json() => {
                return self.output.json(&without_payload(message, path)?);
            }
            Some(path) => {
                let path = path.to_string_lossy();
                let head = self.head(message);
                return Ok(format!("{head}\nsaved as {}", escaped(&path)));
            }
            None if self.output.is_json() => return self.output.json(message),
            None => {}
        }
        let payload = match &message.payload {
            Content::Text(text) => text.as_str(),
            Content::Json(json) => json.get(),
            _ => return self.output.json(message),
        };
        let text = if self.output.is_terminal() {
            // Set in, so that no line of it looks like the head of another message.
            let lines = payload
                .split('\n')
                .map(|line| format!("\n  {}", escaped(line)));
            lines.collect()
        } else {
            format!("\n{payload}")
        };
        Ok(format!("{}{text}", self.head(message)))
    }

    /// Begins with what ctalk itself says, so that nothing a peer wrote can pass for it.
    fn head(&self, message: &Received) -> String {
        let style = if matches!(message.trust, Trust::Pinned | Trust::Verified) {
            TRUSTED
        } else {
            NOT_TRUSTED
        };
        let mut head = self
            .output
            .styled(style, &format!("[{}]", message.trust.as_str()));
        let from = message.from.as_ref().unwrap_or(&message.relay_from);
        head += &format!("  {}", distinct(from));
        let words = [Some(&message.message_type), message.ts.as_ref()];
        for word in words.into_iter().flatten() {
            head += &format!("  {}", escaped(word));
        }
        if message.relay_from != *from {
            head += &format!("  relayFrom={}", distinct(&message.relay_from));
        }
        let members = [
            ("id", message.id.as_ref()),
            ("topic", message.topic.as_ref()),
            ("correlationId", message.correlation_id.as_ref()),
            ("replyTo", message.reply_to.as_ref()),
            ("name", message.name.as_ref()),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                head += &format!("  {name}={}", escaped(value));
            }
        }
        let removed = message
            .hygiene
            .as_ref()
            .map(|hygiene| hygiene.sanitized.removed());
        if let Some(removed) = removed.filter(|removed| *removed > 0) {
            head += &format!("  sanitized={removed}");
        }
        head
    }
}

/// A message in JSON, with the path of its payload in place of it.
fn without_payload(message: &Received, saved: &Path) -> Result<BTreeMap<String, Box<RawValue>>> {
    // Raw, because a payload may be nested as deep as a parser goes.
    let mut members: BTreeMap<_, _> = serde_json::from_str(&serde_json::to_string(message)?)?;
    members.remove("payload");
    let saved = to_raw_value(&saved.to_string_lossy())?;
    members.insert("savedAs".to_owned(), saved);
    Ok(members)
}
