//! What happens when nobody interferes.

use ctalk_core::pairing::{Code, Message, PairingError};

use crate::{
    scene::{
        CARD, CODE, SESSION, VALUE, answered, answered_as, code, confirmed, honest, invitation,
        inviter_confirmation, inviter_finished, joining, joining_as, pair,
    },
    support::{CREATED, Seeded, alice, at, bob},
};

#[test]
fn two_who_share_a_code_get_each_others_cards() {
    let outcome = honest();
    assert_eq!(outcome.inviter, Ok(bob().card()));
    assert_eq!(outcome.joiner, Some(Ok(alice().card())));
    assert_eq!(outcome.wire.len(), 4);
}

#[test]
fn a_generated_code_pairs_when_it_is_typed() {
    let code = Code::generate("alice", &mut Seeded::new("code")).unwrap();
    let typed = code.to_text().to_uppercase().replace('-', " ");
    let joiner = joining(Code::parse(&typed).unwrap());
    let outcome = pair(invitation(code), joiner, |_, _| ());
    assert_eq!(outcome.inviter, Ok(bob().card()));
    assert_eq!(outcome.joiner, Some(Ok(alice().card())));
}

#[test]
fn the_name_is_no_part_of_the_secret() {
    let renamed = Code::parse(&CODE.replace("alice", "ALICE2")).unwrap();
    let outcome = pair(invitation(code()), joining(renamed), |_, _| ());
    assert_eq!(outcome.inviter, Ok(bob().card()));
}

#[test]
fn with_one_word_wrong_neither_side_gets_a_card() {
    for (right, wrong) in [
        ("abandon", "ability"),
        ("zoo", "zone"),
        ("ability", "abandon"),
        ("wild", "will"),
    ] {
        let mut words: Vec<_> = CODE.split('-').collect();
        let place = words.iter().rposition(|word| *word == right).unwrap();
        words[place] = wrong;
        let guess = Code::parse(&words.join("-")).unwrap();
        let outcome = pair(invitation(code()), joining(guess), |_, _| ());
        assert_eq!(outcome.inviter, Err(PairingError::NotConfirmed), "{wrong}");
        assert_eq!(outcome.joiner, None, "{wrong}");
    }
}

#[test]
fn words_in_another_order_are_another_code() {
    let guess = Code::parse("alice-zoo-abandon-ability-wild").unwrap();
    let outcome = pair(invitation(code()), joining(guess), |_, _| ());
    assert!(outcome.is_failure());
}

/// Whoever plays the inviter with another code gets a confirmation from the joiner, and its own is
/// refused even if it lets that one pass.
#[test]
fn a_joiner_takes_no_card_from_somebody_with_another_code() {
    let guess = || Code::parse("alice-wild-wild-wild-wild").unwrap();
    let (request, guessing) = joining(guess());
    let (answer, awaiting_joiner) = answered(invitation(guess()), &request);
    let (confirmation, _) = confirmed(guessing, &answer).unwrap();
    let (confirmation, _) = inviter_finished(awaiting_joiner, &confirmation).unwrap();

    // The same session and card, but the right code.
    let (_, joining) = joining(code());
    let (_, awaiting_inviter) = confirmed(joining, &answer).unwrap();
    let confirmation = inviter_confirmation(&confirmation);
    assert_eq!(
        awaiting_inviter.finish(&confirmation).unwrap_err(),
        PairingError::NotConfirmed
    );
}

#[test]
fn but_for_elements_and_confirmations_nothing_on_the_wire_depends_on_the_secret() {
    let say = |text: &str| {
        let code = || Code::parse(text).unwrap();
        pair(invitation(code()), joining(code()), |_, _| ()).wire
    };
    let one = say(CODE);
    let other = say("alice-wild-wild-wild-wild");
    assert_eq!((one.len(), other.len()), (4, 4));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one[..VALUE], other[..VALUE]);
        assert_ne!(one[VALUE..CARD], other[VALUE..CARD]);
        assert_eq!(one[CARD..], other[CARD..]);
    }
}

#[test]
fn all_messages_of_an_attempt_and_both_sides_name_its_session() {
    let (request, joining) = joining(code());
    let (answer, awaiting_joiner) = answered(invitation(code()), &request);
    let session = *joining.session();
    assert_eq!(awaiting_joiner.session(), &session);
    let (confirmation, awaiting_inviter) = confirmed(joining, &answer).unwrap();
    assert_eq!(awaiting_inviter.session(), &session);
    let (last, _) = inviter_finished(awaiting_joiner, &confirmation).unwrap();
    for bytes in [request, answer, confirmation, last] {
        let message = Message::parse(&bytes, at(CREATED)).unwrap();
        assert_eq!(message.session(), &session);
        assert_eq!(hex::encode(session.as_bytes()), session.to_string());
    }
}

#[test]
fn two_attempts_have_nothing_random_in_common() {
    let (one, _) = joining_as(code(), bob().card(), "one");
    let (other, _) = joining_as(code(), bob().card(), "other");
    assert_ne!(one[SESSION..VALUE], other[SESSION..VALUE]);
    assert_ne!(one[VALUE..CARD], other[VALUE..CARD]);

    let answer = |seed: &str| {
        let (answer, _) = answered_as(invitation(code()), &one, seed);
        answer
    };
    assert_ne!(answer("one")[VALUE..CARD], answer("other")[VALUE..CARD]);
}
