//! Cards: what may stand on them, when they count, and which replaces which.

use ctalk_core::{
    Card, CardError, CardNotCurrent, CardStatement, Fingerprint, MAX_CARD_LEN, MAX_CARD_TEXT_LEN,
    XWingSecret,
    trust::{self, CardRefused, CardUpdate, KeyPart},
};

use crate::{
    forge::{ForgedCard, sha256},
    support::{CREATED, DAY, EXPIRES, SKEW, Seeded, at, bob, carol, days},
};

fn statement() -> CardStatement<'static> {
    CardStatement {
        name: "bob",
        serial: 7,
        created: at(CREATED),
        expires: at(EXPIRES),
        addresses: &["https://relay.example/bob", "nats://bob"],
    }
}

fn sign(statement: &CardStatement<'_>) -> Result<Card, CardError> {
    let identity = bob().identity();
    Card::sign(&identity, identity.xwing_keys().next().unwrap(), statement)
}

#[test]
fn a_card_says_what_was_signed() {
    let card = sign(&statement()).unwrap();
    for card in [
        Card::parse(card.as_bytes()).unwrap(),
        Card::from_text(&card.to_text()).unwrap(),
        Card::from_stored(card.as_bytes()).unwrap(),
    ] {
        assert_eq!(card.name(), "bob");
        assert_eq!(card.serial(), 7);
        assert_eq!((card.created(), card.expires()), (at(CREATED), at(EXPIRES)));
        assert_eq!(card.public_keys(), bob().identity().public_keys());
        assert_eq!(card.xwing_key().as_bytes(), &bob().xwing());
        let addresses: Vec<_> = card.addresses().collect();
        assert_eq!(addresses, statement().addresses);
    }
}

#[test]
fn a_card_from_the_store_is_read_as_strictly_but_for_its_signature() {
    let card = sign(&statement()).unwrap();
    let mut forged = card.as_bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert!(Card::parse(&forged).is_err());
    assert_eq!(Card::from_stored(&forged).unwrap().serial(), card.serial());
    for length in 0..forged.len() {
        assert!(Card::from_stored(&forged[..length]).is_err(), "{length}");
    }
    forged.push(0);
    assert!(Card::from_stored(&forged).is_err());
}

#[test]
fn signing_makes_byte_for_byte_what_the_page_says() {
    let mut forged = ForgedCard::new(&bob());
    forged.serial = 7;
    forged.addresses = statement()
        .addresses
        .iter()
        .map(|address| address.as_bytes().to_vec())
        .collect();
    assert_eq!(sign(&statement()).unwrap().as_bytes(), forged.make());
}

#[test]
fn the_fingerprint_of_a_card_is_that_of_its_signing_key() {
    let mut rotated = bob();
    rotated.xwing_seed = [9; 32];
    rotated.encryption_secret = [9; 32];
    let expected = sha256(&[b"ctalk/fingerprint/native/2", &bob().verifying()]);
    assert_eq!(
        bob().card().fingerprint(),
        Fingerprint::from_bytes(expected)
    );
    assert_eq!(rotated.card().fingerprint(), bob().card().fingerprint());
    assert_ne!(carol().card().fingerprint(), bob().card().fingerprint());
    assert_ne!(
        bob().card().fingerprint(),
        bob().card().public_keys().fingerprint()
    );
}

#[test]
fn no_card_is_signed_that_others_refuse() {
    let long = "x".repeat(256);
    let cases: [(CardError, CardStatement<'_>); 9] = [
        (
            CardError::Name,
            CardStatement {
                name: "",
                ..statement()
            },
        ),
        (
            CardError::Name,
            CardStatement {
                name: &long[..65],
                ..statement()
            },
        ),
        (
            CardError::Name,
            CardStatement {
                name: &long,
                ..statement()
            },
        ),
        (
            CardError::Name,
            CardStatement {
                name: "b\u{85}b",
                ..statement()
            },
        ),
        (
            CardError::Times,
            CardStatement {
                expires: at(CREATED),
                ..statement()
            },
        ),
        (
            CardError::Addresses,
            CardStatement {
                addresses: &["a"; 9],
                ..statement()
            },
        ),
        (
            CardError::Addresses,
            CardStatement {
                addresses: &["a", "b", "a"],
                ..statement()
            },
        ),
        (
            CardError::Addresses,
            CardStatement {
                addresses: &[""],
                ..statement()
            },
        ),
        (
            CardError::Addresses,
            CardStatement {
                addresses: &[&long],
                ..statement()
            },
        ),
    ];
    for (error, statement) in cases {
        assert_eq!(sign(&statement).unwrap_err(), error, "{statement:?}");
    }
    let address = "x".repeat(254);
    let addresses: Vec<_> = (0..8).map(|number| format!("{number}{address}")).collect();
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    let too_long = CardStatement {
        addresses: &addresses,
        ..statement()
    };
    assert!(matches!(sign(&too_long), Err(CardError::TooLong { found }) if found > MAX_CARD_LEN));
}

#[test]
fn a_card_carries_only_a_key_that_its_identity_holds() {
    let identity = bob().identity();
    let foreign = carol().identity();
    let foreign = foreign.xwing_keys().next().unwrap();
    assert_eq!(
        Card::sign(&identity, foreign, &statement()).unwrap_err(),
        CardError::NotHeld
    );
    let second = XWingSecret::generate(&mut Seeded::new("second"));
    let key = second.public_key().clone();
    let rotated = identity.with_xwing(second);
    assert_eq!(
        Card::sign(&rotated, &key, &statement())
            .unwrap()
            .xwing_key(),
        &key
    );
    assert_eq!(rotated.xwing_keys().count(), 2);
}

#[test]
fn the_longest_text_is_that_of_the_longest_card() {
    let bytes = [b'x'; MAX_CARD_LEN];
    assert_eq!(MAX_CARD_TEXT_LEN, 4011);
    let text = format!("ctalk-card:{}", "A".repeat(4000));
    assert_eq!(Card::from_text(&text).unwrap_err(), CardError::NotACard);
    assert_eq!(Card::parse(&bytes).unwrap_err(), CardError::NotACard);
    assert_eq!(
        Card::from_text(&format!("{text}A")).unwrap_err(),
        CardError::TextTooLong { found: 4012 }
    );
}

#[test]
fn a_card_is_current_from_the_tolerance_before_it_to_its_expiry() {
    let card = sign(&statement()).unwrap();
    let fingerprint = card.fingerprint();
    for (now, outcome) in [
        (
            CREATED - SKEW - 1,
            Err(CardNotCurrent::Future { fingerprint }),
        ),
        (CREATED - SKEW, Ok(())),
        (EXPIRES, Ok(())),
        (EXPIRES + 1, Err(CardNotCurrent::Expired { fingerprint })),
    ] {
        assert_eq!(card.check_current(at(now)), outcome);
        assert_eq!(card.is_current(at(now)), outcome.is_ok());
    }
    assert_eq!(at(CREATED).checked_add(days(7)), Some(at(EXPIRES)));
}

#[test]
fn a_card_replaces_only_those_with_lower_serials() {
    let card = |serial, name| {
        bob().card_of(&CardStatement {
            serial,
            name,
            ..statement()
        })
    };
    let held = card(7, "bob");
    let decide = |offered: &Card| trust::card_update(Some(&held), offered, at(CREATED));
    assert_eq!(decide(&card(8, "bob")), Ok(CardUpdate::Newer));
    assert_eq!(decide(&card(7, "bob")), Ok(CardUpdate::Same));
    assert_eq!(decide(&card(6, "bob")), Ok(CardUpdate::Older));
    assert_eq!(
        decide(&card(7, "rob")),
        Err(CardRefused::SameSerial {
            fingerprint: held.fingerprint(),
            serial: 7
        })
    );
    assert_eq!(
        trust::card_update(None, &held, at(CREATED)),
        Ok(CardUpdate::Newer)
    );
}

#[test]
fn a_card_of_another_identity_is_refused_whatever_its_serial() {
    let held = bob().card();
    for serial in [0, 1, u64::MAX] {
        let offered = carol().card_of(&CardStatement {
            serial,
            ..statement()
        });
        assert_eq!(
            trust::card_update(Some(&held), &offered, at(CREATED)),
            Err(CardRefused::OtherIdentity {
                held: held.fingerprint(),
                offered: offered.fingerprint()
            })
        );
    }
}

#[test]
fn a_card_from_the_future_is_refused_beyond_the_tolerance() {
    let offered = bob().card_of(&CardStatement {
        serial: 9,
        ..statement()
    });
    let held = bob().card();
    for held in [None, Some(&held)] {
        assert_eq!(
            trust::card_update(held, &offered, at(CREATED - SKEW)),
            Ok(CardUpdate::Newer)
        );
        assert_eq!(
            trust::card_update(held, &offered, at(CREATED - SKEW - 1)),
            Err(CardRefused::Future {
                fingerprint: offered.fingerprint()
            })
        );
    }
    // An expired one may still be the newest that is known.
    assert_eq!(
        trust::card_update(None, &offered, at(EXPIRES + DAY)),
        Ok(CardUpdate::Newer)
    );
}

#[test]
fn a_card_upgrades_a_classic_contact_only_with_both_its_keys() {
    let card = bob().card();
    let pinned = *bob().identity().public_keys();
    assert_eq!(trust::upgrade(&pinned, &card), Ok(()));
    let mut other_encryption = bob();
    other_encryption.encryption_secret = [9; 32];
    let mut other_signing = bob();
    other_signing.signing_seed = [9; 32];
    for (person, part) in [
        (other_encryption, KeyPart::Encryption),
        (other_signing, KeyPart::Signing),
        (carol(), KeyPart::Both),
    ] {
        assert_eq!(
            trust::upgrade(&pinned, &person.card()).unwrap_err().part,
            part
        );
    }
}
