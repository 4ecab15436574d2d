//! Reading what a refused request still sends.
//!
//! A connection that is closed while its peer is still sending loses the answer on the way. So the
//! body that a handler left behind is read and thrown away, within limits, before the answer goes.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The most bytes that are thrown away; a sender of more may miss its answer.
const MAX_DISCARDED: usize = 4 << 20;
/// The longest time that is spent on it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A body that comes back when its user drops it.
struct Lent {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

/// Where a lent body comes back.
pub(crate) struct Rest(oneshot::Receiver<Body>);

/// Lends `body` out.
pub(crate) fn lend(body: Body) -> (Body, Rest) {
    let (back, rest) = oneshot::channel();
    let lent = Lent {
        body,
        back: Some(back),
    };
    (Body::new(lent), Rest(rest))
}

impl Rest {
    /// Reads what is left of the body.
    pub(crate) async fn discard(self) {
        let Ok(mut body) = self.0.await else {
            return;
        };
        let discard = async {
            let mut discarded = 0;
            while let Some(Ok(frame)) = body.frame().await {
                discarded += frame.data_ref().map_or(0, Bytes::len);
                if discarded > MAX_DISCARDED {
                    break;
                }
            }
        };
        // After the time is up the answer goes out all the same.
        let _ = timeout(TIMEOUT, discard).await;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(back) = self.back.take() {
            // Nobody waits for it when the connection is gone.
            let _ = back.send(core::mem::take(&mut self.body));
        }
    }
}

impl HttpBody for Lent {
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
