//! Base64: ClawTalk's with the standard alphabet and padding, and that of the one-line forms.

use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, general_purpose},
};

/// Non-zero bits after the last byte are tolerated, because the reference client tolerates them.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    general_purpose::PAD.with_decode_allow_trailing_bits(true),
);

/// Base64url without padding, as the one-line forms of cards, envelopes and pairing messages use
/// it: one text per value.
const BASE64_URL: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, general_purpose::NO_PAD);

/// Why a text is not the base64 that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base64Error {
    /// The text has another number of bytes than the value needs.
    Length {
        /// Bytes of base64 text needed.
        expected: usize,
        /// Bytes of base64 text found.
        found: usize,
    },
    /// A character outside the standard alphabet, or wrong padding.
    Alphabet,
}

/// Reads exactly `N` bytes into `bytes`; the length is checked before anything is decoded.
pub(crate) fn decode_into<const N: usize>(
    text: &str,
    bytes: &mut [u8; N],
) -> Result<(), Base64Error> {
    let expected = N.div_ceil(3) * 4;
    if text.len() != expected {
        return Err(Base64Error::Length {
            expected,
            found: text.len(),
        });
    }
    match BASE64.decode_slice(text, bytes) {
        Ok(length) if length == N => Ok(()),
        _ => Err(Base64Error::Alphabet),
    }
}

/// Reads a value of any length; the caller has bounded the text.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    BASE64.decode(text).map_err(|_| Base64Error::Alphabet)
}

/// Writes padded standard base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Appends padded standard base64.
pub(crate) fn encode_onto(bytes: &[u8], text: &mut String) {
    BASE64.encode_string(bytes, text);
}

/// Writes `prefix`, then base64url without padding.
pub(crate) fn encode_line(prefix: &str, bytes: &[u8]) -> String {
    let mut line = prefix.to_owned();
    BASE64_URL.encode_string(bytes, &mut line);
    line
}

/// Reads what [`encode_line`] writes and nothing else; the caller has bounded the text.
pub(crate) fn decode_line(prefix: &str, line: &str) -> Result<Vec<u8>, LineError> {
    let text = line.strip_prefix(prefix).ok_or(LineError::Prefix)?;
    BASE64_URL.decode(text).map_err(|_| LineError::Alphabet)
}

/// Why a text is not the one-line form that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineError {
    /// Another beginning.
    Prefix,
    /// A character outside the URL-safe alphabet, padding, or unused bits that are not zero.
    Alphabet,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_key(text: &str) -> Result<[u8; 32], Base64Error> {
        let mut bytes = [0; 32];
        decode_into(text, &mut bytes).map(|()| bytes)
    }

    #[test]
    fn a_key_decodes_to_its_bytes() {
        assert_eq!(
            decode_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="),
            {
                let mut bytes = [0; 32];
                bytes[31] = 1;
                Ok(bytes)
            }
        );
    }

    #[test]
    fn unused_trailing_bits_are_tolerated() {
        assert_eq!(
            decode_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB="),
            decode_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        );
    }

    #[test]
    fn other_alphabets_padding_and_white_space_are_refused() {
        for text in [
            "-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
            " AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=A",
            "=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(text.len(), 44);
            assert_eq!(decode_key(text), Err(Base64Error::Alphabet), "{text:?}");
        }
    }

    #[test]
    fn one_character_less_or_more_is_a_wrong_length() {
        for found in [0, 43, 45, 88] {
            let text = "A".repeat(found);
            assert_eq!(
                decode_key(&text),
                Err(Base64Error::Length {
                    expected: 44,
                    found
                })
            );
        }
    }
}
