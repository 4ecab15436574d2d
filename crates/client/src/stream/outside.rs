//! What those see of an envelope who cannot open it.

use std::io::Read;

use ctalk_core::envelope::{Claims, SEGMENT_LEN, SLOT_LEN, Segment, VerifiedHeader};

use super::{error::StreamError, form::Form, incoming::Incoming};

/// Checks the signatures of a whole envelope without opening it. `progress` is told how many bytes
/// of the body were checked so far.
///
/// # Errors
///
/// [`StreamError::Read`], [`StreamError::Surrounded`], [`StreamError::Text`],
/// [`StreamError::Parse`] and [`StreamError::NotVerified`].
pub fn verify(
    reader: impl Read + Send + 'static,
    mut progress: impl FnMut(u64),
) -> Result<VerifiedHeader, StreamError> {
    let Incoming {
        header,
        mut segments,
        ..
    } = Incoming::begin(reader)?;
    let mut buffer = Vec::new();
    let mut last = segments.read(&mut buffer)?;
    let mut total = buffer.len() as u64;
    let (header, _, mut verifier) = header.verify(Segment::parse(buffer.as_slice(), last)?)?;
    progress(total);
    while !last {
        last = segments.read(&mut buffer)?;
        total += buffer.len() as u64;
        verifier.verify(Segment::parse(buffer.as_slice(), last)?)?;
        progress(total);
    }
    Ok(header)
}

/// What everybody sees of an envelope. Nothing of it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// How it is written.
    pub form: Form,
    /// What it says of itself.
    pub claims: Claims,
    /// How many segments it has.
    pub segments: u32,
    /// Bytes of content and padding together: about how long the content is.
    pub padded_len: u64,
}

/// Reads an envelope by its grammar alone. `progress` is told how many bytes of the body were read
/// so far.
///
/// # Errors
///
/// [`StreamError::Read`], [`StreamError::Surrounded`], [`StreamError::Text`] and
/// [`StreamError::Parse`].
pub fn inspect(
    reader: impl Read + Send + 'static,
    mut progress: impl FnMut(u64),
) -> Result<Outside, StreamError> {
    let Incoming {
        form,
        header,
        mut segments,
    } = Incoming::begin(reader)?;
    let mut outside = Outside {
        form,
        claims: *header.claims(),
        segments: 0,
        padded_len: 0,
    };
    let mut buffer = Vec::new();
    let mut total = 0;
    loop {
        let last = segments.read(&mut buffer)?;
        let length = buffer.len();
        Segment::parse(buffer.as_slice(), last)?;
        outside.segments = outside.segments.saturating_add(1);
        // Parsing refused every segment that is shorter than what is not its slot.
        outside.padded_len += (length + SLOT_LEN).saturating_sub(SEGMENT_LEN) as u64;
        total += length as u64;
        progress(total);
        if last {
            return Ok(outside);
        }
    }
}
