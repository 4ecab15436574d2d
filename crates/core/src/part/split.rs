//! Cutting an envelope into parts.

use super::{
    KIND, MAGIC, MAX_PART_TEXT_LEN, MAX_SLICE_LEN, MIN_SLICE_LEN, PART_PREFIX, SIGNATURE_LEN,
    START_LEN, SUITE, SplitError, VERSION, Whole, statement,
};
use crate::{encoding, identity::Identity};

/// The longest slice whose part has at most `characters` characters as text. None where the relay's
/// messages are too short for any.
#[must_use]
pub fn slice_len_for(characters: usize) -> Option<u16> {
    let encoded = characters
        .min(MAX_PART_TEXT_LEN)
        .checked_sub(PART_PREFIX.len())?;
    // Four characters hold three bytes, and what is left of them two or one.
    let bytes = encoded / 4 * 3 + (encoded % 4).saturating_sub(1);
    let slice_len = u16::try_from(bytes.checked_sub(START_LEN + SIGNATURE_LEN)?).ok()?;
    (slice_len >= MIN_SLICE_LEN).then_some(slice_len)
}

/// An envelope cut into parts, which are made when they are asked for: part 7 is the same bytes whether
/// or not the six before it were.
pub struct Split<'s> {
    envelope: &'s [u8],
    whole: Whole,
}

impl<'s> Split<'s> {
    /// Cuts an envelope that `identity` sealed into slices of `slice_len` bytes.
    ///
    /// # Errors
    ///
    /// [`SplitError`].
    pub fn new(
        identity: &Identity,
        envelope: &'s [u8],
        slice_len: u16,
    ) -> Result<Self, SplitError> {
        if !(MIN_SLICE_LEN..=MAX_SLICE_LEN).contains(&slice_len) {
            return Err(SplitError::SliceLen { found: slice_len });
        }
        let whole = Whole::of(envelope, slice_len)?;
        if !is_sender(identity, &whole) {
            return Err(SplitError::Foreign);
        }
        if whole.length <= u32::from(slice_len) {
            return Err(SplitError::Short);
        }
        Ok(Self { envelope, whole })
    }

    /// What every part says of the envelope.
    #[must_use]
    pub const fn whole(&self) -> &Whole {
        &self.whole
    }

    /// The one-line forms of the parts from `first` on, each made when it is asked for.
    pub fn texts(&self, identity: &Identity, first: u16) -> impl Iterator<Item = String> {
        (first..self.whole.count()).filter_map(|index| self.text(identity, index))
    }

    /// The one-line form of one part; none where there is no such part, or `identity` did not seal the
    /// envelope.
    #[must_use]
    pub fn text(&self, identity: &Identity, index: u16) -> Option<String> {
        if !is_sender(identity, &self.whole) {
            return None;
        }
        let slice = self.envelope.get(self.whole.range(index)?)?;
        let mut bytes = Vec::with_capacity(START_LEN + slice.len() + SIGNATURE_LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[KIND, VERSION, SUITE]);
        self.whole.write(index, &mut bytes);
        bytes.extend_from_slice(slice);
        let signature = identity.sign(&statement(&bytes));
        bytes.extend_from_slice(&signature);
        Some(encoding::encode_line(PART_PREFIX, &bytes))
    }
}

fn is_sender(identity: &Identity, whole: &Whole) -> bool {
    whole.sender == *identity.public_keys().verifying().as_bytes()
}
