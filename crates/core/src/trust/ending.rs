//! When an identity has ended, and who takes its place.

use crate::{CLOCK_SKEW, Fingerprint, Succession, Timestamp, VerifyingKey};

/// How an identity ended, as far as we have seen. What it signs is refused from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ended without a successor.
    Revoked,
    /// Another identity took its place.
    Succeeded {
        /// The first successor seen.
        successor: VerifyingKey,
    },
}

/// Checks that an identity has not ended, before anything is sealed to it or taken from it.
///
/// # Errors
///
/// [`Ended`] when it has.
pub fn not_ended(identity: &VerifyingKey, ending: Option<&Ending>) -> Result<(), Ended> {
    let identity = Fingerprint::native(identity);
    match ending {
        None => Ok(()),
        Some(Ending::Revoked) => Err(Ended::Revoked { identity }),
        Some(Ending::Succeeded { successor }) => Err(Ended::Succeeded {
            identity,
            successor: Fingerprint::native(successor),
        }),
    }
}

/// Decides what becomes of a succession that is offered at `now`, by how the old identity ended and
/// how the new one did, if they have.
///
/// The first successor seen is final. [`conflict`](super::conflict) is what refuses one whose keys
/// another contact holds, and [`Standing::after_succession`](super::Standing::after_succession) says
/// what the successor counts for.
///
/// # Errors
///
/// [`SuccessionRefused`] for a succession that must not be followed and whose coming is worth a
/// report.
pub fn succession(
    predecessor: Option<&Ending>,
    successor: Option<&Ending>,
    offered: &Succession,
    now: Timestamp,
) -> Result<SuccessionStep, SuccessionRefused> {
    let identity = Fingerprint::native(offered.predecessor());
    let new_identity = Fingerprint::native(offered.successor());
    match predecessor {
        Some(Ending::Revoked) => return Err(SuccessionRefused::Revoked { identity }),
        Some(Ending::Succeeded { successor }) if successor == offered.successor() => {
            return Ok(SuccessionStep::Same);
        }
        Some(Ending::Succeeded { successor }) => {
            return Err(SuccessionRefused::Second {
                identity,
                first: Fingerprint::native(successor),
                second: new_identity,
            });
        }
        None => {}
    }
    if successor.is_some() {
        return Err(SuccessionRefused::ToEnded {
            identity,
            successor: new_identity,
        });
    }
    if offered.created().is_after(now, CLOCK_SKEW) {
        return Err(SuccessionRefused::Future { identity });
    }
    Ok(SuccessionStep::First)
}

/// Decides what becomes of a revocation, by how its identity ended, if it has. It counts whatever
/// time it says: who holds the key ends it, and a wrong clock must not keep it alive.
#[must_use]
pub const fn revocation(ending: Option<&Ending>) -> RevocationStep {
    match ending {
        None => RevocationStep::First,
        Some(Ending::Revoked) => RevocationStep::Same,
        Some(Ending::Succeeded { .. }) => RevocationStep::AfterSuccession,
    }
}

/// What becomes of an offered succession.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuccessionStep {
    /// Follow it, and tell the user.
    First,
    /// Nothing to do: it names the successor that is known.
    Same,
}

/// What becomes of an offered revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationStep {
    /// The successor stays; tell the user to compare its fingerprint, because whoever stole the old
    /// key may have named it.
    AfterSuccession,
    /// The identity ends, and the user is told.
    First,
    /// Nothing to do: it is known.
    Same,
}

/// An identity that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// It was revoked.
    #[error("{identity} was revoked by its owner; ask the contact by other means for a new card")]
    Revoked {
        /// Which one.
        identity: Fingerprint,
    },
    /// It has a successor.
    #[error("{identity} was succeeded by {successor}; use the successor's card")]
    Succeeded {
        /// Which one.
        identity: Fingerprint,
        /// Who took its place.
        successor: Fingerprint,
    },
}

/// An offered succession that must not be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SuccessionRefused {
    /// Created later than the clock allows.
    #[error(
        "the succession of {identity} was created in the future; \
         compare this machine's clock with its owner's"
    )]
    Future {
        /// The old identity.
        identity: Fingerprint,
    },
    /// The old identity was revoked before.
    #[error(
        "{identity} was revoked and cannot name a successor; \
         ask the contact by other means for a new card"
    )]
    Revoked {
        /// The old identity.
        identity: Fingerprint,
    },
    /// Two successors of one identity.
    #[error(
        "{identity} has named two successors, first {first} and now {second}; \
         its key may be stolen, so ask the contact by other means which one is right"
    )]
    Second {
        /// The old identity.
        identity: Fingerprint,
        /// The successor seen first, which stays.
        first: Fingerprint,
        /// The successor offered now.
        second: Fingerprint,
    },
    /// A successor that has ended itself, such as an earlier one in the same line.
    #[error(
        "{identity} has named {successor} its successor, which has ended itself; \
         ask the contact by other means for a new card"
    )]
    ToEnded {
        /// The old identity.
        identity: Fingerprint,
        /// The successor offered now.
        successor: Fingerprint,
    },
}
