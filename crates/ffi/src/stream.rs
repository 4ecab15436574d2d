//! Envelopes of any size, through callbacks.

use std::{
    ffi::{c_char, c_void},
    io::{self, Read, Write},
};

use ctalk::{core::envelope::Sealing, stream};

use crate::{
    bytes::{Bytes, ctalk_bytes},
    caller::Caller,
    card::ctalk_card,
    code::ctalk_code,
    envelope::{Named, Order},
    error::{Fault, ctalk_error},
    guard::guard,
    handle,
    identity::ctalk_identity,
    shown,
};

/// Reads the next bytes of a stream: at most `capacity` into `buffer`, and writes how many they were to
/// `length`, 0 only at the end. Returns 0, or anything else to fail. Called on the thread of the call it
/// was given to, and never after that returned. It must return, and must not throw, jump out of the call
/// or use its handles up: nothing else ends a call whose callback hangs.
pub type ctalk_read = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        buffer: *mut u8,
        capacity: usize,
        length: *mut usize,
    ) -> u32,
>;

/// Takes the next bytes of a stream, all of them. Returns 0, or anything else to fail. Called on the
/// thread of the call it was given to, and never after that returned. It must return, and must not throw,
/// jump out of the call or use its handles up: nothing else ends a call whose callback hangs.
pub type ctalk_write =
    Option<unsafe extern "C" fn(user: *mut c_void, data: *const u8, length: usize) -> u32>;

/// A callback for reading with the pointer that belongs to it.
struct Reader {
    read: unsafe extern "C" fn(*mut c_void, *mut u8, usize, *mut usize) -> u32,
    user: *mut c_void,
}

// SAFETY: the functions that take one here use it on the calling thread alone, and drop it before they
// return; `Send` is asked for where other functions of the same module do otherwise.
unsafe impl Send for Reader {}

impl Reader {
    fn new(read: ctalk_read, user: *mut c_void) -> Result<Self, Fault> {
        let read = read.ok_or_else(|| Fault::null("the callback for reading"))?;
        Ok(Self { read, user })
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What a callback that writes none leaves there fits into no buffer.
        let mut length = usize::MAX;
        // SAFETY: the caller promised a function of this shape that keeps to the header; `buffer` is
        // writable for as long as it says, and `length` is a place for one number.
        let code = unsafe {
            (self.read)(
                self.user,
                buffer.as_mut_ptr(),
                buffer.len(),
                &raw mut length,
            )
        };
        if code != 0 {
            return Err(io::Error::other(format!("the callback returned {code}")));
        }
        if length == usize::MAX {
            let text = "the callback did not say how many bytes it read";
            return Err(io::Error::other(text));
        }
        if length > buffer.len() {
            let text = format!("the callback read {length} bytes into {}", buffer.len());
            return Err(io::Error::other(text));
        }
        Ok(length)
    }
}

/// A callback for writing with the pointer that belongs to it.
struct Writer {
    write: unsafe extern "C" fn(*mut c_void, *const u8, usize) -> u32,
    user: *mut c_void,
}

impl Writer {
    fn new(write: ctalk_write, user: *mut c_void) -> Result<Self, Fault> {
        let write = write.ok_or_else(|| Fault::null("the callback for writing"))?;
        Ok(Self { write, user })
    }
}

impl Write for Writer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        // SAFETY: the caller promised a function of this shape that keeps to the header; `data` is
        // readable for as long as it says.
        let code = unsafe { (self.write)(self.user, data.as_ptr(), data.len()) };
        if code != 0 {
            return Err(io::Error::other(format!("the callback returned {code}")));
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As ctalk_envelope_seal, from one callback to another in constant memory, on the calling thread. What
/// was written before a failure is no envelope. The JSON, for which there need be no place, has `id`,
/// `created`, `expires`, `recipients` and `bytes`. CTALK_READ_FAILED or CTALK_WRITE_FAILED where a
/// callback failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_envelope_seal_stream(
    identity: *const ctalk_identity,
    recipients: *const *const ctalk_card,
    recipients_count: usize,
    options: *const c_char,
    options_len: usize,
    read: ctalk_read,
    read_user: *mut c_void,
    write: ctalk_write,
    write_user: *mut c_void,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out_or_none(out)?;
        let order = Order::read(
            caller,
            identity,
            recipients,
            recipients_count,
            options,
            options_len,
        )?;
        let (reader, writer) = (
            Reader::new(read, read_user)?,
            Writer::new(write, write_user)?,
        );
        let sealing = Sealing::new(
            &order.own.identity,
            order.recipients(),
            &order.metadata,
            order.created,
            order.expires,
            &mut crate::rng(),
        )?;
        let id = sealing.id.to_string();
        let bytes = stream::seal_alone(sealing, order.form, reader, writer)?;
        if let Some(out) = out {
            out.put(Bytes::json(&shown::Sealed {
                id,
                created: shown::shown_time(order.created),
                expires: shown::shown_time(order.expires),
                recipients: order.recipients().len(),
                bytes,
            })?);
        }
        Ok(())
    })
}

/// As ctalk_envelope_open, from one callback to another in constant memory, on the calling thread. Each
/// part of the payload is written once its own signature and tag were checked; after a failure, what was
/// written is the beginning of what the sender sealed and no more. The JSON, for which there need be no
/// place, is that of ctalk_opened_json.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_envelope_open_stream(
    identity: *const ctalk_identity,
    from: *const ctalk_card,
    now: u64,
    read: ctalk_read,
    read_user: *mut c_void,
    write: ctalk_write,
    write_user: *mut c_void,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let own = handle::get(identity)?;
        let out = caller.out_or_none(out)?;
        let named = Named::get(from)?;
        let now = shown::time_or_now(now)?;
        let (reader, writer) = (
            Reader::new(read, read_user)?,
            Writer::new(write, write_user)?,
        );
        let opened = stream::open_alone(&own.identity, now, reader, writer, |header| {
            named.check(header)
        })?;
        if let Some(out) = out {
            let verified = shown::Verified::new(&opened.header, named.is_given());
            let shown = shown::Opened::new(&verified, &opened.metadata, opened.length);
            out.put(Bytes::json(&shown)?);
        }
        Ok(())
    })
}

/// As ctalk_envelope_verify, from a callback in constant memory, on the calling thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_envelope_verify_stream(
    read: ctalk_read,
    read_user: *mut c_void,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let header = stream::verify(Reader::new(read, read_user)?, |_| ())?;
        out.put(Bytes::json(&shown::Verified::new(&header, false))?);
        Ok(())
    })
}

/// As ctalk_envelope_inspect, from a callback in constant memory, on the calling thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_envelope_inspect_stream(
    read: ctalk_read,
    read_user: *mut c_void,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let outside = stream::inspect(Reader::new(read, read_user)?, |_| ())?;
        out.put(Bytes::json(&shown::Outside::new(&outside))?);
        Ok(())
    })
}
