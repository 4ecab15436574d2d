//! The two forms of an envelope, and reading whichever it is.

use std::io::{self, BufRead, BufReader, Read};

use base64::{
    DecodeError,
    engine::general_purpose::{GeneralPurpose, URL_SAFE_NO_PAD},
    read::DecoderReader,
};
use ctalk_core::{
    CARD_PREFIX,
    envelope::{ParseError, TEXT_PREFIX, TextError},
};

use super::error::StreamError;

/// The alphabet of the one-line form. It refuses padding and unused bits that are not zero.
pub(super) const BASE64_URL: GeneralPurpose = URL_SAFE_NO_PAD;

/// How an envelope is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As bytes.
    Binary,
    /// As one line of text, a third longer.
    Text,
}

/// Recognises the form by the first bytes; returns it with a reader of the envelope's bytes.
pub(super) fn recognise(
    mut reader: impl Read + Send + 'static,
) -> Result<(Form, Box<dyn Read + Send>), StreamError> {
    let mut start = [0; TEXT_PREFIX.len()];
    let length = fill(&mut reader, &mut start)?;
    let start = start.get(..length).unwrap_or_default().to_vec();
    if start == TEXT_PREFIX.as_bytes() {
        let line = Line {
            reader: BufReader::with_capacity(1 << 16, reader),
        };
        let bytes = DecoderReader::new(line, &BASE64_URL);
        return Ok((Form::Text, Box::new(bytes)));
    }
    if start.len() == TEXT_PREFIX.len() && CARD_PREFIX.as_bytes().starts_with(&start) {
        return Err(ParseError::WrongKind { found: b'c' }.into());
    }
    let is_around = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'>';
    let around = start.iter().take_while(|byte| is_around(byte)).count();
    let rest = start.get(around..).unwrap_or_default();
    if around > 0 && TEXT_PREFIX.as_bytes().starts_with(rest) {
        return Err(StreamError::Surrounded);
    }
    Ok((Form::Binary, Box::new(io::Cursor::new(start).chain(reader))))
}

/// Reads until the buffer is full or nothing is left; returns how many bytes it read.
pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, StreamError> {
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match reader.read(free) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read_error(error)),
        }
    }
    Ok(filled)
}

/// Tells a text that is no base64 from a reader that failed.
fn read_error(error: io::Error) -> StreamError {
    match error.get_ref() {
        Some(inner) if inner.is::<DecodeError>() || inner.is::<TextError>() => {
            TextError::Alphabet.into()
        }
        _ => StreamError::Read(error),
    }
}

/// One line without its end, after which nothing may follow.
struct Line<R> {
    reader: BufReader<R>,
}

impl<R: Read> Read for Line<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.reader.fill_buf()?;
        let most = available.len().min(buffer.len());
        let mut line = available
            .get(..most)
            .unwrap_or_default()
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .next()
            .unwrap_or_default();
        let length = line.len();
        if length == 0 && most > 0 {
            let mut end = Vec::with_capacity(3);
            self.reader.by_ref().take(3).read_to_end(&mut end)?;
            if end != b"\n" && end != b"\r\n" {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    TextError::Alphabet,
                ));
            }
            return Ok(0);
        }
        line.read_exact(buffer.get_mut(..length).unwrap_or_default())?;
        self.reader.consume(length);
        Ok(length)
    }
}
