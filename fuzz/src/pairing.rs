//! Pairing messages and codes: what a relay hands over, and what people type.

use ctalk_core::pairing::{Code, Invitation, Joining, Message, MessageError};

use super::people::{BOBS_CARD, NOW, Ring, at};

/// Where the session begins, and where it ends.
const SESSION: usize = 9;
const ELEMENT: usize = 25;

/// Bytes of a message before its card, and all bytes of one without.
const CARD: usize = 57;

/// Takes `data` for a message, or else for one without its card, or for a code.
pub(crate) fn check(data: &[u8]) -> bool {
    match Message::parse(data, at(NOW)) {
        Ok(message) => {
            taken(message, data);
            true
        }
        Err(_) => without_card(data) | core::str::from_utf8(data).is_ok_and(code),
    }
}

/// What has a good card is refused for what stands before it alone.
fn without_card(data: &[u8]) -> bool {
    let Some(start) = data.get(..CARD) else {
        return false;
    };
    let bytes = [start, BOBS_CARD.as_bytes()].concat();
    match Message::parse(&bytes, at(NOW)) {
        Ok(message) => {
            taken(message, &bytes);
            true
        }
        Err(MessageError::Card(_) | MessageError::NotCurrent(_)) => panic!("the card is good"),
        Err(_) => false,
    }
}

/// A message has one encoding, and nothing that is one disturbs whoever waits for it.
fn taken(message: Message, bytes: &[u8]) {
    assert_eq!(message.to_bytes(), bytes);
    assert_eq!(message.session().as_bytes()[..], bytes[SESSION..ELEMENT]);
    let text = message.to_text();
    let read = Message::from_text(&text, at(NOW)).unwrap();
    assert_eq!(read.to_bytes(), bytes);
    assert!(Message::from_text(&format!("{text}A"), at(NOW)).is_err());
    assert!(Message::parse(&bytes[..bytes.len() - 1], at(NOW)).is_err());
    assert!(Message::parse(&[bytes, &[0]].concat(), at(NOW)).is_err());

    let rng = || Ring::new((0..=u8::MAX).collect());
    let known = || Code::parse("bob-zoo-zoo-zoo-zoo").unwrap();
    let (request, joining) = Joining::start(known(), BOBS_CARD.clone(), &mut rng());
    let invitation = Invitation::new(known(), BOBS_CARD.clone());
    match message {
        // Only this side's own element can be wrong with what was read.
        Message::Request(request) => drop(invitation.answer(request, &mut rng())),
        Message::Answer(_) => {
            let mut bytes = bytes.to_vec();
            bytes[SESSION..ELEMENT].copy_from_slice(request.session().as_bytes());
            let Ok(Message::Answer(answer)) = Message::parse(&bytes, at(NOW)) else {
                panic!("any session will do")
            };
            drop(joining.confirm(answer));
        }
        Message::JoinerConfirmation(confirmation) => {
            let Message::Request(request) = request else {
                panic!("a joiner begins with a request")
            };
            let rng = &mut Ring::new((0..=u8::MAX).rev().collect());
            let (_, awaiting) = invitation.answer(request, rng).unwrap();
            // To be right, these 32 bytes would have to be guessed.
            assert!(awaiting.finish(&confirmation).is_err());
        }
        Message::InviterConfirmation(confirmation) => {
            let Message::Request(request) = request else {
                panic!("a joiner begins with a request")
            };
            let rng = &mut Ring::new((0..=u8::MAX).rev().collect());
            let (answer, _) = invitation.answer(request, rng).unwrap();
            let Message::Answer(answer) = answer else {
                panic!("an inviter answers")
            };
            let (_, awaiting) = joining.confirm(answer).unwrap();
            assert!(awaiting.finish(&confirmation).is_err());
        }
    }
}

/// A code that is read is written in one way, and that reads back.
fn code(text: &str) -> bool {
    let Ok(code) = Code::parse(text) else {
        return false;
    };
    let written = code.to_text();
    let name = code.name();
    assert!(text.trim_start().starts_with(name));
    assert_eq!(written[name.len()..].split('-').skip(1).count(), 4);
    let same = Code::parse(&written).unwrap();
    assert_eq!((same.name(), same.to_text()), (name, written));
    true
}
