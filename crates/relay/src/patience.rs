//! A connection that ends when its peer hardly reads what it asked for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::metrics::Traffic;

/// How fast a peer has to be while something waits for it.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) bytes: usize,
    pub(crate) within: Duration,
}

/// A stream whose writes fail when the peer takes too little of them.
pub(crate) struct Patient<S> {
    stream: S,
    pace: Pace,
    /// What it took since it was found to be behind; none while it takes all there is.
    behind: Option<Behind>,
    traffic: Traffic,
}

struct Behind {
    taken: usize,
    until: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    /// Has the peer of `stream` take things at `pace`, and counts what is exchanged in `traffic`.
    pub(crate) fn new(stream: S, pace: Pace, traffic: Traffic) -> Self {
        Self {
            stream,
            pace,
            behind: None,
            traffic,
        }
    }

    /// Passes on what became of writing `offered` bytes, unless the peer has been behind for too long.
    fn within_time(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let Pace { bytes, within } = self.pace;
        if let Poll::Ready(written) = written {
            let taken = *written.as_ref().unwrap_or(&0);
            self.traffic.sent.inc_by(count(taken));
            match &mut self.behind {
                _ if taken >= offered => self.behind = None,
                Some(behind) if behind.taken.saturating_add(taken) < bytes => behind.taken += taken,
                _ => {
                    let until = Box::pin(sleep(within));
                    self.behind = Some(Behind { taken: 0, until });
                }
            }
            return Poll::Ready(written);
        }
        let behind = self.behind.get_or_insert_with(|| Behind {
            taken: 0,
            until: Box::pin(sleep(within)),
        });
        ready!(behind.until.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
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
        self.traffic.received.inc_by(count(received));
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
        self.within_time(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = pieces.iter().map(|piece| piece.len()).sum();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.within_time(context, offered, written)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::*;

    /// Both ends of a connection over the network.
    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    fn pace(bytes: usize, ms: u64) -> Pace {
        Pace {
            bytes,
            within: Duration::from_millis(ms),
        }
    }

    #[tokio::test]
    async fn a_peer_that_takes_a_trickle_is_given_up_although_it_goes_on() {
        let (near, mut far) = duplex(16);
        let mut stream = Patient::new(near, pace(usize::MAX, 200), Traffic::default());
        let trickle = async {
            while far.read_u8().await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        let everything = vec![0; 4 << 20];
        tokio::select! {
            written = stream.write_all(&everything) => {
                assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
            }
            () = trickle => panic!("it was not given up"),
        }
    }

    #[tokio::test]
    async fn a_peer_that_keeps_the_pace_is_not_given_up_however_long_it_takes() {
        let (near, mut far) = duplex(16);
        let mut stream = Patient::new(near, pace(16, 1000), Traffic::default());
        let began = Instant::now();
        let everything = vec![0; 1 << 20];
        let take = async {
            let mut piece = [0; 512];
            while began.elapsed() < Duration::from_millis(1500) {
                far.read_exact(&mut piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            written = async { loop { stream.write_all(&everything).await?; } } => {
                let written: io::Result<()> = written;
                panic!("{written:?}");
            }
            () = take => {}
        }
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (stream, _peer) = connection().await;
        let mut stream = Patient::new(stream, pace(1, 20), Traffic::default());
        let everything = vec![0; 64 << 20];
        let error = stream.write_all(&everything).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_goes_on_reading_gets_all_of_it() {
        let (stream, mut peer) = connection().await;
        let mut stream = Patient::new(stream, pace(1, 600_000), Traffic::default());
        let everything = vec![7; 16 << 20];
        let write = async {
            stream.write_all(&everything).await.unwrap();
            // However often it had to wait, the next wait is a new one.
            assert!(stream.behind.is_none());
            drop(stream);
        };
        let mut got = Vec::new();
        let (read, ()) = tokio::join!(peer.read_to_end(&mut got), write);
        assert_eq!(read.unwrap(), everything.len());
    }
}
