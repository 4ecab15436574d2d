//! A connection's requests, which know its other end and keep its place while they are under way.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use futures_util::future::BoxFuture;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use hyper::{Request, Response};

use crate::address::Peer;
use crate::places::{InUse, Place};

/// A service at one place.
pub(crate) struct Attended<S> {
    pub(crate) service: S,
    pub(crate) place: Arc<Place>,
}

impl<S> Service<Request<Incoming>> for Attended<S>
where
    S: Service<Request<Arriving>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Answer>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Answer>, S::Error>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Peer(self.place.address));
        // Of those that are idle this one is the last to make room.
        drop(self.place.in_use());
        let in_use = Arc::new(OnceLock::new());
        let request = request.map(|body| Arriving {
            body,
            place: Arc::clone(&self.place),
            in_use: Arc::clone(&in_use),
        });
        if request.body().is_end_stream() {
            request.body().ended();
        }
        let answer = self.service.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|body| Answer {
                body,
                _in_use: in_use,
            }))
        })
    }
}

/// The body of a request, which keeps the place when all of it is there: whoever is slow to send it makes
/// room for others.
pub(crate) struct Arriving {
    body: Incoming,
    place: Arc<Place>,
    in_use: Arc<OnceLock<InUse>>,
}

impl Arriving {
    fn ended(&self) {
        self.in_use.get_or_init(|| self.place.in_use());
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.is_end_stream() {
            self.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, which keeps the place until it is handed over.
pub(crate) struct Answer {
    body: Body,
    _in_use: Arc<OnceLock<InUse>>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
