//! Sealing and opening on the calling thread alone: for callers whose readers and writers may be used on
//! no other.

use std::io::{Read, Write};

use ctalk_core::{
    Identity, Timestamp,
    envelope::{OpenedSegment, Opening, PlainSegment, Sealing, VerifiedHeader},
};

use super::{
    error::StreamError,
    form::{Form, fill},
    incoming::Incoming,
    open::{Opened, next},
    seal::written_as,
};

/// As [`seal()`](super::seal()), without a second thread and in up to twice the time.
///
/// # Errors
///
/// [`StreamError::Read`], [`StreamError::Write`] or [`StreamError::Seal`]. What was written until then is
/// no envelope.
pub fn seal_alone(
    sealing: Sealing<'_>,
    form: Form,
    mut reader: impl Read,
    mut writer: impl Write,
) -> Result<u64, StreamError> {
    written_as(form, &mut writer, |writer| {
        pump(sealing, &mut reader, writer)
    })
}

fn pump(
    sealing: Sealing<'_>,
    reader: &mut impl Read,
    writer: &mut dyn Write,
) -> Result<u64, StreamError> {
    let Sealing {
        header,
        first: mut segment,
        mut cipher,
        mut signer,
        ..
    } = sealing;
    writer.write_all(&header).map_err(StreamError::Write)?;
    let mut total = 0;
    loop {
        let filled = fill(reader, segment.free())?;
        segment.advance(filled);
        total += filled as u64;
        if !segment.is_full() {
            break;
        }
        let bytes = signer.sign(cipher.encrypt(segment)?)?;
        writer.write_all(&bytes).map_err(StreamError::Write)?;
        segment = PlainSegment::reusing(bytes);
    }
    for segment in cipher.finish(segment) {
        let bytes = signer.sign(segment?)?;
        writer.write_all(&bytes).map_err(StreamError::Write)?;
    }
    Ok(total)
}

/// As [`open()`](super::open()), without a second thread and in up to twice the time. The reader is
/// dropped before this returns.
///
/// # Errors
///
/// Those of [`open()`](super::open()) but for [`StreamError::Thread`].
pub fn open_alone<E: From<StreamError>>(
    identity: &Identity,
    now: Timestamp,
    reader: impl Read + Send + 'static,
    mut writer: impl Write,
    decide: impl FnOnce(&VerifiedHeader) -> Result<(), E>,
) -> Result<Opened, E> {
    let Incoming {
        header,
        mut segments,
        ..
    } = Incoming::begin(reader)?;
    let first = next(&mut segments, Vec::new())?;
    let (header, first, mut verifier) = header.verify(first).map_err(StreamError::from)?;
    decide(&header)?;
    let Opening {
        metadata,
        first,
        rest: mut opener,
    } = header
        .open(identity, now, first)
        .map_err(StreamError::from)?;
    let mut length = 0;
    let mut write = |segment: OpenedSegment| {
        let payload = segment.payload();
        writer.write_all(payload).map_err(StreamError::Write)?;
        length += payload.len() as u64;
        Ok::<_, StreamError>(segment.into_buffer())
    };
    let mut last = first.is_last();
    let mut buffer = write(first)?;
    while !last {
        let segment = next(&mut segments, buffer)?;
        let segment = verifier.verify(segment).map_err(StreamError::from)?;
        let segment = opener.open(segment).map_err(StreamError::from)?;
        last = segment.is_last();
        buffer = write(segment)?;
    }
    writer.flush().map_err(StreamError::Write)?;
    Ok(Opened {
        header,
        metadata,
        length,
    })
}
