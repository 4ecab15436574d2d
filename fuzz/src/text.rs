//! One-line forms, ids, fingerprints, keys and key files: what people copy and paste.

use ctalk_core::{
    Card, EncryptionKey, Fingerprint, Identity, Revocation, SAFETY_PREFIX, SafetyNumber,
    Succession, VerifyingKey,
    envelope::{self, EnvelopeId},
};

/// Takes `data` as bytes to be written as text, then as text of every kind.
pub(crate) fn check(data: &[u8]) -> bool {
    let text = envelope::to_text(data);
    assert_eq!(envelope::from_text(&text).unwrap(), data);

    core::str::from_utf8(data)
        .is_ok_and(|text| line(text) | digits(text) | key(text) | key_file(text))
}

/// A line has one reading, and that has one line.
fn line(text: &str) -> bool {
    let envelope = envelope::from_text(text);
    if let Ok(bytes) = &envelope {
        assert_eq!(envelope::to_text(bytes), text);
    }
    let card = Card::from_text(text);
    if let Ok(card) = &card {
        assert_eq!(card.to_text(), text);
    }
    let succession = Succession::from_text(text);
    if let Ok(succession) = &succession {
        assert_eq!(succession.to_text(), text);
    }
    let revocation = Revocation::from_text(text);
    if let Ok(revocation) = &revocation {
        assert_eq!(revocation.to_text(), text);
    }
    let readings = [
        envelope.is_ok(),
        card.is_ok(),
        succession.is_ok(),
        revocation.is_ok(),
    ];
    let count = readings.iter().filter(|read| **read).count();
    assert!(count <= 1, "{readings:?}");
    count == 1
}

/// Of an id or a fingerprint only case and grouping are free, of a safety number grouping and prefix.
fn digits(text: &str) -> bool {
    let id = text.parse::<EnvelopeId>();
    if let Ok(id) = id {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }
    let fingerprint = text.parse::<Fingerprint>();
    if let Ok(fingerprint) = fingerprint {
        let digits = text.replace([' ', ':', '-'], "").to_ascii_lowercase();
        assert_eq!(fingerprint.to_hex(), digits);
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
    let number = text.parse::<SafetyNumber>();
    if let Ok(number) = number {
        let digits = text.strip_prefix(SAFETY_PREFIX).unwrap_or(text);
        let digits = digits.replace([' ', '\n', '\r', '-'], "");
        assert_eq!(number.qr_text(), format!("{SAFETY_PREFIX}{digits}"));
        assert_eq!(number.to_string().parse(), Ok(number));
        assert!(number.words().iter().all(|word| !word.is_empty()));
    }
    id.is_ok() || fingerprint.is_ok() || number.is_ok()
}

/// A key has one text but for the unused bits of its last character, which ClawTalk does not look at.
fn key(text: &str) -> bool {
    let encryption = EncryptionKey::from_base64(text);
    if let Ok(key) = encryption {
        same_but_for_unused_bits(&key.to_base64(), text);
        assert_eq!(EncryptionKey::from_bytes(*key.as_bytes()), Ok(key));
    }
    let verifying = VerifyingKey::from_base64(text);
    if let Ok(key) = verifying {
        same_but_for_unused_bits(&key.to_base64(), text);
        assert_eq!(VerifyingKey::from_bytes(*key.as_bytes()), Ok(key));
    }
    encryption.is_ok() || verifying.is_ok()
}

fn same_but_for_unused_bits(written: &str, read: &str) {
    assert_eq!((written.len(), read.len()), (44, 44));
    assert_eq!(written[..42], read[..42]);
    assert_eq!((&written[43..], &read[43..]), ("=", "="));
}

/// A key file that is accepted is written as ClawTalk writes it, and read from there the same.
fn key_file(text: &str) -> bool {
    let Ok(identity) = Identity::from_keygen_json(text) else {
        return false;
    };
    let written = identity.to_keygen_json();
    let same = Identity::from_keygen_json(&written).unwrap();
    assert_eq!(same.public_keys(), identity.public_keys());
    assert_eq!(same.to_keygen_json(), written);
    true
}
