//! A connection that ends when its peer does not read what it asked for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::metrics::Traffic;

/// A stream whose writes fail when the peer has taken nothing for some time.
pub(crate) struct Patient<S> {
    stream: S,
    timeout: Duration,
    /// When patience ends; none while the peer takes what there is.
    until: Option<Pin<Box<Sleep>>>,
    traffic: Traffic,
}

impl<S> Patient<S> {
    /// Waits for at most `timeout` between two pieces that the peer of `stream` takes, and counts what
    /// is exchanged in `traffic`.
    pub(crate) fn new(stream: S, timeout: Duration, traffic: Traffic) -> Self {
        Self {
            stream,
            timeout,
            until: None,
            traffic,
        }
    }

    /// Passes `written` on, unless it has been pending for too long.
    fn within_time(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.until = None;
            self.traffic.sent.inc_by(count(written.as_ref().ok()));
            return Poll::Ready(written);
        }
        let timeout = self.timeout;
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

fn count(bytes: Option<&usize>) -> u64 {
    bytes.map_or(0, |bytes| u64::try_from(*bytes).unwrap_or(u64::MAX))
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        let received = buffer.filled().len().saturating_sub(before);
        self.traffic.received.inc_by(count(Some(&received)));
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_time(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.within_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Both ends of a connection over the network.
    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (stream, _peer) = connection().await;
        let mut stream = Patient::new(stream, Duration::from_millis(20), Traffic::default());
        let everything = vec![0; 64 << 20];
        let error = stream.write_all(&everything).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_goes_on_reading_gets_all_of_it() {
        let (stream, mut peer) = connection().await;
        let mut stream = Patient::new(stream, Duration::from_secs(600), Traffic::default());
        let everything = vec![7; 16 << 20];
        let write = async {
            stream.write_all(&everything).await.unwrap();
            // However often it had to wait, the next wait is a new one.
            assert!(stream.until.is_none());
            drop(stream);
        };
        let mut got = Vec::new();
        let (read, ()) = tokio::join!(peer.read_to_end(&mut got), write);
        assert_eq!(read.unwrap(), everything.len());
    }
}
