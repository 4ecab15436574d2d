//! Pairing by a short code, over the relay that both sides are on.
//!
//! The messages are those of [`ctalk_core::pairing`], each sent as its bare line of text. Whoever
//! fetches stores them in the inbox, and a [`Pairing`] takes them from there, so that it works beside
//! another process that receives. They are never handed over, and without an open code they are set
//! aside. What a side knows of its code lives in its [`Pairing`] alone: dropping it, or the end of
//! the process, burns the code.

mod contact;

use core::{mem, time::Duration};
use std::fs::File;

use ctalk_core::{
    Card,
    pairing::{AwaitingInviter, AwaitingJoiner, Code, Invitation, Joining, Message},
};
use ctalk_wire::MessageType;
use zeroize::Zeroizing;

use crate::{
    client::Client,
    directory::Directory,
    error::{Class, Error},
    message::Reason,
    receive::has_usable_sender,
    relay::{Body, Destination, Incoming, Outgoing, send_patiently},
    store::{Contact, EntryState, REMEMBERED},
};

/// How long a code is good for at most, and how long the relay may keep a message of a pairing.
const LIFE: Duration = Duration::from_secs(600);
/// How long a side waits for the rest once both have begun. What is missing then will not come: the
/// side that finds a wrong code says nothing any more.
const REST: Duration = Duration::from_secs(60);
/// How often the relay is asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// One attempt to pair with a code, of either side.
#[must_use = "the code is good for nothing once this is dropped"]
pub struct Pairing {
    state: State,
    /// The contact's local name, if it is new.
    local: Option<String>,
    /// When it is over, in milliseconds since the Unix epoch.
    deadline: i64,
    /// Number of the last message in the inbox that was looked at.
    place: i64,
    _lock: File,
}

/// What a side waits for, with the relay's name of the other one.
enum State {
    Invited(Box<Invitation>),
    AwaitingJoiner(Box<AwaitingJoiner>, String),
    Joining(Box<Joining>, String),
    AwaitingInviter(Box<AwaitingInviter>, String),
    /// Nothing: the code was used, and that failed.
    Failed,
}

impl Pairing {
    /// Makes a code that one other agent of the relay can use within `timeout`, at most ten minutes,
    /// to get `card` for its own. Returns it as text, which is secret; `local` is the name of the
    /// contact that comes of it, unless it is one already or the name on its card will do.
    ///
    /// # Errors
    /// [`Error::Code`] for an own name that no code can begin with, [`Error::Relay`],
    /// [`Error::Store`].
    pub async fn invite(
        client: &mut Client,
        card: Card,
        local: Option<String>,
        timeout: Duration,
    ) -> Result<(Self, Zeroizing<String>), Error> {
        let code = Code::generate(&client.name, &mut crate::rng())?;
        let text = code.to_text();
        let invited = State::Invited(Box::new(Invitation::new(code, card)));
        let pairing = Self::begin(client, invited, local, timeout).await?;
        Ok((pairing, text))
    }

    /// Uses a code, within `timeout` and ten minutes, to get the inviter's card for `card`; `local` is
    /// as for [`Pairing::invite`]. The inviter hears of it before this returns.
    ///
    /// # Errors
    /// [`Error::Myself`], [`Error::UnknownRecipient`], [`Error::AmbiguousName`] or [`Error::Blocked`]
    /// for the name in the code; [`Error::Relay`], [`Error::Store`].
    pub async fn join(
        client: &mut Client,
        code: Code,
        card: Card,
        local: Option<String>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let name = code.name();
        if name == client.name {
            return Err(Error::Myself {
                name: name.to_owned(),
            });
        }
        let inviter = match Directory::fetch(&*client.relay).await? {
            Some(directory) => directory.resolve(name).found(name)?.name.clone(),
            None => name.to_owned(),
        };
        if let Some(contact) = client.store.contact_at(&inviter)? {
            contact::refuse_blocked(&contact)?;
        }
        let (request, joining) = Joining::start(code, card, &mut crate::rng());
        let joining = State::Joining(Box::new(joining), inviter.clone());
        let pairing = Self::begin(client, joining, local, timeout).await?;
        send(client, inviter, &request).await?;
        Ok(pairing)
    }

    /// When it is over at the latest, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn deadline(&self) -> i64 {
        self.deadline
    }

    /// Waits for the other side and returns the contact that came of it, which is verified.
    ///
    /// # Errors
    /// Those of [`Pairing::advance`], and [`Error::Relay`] when the relay refuses.
    pub async fn wait(mut self, client: &mut Client) -> Result<Contact, Error> {
        loop {
            if let Some(contact) = self.advance(client).await? {
                return Ok(contact);
            }
            let next_look = after(client, INTERVAL);
            match client.fetch(INTERVAL).await {
                Ok(0) => {}
                Ok(_) => continue,
                // It may come back in time.
                Err(error) if error.class() == Class::RelayUnreachable => {}
                Err(error) => return Err(error),
            }
            let left = next_look.saturating_sub(client.clock.now());
            if let Ok(left) = u64::try_from(left) {
                client.clock.sleep(Duration::from_millis(left)).await;
            }
        }
    }

    /// Takes what the inbox holds of the pairing, as far as that goes, and answers it; returns the
    /// contact at the end. After an error the code is used up.
    ///
    /// # Errors
    /// [`Error::PairingTimedOut`]; [`Error::Pairing`] when the other side does not know the code, and
    /// [`Error::Blocked`] when it is a contact that is blocked; the errors of
    /// [`add_contact`](crate::add_contact) for a card that cannot be a contact's, and
    /// [`Error::KeyChanged`] for a contact that the relay knows by the same name; [`Error::Relay`],
    /// [`Error::Store`].
    pub async fn advance(&mut self, client: &mut Client) -> Result<Option<Contact>, Error> {
        loop {
            if client.clock.now() >= self.deadline {
                let why = mem::replace(&mut self.state, State::Failed).missing();
                return Err(Error::PairingTimedOut { why });
            }
            let Some(entry) = client.store.new_above(self.place)? else {
                return Ok(None);
            };
            self.place = entry.number;
            let Some((from, text)) = read(client, &entry.raw) else {
                continue;
            };
            let message = match Message::from_text(&text, client.now()) {
                Ok(message) if self.state.awaits(&message) => message,
                Ok(_) => {
                    let detail = "no pairing waited for this message";
                    set_aside(client, entry.number, detail)?;
                    continue;
                }
                Err(error) => {
                    let detail = error.to_string();
                    set_aside(client, entry.number, &detail)?;
                    continue;
                }
            };
            let expires = client.clock.now().saturating_add(REMEMBERED);
            client.store.end(entry.number, expires)?;
            if let Some(contact) = self.take(client, message, from).await? {
                return Ok(Some(contact));
            }
        }
    }

    /// Makes sure that no message from before is taken for one of this attempt.
    async fn begin(
        client: &mut Client,
        state: State,
        local: Option<String>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let lock = client.store.lock_pairing()?;
        client.fetch(Duration::ZERO).await?;
        let mut place = 0;
        while let Some(entry) = client.store.new_above(place)? {
            place = entry.number;
            if read(client, &entry.raw).is_some() {
                let detail = "it came before the pairing began";
                set_aside(client, entry.number, detail)?;
            }
        }
        Ok(Self {
            state,
            local,
            deadline: after(client, timeout.min(LIFE)),
            place,
            _lock: lock,
        })
    }

    /// Takes a message that is waited for. The code is used up.
    async fn take(
        &mut self,
        client: &mut Client,
        message: Message,
        from: String,
    ) -> Result<Option<Contact>, Error> {
        let local = self.local.as_deref();
        match (mem::replace(&mut self.state, State::Failed), message) {
            (State::Invited(invitation), Message::Request(request)) => {
                let (answer, awaiting) = invitation.answer(request, &mut crate::rng())?;
                self.state = State::AwaitingJoiner(Box::new(awaiting), from.clone());
                self.deadline = self.deadline.min(after(client, REST));
                send(client, from, &answer).await?;
                Ok(None)
            }
            (State::Joining(joining, inviter), Message::Answer(answer)) => {
                let (confirmation, awaiting) = joining.confirm(answer)?;
                self.state = State::AwaitingInviter(Box::new(awaiting), inviter.clone());
                self.deadline = self.deadline.min(after(client, REST));
                send(client, inviter, &confirmation).await?;
                Ok(None)
            }
            (State::AwaitingJoiner(awaiting, joiner), Message::JoinerConfirmation(received)) => {
                let (confirmation, paired) = awaiting.finish(&received)?;
                let contact = contact::verify(client, &paired.into_card(), &joiner, local)?;
                // Only now: whom this side refuses does not get its word.
                send(client, joiner, &confirmation).await?;
                Ok(Some(contact))
            }
            (State::AwaitingInviter(awaiting, inviter), Message::InviterConfirmation(received)) => {
                let paired = awaiting.finish(&received)?;
                contact::verify(client, &paired.into_card(), &inviter, local).map(Some)
            }
            (state, _) => {
                self.state = state;
                Ok(None)
            }
        }
    }
}

impl State {
    /// Whether a message is the next one. Any other changes nothing.
    fn awaits(&self, message: &Message) -> bool {
        let session = match (self, message) {
            (Self::Invited(_), Message::Request(_)) => return true,
            (Self::AwaitingJoiner(awaiting, _), Message::JoinerConfirmation(_)) => {
                awaiting.session()
            }
            (Self::Joining(joining, _), Message::Answer(_)) => joining.session(),
            (Self::AwaitingInviter(awaiting, _), Message::InviterConfirmation(_)) => {
                awaiting.session()
            }
            _ => return false,
        };
        session == message.session()
    }

    /// What did not come in time.
    const fn missing(&self) -> &'static str {
        match self {
            Self::Invited(_) => "nobody used the code in time",
            Self::AwaitingJoiner(..) => "somebody began to use the code and fell silent",
            Self::Joining(..) => "the inviter did not answer in time",
            Self::AwaitingInviter(..) => {
                "the inviter fell silent, as it does when the code was mistyped"
            }
            Self::Failed => "the code was used",
        }
    }
}

/// The sender by the relay's word, and the text, of a message of a pairing.
fn read(client: &Client, raw: &[u8]) -> Option<(String, String)> {
    let message = client.relay.read(raw).ok()?;
    match message {
        Incoming::Pairing { .. } if !has_usable_sender(&message) => None,
        Incoming::Pairing { claims, text } => Some((claims.from, text)),
        Incoming::Classic(_) | Incoming::Native { .. } | Incoming::Part { .. } => None,
    }
}

#[expect(
    clippy::needless_pass_by_ref_mut,
    reason = "a shared borrow across an await would tie the future to one thread, as SQLite does"
)]
async fn send(client: &mut Client, to: String, message: &Message) -> Result<(), Error> {
    let outgoing = Outgoing {
        to: Destination::Agent(to),
        message_type: MessageType::Notification,
        topic: None,
        correlation_id: None,
        reply_to: None,
        ttl: Some(LIFE.as_secs()),
        body: Body::Pairing(message.to_text()),
    };
    send_patiently(&*client.relay, &*client.clock, &outgoing).await?;
    Ok(())
}

/// Puts away a message that no pairing takes.
fn set_aside(client: &mut Client, number: i64, detail: &str) -> Result<(), Error> {
    let state = EntryState::Quarantined;
    let now = client.clock.now();
    Ok(client
        .store
        .put_away(number, None, state, (Reason::Pairing, detail), now)?)
}

/// The clock's time in a while, in milliseconds since the Unix epoch.
fn after(client: &Client, pause: Duration) -> i64 {
    let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    client.clock.now().saturating_add(millis)
}
