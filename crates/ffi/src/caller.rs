//! Reading and writing what C points to: nearly all of the `unsafe` there is.

use std::{ffi::c_char, marker::PhantomData, ptr, slice, sync::Arc};

use crate::{
    code::Code,
    error::{Fault, ctalk_error},
    handle::{self, Opaque},
};

/// Proof that the caller of the running export promised to keep the rules at the top of `ctalk.h`. Only
/// through one are pointers used, and what is read through it cannot outlive it.
pub(crate) struct Caller {
    error: *mut *mut ctalk_error,
}

impl Caller {
    /// Takes the caller at its word.
    ///
    /// # Safety
    ///
    /// For as long as the value lives, every pointer that is given to its methods, and `error`, is NULL
    /// or an argument of the running export with the length that belongs to it, and points to what
    /// `ctalk.h` says: input to that many readable and initialised bytes or elements that nobody
    /// changes meanwhile, output to a place that is writable and that nobody else uses meanwhile.
    pub(crate) const unsafe fn new(error: *mut *mut ctalk_error) -> Self {
        Self { error }
    }

    /// Input of `len` bytes, or none at all.
    pub(crate) fn bytes(&self, data: *const u8, len: usize) -> Result<&[u8], Fault> {
        self.elements(data, len)
    }

    /// Input of `len` bytes of UTF-8.
    pub(crate) fn text(&self, text: *const c_char, len: usize) -> Result<&str, Fault> {
        let bytes = self.bytes(text.cast(), len)?;
        str::from_utf8(bytes)
            .map_err(|_| Fault::new(Code::CTALK_NOT_UTF8, "a text argument is not UTF-8"))
    }

    /// As [`Self::text`], and `None` for NULL.
    pub(crate) fn text_or_none(
        &self,
        text: *const c_char,
        len: usize,
    ) -> Result<Option<&str>, Fault> {
        let text = (!text.is_null() || len > 0)
            .then(|| self.text(text, len))
            .transpose()?;
        Ok(text)
    }

    /// The values behind an array of `count` handles.
    pub(crate) fn handles<H: Opaque>(
        &self,
        handles: *const *const H,
        count: usize,
    ) -> Result<Vec<Arc<H::Value>>, Fault> {
        let handles = self.elements(handles, count)?;
        handles.iter().map(|handle| handle::get(*handle)).collect()
    }

    /// A place for a handle, which must be there.
    pub(crate) fn out<'c, H: Opaque>(&'c self, out: *mut *mut H) -> Result<Out<'c, H>, Fault> {
        if out.is_null() {
            return Err(Fault::null(&format!("the place for a {}", H::NAME)));
        }
        if !out.is_aligned() {
            let text = format!("the place for a {} is not aligned", H::NAME);
            return Err(Fault::new(Code::CTALK_BAD_ARGUMENT, text));
        }
        Ok(Out {
            place: out,
            caller: PhantomData,
        })
    }

    /// A place for a handle, where the caller wants one.
    pub(crate) fn out_or_none<'c, H: Opaque>(
        &'c self,
        out: *mut *mut H,
    ) -> Result<Option<Out<'c, H>>, Fault> {
        (!out.is_null()).then(|| self.out(out)).transpose()
    }

    /// Hands over an error, where there is a place for it.
    pub(crate) fn report(&self, fault: Fault) {
        if let Ok(out) = self.out(self.error) {
            out.put(fault);
        }
    }

    fn elements<T>(&self, data: *const T, count: usize) -> Result<&[T], Fault> {
        if count == 0 {
            return Ok(&[]);
        }
        if data.is_null() {
            return Err(Fault::null("an input with a length"));
        }
        if !data.is_aligned() {
            let text = "an array is not aligned";
            return Err(Fault::new(Code::CTALK_BAD_ARGUMENT, text));
        }
        let fits = count
            .checked_mul(size_of::<T>())
            .is_some_and(|bytes| isize::try_from(bytes).is_ok());
        if !fits {
            let text = format!("{count} elements are more than memory has");
            return Err(Fault::new(Code::CTALK_TOO_LONG, text));
        }
        // SAFETY: not NULL, aligned and of a possible length; that so many elements are there and stay
        // as they are while `self` lives was promised to `Self::new`.
        Ok(unsafe { slice::from_raw_parts(data, count) })
    }
}

/// A place for a handle. What is not put stays unwritten.
#[must_use]
pub(crate) struct Out<'c, H> {
    place: *mut *mut H,
    caller: PhantomData<&'c Caller>,
}

impl<H: Opaque> Out<'_, H> {
    /// Gives out a handle of `value`, which C owns from now on.
    pub(crate) fn put(self, value: H::Value) {
        self.write(handle::give(value));
    }

    /// Says that there is none.
    pub(crate) fn put_none(self) {
        self.write(ptr::null_mut());
    }

    fn write(self, handle: *mut H) {
        // SAFETY: not NULL and aligned, see `Caller::out`; that it is writable, and used by nobody
        // else, while the caller lives was promised to `Caller::new`.
        unsafe { ptr::write(self.place, handle) };
    }
}
