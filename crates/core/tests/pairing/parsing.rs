//! What is a message, and what is not.

use ctalk_core::{
    Card, CardError, CardNotCurrent, CardStatement, MAX_CARD_LEN,
    envelope::Failure,
    pairing::{MAX_MESSAGE_LEN, MAX_MESSAGE_TEXT_LEN, Message, MessageError},
};
use curve25519_dalek::{constants::EIGHT_TORSION, edwards::CompressedEdwardsY};

use crate::{
    scene::{
        CARD, STEP, VALUE, answered, code, confirmed, honest, invitation, inviter_finished,
        joining, joining_as, parse,
    },
    support::{CREATED, DAY, SKEW, at, bob},
};

#[test]
fn a_message_has_one_encoding_in_bytes_and_in_text() {
    for bytes in honest().wire {
        let message = parse(&bytes).unwrap();
        assert_eq!(message.to_bytes(), bytes);
        let text = message.to_text();
        assert!(text.starts_with("ctalk-pair:") && text.lines().count() == 1);
        let read = Message::from_text(&text, at(CREATED)).unwrap();
        assert_eq!(read.to_bytes(), bytes);
        for other in [
            format!("{text}="),
            format!("{text}\n"),
            format!(" {text}"),
            text.replacen("ctalk-pair", "ctalk-card", 1),
        ] {
            let error = Message::from_text(&other, at(CREATED)).unwrap_err();
            assert_eq!(error, MessageError::Text, "{other}");
            assert_eq!(error.failure(), Failure::Malformed);
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_refused() {
    for bytes in honest().wire {
        for length in 0..bytes.len() {
            let error = parse(&bytes[..length]).unwrap_err();
            assert_eq!(error.failure(), Failure::Malformed, "{length}");
        }
        let error = parse(&[&bytes[..], &[0]].concat()).unwrap_err();
        let trailing = if bytes.len() == CARD {
            MessageError::Trailing
        } else {
            MessageError::Card(CardError::Trailing)
        };
        assert_eq!(error, trailing);
    }
}

#[test]
fn the_start_is_checked_byte_by_byte() {
    let request = &honest().wire[0];
    let with = |place: usize, byte: u8| {
        let mut bytes = request.clone();
        bytes[place] = byte;
        parse(&bytes).unwrap_err()
    };
    for place in 0..5 {
        assert_eq!(with(place, b'C'), MessageError::NotAMessage);
    }
    assert_eq!(with(5, b'c'), MessageError::WrongKind { found: b'c' });
    let newer = |version, suite| MessageError::Newer { version, suite };
    assert_eq!(with(6, 3), newer(3, 1));
    assert_eq!(with(7, 2), newer(2, 2));
    assert_eq!(with(6, 3).failure(), Failure::Newer);
    for found in [0, 5, 255] {
        assert_eq!(with(STEP, found), MessageError::Step { found });
    }
}

#[test]
fn other_things_of_ctalks_are_told_apart() {
    let error = parse(bob().card().as_bytes()).unwrap_err();
    assert!(error.to_string().contains("a key card"), "{error}");
    let error = Card::parse(&honest().wire[0]).unwrap_err();
    assert!(error.to_string().contains("a pairing message"), "{error}");
}

/// Types keep the order: what is read as one message cannot be given for another.
#[test]
fn a_message_is_taken_for_what_its_step_says_or_for_nothing() {
    let wire = honest().wire;
    for (place, bytes) in wire.iter().enumerate() {
        for step in 1..=4 {
            let mut bytes = bytes.clone();
            bytes[STEP] = step;
            let read = match parse(&bytes) {
                Ok(Message::Request(_)) => 1,
                Ok(Message::Answer(_)) => 2,
                Ok(Message::JoinerConfirmation(_)) => 3,
                Ok(Message::InviterConfirmation(_)) => 4,
                Err(error) => {
                    assert_eq!(error.failure(), Failure::Malformed);
                    0
                }
            };
            let fits = (place < 2) == (step <= 2);
            assert_eq!(read, if fits { step } else { 0 });
        }
    }
}

#[test]
fn only_elements_of_the_prime_order_group_in_their_one_encoding_are_accepted() {
    let (request, _) = joining(code());
    let with = |element: [u8; 32]| {
        let mut bytes = request.clone();
        bytes[VALUE..CARD].copy_from_slice(&element);
        parse(&bytes)
    };
    let good: [u8; 32] = request[VALUE..CARD].try_into().unwrap();
    assert!(with(good).is_ok());

    let point = CompressedEdwardsY(good).decompress().unwrap();
    let mut refused: Vec<[u8; 32]> = Vec::new();
    // The points of small order, the neutral one among them.
    refused.extend(EIGHT_TORSION.iter().map(|low| low.compress().to_bytes()));
    // The good one, with a part of small order.
    let mixed = EIGHT_TORSION.iter().skip(1).map(|low| point + low);
    refused.extend(mixed.map(|mixed| mixed.compress().to_bytes()));
    // 2^255 - 19 + y for every y that fits, of either sign: points in their second encoding.
    for low in 0xed..=0xff {
        for high in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, high);
            refused.push(bytes);
        }
    }
    // No point at all: y = 2.
    let mut none = [0; 32];
    none[0] = 2;
    assert!(CompressedEdwardsY(none).decompress().is_none());
    refused.push(none);
    // The neutral point with a sign.
    let mut signed = [0; 32];
    (signed[0], signed[31]) = (1, 0x80);
    refused.push(signed);

    for element in refused {
        let error = with(element).unwrap_err();
        assert_eq!(error, MessageError::Element, "{}", hex::encode(element));
        assert_eq!(error.failure(), Failure::Malformed);
    }
}

/// A message that is refused leaves the pairing as it was.
#[test]
fn a_card_that_is_not_current_is_refused_and_burns_nothing() {
    let (request, joining) = joining(code());
    let invitation = invitation(code());
    let expires = CREATED + 30 * DAY;
    let created = CREATED - DAY;
    let at_time = |millis| Message::parse(&request, at(millis)).map(|_| ());

    let late = at_time(expires + 1).unwrap_err();
    let expired = CardNotCurrent::Expired {
        fingerprint: bob().card().fingerprint(),
    };
    assert_eq!(late, MessageError::NotCurrent(expired));
    assert_eq!(late.failure(), Failure::Expired);
    assert_eq!(at_time(expires), Ok(()));
    let early = at_time(created - SKEW - 1).unwrap_err();
    assert_eq!(early.failure(), Failure::Expired);
    assert_eq!(at_time(created - SKEW), Ok(()));

    let (answer, awaiting) = answered(invitation, &request);
    assert!(Message::parse(&answer, at(expires + 1)).is_err());
    let (confirmation, _) = confirmed(joining, &answer).unwrap();
    // Confirmations hold no card.
    assert!(Message::parse(&confirmation, at(expires + 1)).is_ok());
    assert!(inviter_finished(awaiting, &confirmation).is_ok());
}

#[test]
fn a_card_that_is_not_signed_is_refused() {
    let (mut request, _) = joining(code());
    let last = request.len() - 1;
    request[last] ^= 1;
    let error = parse(&request).unwrap_err();
    assert_eq!(error.failure(), Failure::NotVerified);
}

#[test]
fn the_longest_card_fits_and_longer_bytes_are_refused_unread() {
    let bob = bob();
    let card = |addresses: &[&str]| {
        bob.card_of(&CardStatement {
            name: "bob",
            serial: 1,
            created: at(CREATED),
            expires: at(CREATED + DAY),
            addresses,
        })
    };
    let mut addresses: Vec<_> = (0..6).map(|n| format!("{n}{}", "a".repeat(254))).collect();
    addresses.push("b".to_owned());
    let list: Vec<_> = addresses.iter().map(String::as_str).collect();
    let left = MAX_CARD_LEN - card(&list).as_bytes().len();
    addresses[6].push_str(&"b".repeat(left));
    let list: Vec<_> = addresses.iter().map(String::as_str).collect();
    let card = card(&list);
    assert_eq!(card.as_bytes().len(), MAX_CARD_LEN);

    let (request, _) = joining_as(code(), card, "joiner");
    assert_eq!(request.len(), MAX_MESSAGE_LEN);
    let text = parse(&request).unwrap().to_text();
    assert!(Message::from_text(&text, at(CREATED)).is_ok());

    let found = MAX_MESSAGE_LEN + 1;
    assert_eq!(
        parse(&vec![0; found]).unwrap_err(),
        MessageError::TooLong { found }
    );
    let found = MAX_MESSAGE_TEXT_LEN + 1;
    let text = "a".repeat(found);
    assert_eq!(
        Message::from_text(&text, at(CREATED)).unwrap_err(),
        MessageError::TextTooLong { found }
    );
}
