//! How often one address may try to register.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::RateLimit;
use crate::address::Network;
use crate::rate_limit::Window;

/// The most networks that are told apart in one window. All further ones share one count, so that
/// memory is bounded and the limit holds nevertheless.
const MAX_NETWORKS: usize = 65_536;

/// Attempts of the present window, counted by where they come from.
pub(crate) struct Registrations {
    limit: RateLimit,
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    /// The window that these were made in.
    number: i64,
    of: HashMap<Network, Window>,
    of_others: Window,
}

impl Registrations {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            attempts: Mutex::default(),
        }
    }

    pub(crate) fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Counts one attempt from `network` at `now_ms`; `false` when there were too many.
    pub(crate) fn admit(&self, network: Network, now_ms: i64) -> bool {
        let Some(number) = self.limit.window(now_ms) else {
            return true;
        };
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.number != number {
            *attempts = Attempts {
                number,
                ..Attempts::default()
            };
        }
        let Attempts { of, of_others, .. } = &mut *attempts;
        let is_new = !of.contains_key(&network);
        let window = if is_new && of.len() >= MAX_NETWORKS {
            of_others
        } else {
            of.entry(network).or_default()
        };
        self.limit.admit(window, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn network(number: u32) -> Network {
        IpAddr::V4(Ipv4Addr::from_bits(number)).into()
    }

    #[test]
    fn memory_is_bounded_and_those_beyond_the_bound_share_a_count() {
        let registrations = Registrations::new("2/60s".parse().unwrap());
        let many = u32::try_from(MAX_NETWORKS).unwrap();
        for number in 0..many {
            assert!(registrations.admit(network(number), 0));
        }
        assert!(registrations.admit(network(many), 0));
        assert!(registrations.admit(network(many + 1), 0));
        assert!(!registrations.admit(network(many + 2), 0));
        assert!(registrations.admit(network(0), 0), "it was there before");
        assert!(!registrations.admit(network(0), 0));
        let count = || registrations.attempts.lock().unwrap().of.len();
        assert_eq!(count(), MAX_NETWORKS);
        assert!(registrations.admit(network(many + 2), 60_000));
        assert_eq!(count(), 1);
    }
}
