//! What a user wants to hold of everybody who is written to and read.

use core::{iter, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What must hold of whoever is written to, and of every message that is handed over. What does not
/// meet it is refused, and set aside.
///
/// In settings a list of words: `["verified", "native"]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Require {
    /// The contact is verified.
    pub verified: bool,
    /// The format is the native one.
    pub native: bool,
}

const VERIFIED: &str = "verified";
const NATIVE: &str = "native";

impl Require {
    /// The native format.
    pub(crate) const NATIVE: Self = Self {
        verified: false,
        native: true,
    };

    /// Every word for something that can be required.
    pub const WORDS: [&str; 2] = [VERIFIED, NATIVE];

    /// What either of them requires.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            verified: self.verified || other.verified,
            native: self.native || other.native,
        }
    }

    /// The words for what is required.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        iter::zip(Self::WORDS, [self.verified, self.native])
            .filter_map(|(word, is_required)| is_required.then_some(word))
    }

    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl FromStr for Require {
    type Err = UnknownRequirement;

    /// Reads one word.
    fn from_str(word: &str) -> Result<Self, UnknownRequirement> {
        match word {
            VERIFIED => Ok(Self {
                verified: true,
                ..Self::default()
            }),
            NATIVE => Ok(Self {
                native: true,
                ..Self::default()
            }),
            _ => Err(UnknownRequirement {
                word: crate::text::escaped(word).chars().take(64).collect(),
            }),
        }
    }
}

/// A word for nothing that can be required.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` cannot be required, only `verified` and `native` can")]
pub struct UnknownRequirement {
    /// The word, escaped.
    pub word: String,
}

impl Serialize for Require {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.words())
    }
}

impl<'de> Deserialize<'de> for Require {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .try_fold(Self::default(), |all, word| Ok(all.and(word.parse()?)))
            .map_err(|error: UnknownRequirement| de::Error::custom(error))
    }
}
