//! Bytes that the library hands over, and views into what handles hold.

use std::ptr;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    code::Code,
    error::Fault,
    guard::guard_value,
    handle::{self, Opaque},
};

/// Bytes, or a text in UTF-8, that the library made. Owned by whoever got it; freed with
/// ctalk_bytes_free, which wipes what is secret.
pub struct ctalk_bytes {
    _private: [u8; 0],
}

impl Opaque for ctalk_bytes {
    type Value = Bytes;
    const NAME: &'static str = "ctalk_bytes";
}

/// What is behind [`ctalk_bytes`].
pub(crate) enum Bytes {
    Plain(Vec<u8>),
    /// Wiped when freed.
    Secret(Zeroizing<Vec<u8>>),
}

impl Bytes {
    /// A structured answer, in the shape that the command line prints with `--json`.
    pub(crate) fn json(value: &impl Serialize) -> Result<Self, Fault> {
        to_json(value).map(Self::Plain)
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Secret(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Plain(bytes)
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        Self::Plain(text.into_bytes())
    }
}

impl From<Zeroizing<Vec<u8>>> for Bytes {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self::Secret(bytes)
    }
}

impl From<Zeroizing<String>> for Bytes {
    fn from(mut text: Zeroizing<String>) -> Self {
        Self::Secret(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
    }
}

/// The text of [`Bytes::json`].
pub(crate) fn to_json(value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(|error| Fault::new(Code::CTALK_UNEXPECTED, error.to_string()))
}

/// A view of bytes, or of a text in UTF-8, that belongs to a handle and is valid as long as it. There is
/// no zero byte at its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctalk_slice {
    /// The first byte; NULL for what is absent, but not for what is there and empty.
    pub data: *const u8,
    /// How many bytes there are.
    pub len: usize,
}

impl ctalk_slice {
    /// What is absent.
    pub(crate) const NONE: Self = Self {
        data: ptr::null(),
        len: 0,
    };

    /// A view of what a handle holds. It outlives the borrow: the value stays where it is until its
    /// handle is freed.
    pub(crate) const fn of(bytes: &[u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            len: bytes.len(),
        }
    }
}

/// The first byte; NULL for what is no ctalk_bytes.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_bytes_data(bytes: *const ctalk_bytes) -> *const u8 {
    guard_value(ptr::null(), || {
        Some(handle::find(bytes)?.as_slice().as_ptr())
    })
}

/// How many bytes there are; 0 for what is no ctalk_bytes.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_bytes_len(bytes: *const ctalk_bytes) -> usize {
    guard_value(0, || Some(handle::find(bytes)?.as_slice().len()))
}

/// Frees bytes. NULL is allowed, and freeing twice does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_bytes_free(bytes: *mut ctalk_bytes) {
    guard_value((), || {
        handle::free(bytes);
        Some(())
    });
}
