//! How many connections there may be, and whose.
//!
//! When there is no place left, the connection that has been idle longest makes room for the new one: a
//! crowd of idle peers keeps nobody out, and a client that was idle that long connects again. Only where
//! every connection is in use the new one is refused.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::address::Network;

/// The places of one listener.
pub(crate) struct Places {
    max: usize,
    max_per_origin: usize,
    taken: Mutex<Taken>,
}

/// Counts up, so that smaller is earlier.
type Moment = u64;
type Id = u64;

#[derive(Default)]
struct Taken {
    /// Both moments and ids are taken from it.
    next: u64,
    connections: HashMap<Id, Connection>,
    origins: HashMap<Network, OfOrigin>,
    idle: BTreeSet<(Moment, Id)>,
}

#[derive(Default)]
struct OfOrigin {
    connections: usize,
    idle: BTreeSet<(Moment, Id)>,
}

struct Connection {
    origin: Network,
    /// Since when; none while a request is under way.
    idle: Option<Moment>,
    give_way: Arc<Notify>,
}

/// One connection's place, free again when this is dropped.
pub(crate) struct Place {
    /// The other end's.
    pub(crate) address: IpAddr,
    places: Arc<Places>,
    id: Id,
    give_way: Arc<Notify>,
}

/// Marks a connection as in use while this lives.
pub(crate) struct InUse(Arc<Place>);

impl Places {
    /// Room for `max` connections, of which `max_per_origin` may come from one network.
    pub(crate) fn new(max: usize, max_per_origin: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_per_origin,
            taken: Mutex::default(),
        })
    }

    /// A place for a connection from `address`, unless all that could be its are in use.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let origin = Network::from(address);
        let mut taken = self.taken();
        let of_origin = taken.origins.get(&origin);
        if let Some(of_origin) = of_origin
            && of_origin.connections >= self.max_per_origin
        {
            let longest = of_origin.idle.first().copied()?;
            taken.evict(longest);
        }
        if taken.connections.len() >= self.max {
            let longest = taken.idle.first().copied()?;
            taken.evict(longest);
        }
        let give_way = Arc::new(Notify::new());
        let id = taken.add(origin, Arc::clone(&give_way));
        drop(taken);
        Some(Place {
            address,
            places: Arc::clone(self),
            id,
            give_way,
        })
    }

    /// Ends the connection that has been idle longest, if one is.
    pub(crate) fn make_room(&self) {
        let mut taken = self.taken();
        if let Some(longest) = taken.idle.first().copied() {
            taken.evict(longest);
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn add(&mut self, origin: Network, give_way: Arc<Notify>) -> Id {
        let id = self.next();
        let connection = Connection {
            origin,
            idle: None,
            give_way,
        };
        self.connections.insert(id, connection);
        self.origins.entry(origin).or_default().connections += 1;
        self.set_idle(id, true);
        id
    }

    fn set_idle(&mut self, id: Id, is_idle: bool) {
        let now = self.next();
        // One that gave way is not there any more.
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let since = is_idle.then_some(now);
        let before = core::mem::replace(&mut connection.idle, since);
        let of_origin = self.origins.entry(connection.origin).or_default();
        for idle in [&mut self.idle, &mut of_origin.idle] {
            before.map(|moment| idle.remove(&(moment, id)));
            since.map(|moment| idle.insert((moment, id)));
        }
    }

    fn remove(&mut self, id: Id) -> Option<Connection> {
        self.set_idle(id, false);
        let connection = self.connections.remove(&id)?;
        if let Some(of_origin) = self.origins.get_mut(&connection.origin) {
            of_origin.connections -= 1;
            if of_origin.connections == 0 {
                self.origins.remove(&connection.origin);
            }
        }
        Some(connection)
    }

    fn evict(&mut self, (_, id): (Moment, Id)) {
        if let Some(connection) = self.remove(id) {
            connection.give_way.notify_one();
        }
    }
}

impl Place {
    /// Waits until this connection has to make room for another one.
    pub(crate) async fn give_way(&self) {
        self.give_way.notified().await;
    }

    /// Keeps the place while a request is under way.
    pub(crate) fn in_use(self: &Arc<Self>) -> InUse {
        self.places.taken().set_idle(self.id, false);
        InUse(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(self.id);
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.places.taken().set_idle(self.0.id, true);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn take(places: &Arc<Places>, address: &str) -> Option<Arc<Place>> {
        places.take(address.parse().unwrap()).map(Arc::new)
    }

    fn must_go(place: &Place) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let gone = core::pin::pin!(place.give_way()).poll(&mut context);
        matches!(gone, Poll::Ready(()))
    }

    #[test]
    fn whoever_was_idle_longest_makes_room_and_nobody_who_is_in_use_does() {
        let places = Places::new(3, 3);
        let first = take(&places, "192.0.2.1").unwrap();
        let second = take(&places, "192.0.2.2").unwrap();
        let third = take(&places, "192.0.2.3").unwrap();
        let in_use = second.in_use();
        drop(first.in_use());
        // The first was busy since, so that the third was idle longer.
        let fourth = take(&places, "192.0.2.4").unwrap();
        assert!(must_go(&third) && !must_go(&first));
        let fifth = take(&places, "192.0.2.5").unwrap();
        assert!(must_go(&first));
        let all_in_use = (in_use, fourth.in_use(), fifth.in_use());
        assert!(take(&places, "192.0.2.6").is_none());
        drop(all_in_use);
        assert!(take(&places, "192.0.2.6").is_some());
        assert!(must_go(&second));
    }

    #[test]
    fn one_address_takes_no_more_than_its_share_and_only_its_own_make_room_for_it() {
        let places = Places::new(10, 2);
        let other = take(&places, "192.0.2.1").unwrap();
        let first = take(&places, "2001:db8::1").unwrap();
        let second = take(&places, "2001:db8::2").unwrap();
        let third = take(&places, "2001:db8::3").unwrap();
        assert!(must_go(&first) && !must_go(&other));
        let in_use = (second.in_use(), third.in_use());
        assert!(take(&places, "2001:db8::4").is_none());
        assert!(take(&places, "2001:db8:0:1::1").is_some());
        assert!(take(&places, "::ffff:192.0.2.1").is_some());
        drop(in_use);
    }

    #[test]
    fn places_that_are_left_are_free_again_whether_or_not_they_had_to_be() {
        let places = Places::new(2, 1);
        for _ in 0..5 {
            let left = take(&places, "192.0.2.1").unwrap();
            let evicted = take(&places, "192.0.2.2").unwrap();
            let in_use = evicted.in_use();
            places.make_room();
            assert!(must_go(&left) && !must_go(&evicted));
            drop((left, evicted, in_use));
        }
        let taken = places.taken();
        assert!(taken.connections.is_empty() && taken.origins.is_empty() && taken.idle.is_empty());
    }
}
