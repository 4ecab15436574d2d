//! Every label that separates one use of a hash or signature from another.
//!
//! No label begins another one, and none begins with `{`, because the signing key also signs
//! ClawTalk's canonical strings, which do.

/// [`Fingerprint`](crate::Fingerprint) of a contact with classic keys only.
pub(crate) const FINGERPRINT_CLASSIC: &[u8] = b"ctalk/fingerprint/classic/1";

/// [`SeenKey`](crate::classic::SeenKey) of a box, signed or not.
pub(crate) const SEEN_BOX: &[u8] = b"ctalk/seen/box/1";

/// [`SeenKey`](crate::classic::SeenKey) of a message in plain text.
pub(crate) const SEEN_PLAIN: &[u8] = b"ctalk/seen/plain/1";

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels as this file declares them, so that a new one cannot be forgotten here.
    fn declared() -> Vec<&'static str> {
        include_str!("label.rs")
            .lines()
            .filter(|line| line.starts_with("pub(crate) const"))
            .filter_map(|line| line.split('"').nth(1))
            .collect()
    }

    #[test]
    fn every_label_is_found_in_the_file() {
        let found = declared();
        for label in [FINGERPRINT_CLASSIC, SEEN_BOX, SEEN_PLAIN] {
            assert!(found.iter().any(|text| text.as_bytes() == label));
        }
    }

    #[test]
    fn no_label_begins_another() {
        let labels = declared();
        for (place, label) in labels.iter().enumerate() {
            for (other_place, other) in labels.iter().enumerate() {
                assert!(
                    place == other_place || !other.starts_with(label),
                    "{label} begins {other}"
                );
            }
        }
    }

    #[test]
    fn no_label_looks_like_a_canonical_string() {
        for label in declared() {
            assert!(!label.starts_with('{') && !label.is_empty(), "{label}");
        }
    }
}
