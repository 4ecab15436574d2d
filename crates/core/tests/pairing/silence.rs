//! What debug output must not say.

use crate::scene::{
    CODE, SESSION, VALUE, answered, code, confirmed, honest, invitation, joining, parse,
};

/// Whether `bytes` are in `shown`, in hex or as a list of numbers.
fn shows(shown: &str, bytes: &[u8]) -> bool {
    let list = format!("{bytes:?}");
    shown.contains(&hex::encode(bytes)) || shown.contains(list.trim_matches(['[', ']']))
}

#[test]
fn neither_words_nor_confirmations_are_in_debug_output() {
    let wire = honest().wire;
    let mut shown = vec![format!("{:?}", code()), format!("{:?}", invitation(code()))];
    let (request, joining) = joining(code());
    shown.push(format!("{joining:?}"));
    let (answer, awaiting_joiner) = answered(invitation(code()), &request);
    shown.push(format!("{awaiting_joiner:?}"));
    let (_, awaiting_inviter) = confirmed(joining, &answer).unwrap();
    shown.push(format!("{awaiting_inviter:?}"));
    shown.extend(wire.iter().map(|bytes| format!("{:?}", parse(bytes))));

    let session = hex::encode(&wire[0][SESSION..VALUE]);
    assert_eq!(
        shown.iter().filter(|text| text.contains(&session)).count(),
        7
    );
    for text in shown {
        for word in CODE.split('-').skip(1) {
            assert!(!text.contains(word), "{text}");
        }
        for bytes in &wire[2..] {
            assert!(!shows(&text, &bytes[VALUE..]), "{text}");
        }
        assert!(text.len() < 700, "{text}");
    }
}
