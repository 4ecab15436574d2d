//! The task that keeps a connection.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, Utf8Bytes},
};

use super::{
    Asked, Heard, Link, MISSED, PATIENCE, Protocol, Shared,
    backoff::Backoff,
    connect::{Line, connect},
};
use crate::{
    clock::{Clock, jitter},
    http::cleaned,
    relay::RelayError,
};

/// How long it may take to say that the connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);

type Connection = WebSocketStream<Box<dyn Line>>;

/// Keeps the connection until the caller's end is dropped.
pub(super) struct Supervisor<P: Protocol> {
    pub(super) protocol: P,
    pub(super) url: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) asked: mpsc::Receiver<Asked<P>>,
    pub(super) shared: Arc<Shared>,
    pub(super) link: watch::Sender<Link>,
    /// Who waits for the answer to the frame that was sent.
    pub(super) under_way: Option<oneshot::Sender<Result<P::Answer, RelayError>>>,
    pub(super) backoff: Backoff,
}

impl<P: Protocol> Supervisor<P> {
    /// Connects, and connects again, until `dropped` says that nobody needs it any more.
    pub(super) async fn run(mut self, mut dropped: oneshot::Receiver<Infallible>) {
        loop {
            let mut connection = None;
            let error = tokio::select! {
                _ = &mut dropped => {
                    if let Some(mut connection) = connection {
                        self.close(&mut connection).await;
                    }
                    return;
                }
                error = self.connect_and_serve(&mut connection) => error,
            };
            drop(connection);
            if let Some(answer) = self.under_way.take() {
                // What was sent may have arrived.
                let _ = answer.send(Err(self.interrupted(&error)));
            }
            let pause = self.backoff.next(jitter());
            let clock = Arc::clone(&self.clock);
            let mut pause = clock.sleep(pause);
            self.link.send_replace(Link::Down(error.clone()));
            loop {
                tokio::select! {
                    _ = &mut dropped => return,
                    () = &mut pause => break,
                    Some(asked) = self.asked.recv() => {
                        let _ = asked.answer.send(Err(error.clone()));
                    }
                }
            }
            self.link.send_replace(Link::Connecting);
        }
    }

    /// One connection, from its beginning to what ended it. It is put into `place`, to be closed by
    /// whoever breaks this off.
    async fn connect_and_serve(&mut self, place: &mut Option<Connection>) -> RelayError {
        let opening = match self.protocol.open() {
            Ok(opening) => opening,
            Err(error) => return error,
        };
        let opened = tokio::select! {
            opened = connect(opening) => opened,
            () = self.clock.sleep(PATIENCE) => Err(self.timed_out()),
        };
        match opened {
            Err(error) => error,
            Ok(connection) => match self.serve(place.insert(connection)).await {
                Err(error) => error,
            },
        }
    }

    async fn serve(&mut self, connection: &mut Connection) -> Result<Infallible, RelayError> {
        let clock = Arc::clone(&self.clock);
        let mut beat = clock.sleep(P::BEAT);
        let mut deadline = Some(clock.sleep(PATIENCE));
        let mut is_ready = false;
        let mut missed = 0;
        self.say_unasked(connection).await?;
        loop {
            let is_full = self.shared.is_full();
            tokio::select! {
                frame = connection.next(), if !is_full => {
                    if P::PING.is_empty() && matches!(frame, Some(Ok(Message::Pong(_)))) {
                        missed = 0;
                    }
                    let Some(text) = self.text(frame)? else {
                        continue;
                    };
                    match self.protocol.read(&text) {
                        Heard::Ready => {
                            is_ready = true;
                            deadline = None;
                            self.backoff.reset();
                            self.link.send_replace(Link::Ready);
                        }
                        Heard::Pong => missed = 0,
                        Heard::Answer(answer) => {
                            if let Some(waits) = self.under_way.take() {
                                deadline = None;
                                // Whoever asked may have gone.
                                let _ = waits.send(answer);
                            }
                        }
                        Heard::Delivered(deliveries) => self.shared.put(deliveries),
                        Heard::Refused(error) => return Err(error),
                        Heard::Nothing => {}
                    }
                    self.say_unasked(connection).await?;
                }
                Some(Asked { ask, answer }) = self.asked.recv(), if is_ready && self.under_way.is_none() => {
                    match self.protocol.write(ask) {
                        Err(error) => {
                            let _ = answer.send(Err(error));
                        }
                        Ok(frame) => {
                            self.under_way = Some(answer);
                            deadline = Some(clock.sleep(PATIENCE));
                            self.say(connection, Message::text(frame)).await?;
                        }
                    }
                }
                () = &mut beat => {
                    // What is not read cannot be missed.
                    if missed >= MISSED && !is_full {
                        return Err(self.timed_out());
                    }
                    missed = missed.saturating_add(1);
                    beat = clock.sleep(P::BEAT);
                    let ping = if P::PING.is_empty() {
                        Message::Ping(Bytes::new())
                    } else {
                        Message::text(P::PING)
                    };
                    self.say(connection, ping).await?;
                }
                // After an answer that did not come the next one could not be told from it.
                () = expired(&mut deadline) => return Err(self.timed_out()),
                () = self.shared.taken.notified(), if is_full => {}
            }
        }
    }

    /// The text of a frame, if it has one.
    fn text(
        &self,
        frame: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<Option<Utf8Bytes>, RelayError> {
        let interrupted = |why: String| RelayError::Interrupted {
            url: self.url.clone(),
            why: cleaned(&why),
        };
        match frame {
            None => Err(interrupted("it was closed".to_owned())),
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            Some(Ok(Message::Close(Some(close)))) => {
                Err(interrupted(format!("it was closed ({})", close.code)))
            }
            Some(Ok(_)) => Ok(None),
            Some(Err(
                error @ (tungstenite::Error::Capacity(_)
                | tungstenite::Error::Utf8(_)
                | tungstenite::Error::Protocol(_)),
            )) => Err(RelayError::BadAnswer {
                url: self.url.clone(),
                why: cleaned(&error.to_string()),
            }),
            Some(Err(error)) => Err(interrupted(error.to_string())),
        }
    }

    async fn say_unasked(&mut self, connection: &mut Connection) -> Result<(), RelayError> {
        while let Some(frame) = self.protocol.unasked() {
            self.say(connection, Message::text(frame)).await?;
        }
        Ok(())
    }

    async fn say(&self, connection: &mut Connection, frame: Message) -> Result<(), RelayError> {
        tokio::select! {
            sent = connection.send(frame) => {
                sent.map_err(|error| RelayError::Interrupted {
                    url: self.url.clone(),
                    why: cleaned(&error.to_string()),
                })
            }
            () = self.clock.sleep(PATIENCE) => Err(self.timed_out()),
        }
    }

    /// Says that the connection is closed, and takes what is on its way until the relay says so too.
    async fn close(&mut self, connection: &mut Connection) {
        let clock = Arc::clone(&self.clock);
        let farewell = async {
            // Whether it works does not matter any more.
            let _ = connection.send(Message::Close(None)).await;
            while let Some(Ok(message)) = connection.next().await {
                if let Message::Text(text) = message
                    && let Heard::Delivered(deliveries) = self.protocol.read(&text)
                    && !self.shared.is_full()
                {
                    self.shared.put(deliveries);
                }
            }
        };
        tokio::select! {
            () = farewell => {}
            () = clock.sleep(FAREWELL) => {}
        }
    }

    fn timed_out(&self) -> RelayError {
        RelayError::TimedOut {
            url: self.url.clone(),
        }
    }

    /// What the end of a connection is to somebody whose frame was sent.
    fn interrupted(&self, error: &RelayError) -> RelayError {
        match error {
            RelayError::TimedOut { .. } | RelayError::Interrupted { .. } => error.clone(),
            other => RelayError::Interrupted {
                url: self.url.clone(),
                why: other.to_string(),
            },
        }
    }
}

/// Waits until a deadline, if there is one.
async fn expired(deadline: &mut Option<Pin<Box<dyn Future<Output = ()> + Send + '_>>>) {
    match deadline {
        Some(deadline) => deadline.await,
        None => std::future::pending().await,
    }
}
