//! Handlers: real processes, a real HTTP server, hostile messages.

// Tests may panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod command;
mod guard;
mod post;
mod processes;
mod sanitize;

use std::{path::Path, time::Duration};

use ctalk::{
    Content, Format, Received, Trust,
    handler::{Attempt, Command, Handler, Outcome},
};

/// Time in which nothing is expected to happen, or everything has gone wrong.
const LONG: Duration = Duration::from_secs(60);

/// A verified contact's request with every fact there is.
fn message(payload: Content) -> Received {
    Received {
        id: Some("0123456789abcdef0123456789abcdef".to_owned()),
        relay_id: Some("relay-1".to_owned()),
        from: Some("bob".to_owned()),
        relay_from: "bob-at-relay".to_owned(),
        fingerprint: Some("f".repeat(64)),
        to: "alice".to_owned(),
        message_type: "request".to_owned(),
        topic: Some("builds".to_owned()),
        correlation_id: Some("c-1".to_owned()),
        reply_to: Some("r-1".to_owned()),
        ts: None,
        created: None,
        format: Format::Native,
        encrypted: true,
        trust: Trust::Verified,
        content_type: payload.content_type().to_owned(),
        name: None,
        payload,
        hygiene: None,
    }
}

fn text(text: &str) -> Received {
    message(Content::Text(text.to_owned()))
}

fn json(text: &str) -> Received {
    message(Content::from_json(text.to_owned()).unwrap())
}

fn first(message: Received) -> Attempt {
    Attempt { message, number: 1 }
}

async fn handle(handler: &impl Handler, message: Received) -> Outcome {
    let attempt = first(message);
    tokio::time::timeout(LONG, handler.handle(&attempt))
        .await
        .expect("the handler hangs")
}

/// What the handler put out, provided that it is done.
async fn output(handler: &impl Handler, message: Received) -> Vec<u8> {
    match handle(handler, message).await {
        Outcome::Done { output } => output,
        outcome => panic!("{outcome:?}"),
    }
}

fn shell(script: &str) -> Command {
    Command::shell(script).unwrap()
}

fn is_retry(outcome: &Outcome, word: &str) -> bool {
    matches!(outcome, Outcome::Retry { why, .. } if why.contains(word))
}

fn is_failed(outcome: &Outcome, word: &str) -> bool {
    matches!(outcome, Outcome::Failed { why } if why.contains(word))
}

/// A path in single quotes for a shell.
fn quoted(path: &Path) -> String {
    shlex::try_quote(path.to_str().unwrap())
        .unwrap()
        .into_owned()
}
