//! What a relay can do between two who share a code.

use ctalk_core::{Card, CardStatement, envelope::Failure, pairing::PairingError};

use crate::{
    scene::{
        ALICES_CARD, BOBS_CARD, CARD, SESSION, STEP, VALUE, answered, answered_as, code, confirmed,
        honest, invitation, inviter_confirmation, inviter_finished, joining, joining_as, pair,
        parse,
    },
    support::{CREATED, DAY, Person, alice, at, bob, carol, mallory},
};

/// Exchanges the card of a request or an answer.
fn swap_card(message: &mut Vec<u8>, card: &Card) {
    message.truncate(CARD);
    message.extend_from_slice(card.as_bytes());
}

/// Another card of the same person.
fn renewed(person: &Person) -> Card {
    person.card_of(&CardStatement {
        name: &person.name,
        serial: 2,
        created: at(CREATED),
        expires: at(CREATED + DAY),
        addresses: &[],
    })
}

/// What was altered is either no message, or a pairing that gives nobody a card whom it was altered for.
#[test]
fn every_altered_bit_is_refused_or_fails_the_pairing() {
    for (place, bytes) in honest().wire.iter().enumerate() {
        let step = u8::try_from(place + 1).unwrap();
        let mut read = 0;
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            // The step is the matter of other tests: messages of another type cannot be handed on.
            if bit / 8 == STEP || parse(&altered).is_err() {
                continue;
            }
            read += 1;
            let outcome = pair(invitation(code()), joining(code()), |now, message| {
                if now == step {
                    *message = altered.clone();
                }
            });
            match step {
                // The inviter had its proof before the last message was altered.
                4 => {
                    assert_eq!(outcome.inviter, Ok(bob().card()));
                    assert!(outcome.joiner.unwrap().is_err(), "bit {bit}");
                }
                _ => assert!(outcome.is_failure(), "step {step}, bit {bit}"),
            }
        }
        // Of all bits only those of the session and of the value make other messages.
        assert!((16 * 8..=(CARD - SESSION) * 8).contains(&read), "{read}");
    }
}

#[test]
fn a_card_swapped_on_either_way_fails_the_pairing() {
    for (step, card) in [
        (1, mallory().card()),
        (1, renewed(&bob())),
        (2, mallory().card()),
        (2, renewed(&alice())),
    ] {
        let outcome = pair(invitation(code()), joining(code()), |now, message| {
            if now == step {
                swap_card(message, &card);
            }
        });
        // A joiner that was shown another card has confirmed that one, which the inviter does not take.
        assert_eq!(outcome.inviter, Err(PairingError::NotConfirmed));
        assert!(outcome.joiner.is_none(), "step {step}");
    }
}

#[test]
fn one_card_in_place_of_both_fails_the_pairing() {
    let outcome = pair(invitation(code()), joining(code()), |step, message| {
        if step <= 2 {
            swap_card(message, &mallory().card());
        }
    });
    assert!(outcome.is_failure());
}

#[test]
fn cards_that_change_places_fail_the_pairing() {
    let outcome = pair(
        invitation(code()),
        joining(code()),
        |step, message| match step {
            1 => swap_card(message, &ALICES_CARD),
            2 => swap_card(message, &BOBS_CARD),
            _ => (),
        },
    );
    assert!(outcome.is_failure());
}

#[test]
fn an_attempt_renamed_on_its_whole_way_fails() {
    let session = honest().wire[0][SESSION..VALUE].to_vec();
    let outcome = pair(invitation(code()), joining(code()), |step, message| {
        if step % 2 == 1 {
            message[SESSION] ^= 1;
        } else {
            message[SESSION..VALUE].copy_from_slice(&session);
        }
    });
    assert_eq!(outcome.inviter, Err(PairingError::NotConfirmed));
    assert!(outcome.is_failure());
}

#[test]
fn messages_of_another_attempt_are_refused() {
    let other = pair(
        invitation(code()),
        joining_as(code(), carol().card(), "another"),
        |_, _| (),
    );
    assert_eq!(other.inviter, Ok(carol().card()));
    for step in 2..=4 {
        for (renamed, error) in [
            (false, PairingError::OtherSession),
            (true, PairingError::NotConfirmed),
        ] {
            let outcome = pair(invitation(code()), joining(code()), |now, message| {
                if now == step {
                    let session = message[SESSION..VALUE].to_vec();
                    *message = other.wire[usize::from(step) - 1].clone();
                    if renamed {
                        message[SESSION..VALUE].copy_from_slice(&session);
                    }
                }
            });
            let inviter = outcome.inviter.err();
            let joiner = outcome.joiner.and_then(Result::err);
            let expected = match step {
                // It answers the joiner, whose confirmation then fails when it is one.
                2 if renamed => (Some(error), None),
                2 => (Some(PairingError::NotConfirmed), Some(error)),
                3 => (Some(error), None),
                // The inviter had its proof before.
                _ => (None, Some(error)),
            };
            assert_eq!((inviter, joiner), expected, "step {step}, {renamed}");
        }
    }
}

#[test]
fn an_attempt_played_again_fails() {
    let first = honest().wire;
    let (answer, awaiting) = answered_as(invitation(code()), &first[0], "again");
    assert_ne!(answer[VALUE..CARD], first[1][VALUE..CARD]);
    assert_eq!(
        inviter_finished(awaiting, &first[2]).unwrap_err(),
        PairingError::NotConfirmed
    );
}

#[test]
fn a_joiner_refuses_its_own_element() {
    let (mut request, joining) = joining(code());
    request[STEP] = 2;
    assert_eq!(
        confirmed(joining, &request).unwrap_err(),
        PairingError::Reflected
    );
}

#[test]
fn a_joiner_refuses_its_own_confirmation() {
    let (request, joining) = joining(code());
    let (answer, _) = answered(invitation(code()), &request);
    let (mut confirmation, awaiting) = confirmed(joining, &answer).unwrap();
    confirmation[STEP] = 4;
    assert_eq!(
        awaiting
            .finish(&inviter_confirmation(&confirmation))
            .unwrap_err(),
        PairingError::NotConfirmed
    );
}

/// Two joiners who were told the same code: neither can stand in for the inviter.
#[test]
fn two_joiners_do_not_pair_with_each_other() {
    let (bobs, bob) = joining(code());
    let (mut carols, carol) = joining_as(code(), carol().card(), "carol");
    let session = bobs[SESSION..VALUE].to_vec();

    carols[STEP] = 2;
    carols[SESSION..VALUE].copy_from_slice(&session);
    let (_, awaiting) = confirmed(bob, &carols).unwrap();

    let mut to_carol = bobs;
    to_carol[STEP] = 2;
    to_carol[SESSION..VALUE].copy_from_slice(carol.session().as_bytes());
    let (mut confirmation, _) = confirmed(carol, &to_carol).unwrap();
    confirmation[STEP] = 4;
    confirmation[SESSION..VALUE].copy_from_slice(&session);
    assert_eq!(
        awaiting
            .finish(&inviter_confirmation(&confirmation))
            .unwrap_err(),
        PairingError::NotConfirmed
    );
}

#[test]
fn every_failure_is_one_of_verification() {
    for error in [
        PairingError::NotConfirmed,
        PairingError::OtherSession,
        PairingError::Reflected,
    ] {
        assert_eq!(error.failure(), Failure::NotVerified);
        assert!(error.to_string().contains("make a new code"), "{error}");
    }
}
