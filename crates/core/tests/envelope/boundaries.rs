//! Lengths and numbers at every edge.

use std::sync::LazyLock;

use ctalk_core::{
    Card, Identity,
    envelope::{self, Envelope, Header, MAX_HEADER_LEN, MAX_RECIPIENTS, ParseError},
};
use proptest::{prelude::*, test_runner::Config};

use crate::{
    forge::{Forge, SEGMENT, SLOT, padme, text_content},
    support::{CREATED, EXPIRES, Person, Seeded, alice, at, bob, open, seal_to, text_metadata},
};

/// Bytes of the metadata that [`seal_to`] seals.
const METADATA_LEN: usize = 18;

/// How long an envelope to one recipient is, by a calculation of its own.
fn sealed_len(recipients: usize, payload_len: usize) -> usize {
    let padded = padme(METADATA_LEN + payload_len);
    106 + recipients * (16 + 1168) + padded + padded.div_ceil(SLOT) * (4 + 16 + 64)
}

fn check(payload_len: usize) {
    let payload: Vec<u8> = (0..payload_len)
        .map(|place| (place * 7).to_le_bytes()[0])
        .collect();
    let sealed = seal_to(&[bob().card()], &payload);
    assert_eq!(sealed.len(), sealed_len(1, payload_len), "{payload_len}");
    let envelope = Envelope::parse(&sealed).unwrap();
    assert_eq!(
        envelope.padded_len(),
        padme(METADATA_LEN + payload_len),
        "{payload_len}"
    );
    assert!(
        open(&sealed, &bob()).unwrap().payload == payload,
        "{payload_len}"
    );
}

#[test]
fn payloads_of_every_length_up_to_the_second_step_survive() {
    for length in (0..20).chain(220..=300) {
        check(length);
    }
}

#[test]
fn payloads_around_steps_of_the_padding_survive() {
    for content in [
        256, 272, 288, 512, 544, 1024, 1088, 4096, 4352, 65_536, 69_632,
    ] {
        for length in content - 1..=content + 1 {
            check(length - METADATA_LEN);
        }
    }
}

#[test]
fn payloads_around_the_end_of_a_segment_survive() {
    // Where the padded length passes the end of the first slot, where the content does, and the
    // same for the second.
    for content in [
        1_032_192,
        SLOT - 1,
        SLOT,
        SLOT + 1,
        1 << 20,
        (1 << 20) + 1,
        2 * SLOT - 1,
        2 * SLOT,
        2 * SLOT + 1,
        (1 << 21) + 1,
    ] {
        check(content - METADATA_LEN);
        check(content - METADATA_LEN + 1);
    }
}

#[test]
fn a_kilobyte_to_one_recipient_takes_at_most_2700_bytes() {
    let sealed = seal_to(&[bob().card()], &[b'x'; 1024]);
    assert!(sealed.len() <= 2700, "{}", sealed.len());
}

#[test]
fn envelopes_have_1_to_1024_recipients_who_all_read_the_same() {
    let people: Vec<_> = (0..MAX_RECIPIENTS)
        .map(|number| Person::new(&format!("p{number}")))
        .collect();
    let cards: Vec<Card> = people.iter().map(Person::card).collect();
    for recipients in [1, 2, 3, 15, 16, 17, 255, 256, 257, 1023, 1024] {
        let sealed = seal_to(&cards[..recipients], b"to all of you");
        assert_eq!(sealed.len(), sealed_len(recipients, 13));
        let readers = [0, 1, recipients / 2, recipients - 1];
        for person in readers
            .into_iter()
            .filter_map(|place| people[..recipients].get(place))
        {
            assert_eq!(open(&sealed, person).unwrap().payload, b"to all of you");
        }
        if let Some(stranger) = people.get(recipients) {
            assert!(open(&sealed, stranger).is_err());
        }
    }
}

/// A header of 1,025 recipients that are all there and in order.
#[test]
fn one_recipient_more_than_allowed_is_refused() {
    let recipients = MAX_RECIPIENTS + 1;
    let mut bytes = Forge::new("seal", &text_content(b"")).make()[..104].to_vec();
    bytes.extend(u16::try_from(recipients).unwrap().to_be_bytes());
    for hint in 0..recipients {
        bytes.extend(u128::try_from(hint).unwrap().to_be_bytes());
    }
    bytes.resize(bytes.len() + recipients * 1168 + 340, 0);
    let refused = ParseError::Recipients { found: recipients };
    assert_eq!(Envelope::parse(&bytes).err(), Some(refused));
    assert_eq!(Header::length(&bytes[..106]), Err(refused));

    bytes[104..106].copy_from_slice(&1024_u16.to_be_bytes());
    assert_eq!(Header::length(&bytes[..106]), Ok(MAX_HEADER_LEN));
}

#[test]
fn the_length_of_a_header_is_known_from_its_start() {
    for recipients in [1, 2, 10] {
        let people: Vec<_> = (0..recipients)
            .map(|number| Person::new(&format!("p{number}")))
            .collect();
        let mut forge = Forge::new("seal", b"").to(&people.iter().collect::<Vec<_>>());
        let header = forge.header();
        assert_eq!(Header::length(&header[..106]), Ok(header.len()));
        let (parsed, rest) = Header::parse(&header).unwrap();
        assert!(rest.is_empty());
        assert_eq!(usize::from(parsed.claims().recipients), recipients);
    }
}

#[test]
fn segments_of_impossible_lengths_are_refused() {
    let (header, _) = Forge::new("seal", b"").parts();
    let parse = |body: usize| {
        let bytes = [&header[..], &vec![0; body]].concat();
        Envelope::parse(&bytes).map(|envelope| envelope.padded_len())
    };
    assert_eq!(parse(0), Err(ParseError::Truncated));
    for found in [1, 80, 84] {
        let refused = Err(ParseError::SegmentLength { found });
        assert_eq!(parse(found), refused);
        assert_eq!(parse(SEGMENT + found), refused);
        assert_eq!(parse(2 * SEGMENT + found), refused);
    }
    assert_eq!(parse(85), Ok(1));
    assert_eq!(parse(SEGMENT), Ok(SLOT));
    assert_eq!(parse(SEGMENT + 85), Ok(SLOT + 1));
}

static ALICE: LazyLock<Identity> = LazyLock::new(|| alice().identity());
static BOB: LazyLock<(Identity, Card)> = LazyLock::new(|| (bob().identity(), bob().card()));

/// What bytes from outside may begin with.
const STARTS: &[&[u8]] = &[b"", b"ctalk", b"ctalke\x02\x01", b"ctalkc\x02\x01"];

proptest! {
    #![proptest_config(Config { cases: 200, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_payload_survives(payload in prop::collection::vec(any::<u8>(), 0..6000), seed: u64) {
        let sealed = envelope::seal(
            &ALICE,
            [&BOB.1],
            &text_metadata(),
            &payload,
            at(CREATED),
            at(EXPIRES),
            &mut Seeded::new(format!("{seed}")),
        ).unwrap();
        prop_assert_eq!(sealed.len(), sealed_len(1, payload.len()));
        let opened = Envelope::parse(&sealed).unwrap().verify().unwrap().open(&BOB.0, at(CREATED)).unwrap();
        prop_assert_eq!(opened.payload, payload);
    }

    #[test]
    fn any_metadata_survives(
        topic in prop::option::of(".{0,200}"),
        correlation_id in prop::option::of(".{0,200}"),
        reply_to in prop::option::of(".{0,200}"),
        content_type in "[ -~]{1,255}",
        name in prop::option::of(".{0,60}"),
    ) {
        let mut metadata = text_metadata();
        metadata.topic = topic;
        metadata.correlation_id = correlation_id;
        metadata.reply_to = reply_to;
        metadata.content_type = content_type;
        metadata.name = name;
        let sealed = envelope::seal(
            &ALICE,
            [&BOB.1],
            &metadata,
            b"x",
            at(CREATED),
            at(EXPIRES),
            &mut Seeded::new("seal"),
        ).unwrap();
        let opened = Envelope::parse(&sealed).unwrap().verify().unwrap().open(&BOB.0, at(CREATED)).unwrap();
        prop_assert_eq!(opened.metadata, metadata);
    }

    #[test]
    fn no_bytes_are_taken_for_an_envelope_or_card(
        start in prop::sample::select(STARTS),
        noise in prop::collection::vec(any::<u8>(), 0..4000),
    ) {
        let bytes = [start, &noise].concat();
        if let Ok(envelope) = Envelope::parse(&bytes) {
            prop_assert!(envelope.verify().is_err());
        }
        prop_assert!(Card::parse(&bytes).is_err());
    }
}
