//! Opening: one thread reads and verifies, the other opens and writes.

use std::{
    io::{Read, Write},
    mem, panic,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
};

use ctalk_core::{
    Identity, Timestamp,
    envelope::{
        Metadata, OpenedSegment, Opening, ParseError, Segment, SegmentVerifier, VerifiedHeader,
        VerifiedSegment,
    },
};

use super::{
    WAITING,
    error::StreamError,
    incoming::{Incoming, Segments},
};

/// An envelope that was opened to its end.
#[derive(Debug)]
pub struct Opened {
    /// What the sender signed about the envelope.
    pub header: VerifiedHeader,
    /// What the sender says about the payload.
    pub metadata: Metadata,
    /// Bytes of the payload.
    pub length: u64,
}

/// Opens the envelope that the reader has, provided that it is alive at `now`. Changes no state.
///
/// `decide` sees the verified sender before any key of `identity` is used, and can refuse it. Each
/// segment of the payload is written once its signature and its tag were checked, so when the call
/// fails, what was written is the beginning of what the sender sealed. `progress` is told how many
/// bytes of the payload were written so far.
///
/// # Errors
///
/// What `decide` returned, and any [`StreamError`] but [`StreamError::Seal`].
///
/// # Panics
///
/// When the reader does.
pub fn open<E: From<StreamError>>(
    identity: &Identity,
    now: Timestamp,
    reader: impl Read + Send + 'static,
    mut writer: impl Write,
    decide: impl FnOnce(&VerifiedHeader) -> Result<(), E>,
    progress: impl FnMut(u64),
) -> Result<Opened, E> {
    let Incoming {
        header,
        mut segments,
        ..
    } = Incoming::begin(reader)?;
    let first = next(&mut segments, Vec::new())?;
    let (header, first, verifier) = header.verify(first).map_err(StreamError::from)?;
    decide(&header)?;
    let last = first.is_last();
    let opening = header
        .open(identity, now, first)
        .map_err(StreamError::from)?;
    let rest = (!last).then_some((segments, verifier));
    let (metadata, length) = release(opening, rest, &mut writer, progress)?;
    Ok(Opened {
        header,
        metadata,
        length,
    })
}

/// Writes the payload, and returns what the sender says about it and how long it is.
fn release(
    opening: Opening,
    rest: Option<(Segments, SegmentVerifier)>,
    writer: &mut impl Write,
    mut progress: impl FnMut(u64),
) -> Result<(Metadata, u64), StreamError> {
    let Opening {
        metadata,
        first,
        rest: mut opener,
    } = opening;
    let mut total = 0;
    let mut write = |segment: OpenedSegment| {
        let payload = segment.payload();
        writer.write_all(payload).map_err(StreamError::Write)?;
        total += payload.len() as u64;
        progress(total);
        Ok::<_, StreamError>(segment.into_buffer())
    };
    let buffer = write(first)?;
    if let Some((segments, verifier)) = rest {
        let (verified, to_open) = mpsc::sync_channel(WAITING);
        let (used, free) = mpsc::channel();
        let thread = thread::Builder::new()
            .spawn(move || verify(segments, verifier, &verified, &free))
            .map_err(StreamError::Thread)?;
        let mut complete = false;
        // The other thread may have ended, here and below.
        let _ = used.send(buffer);
        for segment in to_open {
            let segment = opener.open(segment)?;
            complete = segment.is_last();
            let _ = used.send(write(segment)?);
        }
        match thread.join() {
            Ok(outcome) => outcome?,
            Err(payload) => panic::resume_unwind(payload),
        }
        if !complete {
            return Err(ParseError::Truncated.into());
        }
    }
    writer.flush().map_err(StreamError::Write)?;
    Ok((metadata, total))
}

/// Ends early when nobody takes the segments any more, which the other thread has a reason for.
fn verify(
    mut segments: Segments,
    mut verifier: SegmentVerifier,
    verified: &SyncSender<VerifiedSegment<'static>>,
    free: &Receiver<Vec<u8>>,
) -> Result<(), StreamError> {
    loop {
        let segment = next(&mut segments, free.try_recv().unwrap_or_default())?;
        let segment = verifier.verify(segment)?;
        let last = segment.is_last();
        if verified.send(segment).is_err() || last {
            return Ok(());
        }
    }
}

pub(super) fn next(
    segments: &mut Segments,
    mut buffer: Vec<u8>,
) -> Result<Segment<'static>, StreamError> {
    let last = segments.read(&mut buffer)?;
    Ok(Segment::parse(mem::take(&mut buffer), last)?)
}
