//! A relay that knows one connection of each agent: the process that holds a lock on a file beside the store
//! has it, and the others leave sending and fetching to that one.

use std::{
    fs::{File, OpenOptions},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use ctalk_core::{Card, classic::Malformed};

use super::{Accepted, Delivery, Incoming, Outgoing, Peeked, Relay, RelayError};
use crate::{clock::Clock, store::Stored};

/// How often it is looked whether the other process has ended.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) struct Exclusive {
    relay: Arc<dyn Relay>,
    path: PathBuf,
    /// From when this process has the connection on.
    lock: Mutex<Option<File>>,
    clock: Arc<dyn Clock>,
}

impl Exclusive {
    pub(crate) fn new(relay: Arc<dyn Relay>, path: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self {
            relay,
            path,
            lock: Mutex::default(),
            clock,
        }
    }
}

#[async_trait]
impl Relay for Exclusive {
    fn url(&self) -> &str {
        self.relay.url()
    }

    fn longest_text(&self) -> usize {
        self.relay.longest_text()
    }

    /// A folder that no file can be made in is the store's trouble, which says so itself.
    fn is_mine(&self) -> bool {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&self.path);
            *lock = file.ok().filter(|file| file.try_lock().is_ok());
        }
        lock.is_some()
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        if !self.is_mine() {
            return Err(RelayError::Unreachable {
                url: self.url().to_owned(),
                why: "another process of this agent is connected".to_owned(),
            });
        }
        self.relay.send(outgoing).await
    }

    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let mut left = wait;
        while !self.is_mine() {
            if left.is_zero() {
                return Ok(Vec::new());
            }
            let pause = left.min(LOOK);
            self.clock.sleep(pause).await;
            left -= pause;
        }
        self.relay.fetch(left).await
    }

    fn take_buffered(&self) -> Vec<Delivery> {
        self.relay.take_buffered()
    }

    async fn close(&self) -> Vec<Delivery> {
        self.relay.close().await
    }

    async fn acknowledge(&self, stored: Stored) -> Result<usize, RelayError> {
        self.relay.acknowledge(stored).await
    }

    async fn peek(&self) -> Result<Peeked, RelayError> {
        self.relay.peek().await
    }

    async fn directory(&self) -> Result<Vec<ctalk_wire::DirectoryEntry>, RelayError> {
        self.relay.directory().await
    }

    async fn publish(
        &self,
        name: &str,
        card: &Card,
        successions: &[String],
    ) -> Result<(), RelayError> {
        self.relay.publish(name, card, successions).await
    }

    fn read(&self, raw: &[u8]) -> Result<Incoming, Malformed> {
        self.relay.read(raw)
    }
}
