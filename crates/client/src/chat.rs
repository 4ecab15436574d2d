//! Talking with one agent behind a host of OpenClaw's WebSocket channel.
//!
//! One message is under way at a time, because a busy agent answers whatever else it was told as if it were
//! one thing, to nobody in particular. What is sealed waits in the outbox for a host that is away, is said
//! again over the next connection until its answer came, and is answered by an envelope; what is said in
//! the clear is said once.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    client::{Client, as_millis},
    clock::Clock,
    endings::Notice,
    error::Error,
    message::{Content, Draft, Received, SetAside},
    receive::{Filter, Next, Receiving, Ticket},
    relay::{
        Relay,
        openclaw::{AGENT, ChatMessage, Heard, OpenClaw},
    },
    store::{Learned, NewContact},
};

/// How long nothing more of an answer in the clear comes when it is complete.
const QUIET: Duration = Duration::from_secs(1);
/// The longest pause between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// The pause after a host could not be reached.
const PAUSE: Duration = Duration::from_millis(100);

/// A conversation with the agent behind one host.
pub struct Chat {
    line: OpenClaw,
    clock: Arc<dyn Clock>,
    /// How long an answer is waited for.
    timeout: Duration,
    sealed: Option<Sealed>,
    asked: Option<Asked>,
    is_lost: bool,
    /// What was heard and not looked at.
    heard: VecDeque<Heard>,
    /// What happened and was not told of.
    events: Vec<ChatEvent>,
}

/// What it takes to talk in envelopes.
struct Sealed {
    client: Client,
    /// The contact behind the host.
    peer: String,
    receiving: Receiving,
    /// What is among the events that were not told of.
    untold: Vec<Ticket>,
    /// What the caller was shown and has not settled yet.
    shown: Vec<Ticket>,
}

/// A message whose answer did not come yet.
#[derive(Default)]
struct Asked {
    /// What the host knows it by, as far as it has it.
    message_id: Option<String>,
    /// The envelope's id.
    envelope: Option<String>,
    /// When it is not waited for any more, by the monotonic clock.
    deadline: i64,
    /// When its answer in the clear is complete unless more of it comes, by the monotonic clock.
    complete_at: Option<i64>,
}

/// Something that happened in a conversation.
#[derive(Debug)]
#[non_exhaustive]
pub enum ChatEvent {
    /// The host said something in the clear.
    Heard(Heard),
    /// A message that was sealed for this profile and signed by a contact.
    Message(Box<Received>),
    /// A message was set aside.
    SetAside(SetAside),
    /// Something about contacts' identities.
    Notice(Notice),
    /// The host cannot be reached; it is tried on.
    Lost(Error),
    /// Nothing more of what was asked is waited for.
    Answered(Answered),
}

/// How a message was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answered {
    /// By an envelope of the contact.
    Sealed,
    /// In the clear, by whoever.
    Clear,
    /// By an error of the host.
    Failed,
    /// Not in time. The agent may have handled it, and what it says may still come.
    Late,
    /// The connection was lost, and with it whatever would have come. The agent may have handled it.
    Lost,
}

impl Chat {
    /// Begins a conversation in envelopes over `line`, which is to be the relay of `client`, too. The agent
    /// is the contact `peer`, or the one that it was at the last time.
    ///
    /// # Errors
    /// [`Error::UnknownContact`], and [`Error::NoCard`] for a contact without a key card; nothing was sent
    /// then. [`Error::Store`].
    pub fn sealed(
        mut client: Client,
        line: OpenClaw,
        peer: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let contact = match peer {
            Some(name) => client.store.contact(name)?,
            None => client.store.contact_at(AGENT)?,
        };
        let contact = contact.ok_or_else(|| Error::UnknownContact {
            name: peer.unwrap_or(AGENT).to_owned(),
        })?;
        if contact.card.is_none() {
            return Err(Error::NoCard { name: contact.name });
        }
        if contact.address.as_deref() != Some(AGENT) {
            let known = NewContact {
                name: &contact.name,
                address: Some(AGENT),
                keys: &contact.keys,
                card: None,
                learned: Learned::Card,
                standing: contact.standing,
            };
            client.store.pin(known, client.clock.now())?;
        }
        client.require.native = true;
        let receiving = client.receive(Filter::default())?;
        Ok(Self {
            line,
            clock: Arc::clone(&client.clock),
            timeout,
            sealed: Some(Sealed {
                client,
                peer: contact.name,
                receiving,
                untold: Vec::new(),
                shown: Vec::new(),
            }),
            asked: None,
            is_lost: false,
            heard: VecDeque::new(),
            events: Vec::new(),
        })
    }

    /// Begins a conversation that everybody on the way can read and change.
    #[must_use]
    pub fn in_the_clear(line: OpenClaw, clock: Arc<dyn Clock>, timeout: Duration) -> Self {
        Self {
            line,
            clock,
            timeout,
            sealed: None,
            asked: None,
            is_lost: false,
            heard: VecDeque::new(),
            events: Vec::new(),
        }
    }

    /// The contact that is talked with; `None` in the clear.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        self.sealed.as_ref().map(|sealed| sealed.peer.as_str())
    }

    /// Whether the answer to what was said is still to come.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.asked.is_some()
    }

    /// Says something; its answer is among what comes [next](Self::next). In a conversation in envelopes only
    /// the content is said, and waits where the host is away.
    ///
    /// # Errors
    /// Those of [`Client::send`] but [`Error::Queued`]; [`Error::Relay`].
    pub async fn say(&mut self, message: ChatMessage) -> Result<(), Error> {
        self.settle()?;
        let timeout = as_millis(self.timeout);
        let mut asked = Asked {
            deadline: self.clock.monotonic().saturating_add(timeout),
            ..Asked::default()
        };
        match &mut self.sealed {
            None => {
                asked.message_id = Some(self.line.say(message).await?);
                // Any other connection than this one is too late for the answer.
                self.heard.extend(self.line.take_heard());
                self.hear().await?;
            }
            Some(Sealed { client, peer, .. }) => {
                let draft = Draft::new(Content::Text(message.content));
                let recipient = [peer.clone()];
                match client.send(&recipient, &draft).await?.pop() {
                    Some(Ok(sent)) => {
                        (asked.message_id, asked.envelope) = (sent.relay_id, sent.id);
                    }
                    None | Some(Err(Error::Queued { .. })) => {}
                    Some(Err(error)) => return Err(error),
                }
            }
        }
        self.asked = Some(asked);
        Ok(())
    }

    /// What comes next, which may be nothing: no longer than a few seconds are waited for it. Messages in it
    /// count as handled as soon as this is called again, or [`Self::settle`]. May be broken off and loses
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Relay`] where waiting does not help, [`Error::Store`].
    pub async fn next(&mut self) -> Result<Vec<ChatEvent>, Error> {
        self.settle()?;
        let wait = self.patience();
        let fetched = match &mut self.sealed {
            Some(sealed) => sealed.client.fetch(wait).await.map(|_| Vec::new()),
            None => self.line.fetch(wait).await.map_err(Error::Relay),
        };
        match fetched {
            // Sealed for whoever, said to somebody who talks in the clear.
            Ok(deliveries) => {
                self.heard
                    .extend(deliveries.into_iter().map(|delivery| Heard::Response {
                        message_id: None,
                        content: String::from_utf8_lossy(&delivery.raw).into_owned(),
                    }))
            }
            Err(error) if !error.may_pass() => return Err(error),
            Err(error) => {
                self.lose(error);
                self.clock.sleep(PAUSE).await;
            }
        }
        self.heard.extend(self.line.take_heard());
        self.hear().await?;
        self.send_on().await?;
        self.receive().await?;
        self.look();
        if let Some(Sealed { untold, shown, .. }) = &mut self.sealed {
            shown.append(untold);
        }
        Ok(std::mem::take(&mut self.events))
    }

    /// Ends what came of the last [`Self::next`]: it was shown.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn settle(&mut self) -> Result<(), Error> {
        if let Some(Sealed { client, shown, .. }) = &mut self.sealed {
            for ticket in shown.drain(..) {
                client.commit(ticket)?;
            }
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        let asked = self.asked.as_ref();
        let due = asked.map(|asked| asked.complete_at.unwrap_or(i64::MAX).min(asked.deadline));
        let left = due.map(|due| due.saturating_sub(self.clock.monotonic()).max(0));
        left.map_or(LOOK, |left| {
            LOOK.min(Duration::from_millis(left.unsigned_abs()))
        })
    }

    fn lose(&mut self, error: Error) {
        if !self.is_lost {
            self.is_lost = true;
            self.events.push(ChatEvent::Lost(error));
        }
        if self.sealed.is_none() && self.asked.is_some() {
            self.end(Answered::Lost);
        }
    }

    /// Looks at what was heard. What this is broken off at is looked at again.
    async fn hear(&mut self) -> Result<(), Error> {
        while let Some(heard) = self.heard.front() {
            let is_mine = |message_id: &Option<String>, asked: &Asked| {
                message_id.is_some() && *message_id == asked.message_id
            };
            let now = self.clock.monotonic();
            let (mut has_failed, mut is_missed) = (false, false);
            match (heard, &mut self.asked) {
                (Heard::Connected, asked) => {
                    self.is_lost = false;
                    match &mut self.sealed {
                        // Whatever it waits for.
                        Some(sealed) => drop(sealed.client.flush().await?),
                        None => is_missed = asked.is_some(),
                    }
                }
                (Heard::Response { message_id, .. }, Some(asked)) if is_mine(message_id, asked) => {
                    asked.complete_at = Some(now.saturating_add(as_millis(QUIET)));
                }
                // One that names no message is about the only one there is.
                (Heard::Error { message_id, .. }, Some(asked)) => {
                    has_failed = message_id.is_none() || is_mine(message_id, asked);
                }
                _ => {}
            }
            self.events
                .extend(self.heard.pop_front().map(ChatEvent::Heard));
            if has_failed {
                self.end(Answered::Failed);
            }
            if is_missed {
                self.end(Answered::Lost);
            }
        }
        Ok(())
    }

    /// Sends what waits for the host.
    async fn send_on(&mut self) -> Result<(), Error> {
        let waits = |asked: &Asked| asked.message_id.is_none();
        match &mut self.sealed {
            Some(sealed) if self.asked.as_ref().is_some_and(waits) => {
                sealed.client.flush_due().await
            }
            _ => Ok(()),
        }
    }

    /// Takes what was sealed.
    async fn receive(&mut self) -> Result<(), Error> {
        let Some(sealed) = &mut self.sealed else {
            return Ok(());
        };
        let mut is_answered = false;
        sealed.receiving.rewind();
        while let Some(next) = sealed.client.next(&mut sealed.receiving).await? {
            match next {
                Next::Message(handover) | Next::Unauthenticated(handover) => {
                    let (message, ticket) = handover.into_parts();
                    sealed.untold.push(ticket);
                    if let Some(asked) = &self.asked
                        && message.from.as_ref() == Some(&sealed.peer)
                    {
                        // A program that only seals cannot say what it answers.
                        is_answered |= message.reply_to.is_none()
                            || asked.envelope.is_none()
                            || message.reply_to == asked.envelope;
                    }
                    self.events.push(ChatEvent::Message(Box::new(message)));
                }
                Next::SetAside(aside) => self.events.push(ChatEvent::SetAside(aside)),
            }
        }
        let notices = sealed.client.take_notices();
        self.events
            .extend(notices.into_iter().map(ChatEvent::Notice));
        if is_answered {
            self.end(Answered::Sealed);
        }
        Ok(())
    }

    /// Ends the waiting for what has waited long enough.
    fn look(&mut self) {
        let Some(asked) = &self.asked else { return };
        let now = self.clock.monotonic();
        if asked.complete_at.is_some_and(|complete| now >= complete) {
            self.end(Answered::Clear);
        } else if now >= asked.deadline {
            self.end(Answered::Late);
        }
    }

    fn end(&mut self, how: Answered) {
        self.asked = None;
        self.line.forget();
        self.events.push(ChatEvent::Answered(how));
    }
}
