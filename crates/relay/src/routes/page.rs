//! The answer to `GET /messages`, written as it is read.
//!
//! A page may hold 100 messages of 190 KB. What does not fit into one part is read when the peer
//! has taken the part before it, so that slow readers of large pages cost little memory.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;

use crate::clock::iso;
use crate::config::Paging;
use crate::log;
use crate::store::{CopyKey, Store, StoreError, StoredEnvelope, StoredPage};

/// Answers with `page` and all that follows it.
pub(super) fn respond(store: Arc<Store>, page: StoredPage, paging: Paging) -> Response {
    let mut json = PageJson::new(paging);
    let first = json.part(&page.envelopes);
    let body = if page.rest.is_empty() {
        Body::from(first + &json.end())
    } else {
        let parts = Parts {
            store,
            first: Some(first),
            rest: page.rest,
            json,
        };
        Body::from_stream(try_unfold(parts, Parts::next))
    };
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// What was not sent yet of a page.
struct Parts {
    store: Arc<Store>,
    first: Option<String>,
    rest: Vec<CopyKey>,
    json: PageJson,
}

impl Parts {
    /// The next part, or the end.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        if let Some(first) = self.first.take() {
            return Ok(Some((first.into(), self)));
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let read = self.store.rest(core::mem::take(&mut self.rest)).await;
        // An error cuts the answer short, which the peer notices.
        let page = read.inspect_err(log::store_failed)?;
        let mut part = self.json.part(&page.envelopes);
        self.rest = page.rest;
        if self.rest.is_empty() {
            part.push_str(&self.json.end());
        }
        Ok(Some((part.into(), self)))
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
