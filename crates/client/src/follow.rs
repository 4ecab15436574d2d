//! Following: messages one by one as they come, for programs that ask for the next one where
//! [`Client::work`] would run a handler.

use std::time::Duration;

use crate::{
    client::{Client, as_millis},
    error::Error,
    receive::{Contract, Filter, Next, Receiving},
    worker::{Event, REFRESH, Until, pace::Pace},
};

/// A place in the inbox from which messages are taken as they come, and the pace at which the relay is
/// asked for more.
pub struct Following {
    receiving: Receiving,
    pace: Pace,
    /// When the own keys are looked after again, by the monotonic clock.
    next_refresh: i64,
    /// Whether there may be something in the inbox.
    is_fresh: bool,
    /// Whether what is due in the outbox was tried since the relay was last asked.
    is_flushed: bool,
    /// How many messages the client had settled when it was last looked.
    settled: u64,
}

impl Client {
    /// Begins to follow. What this client handed over before and nobody settled is handed over again.
    /// `handler` is the name by which policies know what messages are taken for, as in
    /// [`Work`](crate::Work), and `interval` the longest pause between two looks at a relay that does not
    /// push.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn follow(
        &mut self,
        contract: Contract,
        filter: Filter,
        handler: Option<String>,
        interval: Duration,
    ) -> Result<Following, Error> {
        let mut receiving = self.receive_under(contract, filter)?;
        receiving.handler = handler;
        let until = Until::Stopped {
            interval,
            idle: None,
        };
        Ok(Following {
            receiving,
            pace: Pace::new(until, self.clock.monotonic()),
            next_refresh: i64::MIN,
            is_fresh: true,
            is_flushed: false,
            settled: self.settled,
        })
    }
}

impl Following {
    /// What is there by now, if there is something. Looks after the own keys and sends what is due in the
    /// outbox, too. Breaking it off loses nothing, but what was being sent may leave twice.
    ///
    /// # Errors
    /// [`Error::Store`], and [`Error::Relay`] where waiting does not help.
    pub async fn next(
        &mut self,
        client: &mut Client,
        observe: &mut impl FnMut(Event<'_>),
    ) -> Result<Option<Next>, Error> {
        if client.clock.monotonic() >= self.next_refresh {
            let refreshed = client.refresh().await;
            let now = client.clock.monotonic();
            self.next_refresh = now.saturating_add(as_millis(REFRESH));
            if let Err(error) = refreshed {
                observe(Event::Trouble(&error));
            }
        }
        if client.settled != self.settled {
            // What waited for it may be free, and it may have been answered.
            self.settled = client.settled;
            (self.is_fresh, self.is_flushed) = (true, false);
        }
        if !self.is_flushed {
            // Before a message is handed over, because nobody knows for how long that is.
            client.flush_due().await?;
            self.is_flushed = true;
        }
        let looked = if self.is_fresh {
            client.next(&mut self.receiving).await
        } else {
            Ok(None)
        };
        for notice in client.take_notices() {
            observe(Event::Notice(&notice));
        }
        match looked {
            Ok(Some(next)) => {
                self.pace.stir(client.clock.monotonic());
                Ok(Some(next))
            }
            Ok(None) => {
                self.is_fresh = false;
                Ok(None)
            }
            Err(error) => {
                self.is_fresh = false;
                self.trouble(client, error, observe)?;
                Ok(None)
            }
        }
    }

    /// Waits until it is worth another look: asks the relay at its pace, and heeds what is to be tried
    /// again. May be broken off at any time.
    ///
    /// # Errors
    /// As [`Following::next`].
    pub async fn wait(
        &mut self,
        client: &mut Client,
        observe: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Error> {
        let clock = client.clock.clone();
        let (before, wait) = self.pace.look(clock.monotonic());
        let now = clock.now();
        let due = client.store.next_due(now)?;
        let due = due.map(|due| {
            let left = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
            Duration::from_millis(left)
        });
        if let Some(due) = due.filter(|due| *due < before) {
            clock.sleep(due).await;
            self.look_again();
            return Ok(());
        }
        if !before.is_zero() {
            clock.sleep(before).await;
        }
        let wait = due.map_or(wait, |due| wait.min(due.saturating_sub(before)));
        self.ask(client, wait, observe).await
    }

    /// Asks the relay at once, and takes no longer than its answer.
    ///
    /// # Errors
    /// As [`Following::next`].
    pub async fn ask_now(
        &mut self,
        client: &mut Client,
        observe: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Error> {
        self.ask(client, Duration::ZERO, observe).await
    }

    async fn ask(
        &mut self,
        client: &mut Client,
        wait: Duration,
        observe: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Error> {
        let clock = client.clock.clone();
        let began = clock.monotonic();
        self.pace.begin_look(began);
        // Even after a failure: some of it may have come before that.
        self.look_again();
        self.is_flushed = false;
        match client.fetch(wait).await {
            Ok(fresh) => {
                if self.pace.answered(fresh, began, clock.monotonic()) {
                    observe(Event::Recovered);
                }
                Ok(())
            }
            Err(error) => self.trouble(client, error, observe),
        }
    }

    /// Has the inbox looked at from its beginning: something may have come to it, or be due.
    pub fn look_again(&mut self) {
        self.receiving.rewind();
        self.is_fresh = true;
    }

    fn trouble(
        &mut self,
        client: &Client,
        error: Error,
        observe: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Error> {
        if !error.may_pass() {
            return Err(error);
        }
        if self.pace.failed(client.clock.monotonic()) {
            observe(Event::Trouble(&error));
        }
        Ok(())
    }
}
