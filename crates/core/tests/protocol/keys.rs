//! Public keys and fingerprints.

use ctalk_core::{
    EncryptionKey, Fingerprint, FingerprintError, KeyDefect, KeyError, KeyName, PublicKeys,
    VerifyingKey,
};
use curve25519_dalek::{MontgomeryPoint, constants::EIGHT_TORSION};

use crate::support::identity;

fn encryption(bytes: [u8; 32]) -> Result<EncryptionKey, KeyDefect> {
    EncryptionKey::from_bytes(bytes).map_err(|error| {
        assert_eq!(error.key, KeyName::PublicKey);
        error.defect
    })
}

fn verifying(bytes: [u8; 32]) -> Result<VerifyingKey, KeyDefect> {
    VerifyingKey::from_bytes(bytes).map_err(|error| {
        assert_eq!(error.key, KeyName::SigningKey);
        error.defect
    })
}

/// The field's prime plus a little, in the little-endian form of a coordinate.
fn prime_plus(addend: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + addend;
    bytes[31] = 0x7f;
    bytes
}

#[test]
fn generated_keys_are_accepted() {
    for number in 0..=255 {
        let identity = identity(number);
        let keys = identity.public_keys();
        assert_eq!(
            encryption(*keys.encryption().as_bytes()),
            Ok(*keys.encryption())
        );
        assert_eq!(
            verifying(*keys.verifying().as_bytes()),
            Ok(*keys.verifying())
        );
    }
}

#[test]
fn keys_survive_base64() {
    let identity = identity(1);
    let keys = identity.public_keys();
    let read = PublicKeys::from_base64(
        &keys.encryption().to_base64(),
        &keys.verifying().to_base64(),
    );
    assert_eq!(read.as_ref(), Ok(keys));
    assert_eq!(read.unwrap().fingerprint(), keys.fingerprint());
}

#[test]
fn small_order_encryption_keys_are_refused() {
    let mut refused = 0;
    for point in EIGHT_TORSION {
        let bytes = point.to_montgomery().to_bytes();
        assert_eq!(encryption(bytes), Err(KeyDefect::WrongGroup), "{bytes:?}");
        refused += 1;
    }
    assert_eq!(refused, 8);
}

#[test]
fn encryption_keys_on_the_twist_are_refused() {
    let mut bytes = [0; 32];
    bytes[0] = 2;
    assert!(MontgomeryPoint(bytes).to_edwards(0).is_none());
    assert_eq!(encryption(bytes), Err(KeyDefect::WrongGroup));
}

/// The same box key under other bytes would let a second agent claim the first one's boxes without
/// its key being recognised.
#[test]
fn equivalents_of_an_encryption_key_are_refused() {
    let identity = identity(1);
    let key = *identity.public_keys().encryption().as_bytes();

    let mut top_bit = key;
    top_bit[31] |= 0x80;
    assert_eq!(encryption(top_bit), Err(KeyDefect::NotCanonical));

    let point = MontgomeryPoint(key).to_edwards(0).unwrap();
    let secret = x25519_dalek::StaticSecret::from([9; 32]);
    let shared = |bytes: [u8; 32]| {
        secret
            .diffie_hellman(&x25519_dalek::PublicKey::from(bytes))
            .to_bytes()
    };
    for torsion in &EIGHT_TORSION[1..] {
        let other = (point + torsion).to_montgomery().to_bytes();
        assert_ne!(other, key);
        assert_eq!(shared(other), shared(key), "this would be the same box key");
        assert_eq!(encryption(other), Err(KeyDefect::WrongGroup));
    }
}

#[test]
fn coordinates_from_the_prime_upwards_are_refused() {
    for addend in 0..=18 {
        assert_eq!(
            encryption(prime_plus(addend)),
            Err(KeyDefect::NotCanonical),
            "{addend}"
        );
    }
    // One below the prime is canonical; it lies on the twist.
    let mut below = prime_plus(0);
    below[0] -= 1;
    assert_eq!(encryption(below), Err(KeyDefect::WrongGroup));
    // A smaller byte in the middle makes a number below the prime, whatever the lowest byte is.
    let mut middle = prime_plus(18);
    middle[15] = 0xfe;
    assert_ne!(encryption(middle), Err(KeyDefect::NotCanonical));
}

#[test]
fn weak_signing_keys_are_refused() {
    for point in EIGHT_TORSION {
        let bytes = point.compress().to_bytes();
        assert_eq!(verifying(bytes), Err(KeyDefect::Weak), "{bytes:?}");
    }
}

#[test]
fn signing_keys_in_another_encoding_are_refused() {
    // y = 1 with the sign of x set although x is 0; y = p + 1, which is 1 again.
    let mut negative_zero = [0; 32];
    negative_zero[0] = 1;
    negative_zero[31] = 0x80;
    for bytes in [negative_zero, prime_plus(1)] {
        assert!(matches!(
            verifying(bytes),
            Err(KeyDefect::NotCanonical | KeyDefect::WrongGroup)
        ));
    }
    // y = p + 3 is a point of large order.
    assert_eq!(verifying(prime_plus(3)), Err(KeyDefect::NotCanonical));
}

#[test]
fn bytes_that_are_no_point_are_no_signing_key() {
    let mut bytes = [0; 32];
    bytes[0] = 2;
    assert_eq!(verifying(bytes), Err(KeyDefect::WrongGroup));
}

#[test]
fn a_bad_key_is_named_with_its_defect() {
    let identity = identity(1);
    let good_encryption = identity.public_keys().encryption().to_base64();
    let good_verifying = identity.public_keys().verifying().to_base64();
    let refuse = |public_key: &str, signing_key: &str| {
        PublicKeys::from_base64(public_key, signing_key).unwrap_err()
    };
    // The reference relay lists empty strings for agents that never published keys.
    assert_eq!(
        refuse("", &good_verifying),
        KeyError {
            key: KeyName::PublicKey,
            defect: KeyDefect::Length { found: 0 }
        }
    );
    let url_safe = format!("-_{}", &good_verifying[2..]);
    assert_eq!(
        refuse(&good_encryption, &url_safe),
        KeyError {
            key: KeyName::SigningKey,
            defect: KeyDefect::NotBase64
        }
    );
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(
        refuse(zero, &good_verifying).to_string(),
        "publicKey is not a point of the right group; ask the key's owner to publish it again"
    );
    assert_eq!(
        refuse(&good_encryption, zero).to_string(),
        "signingKey is a weak key; ask the key's owner to publish it again"
    );
}

/// Computed outside ctalk: SHA-256 of the label and the keys of the protocol's vectors.
const VECTOR: &str =
    "60b7 fb8d 8467 8b57 c4fa f182 e3d2 4525 b2c3 c6eb 6d62 cccb 96f9 2e4f d433 fdaa";

fn vector() -> Fingerprint {
    PublicKeys::from_base64(
        "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=",
        "rcFAEfgtHFbZVqpPnXPYhYNhpgYEhSXg0Ixjjcdd2Mc=",
    )
    .unwrap()
    .fingerprint()
}

#[test]
fn a_fingerprint_is_the_labelled_hash_of_both_keys_in_groups_of_four() {
    assert_eq!(vector().to_string(), VECTOR);
    assert_eq!(vector().to_hex(), VECTOR.replace(' ', ""));
}

#[test]
fn a_fingerprint_is_read_with_any_grouping_and_case() {
    let hex = vector().to_hex();
    for text in [
        VECTOR.to_owned(),
        hex.clone(),
        VECTOR.to_uppercase(),
        VECTOR.replace(' ', ":"),
        VECTOR.replace(' ', "-"),
        format!("  {}--{} ", &hex[..7], &hex[7..]),
    ] {
        assert_eq!(text.parse(), Ok(vector()), "{text}");
    }
    assert_eq!(Fingerprint::from_bytes(*vector().as_bytes()), vector());
}

#[test]
fn a_part_of_a_fingerprint_is_refused() {
    let hex = vector().to_hex();
    for found in [0, 1, 16, 63] {
        let part = hex[..found].parse::<Fingerprint>();
        assert_eq!(part, Err(FingerprintError::Length { found }));
    }
    for found in [65, 128, 1000] {
        let more = format!("{hex}{}", "0".repeat(found - 64)).parse::<Fingerprint>();
        assert_eq!(more, Err(FingerprintError::Length { found }));
    }
}

#[test]
fn what_is_not_hex_is_no_fingerprint() {
    let hex = vector().to_hex();
    for bad in ['g', '_', '\n', '.', '\u{ff10}', '\u{0}'] {
        let text = format!("{}{bad}", &hex[..63]);
        assert_eq!(
            text.parse::<Fingerprint>(),
            Err(FingerprintError::NotHex),
            "{bad:?}"
        );
    }
}
