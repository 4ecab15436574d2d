//! Sealing: one thread reads and encrypts, the other signs and writes.

use std::{
    io::{BufWriter, Read, Write},
    panic,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
};

use base64::write::EncoderWriter;
use ctalk_core::envelope::{
    EncryptedSegment, PlainSegment, SealError, Sealing, SegmentCipher, TEXT_PREFIX,
};

use super::{
    WAITING,
    error::StreamError,
    form::{BASE64_URL, Form, fill},
};

/// Seals everything that the reader has. Returns how many bytes that were; `progress` is told how
/// many it were so far. The text form ends with a line feed.
///
/// # Errors
///
/// [`StreamError::Read`], [`StreamError::Write`], [`StreamError::Thread`] or
/// [`StreamError::Seal`]. What was written until then is no envelope.
///
/// # Panics
///
/// When the reader does.
pub fn seal(
    sealing: Sealing<'_>,
    form: Form,
    reader: impl Read + Send + 'static,
    mut writer: impl Write,
    progress: impl FnMut(u64),
) -> Result<u64, StreamError> {
    written_as(form, &mut writer, |writer| {
        pump(sealing, reader, writer, progress)
    })
}

/// Runs `seal` with a writer that brings its bytes into this form.
pub(super) fn written_as(
    form: Form,
    writer: &mut impl Write,
    seal: impl FnOnce(&mut dyn Write) -> Result<u64, StreamError>,
) -> Result<u64, StreamError> {
    let length = match form {
        Form::Binary => seal(writer)?,
        Form::Text => {
            let write = StreamError::Write;
            let mut line = BufWriter::with_capacity(1 << 16, &mut *writer);
            line.write_all(TEXT_PREFIX.as_bytes()).map_err(write)?;
            let mut encoder = EncoderWriter::new(line, &BASE64_URL);
            let length = seal(&mut encoder)?;
            let mut line = encoder.finish().map_err(write)?;
            line.write_all(b"\n").map_err(write)?;
            line.flush().map_err(write)?;
            length
        }
    };
    writer.flush().map_err(StreamError::Write)?;
    Ok(length)
}

fn pump(
    sealing: Sealing<'_>,
    reader: impl Read + Send + 'static,
    writer: &mut dyn Write,
    mut progress: impl FnMut(u64),
) -> Result<u64, StreamError> {
    let Sealing {
        header,
        first,
        cipher,
        mut signer,
        ..
    } = sealing;
    writer.write_all(&header).map_err(StreamError::Write)?;
    let (encrypted, to_sign) = mpsc::sync_channel(WAITING);
    let (used, free) = mpsc::channel();
    let thread = thread::Builder::new()
        .spawn(move || encrypt(reader, first, cipher, &encrypted, free))
        .map_err(StreamError::Thread)?;
    let mut total = 0;
    for Encrypted { segment, length } in to_sign {
        let bytes = signer.sign(segment)?;
        writer.write_all(&bytes).map_err(StreamError::Write)?;
        total += length;
        progress(total);
        // The other thread may have ended.
        let _ = used.send(bytes);
    }
    match thread.join() {
        Ok(outcome) => outcome.map(|()| total),
        Err(payload) => panic::resume_unwind(payload),
    }
}

struct Encrypted {
    segment: EncryptedSegment,
    /// Bytes of the reader in it.
    length: u64,
}

/// Ends early when nobody takes the segments any more, which the other thread has a reason for.
fn encrypt(
    mut reader: impl Read,
    mut segment: PlainSegment,
    mut cipher: SegmentCipher,
    encrypted: &SyncSender<Encrypted>,
    free: Receiver<Vec<u8>>,
) -> Result<(), StreamError> {
    let send = |segment: Result<EncryptedSegment, SealError>, length| {
        let segment = segment?;
        Ok::<_, StreamError>(encrypted.send(Encrypted { segment, length }).is_ok())
    };
    let mut length;
    loop {
        let filled = fill(&mut reader, segment.free())?;
        segment.advance(filled);
        length = filled as u64;
        if !segment.is_full() {
            break;
        }
        if !send(cipher.encrypt(segment), length)? {
            return Ok(());
        }
        segment = PlainSegment::reusing(free.try_recv().unwrap_or_default());
    }
    // Padding takes no buffers back, and there can be much of it.
    drop(free);
    for segment in cipher.finish(segment) {
        if !send(segment, length)? {
            return Ok(());
        }
        length = 0;
    }
    Ok(())
}
