//! What debug output and errors must not say.

use ctalk_core::{
    Card, Identity, XWingSecret,
    envelope::{self, Envelope, Kind, Metadata},
};

use crate::{
    forge::{Forge, metadata},
    support::{CREATED, EXPIRES, Seeded, alice, at, bob, open, open_at},
};

const SECRET: &str = "hunter2";

#[test]
fn xwing_seeds_are_in_no_debug_output() {
    let bob = bob();
    let secret = XWingSecret::from_seed(&bob.xwing_seed);
    assert_eq!(*secret.seed(), bob.xwing_seed);
    let shown = format!("{secret:?} {:?}", bob.identity());
    assert!(shown.contains("XWingSecret"));
    let bytes = format!("{:?}", bob.xwing_seed);
    assert!(!shown.contains(&hex::encode(bob.xwing_seed)));
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])));
}

#[test]
fn neither_metadata_nor_payloads_are_in_debug_output() {
    let mut said = Metadata::new(Kind::Request, SECRET);
    said.topic = Some(SECRET.to_owned());
    said.correlation_id = Some(SECRET.to_owned());
    said.reply_to = Some(SECRET.to_owned());
    said.name = Some(SECRET.to_owned());
    assert_eq!(format!("{said:?}"), "Metadata { kind: Request, .. }");
    let sealed = envelope::seal(
        &alice().identity(),
        &[bob().card()],
        &said,
        SECRET.as_bytes(),
        at(CREATED),
        at(EXPIRES),
        &mut Seeded::new("seal"),
    )
    .unwrap();
    let opened = open(&sealed, &bob()).unwrap();
    assert_eq!(opened.payload, SECRET.as_bytes());
    let shown = format!("{opened:?}");
    assert!(shown.starts_with("Opened"));
    let bytes = format!("{:?}", SECRET.as_bytes());
    assert!(!shown.contains(SECRET) && !shown.contains(bytes.trim_matches(['[', ']'])));
}

#[test]
fn errors_do_not_repeat_what_they_refuse() {
    let bob = bob().identity();
    let refuse = |content: Vec<u8>| {
        let sealed = Forge::new("seal", &content).make();
        let verified = Envelope::parse(&sealed).unwrap().verify().unwrap();
        let error = verified.open(&bob, at(CREATED)).unwrap_err();
        assert!(open_at(&sealed, &bob, at(CREATED)).is_err());
        format!("{error} {error:?}")
    };
    let mut not_utf8 = metadata(1, "text/plain");
    let text = [&[1, 0, 8][..], SECRET.as_bytes(), b"\xff"].concat();
    not_utf8.splice(1..2, text);
    for content in [
        not_utf8,
        metadata(1, &format!("{SECRET}\n")),
        [&[0][..], SECRET.as_bytes()].concat(),
    ] {
        let shown = refuse(content);
        assert!(!shown.contains(SECRET), "{shown}");
    }
    for text in [
        SECRET.to_owned(),
        format!("ctalk2:{SECRET}!"),
        format!("ctalk-card:{SECRET}!"),
    ] {
        let error = envelope::from_text(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET));
        let error = Card::from_text(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET));
    }
}

#[test]
fn the_keygen_json_is_that_of_the_lasting_keys_alone() {
    let plain = Identity::generate(&mut Seeded::new("keygen"));
    let rotating = Identity::generate(&mut Seeded::new("keygen"))
        .with_xwing(XWingSecret::generate(&mut Seeded::new("xwing")));
    assert_eq!(*plain.to_keygen_json(), *rotating.to_keygen_json());
    assert_eq!(rotating.xwing_keys().count(), 1);
}
