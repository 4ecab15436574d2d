//! A relay that lies: what it stores is right, and what it shows is not.

#![expect(
    clippy::indexing_slicing,
    reason = "the relay's own answers hold objects, and a test may end on anything else"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};

/// One thing that a relay shows wrongly.
#[derive(Clone, Debug)]
pub enum Lie {
    /// Shows these keys and capabilities for an agent.
    Entry {
        /// The agent.
        agent: String,
        /// What is shown as its X25519 key.
        public_key: String,
        /// What is shown as its Ed25519 key.
        signing_key: String,
        /// What it is said to be able to do.
        capabilities: Vec<String>,
    },
    /// Calls an agent by another name, in the directory and as a sender.
    Rename {
        /// The agent.
        agent: String,
        /// What it is called.
        name: String,
    },
    /// Names an agent a second time in the directory, with the keys of another one.
    ListTwice {
        /// The agent.
        agent: String,
        /// Whose keys the second entry has.
        keys_of: String,
    },
    /// Delivers every message that was ever shown once more, under a new id.
    Replay,
    /// Delivers the newest message first, with the times of the others.
    Reorder,
    /// Keeps an agent's messages back.
    Withhold {
        /// The sender.
        from: String,
    },
    /// Says that a message was for somebody else.
    Readdress {
        /// The recipient it names.
        to: String,
    },
}

/// The lies that a relay tells at the moment.
#[derive(Default)]
pub(crate) struct Lies(Mutex<Told>);

#[derive(Default)]
struct Told {
    lies: Vec<Lie>,
    /// Every message that was shown, by the key it was asked for with, for [`Lie::Replay`].
    shown: HashMap<HeaderValue, Vec<Value>>,
}

impl Lies {
    pub(super) fn set(&self, lies: Vec<Lie>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lies = lies;
    }

    /// Answers as the relay would, but for the lies.
    pub(crate) async fn tell(
        State(lies): State<Arc<Self>>,
        request: Request,
        next: Next,
    ) -> Response {
        let path = request.uri().path().to_owned();
        let is_shown =
            request.method() == Method::GET && ["/agents", "/messages"].contains(&&*path);
        let key = request.headers().get(AUTHORIZATION).cloned();
        let response = next.run(request).await;
        if !is_shown || response.status() != StatusCode::OK {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let Ok(body) = body.collect().await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let body = body.to_bytes();
        let Ok(mut shown) = serde_json::from_slice(&body) else {
            // What was injected may be JSON that no value stands for.
            return Response::from_parts(parts, Body::from(body));
        };
        {
            let mut told = lies.0.lock().unwrap_or_else(PoisonError::into_inner);
            match key {
                Some(key) if path == "/messages" => told.messages(key, &mut shown),
                _ => told.directory(&mut shown),
            }
        }
        parts.headers.remove(CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(shown.to_string()))
    }
}

impl Told {
    fn directory(&self, shown: &mut Value) {
        let Value::Array(entries) = shown else { return };
        for lie in &self.lies {
            match lie {
                Lie::Entry {
                    agent,
                    public_key,
                    signing_key,
                    capabilities,
                } => {
                    for entry in named(entries, agent) {
                        entry["publicKey"] = json!(public_key);
                        entry["signingKey"] = json!(signing_key);
                        entry["capabilities"] = json!(capabilities);
                    }
                }
                Lie::Rename { agent, name } => {
                    for entry in named(entries, agent) {
                        entry["name"] = json!(name);
                    }
                }
                Lie::ListTwice { agent, keys_of } => {
                    let mut second = named(entries, keys_of).next().cloned();
                    if let Some(entry) = &mut second {
                        entry["name"] = json!(agent);
                    }
                    entries.extend(second);
                }
                _ => {}
            }
        }
    }

    fn messages(&mut self, key: HeaderValue, shown: &mut Value) {
        let Some(Value::Array(messages)) = shown.get_mut("messages") else {
            return;
        };
        let all = self.shown.entry(key).or_default();
        let before = all.len();
        all.extend_from_slice(messages);
        for lie in &self.lies {
            match lie {
                Lie::Rename { agent, name } => {
                    for message in messages.iter_mut().filter(|each| each["from"] == **agent) {
                        message["from"] = json!(name);
                    }
                }
                Lie::Replay => messages.extend(all.iter().take(before).enumerate().map(
                    |(number, message)| {
                        let mut message = message.clone();
                        message["id"] = json!(format!("again-{number}"));
                        message
                    },
                )),
                Lie::Reorder => {
                    let times: Vec<_> = messages.iter().map(|each| each["ts"].clone()).collect();
                    messages.reverse();
                    for (message, time) in messages.iter_mut().zip(times) {
                        message["ts"] = time;
                    }
                }
                Lie::Withhold { from } => messages.retain(|message| message["from"] != **from),
                Lie::Readdress { to } => {
                    for message in messages.iter_mut() {
                        message["to"] = json!(to);
                    }
                }
                Lie::Entry { .. } | Lie::ListTwice { .. } => {}
            }
        }
    }
}

fn named<'e>(entries: &'e mut [Value], name: &'e str) -> impl Iterator<Item = &'e mut Value> {
    entries
        .iter_mut()
        .filter(move |entry| entry["name"] == name)
}
