//! One agent at several relays: each message goes over the first one that works, or over all of them, and
//! what comes over any of them is handled once.
//!
//! There is a [`Client`] for each relay, on one store. A relay that fails so disturbs no other.

mod together;

use std::cell::RefCell;

use futures_util::{FutureExt, future::join_all};
use tokio::sync::watch;

pub(crate) use self::together::Together;
use crate::{
    client::Client,
    endings::Notice,
    error::Error,
    handler::Handler,
    message::{Draft, Progress, Sent},
    outbox::{Among, Manner},
    require::Require,
    store::{Contact, Way},
    worker::{Event, Work, Worked},
};

/// One agent at its relays, the one that it prefers first.
pub struct Agent {
    links: Vec<Link>,
}

struct Link {
    /// The relay's name.
    name: String,
    client: Client,
}

impl Link {
    /// Writes the relay's name on what it has taken.
    fn sign(&self, outcomes: &mut [Result<Sent, Error>], several: bool) {
        let taken =
            |sent: &&mut Sent| several && sent.state == Progress::Sent && sent.via.is_none();
        for sent in outcomes.iter_mut().flatten().filter(taken) {
            sent.via = Some(self.name.clone());
        }
    }
}

/// Which relays a message goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via<'a> {
    /// The first one that works, in the order in which the recipient's key card names them.
    Preferred,
    /// The one of this name.
    Named(&'a str),
    /// All that the recipient has an address at, the same envelope over each.
    All,
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Sealed, and handed over.
    Now,
    /// Sealed, and left in the outbox.
    Later,
    /// In the clear, and handed over. It goes over one relay.
    Plaintext,
}

impl Agent {
    /// Puts an agent together from a client for each of its relays, by the relays' names. The clients are of
    /// one identity, on one store.
    #[must_use]
    pub fn new(clients: Vec<(String, Client)>) -> Self {
        let links = clients
            .into_iter()
            .map(|(name, client)| Link { name, client });
        let mut links: Vec<Link> = links.collect();
        let longest = links.iter().map(|link| link.client.relay.longest_text());
        if let Some(shortest) = longest.min() {
            for link in &mut links {
                link.client.shortest = shortest;
            }
        }
        Self { links }
    }

    /// The clients, in the order of the relays.
    pub fn clients_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.links.iter_mut().map(|link| &mut link.client)
    }

    /// Ends the connections to all relays in good order, as [`Client::close`] does.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn close(&mut self) -> Result<(), Error> {
        let closing = self.clients_mut().map(Client::close);
        join_all(closing).await.into_iter().collect()
    }

    /// What came up at any of the relays, as [`Client::take_notices`] says it.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let notices = self.clients_mut().map(Client::take_notices);
        notices.flatten().collect()
    }

    /// The client for whatever concerns this contact, or name, alone.
    ///
    /// # Errors
    /// [`Error::UnknownRelay`] for an agent without a relay of the wanted name, [`Error::Store`].
    pub fn into_client_for(mut self, name: &str, via: Via<'_>) -> Result<Client, Error> {
        let place = self.ways(name, via)?.first().copied().unwrap_or_default();
        if place >= self.links.len() {
            return Err(unknown(via));
        }
        Ok(self.links.swap_remove(place).client)
    }

    /// Sends a message; one outcome for each recipient, in order, as [`Client::send`] does. Recipients who
    /// have the same relays, in the same order, share an envelope.
    ///
    /// When a relay cannot be reached, or does not take the message now, the same envelope goes over the next
    /// one that its recipients have an address at; what no relay takes stays in the outbox. Over several
    /// relays it has arrived as soon as one of them has it.
    ///
    /// # Errors
    /// As [`Client::send`], and [`Error::UnknownRelay`].
    pub async fn send(
        &mut self,
        recipients: &[String],
        draft: &Draft,
        sending: Sending,
        via: Via<'_>,
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        let mut groups: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
        for (place, name) in recipients.iter().enumerate() {
            let ways = self.ways(name, via)?;
            // A stranger is looked for at one relay after the other, wherever the others are.
            let is_known = self.links.len() == 1 || self.is_contact(name)?;
            match groups.iter_mut().find(|(known, _)| *known == ways) {
                Some((_, members)) if is_known => members.push(place),
                _ => groups.push((ways, vec![place])),
            }
        }
        let mut outcomes: Vec<(usize, Result<Sent, Error>)> = Vec::new();
        for (ways, members) in groups {
            let names = members.iter().filter_map(|place| recipients.get(*place));
            let names: Vec<String> = names.cloned().collect();
            let group = Group {
                everybody: recipients,
                names: &names,
                draft,
                sending,
            };
            let sent = match (via, sending) {
                (Via::All, Sending::Now) => self.send_to_all(&group, &ways).await,
                _ => self.send_to(&group, &ways).await,
            };
            let sent = match sent {
                // What was sent to others is to be told of.
                Err(error) if !outcomes.is_empty() => shared(error, members.len()),
                sent => sent?,
            };
            outcomes.extend(members.into_iter().zip(sent));
        }
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Sends to those who have the same relays.
    async fn send_to(
        &mut self,
        group: &Group<'_>,
        ways: &[usize],
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        let several = self.links.len() > 1;
        let (mut first, mut rest) = ways.split_first().ok_or_else(|| unknown(Via::Preferred))?;
        loop {
            let link = self
                .links
                .get_mut(*first)
                .ok_or_else(|| unknown(Via::Preferred))?;
            let mut outcomes = group.post(&mut link.client, &[]).await;
            if let Ok(outcomes) = &mut outcomes {
                link.sign(outcomes, several);
            }
            let goes_on = goes_on(&outcomes);
            match rest.split_first() {
                Some(next) if goes_on => (first, rest) = next,
                _ if group.sending == Sending::Now => {
                    return self.send_instead(outcomes?, group, rest).await;
                }
                _ => return outcomes,
            }
        }
    }

    /// Hands over what the first relay did not take, at the next one that does.
    async fn send_instead(
        &mut self,
        mut outcomes: Vec<Result<Sent, Error>>,
        group: &Group<'_>,
        rest: &[usize],
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        for place in rest {
            let queued = outcomes.iter().filter_map(|outcome| match outcome {
                Err(Error::Queued { number, .. }) => Some(*number),
                _ => None,
            });
            let mut queued: Vec<i64> = queued.collect();
            queued.dedup();
            let Some(link) = self.links.get_mut(*place) else {
                continue;
            };
            let client = &mut link.client;
            let Some(way) = client.way().filter(|_| !queued.is_empty()) else {
                continue;
            };
            client.locate(group.names).await;
            let now = client.clock.monotonic();
            let mut moved = Vec::with_capacity(queued.len());
            for number in queued {
                if client.store.reroute(number, way, now)? {
                    moved.push(number);
                }
            }
            client.send_moved(&moved, &mut outcomes).await?;
            link.sign(&mut outcomes, true);
        }
        Ok(outcomes)
    }

    /// Sends the same envelope over all of these relays.
    async fn send_to_all(
        &mut self,
        group: &Group<'_>,
        ways: &[usize],
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        // Whom a relay's directory knows has an address there afterwards.
        for place in ways {
            if let Some(link) = self.links.get_mut(*place) {
                link.client.locate(group.names).await;
            }
        }
        let group = Group {
            sending: Sending::Later,
            ..*group
        };
        let mut posted = Err(unknown(Via::All));
        for first in ways {
            let rest: Vec<usize> = ways.iter().copied().filter(|at| at != first).collect();
            let others = self.at(&rest);
            let Some(link) = self.links.get_mut(*first) else {
                continue;
            };
            // Nothing else than an envelope is the same everywhere.
            let required = link.client.require;
            link.client.require = required.and(Require::NATIVE);
            posted = group.post(&mut link.client, &others).await;
            link.client.require = required;
            if !goes_on(&posted) {
                break;
            }
        }
        let posted = posted?.into_iter().map(|outcome| {
            let sent = outcome.as_ref().ok().cloned();
            (outcome, sent)
        });
        let mut outcomes: Vec<_> = posted.collect();
        for place in ways {
            if let Some(link) = self.links.get_mut(*place) {
                link.client.send_copies(&mut outcomes).await?;
            }
        }
        Ok(outcomes.into_iter().map(|(outcome, _)| outcome).collect())
    }

    /// Works through what comes over any of the relays, as [`Client::work`] does over one. So many handlers
    /// run at once, and so many messages are taken, altogether. A relay that fails for good is told of as
    /// [`Event::Trouble`] and left, as long as another one works.
    ///
    /// What is not taken by a relay that does not answer goes over one that does.
    ///
    /// # Errors
    /// As [`Client::work`].
    pub async fn work(
        &mut self,
        work: &Work,
        handler: &dyn Handler,
        stop: impl Future<Output = ()>,
        observe: impl FnMut(Event<'_>),
    ) -> Result<Worked, Error> {
        let ways = self.links.iter().map(|link| link.client.way()).collect();
        let Some(first) = self.links.first() else {
            return Err(unknown(Via::Preferred));
        };
        let together = Together::new(ways, work.concurrency, first.client.clock.monotonic());
        let (observe, stop) = (RefCell::new(observe), stop.shared());
        let (halt, _halted) = watch::channel(false);
        let several = self.links.len() > 1;
        let workers = self.links.iter_mut().enumerate().map(|(place, link)| {
            let (together, observe, halt, stop) = (&together, &observe, &halt, stop.clone());
            async move {
                let mut halted = halt.subscribe();
                let stop = async {
                    tokio::select! {
                        () = stop => {}
                        _ = halted.wait_for(|halted| *halted) => {}
                    }
                };
                let tell = |event: Event<'_>| (observe.borrow_mut())(event);
                let client = &mut link.client;
                let worked = client
                    .work_at(place, together, work, handler, stop, tell)
                    .await;
                match &worked {
                    Err(error @ Error::Relay(_)) if several => tell(Event::Trouble(error)),
                    // Nor will the others do any better.
                    Err(_) => {
                        halt.send_replace(true);
                    }
                    Ok(_) => {}
                }
                worked
            }
        });
        let (mut total, mut failure, mut is_any) = (Worked::default(), None, false);
        for worked in join_all(workers).await {
            match worked {
                Ok(worked) => {
                    is_any = true;
                    total.done += worked.done;
                    total.set_aside += worked.set_aside;
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if several {
            // What was moved to a relay whose worker had ended.
            for client in self.clients_mut() {
                client.flush_due().await?;
            }
        }
        match failure {
            Some(error) if !is_any || !matches!(error, Error::Relay(_)) => Err(error),
            _ => Ok(total),
        }
    }

    /// The places of the relays that a message to this recipient may go over, the preferred first.
    fn ways(&self, name: &str, via: Via<'_>) -> Result<Vec<usize>, Error> {
        if let Via::Named(wanted) = via {
            let place = self.links.iter().position(|link| link.name == wanted);
            return Ok(vec![place.ok_or_else(|| unknown(via))?]);
        }
        let mut ways = Vec::with_capacity(self.links.len());
        for (place, link) in self.links.iter().enumerate() {
            let contact = link.client.contact_for(name)?;
            ways.push((rank(contact.as_ref(), link.client.relay.url()), place));
        }
        ways.sort_unstable();
        Ok(ways.into_iter().map(|(_, place)| place).collect())
    }

    fn is_contact(&self, name: &str) -> Result<bool, Error> {
        for link in &self.links {
            if link.client.contact_for(name)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn at(&self, places: &[usize]) -> Vec<Way> {
        let links = places.iter().filter_map(|place| self.links.get(*place));
        links.filter_map(|link| link.client.way()).collect()
    }
}

/// Where a relay stands for a contact: as its card names it, then where it has an address, then elsewhere.
fn rank(contact: Option<&Contact>, url: &str) -> usize {
    let Some(contact) = contact else {
        return usize::MAX;
    };
    let mut named = contact.card.iter().flat_map(ctalk_core::Card::addresses);
    let place = named.position(|entry| entry.split('#').next() == Some(url));
    match (place, &contact.address) {
        (Some(place), _) => place,
        (None, Some(_)) => usize::MAX - 1,
        (None, None) => usize::MAX,
    }
}

/// A message to some of its recipients.
struct Group<'a> {
    everybody: &'a [String],
    names: &'a [String],
    draft: &'a Draft,
    sending: Sending,
}

impl Group<'_> {
    async fn post(
        &self,
        client: &mut Client,
        others: &[Way],
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        let among = Among {
            everybody: self.everybody,
            others,
        };
        let (manner, waits) = match self.sending {
            Sending::Now => (Manner::Sealed, true),
            Sending::Later => (Manner::Sealed, false),
            Sending::Plaintext => {
                client.check_plaintext()?;
                (Manner::Plaintext, true)
            }
        };
        client
            .post(self.names, among, self.draft, manner, waits)
            .await
    }
}

/// Whether nothing was sealed, and another relay may do better: this one knows nobody of them, or is away and
/// was to be asked.
fn goes_on(posted: &Result<Vec<Result<Sent, Error>>, Error>) -> bool {
    match posted {
        Ok(outcomes) => outcomes
            .iter()
            .all(|outcome| matches!(outcome, Err(Error::UnknownRecipient { .. }))),
        Err(error) => matches!(error, Error::Relay(_)) && error.may_pass(),
    }
}

/// An error that stands for so many recipients: the first gets it, the others learn what kind it was.
fn shared(error: Error, recipients: usize) -> Vec<Result<Sent, Error>> {
    let class = error.class();
    let mut outcomes = vec![Err(error)];
    outcomes.resize_with(recipients, || Err(Error::SharedMessage { class }));
    outcomes
}

fn unknown(via: Via<'_>) -> Error {
    let name = match via {
        Via::Named(name) => name.to_owned(),
        Via::Preferred | Via::All => "any".to_owned(),
    };
    Error::UnknownRelay { name }
}
