//! How many requests of one agent are under way, which bounds the memory that its bodies and its answers
//! take, and its share of everything that requests wait for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::ready;
use hyper::body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use crate::api_error::ApiError;
use crate::auth;
use crate::http::App;
use crate::store::MAX_REQUESTS;

/// Refuses a request of an agent that has too many under way. One is until the last byte of its answer
/// was handed to the network.
pub(crate) async fn bounded(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(agent) = auth::agent(&app, request.headers()) else {
        return next.run(request).await;
    };
    let Ok(turn) = Arc::clone(agent.requests()).try_acquire_owned() else {
        let refusal = ApiError::rate_limited(format!(
            "{MAX_REQUESTS} requests of yours are under way already; take their answers first"
        ));
        return refusal.into_response();
    };
    let response = next.run(request).await;
    response.map(|body| {
        Body::new(Counted {
            body,
            turn: Arc::new(turn),
        })
    })
}

/// A body that counts as under way, and so does each of its parts: they outlive it while the peer is
/// slow to take them.
struct Counted {
    body: Body,
    turn: Arc<OwnedSemaphorePermit>,
}

struct Part {
    bytes: Bytes,
    _turn: Arc<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let counted = |bytes| {
            Bytes::from_owner(Part {
                bytes,
                _turn: Arc::clone(&self.turn),
            })
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(counted))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
