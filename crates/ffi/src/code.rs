//! The numbers of failures, listed once.

use ctalk::{Class, core::envelope::Failure};

use crate::guard::guard_value;

/// What became of a call. The numbers are part of the interface: none is ever reused or changes its
/// meaning. Those of one hundred belong together, and `ctalk_code_class` tells which of them call for
/// the same handling.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ctalk_code {
    /// It did what it was asked.
    CTALK_OK = 0,

    // How the library was called.
    /// A bug in ctalk. Nothing was written to outputs; the handles of the call are best freed.
    CTALK_PANIC = 100,
    /// Something that nobody foresaw.
    CTALK_UNEXPECTED = 101,
    /// An argument is NULL that must not be.
    CTALK_NULL_POINTER = 102,
    /// A handle of another kind, one that was freed, or none at all.
    CTALK_WRONG_HANDLE = 103,
    /// Another thread is using what only one may use at a time.
    CTALK_BUSY = 104,
    /// A text is not UTF-8.
    CTALK_NOT_UTF8 = 105,
    /// A length that no memory has, or that is over a documented limit.
    CTALK_TOO_LONG = 106,
    /// The options are not a JSON object, or have an unknown name or an impossible value.
    CTALK_BAD_OPTIONS = 107,
    /// An argument makes no sense.
    CTALK_BAD_ARGUMENT = 108,
    /// A callback for reading said that it failed.
    CTALK_READ_FAILED = 109,
    /// A callback for writing said that it failed.
    CTALK_WRITE_FAILED = 110,
    /// Stopped from another thread.
    CTALK_INTERRUPTED = 111,
    /// The handle, or all use of profiles and relays, belongs to the process that this one was forked from.
    CTALK_FORKED = 112,
    /// A callback answered with a number that means nothing.
    CTALK_BAD_CALLBACK = 113,

    // Envelopes, key cards and messages.
    /// Not the format, in its outer form or, after opening, in the inner one.
    CTALK_MALFORMED = 200,
    /// A version or suite that this library does not know.
    CTALK_NEWER = 201,
    /// The sender's key or a signature is not accepted.
    CTALK_NOT_VERIFIED = 202,
    /// Too old, or from the future.
    CTALK_EXPIRED = 203,
    /// No key of this identity opens it.
    CTALK_NOT_FOR_ME = 204,
    /// Made for this identity but not openable.
    CTALK_CANNOT_OPEN = 205,
    /// Nobody signed it, and only what is signed was asked for.
    CTALK_NOT_SIGNED = 206,
    /// Nothing can be sealed to this key card now.
    CTALK_CARD_NOT_CURRENT = 207,
    /// No recipients, too many of them, or one twice.
    CTALK_BAD_RECIPIENTS = 208,
    /// An end that is not after the beginning, or a life that is too long.
    CTALK_BAD_LIFE = 209,
    /// Keys, public or secret, that cannot be read or must not be used.
    CTALK_BAD_KEYS = 210,

    // Profiles and key stores.
    /// The key store failed.
    CTALK_KEY_STORE_FAILED = 300,
    /// There is no key store.
    CTALK_NO_KEY_STORE = 301,
    /// There are keys already; they are never overwritten.
    CTALK_KEY_STORE_EXISTS = 302,
    /// A passphrase is missing, empty or wrong.
    CTALK_BAD_PASSPHRASE = 303,
    /// The keyring of the operating system cannot be used.
    CTALK_KEYRING_FAILED = 304,
    /// A file or folder is open to other users.
    CTALK_UNSAFE_PERMISSIONS = 305,
    /// The folder holds no profile, or one that cannot be read.
    CTALK_NO_PROFILE = 306,
    /// The folder holds a profile already.
    CTALK_PROFILE_EXISTS = 307,

    // Trust.
    /// A key changed, conflicts with another contact's, or is unknown.
    CTALK_NOT_TRUSTED = 400,
    /// A contact shows other keys than the pinned ones.
    CTALK_KEY_CHANGED = 401,
    /// There is no contact of this name.
    CTALK_UNKNOWN_CONTACT = 402,

    // The relay.
    /// No answer from the relay.
    CTALK_RELAY_UNREACHABLE = 500,
    /// The relay answered no.
    CTALK_RELAY_REFUSED = 501,
    /// The relay does not have the message yet; it is in the outbox and will leave.
    CTALK_QUEUED = 502,

    // What becomes of messages.
    /// It took too long.
    CTALK_TIMED_OUT = 600,
    /// The remote handler failed.
    CTALK_REMOTE_FAILED = 601,
    /// The peer or a policy refused.
    CTALK_REFUSED = 602,
    /// Some messages were set aside; everything else went well.
    CTALK_SET_ASIDE = 603,
    /// It was said before what became of the message.
    CTALK_ALREADY_SETTLED = 604,
    /// Another process has the message by now, because this one stood still for too long.
    CTALK_LEASE_LOST = 605,
    /// The message asks for no response, or nobody signed it.
    CTALK_NOT_ASKED = 606,

    // The local store.
    /// The local store failed.
    CTALK_STORE_FAILED = 700,
}

pub(crate) use ctalk_code as Code;

impl Code {
    /// Every one, in the order of their numbers.
    pub(crate) const ALL: &[Self] = &[
        Self::CTALK_OK,
        Self::CTALK_PANIC,
        Self::CTALK_UNEXPECTED,
        Self::CTALK_NULL_POINTER,
        Self::CTALK_WRONG_HANDLE,
        Self::CTALK_BUSY,
        Self::CTALK_NOT_UTF8,
        Self::CTALK_TOO_LONG,
        Self::CTALK_BAD_OPTIONS,
        Self::CTALK_BAD_ARGUMENT,
        Self::CTALK_READ_FAILED,
        Self::CTALK_WRITE_FAILED,
        Self::CTALK_INTERRUPTED,
        Self::CTALK_FORKED,
        Self::CTALK_BAD_CALLBACK,
        Self::CTALK_MALFORMED,
        Self::CTALK_NEWER,
        Self::CTALK_NOT_VERIFIED,
        Self::CTALK_EXPIRED,
        Self::CTALK_NOT_FOR_ME,
        Self::CTALK_CANNOT_OPEN,
        Self::CTALK_NOT_SIGNED,
        Self::CTALK_CARD_NOT_CURRENT,
        Self::CTALK_BAD_RECIPIENTS,
        Self::CTALK_BAD_LIFE,
        Self::CTALK_BAD_KEYS,
        Self::CTALK_KEY_STORE_FAILED,
        Self::CTALK_NO_KEY_STORE,
        Self::CTALK_KEY_STORE_EXISTS,
        Self::CTALK_BAD_PASSPHRASE,
        Self::CTALK_KEYRING_FAILED,
        Self::CTALK_UNSAFE_PERMISSIONS,
        Self::CTALK_NO_PROFILE,
        Self::CTALK_PROFILE_EXISTS,
        Self::CTALK_NOT_TRUSTED,
        Self::CTALK_KEY_CHANGED,
        Self::CTALK_UNKNOWN_CONTACT,
        Self::CTALK_RELAY_UNREACHABLE,
        Self::CTALK_RELAY_REFUSED,
        Self::CTALK_QUEUED,
        Self::CTALK_TIMED_OUT,
        Self::CTALK_REMOTE_FAILED,
        Self::CTALK_REFUSED,
        Self::CTALK_SET_ASIDE,
        Self::CTALK_ALREADY_SETTLED,
        Self::CTALK_LEASE_LOST,
        Self::CTALK_NOT_ASKED,
        Self::CTALK_STORE_FAILED,
    ];

    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|code| code.number() == number)
            .copied()
    }

    pub(crate) const fn number(self) -> u32 {
        self as u32
    }

    /// The class that callers branch on; none for success.
    pub(crate) const fn class(self) -> Option<Class> {
        Some(match self {
            Self::CTALK_OK => return None,
            Self::CTALK_PANIC
            | Self::CTALK_UNEXPECTED
            | Self::CTALK_WRITE_FAILED
            | Self::CTALK_LEASE_LOST => Class::Unexpected,
            Self::CTALK_NULL_POINTER
            | Self::CTALK_WRONG_HANDLE
            | Self::CTALK_BUSY
            | Self::CTALK_NOT_UTF8
            | Self::CTALK_TOO_LONG
            | Self::CTALK_BAD_OPTIONS
            | Self::CTALK_BAD_ARGUMENT
            | Self::CTALK_READ_FAILED
            | Self::CTALK_BAD_RECIPIENTS
            | Self::CTALK_BAD_LIFE
            | Self::CTALK_PROFILE_EXISTS
            | Self::CTALK_FORKED
            | Self::CTALK_BAD_CALLBACK
            | Self::CTALK_UNKNOWN_CONTACT
            | Self::CTALK_ALREADY_SETTLED
            | Self::CTALK_NOT_ASKED => Class::Usage,
            Self::CTALK_INTERRUPTED => Class::Interrupted,
            Self::CTALK_MALFORMED | Self::CTALK_NEWER | Self::CTALK_BAD_KEYS => Class::Malformed,
            Self::CTALK_NOT_VERIFIED | Self::CTALK_NOT_SIGNED => Class::NotVerified,
            Self::CTALK_EXPIRED | Self::CTALK_REFUSED => Class::Refused,
            Self::CTALK_NOT_FOR_ME | Self::CTALK_CANNOT_OPEN => Class::CannotOpen,
            Self::CTALK_CARD_NOT_CURRENT | Self::CTALK_NOT_TRUSTED | Self::CTALK_KEY_CHANGED => {
                Class::NotTrusted
            }
            Self::CTALK_KEY_STORE_FAILED
            | Self::CTALK_NO_KEY_STORE
            | Self::CTALK_KEY_STORE_EXISTS
            | Self::CTALK_BAD_PASSPHRASE
            | Self::CTALK_KEYRING_FAILED
            | Self::CTALK_UNSAFE_PERMISSIONS
            | Self::CTALK_NO_PROFILE
            | Self::CTALK_STORE_FAILED => Class::LocalStore,
            Self::CTALK_RELAY_UNREACHABLE | Self::CTALK_QUEUED => Class::RelayUnreachable,
            Self::CTALK_RELAY_REFUSED => Class::RelayRefused,
            Self::CTALK_TIMED_OUT => Class::TimedOut,
            Self::CTALK_REMOTE_FAILED => Class::RemoteFailed,
            Self::CTALK_SET_ASIDE => Class::SetAside,
        })
    }

    /// The general code of a class, for what has none of its own.
    pub(crate) const fn of(class: Class) -> Self {
        match class {
            Class::Usage => Self::CTALK_BAD_ARGUMENT,
            Class::NotVerified => Self::CTALK_NOT_VERIFIED,
            Class::CannotOpen => Self::CTALK_CANNOT_OPEN,
            Class::NotTrusted => Self::CTALK_NOT_TRUSTED,
            Class::RelayUnreachable => Self::CTALK_RELAY_UNREACHABLE,
            Class::RelayRefused => Self::CTALK_RELAY_REFUSED,
            Class::LocalStore => Self::CTALK_STORE_FAILED,
            Class::SetAside => Self::CTALK_SET_ASIDE,
            Class::Malformed => Self::CTALK_MALFORMED,
            Class::RemoteFailed => Self::CTALK_REMOTE_FAILED,
            Class::TimedOut => Self::CTALK_TIMED_OUT,
            Class::Refused => Self::CTALK_REFUSED,
            Class::Interrupted => Self::CTALK_INTERRUPTED,
            // Also what a later version of the client may add.
            _ => Self::CTALK_UNEXPECTED,
        }
    }

    /// The code of what a client met, where that has one of its own.
    pub(crate) const fn of_error(error: &ctalk::Error) -> Self {
        use ctalk::Error;
        match error {
            Error::KeyChanged { .. } => Self::CTALK_KEY_CHANGED,
            Error::UnknownContact { .. } => Self::CTALK_UNKNOWN_CONTACT,
            Error::CardNotCurrent { .. } => Self::CTALK_CARD_NOT_CURRENT,
            Error::Queued { .. } => Self::CTALK_QUEUED,
            Error::LeaseLost => Self::CTALK_LEASE_LOST,
            Error::NotAsked => Self::CTALK_NOT_ASKED,
            other => Self::of(other.class()),
        }
    }

    /// The code of a class of refused cards and envelopes.
    pub(crate) const fn of_failure(failure: Failure) -> Self {
        match failure {
            Failure::Newer => Self::CTALK_NEWER,
            Failure::NotVerified => Self::CTALK_NOT_VERIFIED,
            Failure::Expired => Self::CTALK_EXPIRED,
            Failure::NotForMe => Self::CTALK_NOT_FOR_ME,
            Failure::CannotOpen => Self::CTALK_CANNOT_OPEN,
            // Also what a later version of the core may add.
            _ => Self::CTALK_MALFORMED,
        }
    }
}

/// The class of a code: the exit code with which the command line ends for the same reason (1 unexpected,
/// 2 usage, 3 not verified, 4 cannot open, 5 not trusted, 6 relay unreachable, 7 relay refused, 8 key
/// store or local store, 9 some messages were set aside, 10 malformed, 11 remote handler failed, 12 timed
/// out, 13 refused by the peer or a policy, 130 interrupted); 0 for CTALK_OK and for what is no code.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_code_class(code: u32) -> u32 {
    guard_value(0, || Some(Code::from_number(code)?.class()?.code().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line is added here with each code, and none is ever changed or removed.
    #[test]
    fn no_number_was_reused_or_moved() {
        let listed = include_str!("../codes.txt");
        let table: String = Code::ALL
            .iter()
            .map(|code| {
                let class = code.class().map_or("-", Class::as_str);
                format!("{} {code:?} {class}\n", code.number())
            })
            .collect();
        assert_eq!(table, listed);
    }

    #[test]
    fn every_code_is_found_by_its_number() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(*code));
        }
        assert!(Code::ALL.is_sorted());
        assert_eq!(ctalk_code_class(0), 0);
        assert_eq!(ctalk_code_class(u32::MAX), 0);
        assert_eq!(ctalk_code_class(202), 3);
    }

    #[test]
    fn the_general_code_of_a_class_is_of_that_class() {
        for class in Class::ALL {
            assert_eq!(Code::of(class).class(), Some(class));
        }
    }

    #[test]
    fn a_refused_envelope_has_one_class_in_both_tables() {
        for failure in [
            Failure::Malformed,
            Failure::Newer,
            Failure::NotVerified,
            Failure::Expired,
            Failure::NotForMe,
            Failure::CannotOpen,
        ] {
            assert_eq!(
                Code::of_failure(failure).class(),
                Some(Class::of(failure)),
                "{failure}"
            );
        }
    }
}
