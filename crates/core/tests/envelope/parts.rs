//! Parts: cutting an envelope, putting it together, and everything that must not pass for a part of it.

use ctalk_core::{
    envelope::{self, Envelope, Header, MAX_LIFE},
    part::{
        Fact, MAX_PART_TEXT_LEN, MAX_SLICE_LEN, MAX_SPLIT_LEN, MIN_SLICE_LEN, Part, PartError,
        Split, SplitError, Whole, WholeError, slice_len_for,
    },
};

use crate::{
    forge::sha256,
    forged_part::{ForgedPart, PART, SLICE, envelope},
    forged_statement::signer,
    support::{
        CREATED, EXPIRES, Seeded, alice, at, bob, days, mallory, open, seal_to, text_metadata,
    },
};

/// What a part that its sender signed says of its envelope, and its slice.
fn read(text: &str) -> (Whole, u16, Vec<u8>) {
    let bytes = Part::from_text(text).unwrap();
    let part = Part::parse(&bytes).unwrap();
    let claims = part.claims().clone();
    let part = part.verify().unwrap();
    assert_eq!(part.whole(), &claims);
    (claims, part.index(), part.slice().to_vec())
}

fn whole_of(part: &ForgedPart) -> Whole {
    let bytes = part.make();
    Part::parse(&bytes)
        .unwrap()
        .verify()
        .unwrap()
        .whole()
        .clone()
}

/// Another envelope from alice to bob under the id of [`envelope`], as long as that.
fn twin() -> Vec<u8> {
    let twin = seal_to(&[bob().card()], &[b'y'; 3500]);
    assert_eq!(&twin[8..24], &envelope()[8..24]);
    twin
}

#[test]
fn what_is_cut_and_put_together_is_the_same_and_opens() {
    let alice = alice().identity();
    for (length, slice_len) in [
        (3500, MIN_SLICE_LEN),
        (10_000, 3000),
        (60_000, MAX_SLICE_LEN),
        (200_000, MAX_SLICE_LEN),
    ] {
        let payload = vec![b'x'; length];
        let sealed = seal_to(&[bob().card()], &payload);
        let split = Split::new(&alice, &sealed, slice_len).unwrap();
        let mut slices = Vec::new();
        for (place, text) in split.texts(&alice, 0).enumerate() {
            assert!(text.len() <= MAX_PART_TEXT_LEN);
            let (whole, index, slice) = read(&text);
            assert_eq!(&whole, split.whole());
            assert_eq!(usize::from(index), place);
            assert_eq!(sealed[whole.range(index).unwrap()], slice);
            slices.push(slice);
        }
        assert_eq!(slices.len(), usize::from(split.whole().count()));
        let joined = split.whole().join(slices.concat()).unwrap();
        assert!(joined == sealed);
        assert!(open(&joined, &bob()).unwrap().payload == payload);
    }
}

#[test]
fn parts_are_what_the_page_says() {
    let (alice, envelope) = (alice().identity(), envelope());
    let split = Split::new(&alice, &envelope, SLICE).unwrap();
    for (text, index) in split.texts(&alice, 0).zip(0..) {
        assert_eq!(
            Part::from_text(&text).unwrap(),
            ForgedPart::new(index).make()
        );
    }
    assert_eq!(split.whole().count(), 3);
    assert_eq!(split.whole().range(3), None);
    assert_eq!(split.text(&alice, 3), None);
}

#[test]
fn sending_goes_on_at_any_part_with_the_same_bytes() {
    let (alice, envelope) = (alice().identity(), envelope());
    let texts: Vec<_> = Split::new(&alice, &envelope, SLICE)
        .unwrap()
        .texts(&alice, 0)
        .collect();
    for first in 0..=3 {
        let rest = Split::new(&alice, &envelope, SLICE).unwrap();
        let rest: Vec<_> = rest.texts(&alice, first).collect();
        assert_eq!(rest, texts[usize::from(first)..]);
    }
}

#[test]
fn the_slice_length_for_a_relay_is_the_longest_that_fits() {
    let alice = alice().identity();
    let sealed = seal_to(&[bob().card()], &vec![b'x'; 100_000]);
    let text_len = |slice_len| {
        let split = Split::new(&alice, &sealed, slice_len).unwrap();
        split.text(&alice, 0).unwrap().len()
    };
    let least = text_len(MIN_SLICE_LEN);
    assert_eq!(slice_len_for(least - 1), None);
    for characters in (least..least + 9)
        .chain(16_380..16_389)
        .chain(59_957..=59_966)
    {
        let slice_len = slice_len_for(characters).unwrap();
        assert!(text_len(slice_len) <= characters, "{characters}");
        if slice_len < MAX_SLICE_LEN {
            assert!(text_len(slice_len + 1) > characters, "{characters}");
        }
    }
    assert_eq!(text_len(MAX_SLICE_LEN), MAX_PART_TEXT_LEN);
    for characters in [MAX_PART_TEXT_LEN, 60_000, usize::MAX] {
        assert_eq!(slice_len_for(characters), Some(MAX_SLICE_LEN));
    }
    assert_eq!(slice_len_for(0), None);
}

#[test]
fn only_the_sender_of_an_envelope_can_cut_it() {
    let envelope = envelope();
    for person in [bob(), mallory()] {
        let refused = Split::new(&person.identity(), &envelope, SLICE).err();
        assert_eq!(refused, Some(SplitError::Foreign));
    }
    let split = Split::new(&alice().identity(), &envelope, SLICE).unwrap();
    assert_eq!(split.text(&mallory().identity(), 0), None);
}

#[test]
fn what_needs_no_parts_or_too_many_is_not_cut() {
    let (alice, mut sealed) = (alice().identity(), envelope());
    let split = |sealed: &[u8], slice_len| Split::new(&alice, sealed, slice_len).err();
    let length = u16::try_from(sealed.len()).unwrap();
    assert_eq!(split(&sealed, length), Some(SplitError::Short));
    assert_eq!(split(&sealed, length - 1), None);
    for found in [0, MIN_SLICE_LEN - 1, MAX_SLICE_LEN + 1, u16::MAX] {
        assert_eq!(split(&sealed, found), Some(SplitError::SliceLen { found }));
    }
    assert!(matches!(
        split(&[0; 5000], SLICE),
        Some(SplitError::Whole(WholeError::NotAnEnvelope(_)))
    ));
    let found = MAX_SPLIT_LEN as usize + 1;
    sealed.resize(found, 0);
    assert_eq!(
        split(&sealed, SLICE),
        Some(SplitError::Whole(WholeError::TooLong { found }))
    );
}

/// Each is signed by the sender, so only a comparison with the others tells it.
#[test]
fn parts_that_say_something_else_of_the_envelope_conflict() {
    let genuine = whole_of(&ForgedPart::new(0));
    assert_eq!(whole_of(&ForgedPart::new(1)).agree(&genuine), Ok(()));
    let lie = |change: &dyn Fn(&mut ForgedPart)| {
        let mut part = ForgedPart::new(0);
        change(&mut part);
        whole_of(&part).agree(&genuine)
    };
    let conflict = |fact| Err(WholeError::Conflict { fact });
    assert_eq!(lie(&|part| part.length += 1), conflict(Fact::Length));
    assert_eq!(lie(&|part| part.length = 96 << 20), conflict(Fact::Length));
    assert_eq!(lie(&|part| part.expires += 1), conflict(Fact::Expires));
    assert_eq!(lie(&|part| part.digest[0] ^= 1), conflict(Fact::Digest));
    assert_eq!(lie(&|part| part.id[0] ^= 1), conflict(Fact::Id));
    assert_eq!(
        lie(&|part| {
            part.slice_len += 1;
            part.slice.push(b'x');
        }),
        conflict(Fact::SliceLen)
    );
    assert_eq!(
        lie(&|part| {
            part.sender = mallory().verifying();
            part.sign = signer(mallory(), PART);
        }),
        conflict(Fact::Sender)
    );
}

#[test]
fn no_part_of_one_envelope_passes_for_that_of_another_with_its_id() {
    let genuine = whole_of(&ForgedPart::new(0));
    let other = whole_of(&ForgedPart::of(&twin(), 0));
    assert_eq!(genuine.length(), other.length());
    assert_eq!(
        other.agree(&genuine),
        Err(WholeError::Conflict { fact: Fact::Digest })
    );
}

#[test]
fn slices_that_are_missing_repeated_exchanged_or_another_envelopes_are_not_joined() {
    let envelope = envelope();
    let whole = whole_of(&ForgedPart::new(0));
    let slices: Vec<_> = envelope.chunks(SLICE.into()).collect();
    let twin = twin();
    let other: Vec<_> = twin.chunks(SLICE.into()).collect();
    assert!(whole.join(slices.concat()).is_ok());
    for (claim, wrong) in [
        ("none", Vec::new()),
        ("the last is missing", slices[..2].concat()),
        ("the first is missing", slices[1..].concat()),
        ("one twice", [&slices[..], &slices[2..]].concat().concat()),
        ("exchanged", [slices[0], slices[2], slices[1]].concat()),
        ("one of another", [slices[0], other[1], slices[2]].concat()),
        ("all of another", twin.clone()),
        ("one byte more", [&envelope[..], b"\0"].concat()),
    ] {
        assert!(whole.join(wrong).is_err(), "{claim}");
    }
}

/// Parts can name what the envelope does not: a sender could make others keep them for longer, or pass
/// somebody else's envelope off as sent by itself.
#[test]
fn an_envelope_that_is_not_what_its_parts_said_is_not_joined() {
    let refused = |change: &dyn Fn(&mut ForgedPart)| {
        let mut part = ForgedPart::new(0);
        change(&mut part);
        whole_of(&part).join(envelope()).unwrap_err()
    };
    let conflict = |fact| WholeError::Conflict { fact };
    assert_eq!(refused(&|part| part.expires += 1), conflict(Fact::Expires));
    assert_eq!(refused(&|part| part.id[0] ^= 1), conflict(Fact::Id));
    assert_eq!(
        refused(&|part| {
            part.sender = mallory().verifying();
            part.sign = signer(mallory(), PART);
        }),
        conflict(Fact::Sender)
    );
    let mut junk = ForgedPart::new(0);
    let bytes = vec![0; junk.length as usize];
    junk.digest = sha256(&[&bytes]);
    assert!(matches!(
        whole_of(&junk).join(bytes),
        Err(WholeError::NotAnEnvelope(_))
    ));
}

/// What a co-recipient alters under the parts of a sender that helps it is found when the envelope is
/// read: parts prove nothing else.
#[test]
fn a_joined_envelope_is_verified_like_any_other() {
    let mut altered = envelope();
    *altered.last_mut().unwrap() ^= 1;
    let part = ForgedPart::of(&altered, 0);
    let joined = whole_of(&part).join(altered).unwrap();
    assert!(Envelope::parse(&joined).unwrap().verify().is_err());
}

#[test]
fn parts_are_given_up_when_their_envelope_has_expired() {
    let sealed = envelope::seal(
        &alice().identity(),
        [&bob().card()],
        &text_metadata(),
        &[b'x'; 3500],
        at(CREATED),
        at(CREATED).checked_add(MAX_LIFE).unwrap(),
        &mut Seeded::new("longest life"),
    )
    .unwrap();
    let alice = alice().identity();
    let whole = Split::new(&alice, &sealed, SLICE).unwrap().whole().clone();
    let expires = Header::parse(&sealed).unwrap().0.claims().expires;
    assert_eq!(whole.check_life(at(CREATED)), Ok(()));
    assert_eq!(whole.check_life(expires), Ok(()));
    assert_eq!(
        whole.check_life(expires.checked_add(days(1)).unwrap()),
        Err(PartError::Expired { expires })
    );
    assert_eq!(
        whole.check_life(at(CREATED - 86_400_000)),
        Err(PartError::Future { expires })
    );
    assert!(EXPIRES < expires.as_millis());
}

#[test]
fn no_slice_is_in_debug_output() {
    let mut part = ForgedPart::new(0);
    part.slice.fill(b'x');
    let bytes = part.make();
    let part = Part::parse(&bytes).unwrap();
    let shown = format!("{part:?} {:?}", part.clone().verify().unwrap());
    assert!(shown.contains("index: 0") && !shown.contains("120, 120"));
}
