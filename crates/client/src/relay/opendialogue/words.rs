//! Words for a peer without ctalk: an OpenDialogue plugin in front of a language model, which takes less than
//! the relay does and drops the rest without a word.

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::relay::{RelayError, chat::spoken};

/// Most messages that it takes from one sender in a minute.
pub(super) const RATE: usize = 30;
/// The turn that every message has: it drops what goes on for more turns than it likes, by this number.
pub(super) const TURN: u64 = 1;
/// Longest text, in UTF-16 units.
const LONGEST: usize = 2000;

/// What such a peer is to read: the words where the payload is nothing else, in the form that its signature
/// is checked in (Unicode's NFC).
///
/// # Errors
/// [`RelayError::Unsupported`] for what it would not take.
pub(super) fn words(json: &str) -> Result<String, RelayError> {
    let text = ComposingNormalizerBorrowed::new_nfc()
        .normalize(&spoken(json))
        .into_owned();
    let unsupported = |what| Err(RelayError::Unsupported { what });
    if text.is_empty() {
        return unsupported("a message without a word to somebody without ctalk");
    }
    if text.encode_utf16().count() > LONGEST {
        return unsupported("more than 2,000 characters in a message to somebody without ctalk");
    }
    if text.chars().any(is_refused) {
        return unsupported("control characters and invisible ones");
    }
    Ok(text)
}

/// What the relay refuses, and the plugin takes out before it checks the signature.
const fn is_refused(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{8}'
            | '\u{b}'
            | '\u{c}'
            | '\u{e}'..='\u{1f}'
            | '\u{200b}'..='\u{200d}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_stand_alone_and_other_payloads_as_json_in_composed_form() {
        assert_eq!(words(r#"{"text":"hello"}"#).unwrap(), "hello");
        assert_eq!(
            words(r#"{"text":"a","n":1}"#).unwrap(),
            r#"{"text":"a","n":1}"#
        );
        assert_eq!(words("{\"text\":\"e\u{301}\"}").unwrap(), "\u{e9}");
        assert_eq!(words(r#"{"text":"a\tb\r\nc"}"#).unwrap(), "a\tb\r\nc");
    }

    #[test]
    fn what_a_plugin_would_drop_is_refused() {
        let words = |text: String| words(&serde_json::json!({ "text": text }).to_string());
        // Two units each.
        assert!(words("\u{1f600}".repeat(1000)).is_ok());
        assert!(words("\u{1f600}".repeat(1000) + "a").is_err());
        assert!(words(String::new()).is_err());
        for character in [
            '\0', '\u{1b}', '\u{200b}', '\u{feff}', '\u{202e}', '\u{2069}',
        ] {
            assert!(words(character.to_string()).is_err(), "{character:?}");
        }
    }
}
