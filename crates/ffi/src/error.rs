//! Failures, as Rust passes them on and as C holds them.

use std::fmt::Display;

use ctalk::{Class, ProfileError, keystore::KeystoreError, store::StoreError};

use crate::{
    bytes::ctalk_slice,
    code::Code,
    guard::guard_value,
    handle::{self, Opaque},
};

/// Why a call failed. Owned by whoever got it; freed with ctalk_error_free.
pub struct ctalk_error {
    _private: [u8; 0],
}

impl Opaque for ctalk_error {
    type Value = Fault;
    const NAME: &'static str = "ctalk_error";
}

/// A failed call: the number and a text without secrets.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A NULL where `what` is needed.
    pub(crate) fn null(what: &str) -> Self {
        Self::new(Code::CTALK_NULL_POINTER, format!("{what} is NULL"))
    }

    /// A failure that has no code of its own.
    pub(crate) fn of(class: Class, error: &impl Display) -> Self {
        Self::new(Code::of(class), error.to_string())
    }
}

impl From<KeystoreError> for Fault {
    fn from(error: KeystoreError) -> Self {
        let code = match error {
            KeystoreError::Missing { .. } => Code::CTALK_NO_KEY_STORE,
            KeystoreError::AlreadyExists { .. } => Code::CTALK_KEY_STORE_EXISTS,
            KeystoreError::PassphraseMissing
            | KeystoreError::PassphraseEmpty
            | KeystoreError::PassphraseFile { .. }
            | KeystoreError::WrongPassphrase { .. } => Code::CTALK_BAD_PASSPHRASE,
            KeystoreError::KeyringUnavailable { .. }
            | KeystoreError::KeyringLocked { .. }
            | KeystoreError::KeyringEntryMissing { .. } => Code::CTALK_KEYRING_FAILED,
            KeystoreError::UnsafePermissions { .. } => Code::CTALK_UNSAFE_PERMISSIONS,
            // Also what a later version of the client may add.
            _ => Code::CTALK_KEY_STORE_FAILED,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ProfileError> for Fault {
    fn from(error: ProfileError) -> Self {
        let code = match error {
            ProfileError::Missing { .. } => Code::CTALK_NO_PROFILE,
            ProfileError::Exists { .. } => Code::CTALK_PROFILE_EXISTS,
            ref other => Code::of(other.class()),
        };
        Self::new(code, error.to_string())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        ctalk::Error::from(error).into()
    }
}

impl From<ctalk::Error> for Fault {
    fn from(error: ctalk::Error) -> Self {
        match error {
            ctalk::Error::Keystore(error) => error.into(),
            ctalk::Error::Profile(error) => error.into(),
            ctalk::Error::Card(error) => error.into(),
            ctalk::Error::Keygen(error) => error.into(),
            ctalk::Error::Envelope(error) => error.into(),
            other => Self::new(Code::of_error(&other), other.to_string()),
        }
    }
}

/// The code that the call returned.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_error_code(error: *const ctalk_error) -> u32 {
    guard_value(0, || Some(handle::find(error)?.code.number()))
}

/// The class of the code; see ctalk_code_class.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_error_class(error: *const ctalk_error) -> u32 {
    guard_value(0, || Some(handle::find(error)?.code.class()?.code().into()))
}

/// What went wrong, for people: UTF-8 in one line, without secrets. Valid as long as the error.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_error_message(error: *const ctalk_error) -> ctalk_slice {
    guard_value(ctalk_slice::NONE, || {
        Some(ctalk_slice::of(handle::find(error)?.message.as_bytes()))
    })
}

/// Frees an error. NULL is allowed, and freeing twice does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_error_free(error: *mut ctalk_error) {
    guard_value((), || {
        handle::free(error);
        Some(())
    });
}
