//! The least that a receiver has to do which never handles a message twice: verify and open it, and note its
//! id in a synced transaction.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use ctalk::core::envelope::{self, Envelope};
use rusqlite::{Connection, params};

use crate::{Error, author::Author};

pub(crate) struct Bare(Connection);

impl Bare {
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute_batch(
            "CREATE TABLE seen (sender BLOB, id BLOB, PRIMARY KEY (sender, id)) WITHOUT ROWID",
        )?;
        Ok(Self(db))
    }

    /// How long it takes for so many messages, which are sealed before.
    pub(crate) fn receive(
        &self,
        author: &Author,
        receiver: &Author,
        count: usize,
    ) -> Result<Duration, Error> {
        let sealed: Result<Vec<_>, _> = (0..count).map(|_| author.seal(receiver.card())).collect();
        let sealed = sealed?;
        let me = receiver.identity()?;
        let started = Instant::now();
        for text in sealed {
            let bytes = envelope::from_text(&text)?;
            let opened = Envelope::parse(&bytes)?
                .verify()?
                .open(&me, receiver.now())?;
            let seen = params![opened.sender.as_bytes(), opened.id.as_bytes()];
            self.0
                .prepare_cached("INSERT INTO seen (sender, id) VALUES (?1, ?2)")?
                .execute(seen)?;
        }
        Ok(started.elapsed())
    }
}
