//! The number that two people read to each other. Section 1 of `docs/TRUST.md`.

use core::{fmt, str::FromStr};

use bip39::Language;
use sha2::{Digest, Sha512};

use crate::{Fingerprint, label};

/// Decimal digits of a safety number.
pub const SAFETY_DIGITS: usize = GROUPS * GROUP_DIGITS;

/// Words of a safety number: of 2,048, the fewest that hold all its digits.
pub const SAFETY_WORDS: usize = 23;

/// What the text of a safety number's QR code begins with.
pub const SAFETY_PREFIX: &str = "ctalk-safety:";

const GROUPS: usize = 15;
const GROUP_DIGITS: usize = 5;
/// 10 to the power of [`GROUP_DIGITS`].
const GROUP_COUNT: u64 = 100_000;
/// Words of the BIP-39 list.
const WORD_COUNT: u64 = 2048;

/// One number of two identities, the same on both sides: SHA-512 of label and both fingerprints, the
/// smaller one first, modulo 10^75.
///
/// If both sides see the same number, each holds the other's true key. Somebody in between, who
/// shows each side a key of their own instead, is free to choose both of these keys and so looks for
/// a collision of two lists, not for a second preimage: for `n` bits that takes 2^(n/2) steps and
/// next to no memory (van Oorschot and Wiener, *Parallel Collision Search with Cryptanalytic
/// Applications*, Journal of Cryptology 12, 1999). 75 digits are 249 bits, which makes it 2^124; the
/// hash has 2^263 values for each number, so none is likelier than another by more than one part in
/// 2^262.
///
/// Digits and words write the same number, and neither may be cut. Nothing about it is secret.
///
/// Shown as 15 groups of five digits: 89 characters. Read with any grouping.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SafetyNumber([u64; GROUPS]);

impl SafetyNumber {
    /// The number of two identities in either order: by their native fingerprints, or by their
    /// classic ones when either has only those keys.
    #[must_use]
    pub fn of(one: &Fingerprint, other: &Fingerprint) -> Self {
        let digest = Sha512::new()
            .chain_update(label::SAFETY_NUMBER)
            .chain_update(one.min(other).as_bytes())
            .chain_update(one.max(other).as_bytes())
            .finalize();
        let (quarters, _) = digest.as_chunks::<4>();
        let mut number = [0; 16];
        for (limb, bytes) in number.iter_mut().zip(quarters) {
            *limb = u32::from_be_bytes(*bytes).into();
        }
        let mut groups = [0; GROUPS];
        for group in groups.iter_mut().rev() {
            *group = divide(&mut number, 1 << 32, GROUP_COUNT);
        }
        Self(groups)
    }

    /// The number in base 2048, most significant word first, each from the English list of BIP-39.
    #[must_use]
    pub fn words(&self) -> [&'static str; SAFETY_WORDS] {
        let list = Language::English.word_list();
        let mut number = self.0;
        let mut words = [""; SAFETY_WORDS];
        for word in words.iter_mut().rev() {
            let place = divide(&mut number, GROUP_COUNT, WORD_COUNT);
            *word = usize::try_from(place)
                .ok()
                .and_then(|place| list.get(place))
                .copied()
                .unwrap_or_default();
        }
        words
    }

    /// What a QR code of the number holds: [`SAFETY_PREFIX`] and the digits without grouping. The
    /// same text on both sides.
    #[must_use]
    pub fn qr_text(&self) -> String {
        let mut text = String::from(SAFETY_PREFIX);
        text.extend(
            self.to_string()
                .chars()
                .filter(|character| *character != ' '),
        );
        text
    }
}

impl fmt::Display for SafetyNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, group) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { " " };
            write!(formatter, "{separator}{group:0GROUP_DIGITS$}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SafetyNumber({self})")
    }
}

impl FromStr for SafetyNumber {
    type Err = SafetyNumberError;

    /// Reads 75 digits; spaces, line ends and dashes between them are skipped, and so is
    /// [`SAFETY_PREFIX`] before them.
    fn from_str(text: &str) -> Result<Self, SafetyNumberError> {
        let mut groups = [0; GROUPS];
        let mut found = 0;
        for character in text
            .strip_prefix(SAFETY_PREFIX)
            .unwrap_or(text)
            .chars()
            .filter(|character| !matches!(character, ' ' | '\n' | '\r' | '-'))
        {
            let digit = character.to_digit(10).ok_or(SafetyNumberError::NotDigits)?;
            if let Some(group) = groups.get_mut(found / GROUP_DIGITS) {
                *group = *group * 10 + u64::from(digit);
            }
            found += 1;
        }
        if found == SAFETY_DIGITS {
            Ok(Self(groups))
        } else {
            Err(SafetyNumberError::Length { found })
        }
    }
}

/// Divides a number, whose digits to `base` stand most significant first, and returns the remainder.
fn divide(digits: &mut [u64], base: u64, divisor: u64) -> u64 {
    digits.iter_mut().fold(0, |remainder, digit| {
        let value = remainder * base + *digit;
        *digit = value / divisor;
        value % divisor
    })
}

/// A text that is not a safety number. Safety numbers are compared whole, so a part of one is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetyNumberError {
    /// Too few or too many digits.
    #[error("a safety number has {SAFETY_DIGITS} digits and this has {found}; give all of them")]
    Length {
        /// Digits found.
        found: usize,
    },
    /// A character that is neither a digit nor a separator.
    #[error("a safety number has only digits, spaces and dashes")]
    NotDigits,
}
