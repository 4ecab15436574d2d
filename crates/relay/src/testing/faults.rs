//! A relay that fails: it loses, damages, repeats, holds back and mixes up, as a seed decides.

#![expect(
    clippy::indexing_slicing,
    reason = "the relay's own answers hold objects, and a test may end on anything else"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::auth::Caller;
use crate::http::App;
use crate::store::StoreError;

/// The longest that a message is held back, in looks of its recipient.
const MAX_DELAY: u64 = 8;
/// Names nobody: registered names have no spaces.
const NOBODY: &str = "nobody at all";

/// What a relay does wrongly, and how often: each rate is the share of the cases in which it
/// happens, from 0 for never to 1 for always.
///
/// A fault follows from the seed, the agent's name, what the agent asks for (a send, a look at its
/// inbox or anything else) and how often it asked for that before. So each agent's nth send fares
/// the same in every run, however its requests and those of the others mix. What differs from run
/// to run is which message an agent sends or finds as its nth, where it does several things at once.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Where all decisions come from.
    pub seed: u64,
    /// Requests whose connection is closed without an answer: for one half before the relay did
    /// what was asked, for the other half after.
    pub drop: f64,
    /// Sends of encrypted messages that also deliver a damaged copy, before the true one or after.
    pub corrupt: f64,
    /// Sends that are answered with 201 and not stored.
    pub swallow: f64,
    /// Sends that deliver the message twice, under two of the relay's ids.
    pub duplicate: f64,
    /// Messages that their recipient's first looks do not find: the next 1 to 8 of them. With this or
    /// `reorder` the relay has no streams.
    pub delay: f64,
    /// Looks at an inbox that find its messages in any order, with the times of the right one.
    pub reorder: f64,
}

/// How often which fault happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Requests lost before they were carried out.
    pub lost_requests: u64,
    /// Answers lost to requests that were carried out.
    pub lost_answers: u64,
    /// Damaged copies delivered.
    pub corrupted: u64,
    /// Sends answered with 201 and not stored.
    pub swallowed: u64,
    /// Second copies delivered.
    pub duplicated: u64,
    /// Messages held back.
    pub delayed: u64,
    /// Looks that found two or more messages in another order.
    pub reordered: u64,
}

/// What a relay decided so far.
#[derive(Default)]
pub(crate) struct Failing(Mutex<Fates>);

#[derive(Default)]
struct Fates {
    faults: Faults,
    counts: FaultCounts,
    /// How many cases of each kind every agent had.
    cases: HashMap<(String, Case), u64>,
    /// For how many more looks each message that an agent's look came across is held back.
    held: HashMap<(String, String), u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Case {
    /// `POST /messages`.
    Send,
    /// `GET /messages`.
    Look,
    /// Any other request.
    Other,
    /// A message that a look came across for the first time.
    Message,
}

impl Case {
    fn of(parts: &Parts) -> Self {
        match (&parts.method, parts.uri.path()) {
            (&Method::POST, "/messages") => Self::Send,
            (&Method::GET, "/messages") => Self::Look,
            _ => Self::Other,
        }
    }
}

/// What happens in one case.
struct Fate(Sha256);

impl Fate {
    /// A number that follows from the case and `what`.
    fn number(&self, what: &str) -> u64 {
        let digest = self.0.clone().chain_update(what).finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn below(&self, bound: u64, what: &str) -> u64 {
        self.number(what) % bound.max(1)
    }

    fn index(&self, len: usize, what: &str) -> usize {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.below(len, what)).unwrap_or_default()
    }

    fn happens(&self, rate: f64, what: &str) -> bool {
        const STEPS: u32 = 1 << 30;
        u32::try_from(self.below(u64::from(STEPS), what))
            .is_ok_and(|number| f64::from(number) < rate * f64::from(STEPS))
    }
}

impl Failing {
    /// Begins anew with `faults`.
    pub(super) fn set(&self, faults: Faults) {
        *self.fates() = Fates {
            faults,
            ..Fates::default()
        };
    }

    pub(super) fn counts(&self) -> FaultCounts {
        self.fates().counts
    }

    /// Whether messages are held back or mixed up.
    pub(super) fn disturbs_looks(&self) -> bool {
        let fates = self.fates();
        fates.faults.delay > 0.0 || fates.faults.reorder > 0.0
    }

    fn fates(&self) -> MutexGuard<'_, Fates> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, of: impl FnOnce(&mut FaultCounts) -> &mut u64) {
        *of(&mut self.fates().counts) += 1;
    }

    /// Answers as the relay would, but for the faults.
    pub(crate) async fn befall(
        State((failing, app)): State<(Arc<Self>, Arc<App>)>,
        request: Request,
        next: Next,
    ) -> Response {
        let (mut parts, body) = request.into_parts();
        let agent = match Caller::from_request_parts(&mut parts, &app).await {
            Ok(Caller::Agent(agent)) => agent.name.clone(),
            Ok(Caller::Admin) | Err(_) => String::new(),
        };
        let case = Case::of(&parts);
        let (fate, faults) = {
            let mut fates = failing.fates();
            (fates.next(&agent, case), fates.faults.clone())
        };
        let is_dropped = fate.happens(faults.drop, "drop");
        if is_dropped && fate.below(2, "drop what") == 0 {
            failing.count(|counts| &mut counts.lost_requests);
            return closed();
        }
        let response = match case {
            Case::Send => failing.send(&fate, &faults, parts, body, next).await,
            Case::Look => {
                let response = next.run(Request::from_parts(parts, body)).await;
                failing.look(&fate, &faults, &agent, response).await
            }
            Case::Other | Case::Message => next.run(Request::from_parts(parts, body)).await,
        };
        if is_dropped {
            failing.count(|counts| &mut counts.lost_answers);
            return closed();
        }
        response
    }

    async fn send(
        &self,
        fate: &Fate,
        faults: &Faults,
        mut parts: Parts,
        body: Body,
        next: Next,
    ) -> Response {
        let Ok(body) = body.collect().await else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let body = body.to_bytes();
        parts.headers.remove(CONTENT_LENGTH);
        let run = async |body: Bytes| {
            let request = Request::from_parts(parts.clone(), Body::from(body));
            next.clone().run(request).await
        };
        let add = async |body: Bytes, of: fn(&mut FaultCounts) -> &mut u64| {
            if run(body).await.status() == StatusCode::CREATED {
                self.count(of);
            }
        };
        if fate.happens(faults.swallow, "swallow")
            && let Some(to_nobody) = changed(&body, |message| message["to"] = json!([NOBODY]))
        {
            let response = run(to_nobody).await;
            if response.status() == StatusCode::CREATED {
                self.count(|counts| &mut counts.swallowed);
            }
            return response;
        }
        let damaged = fate
            .happens(faults.corrupt, "corrupt")
            .then(|| damaged(fate, &body))
            .flatten();
        let is_damaged_first = fate.below(2, "damaged first") == 0;
        if let Some(damaged) = damaged.clone().filter(|_| is_damaged_first) {
            add(damaged, |counts| &mut counts.corrupted).await;
        }
        let response = run(body.clone()).await;
        if fate.happens(faults.duplicate, "duplicate") {
            add(body, |counts| &mut counts.duplicated).await;
        }
        if let Some(damaged) = damaged.filter(|_| !is_damaged_first) {
            add(damaged, |counts| &mut counts.corrupted).await;
        }
        response
    }

    async fn look(
        &self,
        fate: &Fate,
        faults: &Faults,
        agent: &str,
        response: Response,
    ) -> Response {
        let is_as_it_is = faults.delay <= 0.0 && faults.reorder <= 0.0;
        if is_as_it_is || response.status() != StatusCode::OK {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let Ok(body) = body.collect().await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let body = body.to_bytes();
        let shown = changed(&body, |shown| {
            let Some(messages) = shown["messages"].as_array_mut() else {
                return;
            };
            messages.retain(|message| match message["id"].as_str() {
                Some(id) => self.fates().shows(agent, id),
                None => true,
            });
            if messages.len() > 1 && fate.happens(faults.reorder, "reorder") {
                self.count(|counts| &mut counts.reordered);
                reorder(fate, messages);
            }
        });
        // What was injected may be JSON that no value stands for.
        let shown = shown.unwrap_or(body);
        parts.headers.remove(CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(shown))
    }
}

impl Fates {
    fn next(&mut self, agent: &str, case: Case) -> Fate {
        let number = self.cases.entry((agent.to_owned(), case)).or_default();
        *number += 1;
        let which: u8 = match case {
            Case::Send => 0,
            Case::Look => 1,
            Case::Other => 2,
            Case::Message => 3,
        };
        let hash = Sha256::new()
            .chain_update(self.faults.seed.to_be_bytes())
            .chain_update(number.to_be_bytes())
            .chain_update([which])
            .chain_update(agent)
            // No name holds it, so no two cases hash the same.
            .chain_update([0]);
        Fate(hash)
    }

    /// Whether a look of `agent` finds the message `id`, which counts as one of its looks.
    fn shows(&mut self, agent: &str, id: &str) -> bool {
        let key = (agent.to_owned(), id.to_owned());
        if !self.held.contains_key(&key) {
            let fate = self.next(agent, Case::Message);
            let is_delayed = fate.happens(self.faults.delay, "delay");
            let looks = if is_delayed {
                1 + fate.below(MAX_DELAY, "looks")
            } else {
                0
            };
            self.counts.delayed += u64::from(is_delayed);
            self.held.insert(key.clone(), looks);
        }
        match self.held.get_mut(&key) {
            Some(looks) if *looks > 0 => {
                *looks -= 1;
                false
            }
            _ => true,
        }
    }
}

/// An answer that never comes: its connection ends before the first byte of it.
fn closed() -> Response {
    let (sender, body) = Channel::<Bytes, StoreError>::new(1);
    sender.abort(StoreError::Closed);
    Response::new(Body::new(body))
}

/// `json` with a change; `None` when it is no JSON object.
fn changed(json: &[u8], change: impl FnOnce(&mut Value)) -> Option<Bytes> {
    let mut value: Value = serde_json::from_slice(json).ok()?;
    if !value.is_object() {
        return None;
    }
    change(&mut value);
    Some(value.to_string().into())
}

/// The request with one character of an encrypted payload replaced; `None` when it has none.
fn damaged(fate: &Fate, body: &[u8]) -> Option<Bytes> {
    const CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let message: Value = serde_json::from_slice(body).ok()?;
    if message["encrypted"] != true {
        return None;
    }
    let mut payload = message["payload"].as_str()?.as_bytes().to_vec();
    let places: Vec<_> = (0..payload.len())
        .filter(|at| payload[*at].is_ascii_alphanumeric())
        .collect();
    let place = *places.get(fate.index(places.len(), "place"))?;
    let others: Vec<_> = CHARACTERS
        .iter()
        .filter(|character| **character != payload[place])
        .collect();
    payload[place] = **others.get(fate.index(others.len(), "character"))?;
    let payload = String::from_utf8(payload).ok()?;
    changed(body, |message| message["payload"] = json!(payload))
}

/// Shuffles `messages` and gives them the times they had in their places.
fn reorder(fate: &Fate, messages: &mut [Value]) {
    let times: Vec<_> = messages.iter().map(|each| each["ts"].clone()).collect();
    // Fisher and Yates.
    for last in (1..messages.len()).rev() {
        messages.swap(last, fate.index(last + 1, &format!("swap {last}")));
    }
    for (message, time) in messages.iter_mut().zip(times) {
        message["ts"] = time;
    }
}
