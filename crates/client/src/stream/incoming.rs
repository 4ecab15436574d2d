//! An envelope as it comes in: the header, then segment by segment.

use std::io::Read;

use ctalk_core::envelope::{HEADER_START_LEN, Header, SEGMENT_LEN};

use super::{
    error::StreamError,
    form::{self, Form, fill},
};

/// An envelope of which the header was read.
pub(super) struct Incoming {
    pub(super) form: Form,
    pub(super) header: Header,
    pub(super) segments: Segments,
}

impl Incoming {
    pub(super) fn begin(reader: impl Read + Send + 'static) -> Result<Self, StreamError> {
        let (form, mut reader) = form::recognise(reader)?;
        let mut bytes = vec![0; HEADER_START_LEN];
        let start = fill(&mut reader, &mut bytes)?;
        bytes.truncate(start);
        // At most some 1.2 MB, whatever the bytes say.
        bytes.resize(Header::length(&bytes)?, 0);
        let rest = fill(&mut reader, bytes.get_mut(start..).unwrap_or_default())?;
        bytes.truncate(start + rest);
        let (header, _) = Header::parse(&bytes)?;
        Ok(Self {
            form,
            header,
            segments: Segments {
                reader,
                ahead: None,
            },
        })
    }
}

/// The body of an envelope.
pub(super) struct Segments {
    reader: Box<dyn Read + Send>,
    /// The first byte of the next segment. Reading it tells whether there is one.
    ahead: Option<u8>,
}

impl Segments {
    /// Reads the next segment into the buffer, in place of what it held, and says whether it is
    /// the last.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>) -> Result<bool, StreamError> {
        buffer.resize(SEGMENT_LEN, 0);
        let mut filled = 0;
        if let (Some(byte), Some(first)) = (self.ahead.take(), buffer.first_mut()) {
            *first = byte;
            filled = 1;
        }
        filled += fill(
            &mut self.reader,
            buffer.get_mut(filled..).unwrap_or_default(),
        )?;
        buffer.truncate(filled);
        let mut ahead = [0];
        if filled == SEGMENT_LEN && fill(&mut self.reader, &mut ahead)? == 1 {
            self.ahead = Some(ahead[0]);
        }
        Ok(self.ahead.is_none())
    }
}
