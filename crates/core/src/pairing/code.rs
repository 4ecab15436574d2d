//! The code that one person tells the other.

use core::fmt;

use bip39::Language;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Words of a code that are secret: 11 bits each, 44 together.
pub const CODE_WORDS: usize = 4;

/// Most bytes of the name that a code begins with.
pub const MAX_CODE_NAME_LEN: usize = 64;

/// Most bytes of a typed code.
pub const MAX_CODE_LEN: usize = 256;

/// The longest words of the list have eight letters, and each but the first a dash before it.
const MAX_SECRET_LEN: usize = CODE_WORDS * 9 - 1;

/// `NAME-word-word-word-word`: the inviter's name on its relay, and a secret.
///
/// The words are of BIP-39's English list. A code is good for one attempt: using it consumes it.
pub struct Code {
    name: String,
    /// The words in lower case, joined by dashes: what SPAKE2 takes for a password.
    secret: Zeroizing<String>,
}

impl Code {
    /// Makes a code for the inviter that is called `name` on its relay: 1 to [`MAX_CODE_NAME_LEN`]
    /// bytes without control characters and white space.
    ///
    /// # Errors
    ///
    /// [`CodeError::Name`].
    pub fn generate(name: &str, rng: &mut impl CryptoRng) -> Result<Self, CodeError> {
        let words = [(); CODE_WORDS].map(|()| random_word(rng));
        Self::new(name, words)
    }

    /// Reads a code as people type it: words in any letter case, with white space and dashes between
    /// them, and one dash or white space after the name.
    ///
    /// # Errors
    ///
    /// [`CodeError`], which never repeats a word.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        if text.len() > MAX_CODE_LEN {
            return Err(CodeError::TooLong { found: text.len() });
        }
        let mut rest = text.trim_start().trim_end_matches(is_separator);
        let mut words = [""; CODE_WORDS];
        for (place, word) in words.iter_mut().enumerate().rev() {
            let (before, typed) = rest.rsplit_once(is_separator).ok_or(CodeError::Form)?;
            *word = known_word(typed).ok_or(CodeError::UnknownWord { place: place + 1 })?;
            // A name may end with dashes, so that only one is taken off before the first word.
            rest = before.trim_end_matches(if place == 0 {
                char::is_whitespace
            } else {
                is_separator
            });
        }
        Self::new(rest, words)
    }

    fn new(name: &str, words: [&str; CODE_WORDS]) -> Result<Self, CodeError> {
        let unfit = |character: char| character.is_control() || character.is_whitespace();
        if name.is_empty() || name.len() > MAX_CODE_NAME_LEN || name.contains(unfit) {
            return Err(CodeError::Name);
        }
        // Large enough that growing never leaves a copy of the secret behind.
        let mut secret = Zeroizing::new(String::with_capacity(MAX_SECRET_LEN));
        let mut separator = "";
        for word in words {
            secret.push_str(separator);
            secret.push_str(word);
            separator = "-";
        }
        Ok(Self {
            name: name.to_owned(),
            secret,
        })
    }

    /// The inviter's name on its relay, as it was generated or typed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole code as it is shown to the inviter. The result is secret.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let length = self.name.len() + 1 + self.secret.len();
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(&self.name);
        text.push('-');
        text.push_str(&self.secret);
        text
    }

    /// What SPAKE2 takes for a password.
    pub(super) fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, secret: _ } = self;
        formatter
            .debug_struct("Code")
            .field("name", name)
            .finish_non_exhaustive()
    }
}

#[allow(
    clippy::indexing_slicing,
    reason = "11 bits count the 2,048 words of the list, which is an array of that length"
)]
fn random_word(rng: &mut impl CryptoRng) -> &'static str {
    let mut index = Zeroizing::new([0; 2]);
    rng.fill_bytes(&mut *index);
    Language::English.word_list()[usize::from(u16::from_be_bytes(*index) & 0x7ff)]
}

fn known_word(typed: &str) -> Option<&'static str> {
    let mut words = Language::English.word_list().iter().copied();
    words.find(|word| word.eq_ignore_ascii_case(typed))
}

fn is_separator(character: char) -> bool {
    character == '-' || character.is_whitespace()
}

/// A text that is not a code. No variant carries what the text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// Fewer parts than a name and [`CODE_WORDS`] words.
    #[error("a pairing code is a name and {CODE_WORDS} words, as in NAME-word-word-word-word")]
    Form,
    /// No name, a longer one, or one with control characters or white space.
    #[error(
        "a pairing code begins with the inviter's name on the relay: 1 to {MAX_CODE_NAME_LEN} \
         bytes without white space and control characters"
    )]
    Name,
    /// Longer than [`MAX_CODE_LEN`].
    #[error("the pairing code has {found} bytes, more than the {MAX_CODE_LEN} allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// A word that is not in the list.
    #[error(
        "word {place} of the {CODE_WORDS} words of the pairing code is not one that codes are made \
         of; check its spelling"
    )]
    UnknownWord {
        /// Which word, from 1.
        place: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_secret_fits_without_growing() {
        let longest = Language::English.word_list().iter().map(|word| word.len());
        assert_eq!(longest.max(), Some((MAX_SECRET_LEN + 1) / CODE_WORDS - 1));
    }
}
