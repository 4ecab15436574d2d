//! One client's connection, from the request for it to its end.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::StatusCode;
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        self, Message,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use super::{
    Rules,
    auth::{Auth, Visitor},
    desk::{Desk, Line, Said},
};
use crate::{
    client::as_millis,
    clock::Clock,
    relay::openclaw::frame::{BadFrame, ChatMessage, Frame},
};

/// Most bytes of a client's frame.
pub(super) const MAX_FRAME: usize = 1 << 20;
/// Most bytes that are read at once.
const READ_BUFFER: usize = 16 << 10;
/// How long the request for a WebSocket may take, and a frame until the client has taken it.
const PATIENCE: Duration = Duration::from_secs(20);
/// The time between two heartbeats; two in a row without an answer end the connection.
const BEAT: Duration = Duration::from_secs(30);
const MISSED: u8 = 2;
/// How long an id is remembered that a client gave a message, in milliseconds, and how many are.
const REMEMBERED: i64 = 20 * 60 * 1000;
const MAX_IDS: usize = 1000;
/// Closes the connection of who is not let in.
const NOT_LET_IN: u16 = 4401;
/// What everybody who is let in hears first.
const GREETING: &str = "Connected to WebSocket chat server";

/// Why a connection ended, which nobody needs to know.
struct Ended;

impl From<tungstenite::Error> for Ended {
    fn from(_: tungstenite::Error) -> Self {
        Self
    }
}

/// Serves a client until the end of its connection.
pub(super) async fn serve(stream: TcpStream, rules: &Rules, desk: &Arc<Desk>) {
    // A client that hears nothing more asks again; there is nobody else to tell.
    let _ended = Connection::begin(stream, rules, desk).await;
}

struct Connection<'a> {
    socket: WebSocketStream<TcpStream>,
    visitor: Visitor,
    rules: &'a Rules,
    desk: &'a Arc<Desk>,
    line: Line,
    /// Ids that the client gave its messages, and when, by the monotonic clock.
    ids: VecDeque<(String, i64)>,
}

impl Connection<'_> {
    #[expect(clippy::result_large_err, reason = "the type of what checks requests")]
    async fn begin(stream: TcpStream, rules: &Rules, desk: &Arc<Desk>) -> Result<(), Ended> {
        stream.set_nodelay(true).map_err(|_| Ended)?;
        let clock = &rules.clock;
        let mut query = String::new();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME));
        let check = |request: &Request, response: Response| {
            request
                .uri()
                .query()
                .unwrap_or_default()
                .clone_into(&mut query);
            check(request, rules).map_err(|status| {
                let mut refused = ErrorResponse::new(None);
                *refused.status_mut() = status;
                refused
            })?;
            Ok(response)
        };
        let mut socket = tokio::select! {
            accepted = accept_hdr_async_with_config(stream, check, Some(config)) => accepted?,
            () = clock.sleep(PATIENCE) => return Err(Ended),
        };
        let visitor = match &rules.auth {
            None => Visitor::of(&query),
            Some(auth) => match auth.visitor(&query).await {
                Ok(visitor) => visitor,
                Err(refused) => {
                    let error = Frame::Error {
                        message_id: None,
                        error: refused.error,
                    };
                    say(&mut socket, clock, text(&error)?).await?;
                    return close(&mut socket, clock, NOT_LET_IN, refused.reason).await;
                }
            },
        };
        let (line, frames) = desk.connect();
        let mut connection = Connection {
            socket,
            visitor,
            rules,
            desk,
            line,
            ids: VecDeque::new(),
        };
        let ended = connection.talk(frames).await;
        desk.disconnect(connection.line);
        ended
    }

    async fn talk(&mut self, mut frames: mpsc::Receiver<Said>) -> Result<(), Ended> {
        let clock = Arc::clone(&self.rules.clock);
        let greeting = Frame::Response {
            message_id: None,
            content: GREETING.to_owned(),
            done: None,
        };
        say(&mut self.socket, &clock, text(&greeting)?).await?;
        let mut beat = clock.sleep(BEAT);
        let mut missed = 0;
        loop {
            tokio::select! {
                frame = self.socket.next() => match frame.ok_or(Ended)?? {
                    Message::Text(text) => self.take(text.as_bytes()).await?,
                    Message::Binary(bytes) => self.take(&bytes).await?,
                    Message::Pong(_) => missed = 0,
                    Message::Close(_) => return Err(Ended),
                    Message::Ping(_) | Message::Frame(_) => {}
                },
                said = frames.recv() => {
                    // The desk ends who does not listen.
                    let mut said = said.ok_or(Ended)?;
                    let frame = Message::text(std::mem::take(&mut said.frame));
                    say(&mut self.socket, &clock, frame).await?;
                }
                () = &mut beat => {
                    if missed >= MISSED {
                        return Err(Ended);
                    }
                    missed += 1;
                    beat = clock.sleep(BEAT);
                    say(&mut self.socket, &clock, Message::Ping(Bytes::new())).await?;
                }
                () = self.desk.closed() => {
                    return close(&mut self.socket, &clock, 1000, "Server shutting down").await;
                }
            }
        }
    }

    async fn take(&mut self, frame: &[u8]) -> Result<(), Ended> {
        let message = match ChatMessage::from_frame(frame) {
            Ok(message) => message,
            Err(bad) => return self.refuse(bad).await,
        };
        let now = self.rules.clock.monotonic();
        if let Some(id) = &message.message_id
            && !self.is_new(id, now)
        {
            return self.answer(&Frame::Typing).await;
        }
        let refused = self.desk.take(self.line, &self.visitor, message).await;
        match refused {
            None => Ok(()),
            Some(error) => self.answer(&error).await,
        }
    }

    /// Whether an id was not given to a message before on this connection, within memory.
    fn is_new(&mut self, id: &str, now: i64) -> bool {
        while let Some((_, given)) = self.ids.front()
            && (self.ids.len() >= MAX_IDS || now.saturating_sub(*given) > REMEMBERED)
        {
            self.ids.pop_front();
        }
        let is_new = self.ids.iter().all(|(known, _)| known != id);
        if is_new {
            self.ids.push_back((id.to_owned(), now));
        }
        is_new
    }

    async fn refuse(&mut self, bad: BadFrame) -> Result<(), Ended> {
        let (message_id, error) = match bad {
            BadFrame::Unreadable => (None, "Failed to parse message".to_owned()),
            BadFrame::Format => (
                None,
                "Invalid message format. Expected: { type: 'chat.send', content: string }"
                    .to_owned(),
            ),
            BadFrame::Member { name, message_id } => (
                message_id,
                format!("Failed to process message: {name} is no text"),
            ),
        };
        self.answer(&Frame::Error { message_id, error }).await
    }

    async fn answer(&mut self, frame: &Frame) -> Result<(), Ended> {
        say(&mut self.socket, &self.rules.clock, text(frame)?).await
    }
}

/// Whether there is anything at what was asked for, and it may be asked for from there.
fn check(request: &Request, rules: &Rules) -> Result<(), StatusCode> {
    if request.uri().path() != rules.path {
        return Err(StatusCode::BAD_REQUEST);
    }
    // Any page that somebody on this machine looks at could connect, too.
    let is_open = !rules.auth.as_ref().is_some_and(Auth::is_required);
    if is_open && request.headers().contains_key("origin") {
        return Err(StatusCode::FORBIDDEN);
    }
    Ok(())
}

fn text(frame: &Frame) -> Result<Message, Ended> {
    Ok(Message::text(
        serde_json::to_string(frame).map_err(|_| Ended)?,
    ))
}

async fn say(
    socket: &mut WebSocketStream<TcpStream>,
    clock: &Arc<dyn Clock>,
    frame: Message,
) -> Result<(), Ended> {
    tokio::select! {
        sent = socket.send(frame) => Ok(sent?),
        () = clock.sleep(PATIENCE) => Err(Ended),
    }
}

async fn close(
    socket: &mut WebSocketStream<TcpStream>,
    clock: &Arc<dyn Clock>,
    code: u16,
    reason: &'static str,
) -> Result<(), Ended> {
    let frame = CloseFrame {
        code: code.into(),
        reason: reason.into(),
    };
    tokio::select! {
        closed = socket.close(Some(frame)) => closed?,
        () = clock.sleep(PATIENCE) => return Err(Ended),
    }
    // What the client says before it hears of it.
    let until = clock
        .monotonic()
        .saturating_add(as_millis(Duration::from_secs(1)));
    while clock.monotonic() < until {
        tokio::select! {
            frame = socket.next() => if !matches!(frame, Some(Ok(_))) { break },
            () = clock.sleep(Duration::from_secs(1)) => break,
        }
    }
    Ok(())
}
