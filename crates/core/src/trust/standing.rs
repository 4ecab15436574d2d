//! What a contact's keys count for, and what changes that.

use core::fmt;

/// What a contact's keys count for, the least first.
///
/// Nothing that a contact, a relay or anybody else sends makes it greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// The user wants nothing from this contact, whichever keys it has.
    Blocked,
    /// The keys are those of the first time. Nobody checked whose they are.
    Pinned,
    /// The user compared the fingerprint or the safety number, or paired with the contact.
    Verified,
}

impl Standing {
    /// `blocked`, `pinned` or `verified`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Pinned => "pinned",
            Self::Verified => "verified",
        }
    }

    /// After a newer card of the same identity: unchanged, because what was compared is the identity.
    #[must_use]
    pub const fn after_card(self) -> Self {
        self
    }

    /// After another identity took the contact's place: a verified one is to be verified again.
    #[must_use]
    pub const fn after_succession(self) -> Self {
        self.unverified()
    }

    /// After the user accepted other keys by their fingerprint: a verified contact is to be verified
    /// again, because a fingerprint copied from an error message was compared with nothing.
    #[must_use]
    pub const fn after_accepted_keys(self) -> Self {
        self.unverified()
    }

    /// After the user verified the contact's keys. Blocking is about the contact and outlasts it.
    #[must_use]
    pub const fn after_verification(self) -> Self {
        match self {
            Self::Blocked => Self::Blocked,
            Self::Pinned | Self::Verified => Self::Verified,
        }
    }

    /// After the user unblocked the contact, who is to be verified again whatever was before.
    #[must_use]
    pub const fn after_unblocking(self) -> Self {
        match self {
            Self::Blocked | Self::Pinned => Self::Pinned,
            Self::Verified => Self::Verified,
        }
    }

    const fn unverified(self) -> Self {
        match self {
            Self::Blocked => Self::Blocked,
            Self::Pinned | Self::Verified => Self::Pinned,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Standing::{self, Blocked, Pinned, Verified};

    const ALL: [Standing; 3] = [Blocked, Pinned, Verified];

    #[test]
    fn standings_have_the_names_of_the_output() {
        assert_eq!(
            ALL.map(|standing| standing.to_string()),
            ["blocked", "pinned", "verified"]
        );
    }

    #[test]
    fn a_newer_card_changes_nothing() {
        assert_eq!(ALL.map(Standing::after_card), ALL);
    }

    #[test]
    fn a_successor_is_to_be_verified_again_and_stays_blocked() {
        assert_eq!(
            ALL.map(Standing::after_succession),
            [Blocked, Pinned, Pinned]
        );
    }

    #[test]
    fn accepted_keys_are_to_be_verified_again_and_stay_blocked() {
        assert_eq!(
            ALL.map(Standing::after_accepted_keys),
            [Blocked, Pinned, Pinned]
        );
    }

    #[test]
    fn verification_does_not_unblock() {
        assert_eq!(
            ALL.map(Standing::after_verification),
            [Blocked, Verified, Verified]
        );
    }

    #[test]
    fn who_is_unblocked_is_pinned_and_the_others_stay_what_they_are() {
        assert_eq!(
            ALL.map(Standing::after_unblocking),
            [Pinned, Pinned, Verified]
        );
    }

    #[test]
    fn nothing_that_a_peer_sends_raises_a_standing() {
        for standing in ALL {
            assert!(standing.after_card() <= standing);
            assert!(standing.after_succession() <= standing);
        }
    }
}
