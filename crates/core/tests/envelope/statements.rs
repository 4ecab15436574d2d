//! Successions and revocations: how they are written, and that nothing else is read.

use ctalk_core::{
    Fingerprint, KeyDefect, Revocation, StatementError, StatementKind, Succession,
    envelope::Failure,
};
use ed25519_dalek::Signer;

use crate::{
    forge::{
        Sign, mixed_order_key, plus_order, sign_mixed, sign_under_small_order, sign_with_neutral_r,
    },
    forged_statement::{ForgedStatement, NEW, OLD, REVOCATION, signer},
    support::{CREATED, Person, alice, at, bob, carol, mallory},
};

type Read = fn(&[u8]) -> Result<(), StatementError>;

/// The two valid statements, with the function that reads each.
fn both() -> [(Vec<u8>, Read); 2] {
    [
        (ForgedStatement::succession().make(), read_succession),
        (ForgedStatement::revocation().make(), read_revocation),
    ]
}

fn read_succession(bytes: &[u8]) -> Result<(), StatementError> {
    Succession::parse(bytes).map(drop)
}

fn read_revocation(bytes: &[u8]) -> Result<(), StatementError> {
    Revocation::parse(bytes).map(drop)
}

fn refused(forged: ForgedStatement) -> StatementError {
    Succession::parse(&forged.make()).unwrap_err()
}

fn not_verified(kind: StatementKind, claimed: &Person) -> StatementError {
    StatementError::NotVerified {
        kind,
        claimed: claimed.card().fingerprint(),
    }
}

fn alice_to_bob() -> Succession {
    Succession::sign(&alice().identity(), &bob().identity(), at(CREATED)).unwrap()
}

#[test]
fn a_succession_says_what_was_signed() {
    let signed = alice_to_bob();
    for read in [
        Succession::parse(signed.as_bytes()).unwrap(),
        Succession::from_text(&signed.to_text()).unwrap(),
        signed.clone(),
    ] {
        assert_eq!(read.predecessor(), alice().card().signing_key());
        assert_eq!(read.successor(), bob().card().signing_key());
        assert_eq!(read.created(), at(CREATED));
        assert_eq!(read, signed);
    }
}

#[test]
fn a_revocation_says_what_was_signed() {
    let signed = Revocation::sign(&alice().identity(), at(CREATED));
    for read in [
        Revocation::parse(signed.as_bytes()).unwrap(),
        Revocation::from_text(&signed.to_text()).unwrap(),
        signed.clone(),
    ] {
        assert_eq!(read.identity(), alice().card().signing_key());
        assert_eq!(read.created(), at(CREATED));
        assert_eq!(read, signed);
    }
}

#[test]
fn signing_makes_byte_for_byte_what_the_page_says() {
    let succession = alice_to_bob();
    assert_eq!(succession.as_bytes(), ForgedStatement::succession().make());
    assert_eq!(succession.as_bytes().len(), 208);
    let revocation = Revocation::sign(&alice().identity(), at(CREATED));
    assert_eq!(revocation.as_bytes(), ForgedStatement::revocation().make());
    assert_eq!(revocation.as_bytes().len(), 112);
}

#[test]
fn every_part_and_every_addition_is_refused() {
    for (bytes, read) in both() {
        assert_eq!(read(&bytes), Ok(()));
        for length in 0..bytes.len() {
            let error = read(&bytes[..length]).unwrap_err();
            assert!(
                matches!(error, StatementError::Length { found, expected, .. }
                    if found == length && expected == bytes.len()),
                "{length}: {error:?}"
            );
        }
        for addition in [1, 64, 96] {
            let longer = [&bytes[..], &vec![0; addition]].concat();
            let error = read(&longer).unwrap_err();
            assert!(matches!(error, StatementError::Length { .. }), "{error:?}");
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for (mut bytes, read) in both() {
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(read(&bytes), Ok(()));
    }
}

#[test]
fn nobody_succeeds_themselves() {
    let error = StatementError::SameIdentity {
        identity: alice().card().fingerprint(),
    };
    let identity = alice().identity();
    assert_eq!(
        Succession::sign(&identity, &identity, at(CREATED)).unwrap_err(),
        error
    );
    let mut forged = ForgedStatement::succession();
    forged.keys[1] = alice().verifying();
    forged.signers[1] = signer(alice(), NEW);
    assert_eq!(refused(forged), error);
}

#[test]
fn both_identities_must_sign_in_their_own_role() {
    let kind = StatementKind::Succession;
    // Neither alone, nor a third, nor each in the other's role or place.
    for (old, new, claimed) in [
        (signer(bob(), OLD), signer(bob(), NEW), alice()),
        (signer(mallory(), OLD), signer(bob(), NEW), alice()),
        (signer(alice(), OLD), signer(alice(), NEW), bob()),
        (signer(alice(), OLD), signer(mallory(), NEW), bob()),
        (signer(alice(), NEW), signer(bob(), NEW), alice()),
        (signer(alice(), OLD), signer(bob(), OLD), bob()),
        (signer(bob(), NEW), signer(alice(), OLD), alice()),
        (signer(alice(), b""), signer(bob(), NEW), alice()),
        (signer(alice(), OLD), signer(bob(), b"ctalk/card/2"), bob()),
    ] {
        let mut forged = ForgedStatement::succession();
        forged.signers = vec![old, new];
        assert_eq!(refused(forged), not_verified(kind, &claimed));
    }
}

#[test]
fn a_succession_cannot_be_turned_round_or_passed_on() {
    let kind = StatementKind::Succession;
    let mut turned = alice_to_bob().as_bytes().to_vec();
    turned[16..80].rotate_left(32);
    assert_eq!(
        Succession::parse(&turned).unwrap_err(),
        not_verified(kind, &bob())
    );
    turned[80..].rotate_left(64);
    assert_eq!(
        Succession::parse(&turned).unwrap_err(),
        not_verified(kind, &bob())
    );
    // Bob's name in it replaced by carol's, who signs.
    let mut passed_on = ForgedStatement::succession();
    let alices = alice_to_bob().as_bytes()[80..144].try_into().unwrap();
    passed_on.keys[1] = carol().verifying();
    passed_on.signers = vec![Box::new(move |_| alices), signer(carol(), NEW)];
    assert_eq!(refused(passed_on), not_verified(kind, &alice()));
}

#[test]
fn a_revocation_counts_only_under_its_own_label_and_key() {
    for sign in [
        signer(mallory(), REVOCATION),
        signer(alice(), OLD),
        signer(alice(), b"ctalk/card/2"),
        signer(alice(), b""),
    ] {
        let mut forged = ForgedStatement::revocation();
        forged.signers = vec![sign];
        assert_eq!(
            Revocation::parse(&forged.make()).unwrap_err(),
            not_verified(StatementKind::Revocation, &alice())
        );
    }
}

#[test]
fn signatures_are_read_strictly() {
    let above_order: Sign = Box::new(|signed| {
        let message = [OLD, signed].concat();
        plus_order(alice().signing_key().sign(&message).to_bytes())
    });
    let neutral_r: Sign = Box::new(|signed| {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        sign_with_neutral_r(&alice(), neutral, &[OLD, signed].concat())
    });
    for sign in [above_order, neutral_r] {
        let mut forged = ForgedStatement::succession();
        forged.signers[0] = sign;
        assert_eq!(
            refused(forged),
            not_verified(StatementKind::Succession, &alice())
        );
    }
    for cofactorless in [true, false] {
        let mut forged = ForgedStatement::succession();
        forged.keys[0] = mixed_order_key(&alice());
        forged.signers[0] =
            Box::new(move |signed| sign_mixed(&alice(), cofactorless, &[OLD, signed].concat()));
        assert_eq!(Succession::parse(&forged.make()).is_ok(), cofactorless);
    }
}

#[test]
fn keys_that_card_readers_refuse_are_refused() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut negative_zero = neutral;
    negative_zero[31] = 0x80;
    for (key, expected) in [
        (neutral, KeyDefect::Weak),
        (negative_zero, KeyDefect::NotCanonical),
        ([2; 32], KeyDefect::WrongGroup),
    ] {
        for place in [0, 1] {
            let label = [OLD, NEW][place];
            let mut forged = ForgedStatement::succession();
            forged.keys[place] = key;
            forged.signers[place] =
                Box::new(move |signed| sign_under_small_order(&key, &[label, signed].concat()));
            let error = refused(forged);
            assert!(
                matches!(error, StatementError::Key { error, .. } if error.defect == expected),
                "{error:?}"
            );
        }
    }
}

#[test]
fn what_is_not_the_statement_is_said_to_be_what_it_is() {
    let kind = StatementKind::Succession;
    let start = |start: &[u8]| {
        let mut forged = ForgedStatement::succession();
        forged.start = start.to_vec();
        forged
    };
    assert_eq!(
        refused(start(b"ctalk2\x02\x01")).to_string(),
        "this is no succession but something of an unknown kind"
    );
    assert_eq!(
        refused(start(b"clawts\x02\x01")),
        StatementError::NotAStatement { kind }
    );
    for (version, suite) in [(1, 1), (3, 1), (2, 0), (2, 2)] {
        assert_eq!(
            refused(start(&[&b"ctalks"[..], &[version, suite]].concat())),
            StatementError::Newer {
                kind,
                version,
                suite
            }
        );
    }
    // Of a newer version even the length may be another one.
    assert_eq!(
        Succession::parse(b"ctalks\x03\x01").unwrap_err().failure(),
        Failure::Newer
    );
    assert_eq!(
        Succession::parse(&ForgedStatement::revocation().make()).unwrap_err(),
        StatementError::WrongKind { kind, found: b'r' }
    );
    assert_eq!(
        Succession::parse(bob().card().as_bytes())
            .unwrap_err()
            .to_string(),
        "this is no succession but a key card"
    );
    let error = Revocation::parse(alice_to_bob().as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "this is no revocation but a succession");
}

#[test]
fn times_end_with_the_calendar() {
    for (created, outcome) in [
        (0, Ok(())),
        ((1 << 53) - 1, Ok(())),
        (
            1 << 53,
            Err(StatementError::Time {
                kind: StatementKind::Succession,
            }),
        ),
        (
            u64::MAX,
            Err(StatementError::Time {
                kind: StatementKind::Succession,
            }),
        ),
    ] {
        let mut forged = ForgedStatement::succession();
        forged.created = created;
        assert_eq!(read_succession(&forged.make()), outcome);
    }
}

#[test]
fn the_text_is_one_line_in_one_alphabet() {
    let kind = StatementKind::Succession;
    let text = alice_to_bob().to_text();
    assert!(text.starts_with("ctalk-succession:") && text.len() == 295);
    let revocation = Revocation::sign(&alice().identity(), at(CREATED)).to_text();
    assert!(revocation.starts_with("ctalk-revocation:") && revocation.len() == 167);

    // The last character of 208 bytes has four unused bits.
    let (start, last) = text.split_at(text.len() - 1);
    assert!("AQgw".contains(last), "{last}");
    let unused = char::from(last.as_bytes()[0] + 1);
    for damaged in [
        String::new(),
        format!("{text}\n"),
        format!(" {text}"),
        format!("{text}="),
        format!("{text}=="),
        format!("{start}{unused}"),
        text.replacen("ctalk-s", "CTALK-S", 1),
        text.replacen("ctalk-succession:", "", 1),
        text.replacen("ctalk-succession:", "ctalk-revocation:", 1),
        format!("{}+{}", &text[..40], &text[41..]),
        format!("{} {}", &text[..40], &text[40..]),
        format!("ctalk-succession:{}", "A".repeat(1 << 20)),
        revocation,
    ] {
        assert_eq!(
            Succession::from_text(&damaged).unwrap_err(),
            StatementError::Text { kind },
            "{damaged:.80}"
        );
    }
    let cut = Succession::from_text(&text[..text.len() - 2]).unwrap_err();
    assert!(
        matches!(cut, StatementError::Length { found: 207, .. }),
        "{cut:?}"
    );
}

#[test]
fn a_statement_shows_identities_by_their_fingerprints() {
    let shown = format!("{:?}", alice_to_bob());
    for person in [alice(), bob()] {
        let fingerprint = Fingerprint::native(person.card().signing_key());
        assert!(shown.contains(&fingerprint.to_string()), "{shown}");
    }
}
