//! Every label that separates one use of a hash or signature from another.
//!
//! No label begins another one, and none begins with `{`, because the signing key also signs
//! ClawTalk's canonical strings, which do.

/// [`Fingerprint`](crate::Fingerprint) of a contact with classic keys only.
pub(crate) const FINGERPRINT_CLASSIC: &[u8] = b"ctalk/fingerprint/classic/1";

/// [`Fingerprint`](crate::Fingerprint) of an identity by its signing key.
pub(crate) const FINGERPRINT_NATIVE: &[u8] = b"ctalk/fingerprint/native/2";

/// Signature of a [`Card`](crate::Card).
pub(crate) const CARD: &[u8] = b"ctalk/card/2";

/// Hint at a recipient of an envelope.
pub(crate) const HINT: &[u8] = b"ctalk/hint/2";

/// HPKE `info` of a wrapped content key.
pub(crate) const WRAP: &[u8] = b"ctalk/wrap/2";

/// Commitment to a content key.
pub(crate) const COMMITMENT: &[u8] = b"ctalk/commitment/2";

/// Key of an envelope's body.
pub(crate) const BODY: &[u8] = b"ctalk/body/2";

/// Start of an envelope's running hash.
pub(crate) const HEADER: &[u8] = b"ctalk/header/2";

/// Step of an envelope's running hash.
pub(crate) const CHAIN: &[u8] = b"ctalk/chain/2";

/// Signature of a segment.
pub(crate) const SEGMENT: &[u8] = b"ctalk/segment/2";

/// Signature of a [`Part`](crate::part::Part) of an envelope.
pub(crate) const PART: &[u8] = b"ctalk/part/2";

/// [`SafetyNumber`](crate::SafetyNumber) of two identities.
pub(crate) const SAFETY_NUMBER: &[u8] = b"ctalk/safety-number/2";

/// The old identity's signature of a [`Succession`](crate::Succession).
pub(crate) const SUCCESSION_OLD: &[u8] = b"ctalk/succession/old/2";

/// The new identity's signature of a [`Succession`](crate::Succession).
pub(crate) const SUCCESSION_NEW: &[u8] = b"ctalk/succession/new/2";

/// Signature of a [`Revocation`](crate::Revocation).
pub(crate) const REVOCATION: &[u8] = b"ctalk/revocation/2";

/// The inviter's identity in SPAKE2.
pub(crate) const PAIRING_INVITER: &[u8] = b"ctalk/pairing/inviter/2";

/// The joiner's identity in SPAKE2.
pub(crate) const PAIRING_JOINER: &[u8] = b"ctalk/pairing/joiner/2";

/// Key of the inviter's confirmation.
pub(crate) const PAIRING_INVITER_KEY: &[u8] = b"ctalk/pairing/key/inviter/2";

/// Key of the joiner's confirmation.
pub(crate) const PAIRING_JOINER_KEY: &[u8] = b"ctalk/pairing/key/joiner/2";

/// What both confirmations of a pairing begin with.
pub(crate) const PAIRING_TRANSCRIPT: &[u8] = b"ctalk/pairing/transcript/2";

/// Key of an identity's keyed digests, which stay on its own machine.
pub(crate) const DIGEST_KEY: &[u8] = b"ctalk/digest/key/2";

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
        for label in [
            FINGERPRINT_CLASSIC,
            FINGERPRINT_NATIVE,
            CARD,
            SEGMENT,
            SEEN_PLAIN,
        ] {
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
