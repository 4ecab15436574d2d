//! Changed keys and keys in two hands.

use ctalk_core::{
    PublicKeys,
    trust::{KeyHolder, KeyPart, compare, conflict},
};

use crate::support::identity;

fn keys(encryption: u8, verifying: u8) -> PublicKeys {
    PublicKeys::new(
        *identity(encryption).public_keys().encryption(),
        *identity(verifying).public_keys().verifying(),
    )
}

#[test]
fn the_pinned_keys_are_accepted() {
    assert_eq!(compare(&keys(1, 1), &keys(1, 1)), Ok(()));
}

#[test]
fn a_change_names_both_fingerprints_and_the_key() {
    for (offered, part, name) in [
        (keys(2, 1), KeyPart::Encryption, "publicKey changed"),
        (keys(1, 2), KeyPart::Signing, "signingKey changed"),
        (
            keys(2, 2),
            KeyPart::Both,
            "publicKey and signingKey changed",
        ),
    ] {
        let change = compare(&keys(1, 1), &offered).unwrap_err();
        assert_eq!(change.part, part);
        assert_eq!(change.pinned, keys(1, 1).fingerprint());
        assert_eq!(change.offered, offered.fingerprint());
        let text = change.to_string();
        assert!(text.starts_with(name), "{text}");
        assert!(text.contains(&change.pinned.to_string()), "{text}");
        assert!(text.contains(&change.offered.to_string()), "{text}");
    }
}

#[test]
fn keys_that_nobody_holds_are_accepted() {
    let (me, alice) = (keys(1, 1), keys(2, 2));
    let held = [(KeyHolder::Me, &me), (KeyHolder::Contact("alice"), &alice)];
    assert_eq!(conflict("mallory", &keys(3, 3), held), Ok(()));
}

#[test]
fn a_key_of_another_contact_is_a_conflict() {
    let alice = keys(2, 2);
    for (offered, part) in [
        (keys(2, 3), KeyPart::Encryption),
        (keys(3, 2), KeyPart::Signing),
        (keys(2, 2), KeyPart::Both),
    ] {
        let held = [(KeyHolder::Contact("alice"), &alice)];
        let conflict = conflict("mallory", &offered, held).unwrap_err();
        assert_eq!(conflict.part, part);
        assert_eq!(conflict.holder.as_deref(), Some("alice"));
        assert_eq!(conflict.offered_name, "mallory");
        let text = conflict.to_string();
        assert!(
            text.contains("\"mallory\"") && text.contains("\"alice\""),
            "{text}"
        );
    }
}

#[test]
fn a_key_of_mine_is_a_conflict() {
    let me = keys(1, 1);
    for offered in [keys(1, 3), keys(3, 1), keys(1, 1)] {
        let conflict = conflict("mallory", &offered, [(KeyHolder::Me, &me)]).unwrap_err();
        assert_eq!(conflict.holder, None);
        assert!(conflict.to_string().contains("this identity"), "{conflict}");
    }
}

#[test]
fn a_contact_does_not_conflict_with_itself() {
    let alice = keys(2, 2);
    let held = [(KeyHolder::Contact("alice"), &alice)];
    assert_eq!(conflict("alice", &keys(2, 3), held), Ok(()));
}

#[test]
fn names_are_printed_without_control_characters() {
    let alice = keys(2, 2);
    let held = [(KeyHolder::Contact("al\u{1b}[2Jice"), &alice)];
    let text = conflict("mal\nlory", &alice, held).unwrap_err().to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
}
