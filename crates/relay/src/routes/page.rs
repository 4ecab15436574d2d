//! The answer to `GET /messages`, written as it is read.
//!
//! A page may hold 100 messages of 190 KB. What does not fit into one part is read when the peer
//! has taken the part before it, so that slow readers of large pages cost little memory.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};

use crate::clock::iso;
use crate::config::Paging;
use crate::log;
use crate::store::{CopyKey, Store, StoreError, StoredEnvelope, StoredPage};

/// Answers with `page` and all that follows it.
pub(super) fn respond(store: Arc<Store>, mut page: StoredPage, paging: Paging) -> Response {
    let mut json = PageJson::new(paging);
    let first = json.part(&page.envelopes);
    let rest = core::mem::take(&mut page.rest);
    let body = if rest.is_empty() {
        Body::from(first + &json.end())
    } else {
        let (mut parts, body) = Channel::<Bytes, StoreError>::new(1);
        tokio::spawn(async move {
            if let Err(error) = write(&mut parts, &store, first, rest, json).await {
                log::store_failed(&error);
                // Cuts the answer short, which the peer notices.
                parts.abort(error);
            }
        });
        Body::new(body)
    };
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn write(
    parts: &mut Sender<Bytes, StoreError>,
    store: &Store,
    first: String,
    mut rest: Vec<CopyKey>,
    mut json: PageJson,
) -> Result<(), StoreError> {
    let mut part = first;
    loop {
        if parts.send_data(part.into()).await.is_err() {
            // The peer has gone.
            return Ok(());
        }
        if rest.is_empty() {
            return Ok(());
        }
        let page = store.rest(rest).await?;
        part = json.part(&page.envelopes);
        rest = page.rest;
        if rest.is_empty() {
            part.push_str(&json.end());
        }
    }
}

/// The JSON text of a page in the making.
struct PageJson {
    paging: Paging,
    count: usize,
    /// Times in milliseconds since the epoch.
    oldest: i64,
    newest: i64,
}

impl PageJson {
    fn new(paging: Paging) -> Self {
        Self {
            paging,
            count: 0,
            oldest: i64::MAX,
            newest: i64::MIN,
        }
    }

    fn part(&mut self, envelopes: &[StoredEnvelope]) -> String {
        let mut part = String::with_capacity(envelopes.iter().map(|it| it.json.len() + 1).sum());
        for envelope in envelopes {
            part.push_str(if self.count == 0 {
                "{\"messages\":["
            } else {
                ","
            });
            part.push_str(&envelope.json);
            self.count += 1;
            self.oldest = self.oldest.min(envelope.ts);
            self.newest = self.newest.max(envelope.ts);
        }
        part
    }

    fn end(&self) -> String {
        let (oldest, newest) = (iso(self.oldest), iso(self.newest));
        let (times, count) = match self.paging {
            Paging::Full => (
                format!(",\"oldestTs\":\"{oldest}\",\"newestTs\":\"{newest}\""),
                format!(",\"count\":{}", self.count),
            ),
            Paging::Reference => (String::new(), String::new()),
        };
        if self.count == 0 {
            return format!("{{\"messages\":[]{count}}}");
        }
        format!("],\"cursor\":\"{oldest}\"{times}{count}}}")
    }
}
