//! How long the slots of an envelope are together, so that the content's length shows only roughly.

/// No content is padded to less than this many bytes.
pub(crate) const MIN_PADDED_LEN: u64 = 256;

/// Padmé of `content_len`, at least [`MIN_PADDED_LEN`] (Nikitin et al., PoPETs 2019).
///
/// From [`MIN_PADDED_LEN`] on the result is longer by less than a sixteenth.
pub(crate) fn padded_len(content_len: u64) -> u64 {
    let length = content_len.max(MIN_PADDED_LEN);
    let exponent = length.ilog2();
    let digits = exponent.ilog2() + 1;
    // `digits` is below `exponent` from 8 upwards.
    let mask = (1_u64 << (exponent - digits)) - 1;
    length.saturating_add(mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::SLOT_LEN;

    #[test]
    fn padme_is_that_of_the_specification() {
        for (length, padded) in [
            (0, 256),
            (1, 256),
            (255, 256),
            (256, 256),
            (257, 272),
            (272, 272),
            (1000, 1024),
            (1025, 1088),
            (1 << 20, 1 << 20),
            ((1 << 20) + 1, (1 << 20) + (1 << 15)),
        ] {
            assert_eq!(padded_len(length), padded, "{length}");
        }
    }

    #[test]
    fn padding_is_idempotent_monotonic_and_less_than_a_sixteenth() {
        let mut before = 0;
        for length in (0..100_000).chain((1 << 32)..(1 << 32) + 10_000) {
            let padded = padded_len(length);
            assert!(padded >= length.max(MIN_PADDED_LEN) && padded >= before);
            assert_eq!(padded_len(padded), padded);
            assert!(length < MIN_PADDED_LEN || (padded - length) * 16 < length);
            before = padded;
        }
    }

    /// So a segment always follows the one that the content fills exactly.
    #[test]
    fn no_padded_length_is_a_whole_number_of_slots() {
        for slots in 1..=1_u64 << 24 {
            let length = slots * SLOT_LEN as u64;
            assert_ne!(padded_len(length), length, "{slots} slots");
        }
        for power in 0..=32 {
            let length = (1_u64 << power) * SLOT_LEN as u64;
            assert_ne!(padded_len(length), length, "2^{power} slots");
        }
    }
}
