//! What a relay, another agent, a co-recipient and a sender can try, and what comes of it.

use ctalk_core::{
    Card, CardNotCurrent, CardStatement, Identity, KeyDefect, XWingKey, XWingSecret,
    envelope::{
        self, Envelope, Failure, Kind, MAX_RECIPIENTS, Metadata, MetadataError, NotVerified,
        OpenError, SealError,
    },
    trust::{self, KeyHolder, KeyPart},
};
use ed25519_dalek::Signer;
use rand_core::TryRng;

use crate::{
    forge::{self, Forge, Recipient, SLOT, nonce, plaintexts, sha256, text_content},
    support::{
        CREATED, DAY, EXPIRES, Person, SKEW, Seeded, alice, at, bob, carol, identity, mallory,
        open, open_at, open_error, seal_to, text_metadata,
    },
};

const PAYLOAD: &[u8] = b"the plan";

/// Bytes of header for as many recipients.
const fn header_len(recipients: usize) -> usize {
    106 + recipients * (16 + 1168)
}

fn content() -> Vec<u8> {
    text_content(PAYLOAD)
}

/// The same as [`seal_to`] makes, but by the second implementation.
fn forge() -> Forge {
    Forge::new("seal", &content())
}

#[test]
fn a_sealed_message_opens_to_what_was_sealed() {
    let sealed = seal_to(&[bob().card()], PAYLOAD);
    let opened = open(&sealed, &bob()).unwrap();
    assert_eq!(opened.payload, PAYLOAD);
    assert_eq!(opened.sender.as_bytes(), &alice().verifying());
    assert_eq!(opened.metadata, text_metadata());
    assert_eq!(opened.created, at(CREATED));
    assert_eq!(opened.expires, at(EXPIRES));
    assert_eq!(opened.id.as_bytes(), &Seeded::new("seal").array::<16>());
    assert_eq!(opened.header_digest, sha256(&[&sealed[..header_len(1)]]));
}

#[test]
fn sealing_makes_byte_for_byte_what_the_page_says() {
    let people: Vec<_> = (0..20)
        .map(|number| Person::new(&format!("p{number}")))
        .collect();
    for (recipients, length) in [
        (1, 0),
        (1, 8),
        (2, 230),
        (3, 255),
        (20, 5000),
        (1, SLOT),
        (2, 2 * SLOT + 9),
    ] {
        let payload: Vec<u8> = (0..length)
            .map(|place: usize| place.to_le_bytes()[0])
            .collect();
        let people: Vec<_> = people[..recipients].iter().collect();
        let cards: Vec<_> = people.iter().map(|person| person.card()).collect();
        let forged = Forge::new("seal", &text_content(&payload))
            .to(&people)
            .make();
        assert!(
            seal_to(&cards, &payload) == forged,
            "{recipients} recipients, {length} bytes"
        );
    }
}

#[test]
fn a_relay_that_puts_its_name_and_signature_on_an_envelope_makes_it_unreadable() {
    let (mut header, segments) = forge().parts();
    header[40..72].copy_from_slice(&mallory().verifying());
    let sealed = &segments[0][..segments[0].len() - 64];
    let hash = sha256(&[b"ctalk/header/2", &header]);
    let statement = forge::statement(&hash, 0, true, &sha256(&[sealed]));
    let signature = mallory().signing_key().sign(&statement).to_bytes();
    let resigned = [&header[..], sealed, &signature].concat();

    let verified = Envelope::parse(&resigned).unwrap().verify().unwrap();
    assert_eq!(
        verified.header().sender().as_bytes(),
        &mallory().verifying()
    );
    assert_eq!(open_error(&resigned, &bob()), OpenError::Wrap);
}

#[test]
fn an_envelope_without_its_signature_is_not_verified() {
    let sealed = seal_to(&[bob().card()], PAYLOAD);
    for end in [sealed.len() - 64, sealed.len() - 63, sealed.len() - 1] {
        assert_eq!(
            open(&sealed[..end], &bob()).unwrap_err(),
            Failure::NotVerified
        );
    }
    let mut zeroed = sealed;
    let length = zeroed.len();
    zeroed[length - 64..].fill(0);
    assert_eq!(open(&zeroed, &bob()).unwrap_err(), Failure::NotVerified);
}

/// Mallory wants to have written what she cannot read.
#[test]
fn a_wrapped_key_does_not_open_in_another_envelope() {
    let stolen: [u8; 1168] = seal_to(&[bob().card()], PAYLOAD)[106 + 16..header_len(1)]
        .try_into()
        .unwrap();
    let mut forge = forge();
    forge.sender = mallory().verifying();
    forge.sign = Box::new(|statement| mallory().signing_key().sign(statement).to_bytes());
    forge.edit_wraps = Box::new(move |wraps| wraps[0] = stolen);
    assert_eq!(open_error(&forge.make(), &bob()), OpenError::Wrap);
}

#[test]
fn a_wrapped_key_does_not_open_at_another_recipients_place() {
    let mut swapped = forge().to(&[&bob(), &carol()]);
    swapped.edit_wraps = Box::new(|wraps| wraps.reverse());
    let swapped = swapped.make();
    for person in [bob(), carol()] {
        assert_eq!(open_error(&swapped, &person), OpenError::Wrap);
    }
}

#[test]
fn the_list_of_recipients_cannot_be_altered() {
    let sealed = seal_to(&[bob().card(), carol().card()], PAYLOAD);
    for recipient in 0..2 {
        let mut hint_altered = sealed.clone();
        // The last byte, so that the order stays.
        hint_altered[106 + recipient * 16 + 15] ^= 1;
        assert_eq!(
            open(&hint_altered, &bob()).unwrap_err(),
            Failure::NotVerified
        );

        let mut removed = sealed.clone();
        removed.drain(106 + 32 + recipient * 1168..106 + 32 + (recipient + 1) * 1168);
        removed.drain(106 + recipient * 16..106 + (recipient + 1) * 16);
        removed[105] = 1;
        assert_eq!(open(&removed, &bob()).unwrap_err(), Failure::NotVerified);
    }
    assert_eq!(open(&sealed, &carol()).unwrap().payload, PAYLOAD);
}

#[test]
fn recipients_of_one_envelope_read_the_same_or_an_error() {
    let mut two_keys = forge().to(&[&bob(), &carol()]);
    let other = Forge::new("other", &content()).to(&[&bob(), &carol()]);
    let (key, other_key) = (two_keys.key, other.key);
    assert_ne!(key, other_key);
    // One wrap is right and the other holds a second key, whichever comes first.
    let id = two_keys.id;
    let first = [bob(), carol()]
        .into_iter()
        .min_by_key(|person| forge::hint(&id, &Recipient::from(person)))
        .unwrap();
    let second = if first.name == "bob" { carol() } else { bob() };
    let wraps_of_other_key = {
        let mut twin = forge().to(&[&bob(), &carol()]);
        twin.wrapped_key = Some(other_key);
        twin.header()[106 + 32..].to_vec()
    };
    two_keys.edit_wraps = Box::new(move |wraps| {
        wraps[0].copy_from_slice(&wraps_of_other_key[..1168]);
    });
    let sealed = two_keys.make();
    assert_eq!(open_error(&sealed, &first), OpenError::Commitment);
    assert_eq!(open(&sealed, &second).unwrap().payload, PAYLOAD);
}

#[test]
fn a_failed_wrap_is_final_although_another_would_open() {
    let mut second = bob();
    second.xwing_seed = carol().xwing_seed;
    let both = bob()
        .identity()
        .with_xwing(XWingSecret::from_seed(&second.xwing_seed));
    let place = |id: &[u8; 16], person: &Person| {
        let mut hints = [&bob(), &second].map(|person| forge::hint(id, &Recipient::from(person)));
        hints.sort_unstable();
        let hint = forge::hint(id, &Recipient::from(person));
        usize::from(hints[0] != hint)
    };
    let forge = || forge().to(&[&bob(), &second]);
    assert_eq!(
        open_at(&forge().make(), &both, at(CREATED))
            .unwrap()
            .payload,
        PAYLOAD
    );

    let mut broken = forge();
    let broken_place = place(&broken.id, &bob());
    broken.edit_wraps = Box::new(move |wraps| wraps[broken_place][1167] ^= 1);
    let broken = broken.make();
    assert_eq!(
        open_at(&broken, &both, at(CREATED)).unwrap_err(),
        Failure::CannotOpen
    );
    let only_second = identity(&second.signing_seed, &second.encryption_secret)
        .with_xwing(XWingSecret::from_seed(&second.xwing_seed));
    assert_eq!(
        open_at(&broken, &only_second, at(CREATED)).unwrap().payload,
        PAYLOAD
    );
}

#[test]
fn an_envelope_is_for_nobody_but_its_recipients() {
    let sealed = seal_to(&[bob().card()], PAYLOAD);
    for person in [carol(), mallory(), alice()] {
        assert_eq!(open_error(&sealed, &person), OpenError::NotForMe);
    }
    let without_key = identity(&bob().signing_seed, &bob().encryption_secret);
    assert_eq!(
        open_at(&sealed, &without_key, at(CREATED)).unwrap_err(),
        Failure::NotForMe
    );
}

#[test]
fn an_envelope_opens_with_a_retired_key_until_that_is_destroyed() {
    let sealed = seal_to(&[bob().card()], PAYLOAD);
    let current = XWingSecret::generate(&mut Seeded::new("current"));
    let rotated = identity(&bob().signing_seed, &bob().encryption_secret)
        .with_xwing(current)
        .with_xwing(XWingSecret::from_seed(&bob().xwing_seed));
    assert_eq!(
        open_at(&sealed, &rotated, at(CREATED)).unwrap().payload,
        PAYLOAD
    );
    let destroyed = identity(&bob().signing_seed, &bob().encryption_secret)
        .with_xwing(XWingSecret::generate(&mut Seeded::new("current")));
    assert_eq!(
        open_at(&sealed, &destroyed, at(CREATED)).unwrap_err(),
        Failure::NotForMe
    );
}

#[test]
fn an_envelope_opens_in_its_life_and_the_tolerance_around_it() {
    let sealed = seal_to(&[bob().card()], PAYLOAD);
    let bob = bob().identity();
    for (now, opens) in [
        (CREATED - SKEW - 1, false),
        (CREATED - SKEW, true),
        (EXPIRES + SKEW, true),
        (EXPIRES + SKEW + 1, false),
    ] {
        let opened = open_at(&sealed, &bob, at(now));
        match opened {
            Ok(opened) => assert!(opens && opened.payload == PAYLOAD, "{now}"),
            Err(failure) => assert!(!opens && failure == Failure::Expired, "{now}"),
        }
    }
}

/// Alice has mallory's card, on which mallory put bob's X-Wing key. Mallory cannot read what alice
/// writes to her, but bob must not take it for written to him either.
#[test]
fn what_was_sealed_to_a_borrowed_xwing_key_is_not_for_its_owner() {
    let mut borrower = mallory();
    borrower.xwing_seed = bob().xwing_seed;
    let sealed = seal_to(&[borrower.card()], PAYLOAD);
    assert_eq!(open_error(&sealed, &bob()), OpenError::NotForMe);
    assert_eq!(open_error(&sealed, &mallory()), OpenError::NotForMe);

    // With bob's hint in place of hers it would still not open: alice did not write to him.
    let mut readdressed = forge();
    readdressed.info =
        Box::new(|prefix, _| [b"ctalk/wrap/2", &prefix[..], &mallory().verifying()].concat());
    assert_eq!(open_error(&readdressed.make(), &bob()), OpenError::Wrap);
}

#[test]
fn a_borrowed_xwing_key_is_a_conflict() {
    let mut borrower = mallory();
    borrower.xwing_seed = bob().xwing_seed;
    let (offered, bobs) = (borrower.card(), bob().card());
    let held = [(
        KeyHolder::Contact("bob"),
        bobs.signing_key(),
        bobs.xwing_key(),
    )];
    let conflict = trust::xwing_conflict("mallory", &offered, held).unwrap_err();
    assert_eq!(conflict.holder.as_deref(), Some("bob"));
    assert_eq!(conflict.part, KeyPart::XWing);
    let mine = [(KeyHolder::Me, bobs.signing_key(), bobs.xwing_key())];
    assert_eq!(
        trust::xwing_conflict("mallory", &offered, mine)
            .unwrap_err()
            .holder,
        None
    );
    // The owner's own next card is none, and neither is another key.
    trust::xwing_conflict("bob", &bobs, held).unwrap();
    trust::xwing_conflict("carol", &carol().card(), held).unwrap();
}

#[test]
fn the_same_id_from_two_senders_is_two_envelopes() {
    let mut mallorys = forge();
    mallorys.sender = mallory().verifying();
    mallorys.sign = Box::new(|statement| mallory().signing_key().sign(statement).to_bytes());
    let first = open(&mallorys.make(), &bob()).unwrap();
    let second = open(&seal_to(&[bob().card()], PAYLOAD), &bob()).unwrap();
    assert_eq!(first.id, second.id);
    assert_ne!(first.sender, second.sender);
    assert_ne!(first.header_digest, second.header_digest);
}

#[test]
fn the_same_sender_and_id_under_another_header_has_another_digest() {
    let first = open(&seal_to(&[bob().card()], PAYLOAD), &bob()).unwrap();
    let mut later = forge();
    later.created += 1;
    let second = open(&later.make(), &bob()).unwrap();
    assert_eq!((first.id, first.sender), (second.id, second.sender));
    assert_ne!(first.header_digest, second.header_digest);
    let again = open(&seal_to(&[bob().card()], PAYLOAD), &bob()).unwrap();
    assert_eq!(first.header_digest, again.header_digest);
}

/// Carol has the content key and so the body key, and can make a Poly1305 tag stay what it was.
#[test]
fn a_co_recipient_cannot_alter_a_segment_even_under_the_same_tag() {
    use chacha20::{
        ChaCha20,
        cipher::{KeyIvInit, StreamCipher},
    };
    use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};

    let forge = forge().to(&[&bob(), &carol()]);
    let content_key = forge.key;
    let (header, segments) = forge.parts();
    let body_key = forge::hkdf(&content_key, &sha256(&[&header]), b"ctalk/body/2");
    let nonce = nonce(0, true);
    let (sealed, signature) = segments[0].split_at(segments[0].len() - 64);

    let mut r = [0; 16];
    ChaCha20::new(&body_key.into(), &nonce.into()).apply_keystream(&mut r);
    let r = u128::from_le_bytes(r) & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
    // The tag is a polynomial in r over the ciphertext's blocks: one more in a block is what r less
    // in the next one takes away again.
    let mut altered = sealed.to_vec();
    let (blocks, _) = altered.as_chunks_mut::<16>();
    let place = blocks
        .windows(2)
        .position(|pair| {
            u128::from_le_bytes(pair[0]) < u128::MAX && u128::from_le_bytes(pair[1]) >= r
        })
        .unwrap();
    blocks[place] = (u128::from_le_bytes(blocks[place]) + 1).to_le_bytes();
    blocks[place + 1] = (u128::from_le_bytes(blocks[place + 1]) - r).to_le_bytes();
    assert_ne!(altered, sealed);
    assert_eq!(altered[altered.len() - 16..], sealed[sealed.len() - 16..]);
    ChaCha20Poly1305::new(&body_key.into())
        .decrypt(&nonce.into(), &*altered)
        .expect("the tag is right for what was altered");

    let forged = [&header[..], &altered, signature].concat();
    assert_eq!(open(&forged, &bob()).unwrap_err(), Failure::NotVerified);
    let genuine = [&header[..], sealed, signature].concat();
    assert_eq!(open(&genuine, &bob()).unwrap().payload, PAYLOAD);
}

/// Content of three segments.
fn long_content() -> Vec<u8> {
    let payload: Vec<u8> = (0..2 * SLOT + 1000)
        .map(|place| (place / SLOT).to_le_bytes()[0] + 1)
        .collect();
    text_content(&payload)
}

fn long_parts() -> (Vec<u8>, Vec<Vec<u8>>) {
    let (header, segments) = Forge::new("seal", &long_content()).parts();
    assert_eq!(segments.len(), 3);
    (header, segments)
}

/// The segment that fails when the given ones stand after the header.
fn failing_segment(header: &[u8], segments: &[&[u8]]) -> u32 {
    let bytes = [header, &segments.concat()].concat();
    let outcome = match Envelope::parse(&bytes).unwrap().verify() {
        Ok(verified) => match verified.open(&bob().identity(), at(CREATED)).unwrap_err() {
            OpenError::NotVerified(error) => error,
            error => panic!("{error}"),
        },
        Err(error) => error,
    };
    let all = Envelope::parse(&bytes).unwrap().verify();
    assert_eq!(
        all.and_then(|verified| verified.verify_all()).unwrap_err(),
        outcome
    );
    let NotVerified::Signature { sender, segment } = outcome else {
        panic!("{outcome}")
    };
    assert_eq!(sender, alice().card().fingerprint());
    segment
}

#[test]
fn an_envelope_of_three_segments_opens() {
    let (header, segments) = long_parts();
    let bytes = [header, segments.concat()].concat();
    assert!(open(&bytes, &bob()).unwrap().payload == long_content()[18..]);
    Envelope::parse(&bytes)
        .unwrap()
        .verify()
        .unwrap()
        .verify_all()
        .unwrap();
}

#[test]
fn a_missing_last_segment_is_refused() {
    let (header, segments) = long_parts();
    assert_eq!(failing_segment(&header, &[&segments[0], &segments[1]]), 1);
    assert_eq!(failing_segment(&header, &[&segments[0]]), 0);
}

#[test]
fn a_missing_segment_in_the_middle_or_at_the_start_is_refused() {
    let (header, segments) = long_parts();
    assert_eq!(failing_segment(&header, &[&segments[0], &segments[2]]), 1);
    assert_eq!(failing_segment(&header, &[&segments[1], &segments[2]]), 0);
}

#[test]
fn segments_in_another_order_are_refused() {
    let (header, segments) = long_parts();
    assert_eq!(
        failing_segment(&header, &[&segments[1], &segments[0], &segments[2]]),
        0
    );
}

#[test]
fn a_repeated_segment_is_refused() {
    let (header, segments) = long_parts();
    let [first, second, third] = &segments[..] else {
        panic!("not three")
    };
    assert_eq!(failing_segment(&header, &[first, first, second, third]), 1);
    assert_eq!(failing_segment(&header, &[first, second, second, third]), 2);
    assert_eq!(failing_segment(&header, &[first, second, third, third]), 2);
}

/// Alice's program sealed two bodies under one header, as a careless retry would.
#[test]
fn segments_of_two_bodies_under_one_header_do_not_mix() {
    let (header, segments) = long_parts();
    let mut twin = Forge::new("seal", &long_content());
    assert!(twin.header() == header);
    let mut content = long_content();
    content[SLOT / 2] ^= 1;
    twin.plaintexts = Some(plaintexts(&content));
    let twins = twin.segments(&header);
    assert_ne!(twins[0], segments[0]);
    assert_eq!(
        failing_segment(&header, &[&twins[0], &segments[1], &segments[2]]),
        1
    );
    assert_eq!(
        failing_segment(&header, &[&segments[0], &twins[1], &twins[2]]),
        1
    );
}

#[test]
fn the_body_of_one_envelope_does_not_follow_the_header_of_another() {
    let (header, _) = forge().parts();
    let (_, segments) = Forge::new("other", &content()).parts();
    assert_eq!(failing_segment(&header, &[&segments[0]]), 0);
}

/// Something done to the plaintexts of the segments.
type Mutation = fn(&mut Vec<Vec<u8>>);

#[test]
fn padding_that_does_not_fit_the_content_is_refused_in_every_segment() {
    let content = long_content();
    let good = plaintexts(&content);
    let mutations: [(u32, Mutation); 5] = [
        // The content ends within the first slot and goes on in the second.
        (0, |slots| slots[0][3] -= 1),
        // Content after the content's end.
        (1, |slots| {
            slots[0][4 + SLOT - 1] = 0;
            slots[0][3] -= 1;
        }),
        (2, |slots| {
            let end = slots[2].len() - 1;
            slots[2][end] = 1;
        }),
        // A slot shorter and a slot longer than the content's length asks for.
        (2, |slots| {
            slots[2].pop();
        }),
        (2, |slots| slots[2].push(0)),
    ];
    for (segment, mutate) in mutations {
        let mut forge = Forge::new("seal", &content);
        let mut slots = good.clone();
        mutate(&mut slots);
        forge.plaintexts = Some(slots);
        assert_eq!(
            open_error(&forge.make(), &bob()),
            OpenError::Padding { segment }
        );
    }
}

#[test]
fn keys_that_are_malformed_or_of_small_order_are_no_xwing_keys() {
    let good = bob().xwing();
    assert_eq!(XWingKey::from_bytes(&good).unwrap().as_bytes(), &good);
    let with_x25519 = |x25519: [u8; 32]| {
        let mut key = good;
        key[1184..].copy_from_slice(&x25519);
        XWingKey::from_bytes(&key).unwrap_err().defect
    };
    assert_eq!(with_x25519([0; 32]), KeyDefect::WrongGroup);
    assert_eq!(with_x25519([0xff; 32]), KeyDefect::NotCanonical);
    for coefficient in [0, 1, 383, 767] {
        // The first twelve bits of a pair of coefficients, as large as can be.
        let mut key = good;
        key[coefficient * 3 / 2] = 0xff;
        key[coefficient * 3 / 2 + 1] |= 0x0f;
        if coefficient % 2 == 1 {
            key[coefficient * 3 / 2] |= 0xf0;
            key[coefficient * 3 / 2 + 1] = 0xff;
        }
        let error = XWingKey::from_bytes(&key).unwrap_err();
        assert_eq!(error.defect, KeyDefect::NotCanonical, "{coefficient}");
    }
}

fn seal_error<'c>(
    recipients: impl IntoIterator<Item = &'c Card>,
    metadata: &Metadata,
    expires: u64,
) -> SealError {
    envelope::seal(
        &alice().identity(),
        recipients,
        metadata,
        PAYLOAD,
        at(CREATED),
        at(expires),
        &mut Seeded::new("seal"),
    )
    .unwrap_err()
}

#[test]
fn recipients_that_cannot_be_are_refused() {
    let metadata = text_metadata();
    assert_eq!(seal_error(&[], &metadata, EXPIRES), SealError::NoRecipients);

    // A second card with another key is the same identity.
    let mut rotated = bob();
    rotated.xwing_seed = [5; 32];
    let cards = [bob().card(), carol().card(), rotated.card()];
    assert_eq!(
        seal_error(&cards, &metadata, EXPIRES),
        SealError::DuplicateRecipient {
            recipient: bob().card().fingerprint()
        }
    );

    let card = bob().card();
    let many = core::iter::repeat_n(&card, MAX_RECIPIENTS + 1);
    assert_eq!(
        seal_error(many, &metadata, EXPIRES),
        SealError::TooManyRecipients
    );
    assert_eq!(
        seal_error(core::iter::repeat(&card), &metadata, EXPIRES),
        SealError::TooManyRecipients
    );
}

#[test]
fn nothing_is_sealed_to_an_outdated_card() {
    let card = |created: u64, expires: u64| {
        carol().card_of(&CardStatement {
            name: "carol",
            serial: 1,
            created: at(created),
            expires: at(expires),
            addresses: &[],
        })
    };
    let fingerprint = carol().card().fingerprint();
    let metadata = text_metadata();
    assert_eq!(
        seal_error(&[bob().card(), card(0, CREATED - 1)], &metadata, EXPIRES),
        SealError::Card(CardNotCurrent::Expired { fingerprint })
    );
    assert_eq!(
        seal_error(
            &[bob().card(), card(CREATED + SKEW + 1, EXPIRES)],
            &metadata,
            EXPIRES
        ),
        SealError::Card(CardNotCurrent::Future { fingerprint })
    );
    seal_to(&[card(0, CREATED), card_of_bob(CREATED + SKEW)], PAYLOAD);
}

fn card_of_bob(created: u64) -> Card {
    bob().card_of(&CardStatement {
        name: "bob",
        serial: 1,
        created: at(created),
        expires: at(created + 1),
        addresses: &[],
    })
}

#[test]
fn a_life_is_longer_than_nothing_and_at_most_thirty_days() {
    let (cards, metadata) = ([bob().card()], text_metadata());
    for expires in [0, CREATED - 1, CREATED, CREATED + 30 * DAY + 1] {
        assert_eq!(seal_error(&cards, &metadata, expires), SealError::Life);
    }
}

#[test]
fn metadata_that_others_would_refuse_is_not_sealed() {
    let cards = [bob().card()];
    let refused = |change: &dyn Fn(&mut Metadata)| {
        let mut metadata = Metadata::new(Kind::Request, "text/plain");
        change(&mut metadata);
        match seal_error(&cards, &metadata, EXPIRES) {
            SealError::Metadata(error) => error,
            error => panic!("{error}"),
        }
    };
    let changes: [fn(&mut Metadata); 4] = [
        |metadata| metadata.topic = Some("x".repeat(1025)),
        |metadata| metadata.correlation_id = Some("x".repeat(1 << 16)),
        |metadata| metadata.reply_to = Some("\u{e9}".repeat(513)),
        |metadata| metadata.name = Some("x".repeat(256)),
    ];
    for change in changes {
        assert!(matches!(refused(&change), MetadataError::TooLong { .. }));
    }
    for content_type in ["", "a\n", "\u{e9}", &"x".repeat(256)] {
        let error = refused(&|metadata| metadata.content_type = content_type.to_owned());
        assert_eq!(error, MetadataError::ContentType);
    }
    let error = refused(&|metadata| metadata.card = Some(carol().card()));
    assert_eq!(error, MetadataError::ForeignCard);
}

/// Ids and content keys come from the caller's randomness and nothing else.
#[test]
fn two_envelopes_of_the_same_have_nothing_in_common() {
    let cards = [bob().card()];
    let seal = |rng: &mut Seeded| {
        envelope::seal(
            &alice().identity(),
            &cards,
            &text_metadata(),
            PAYLOAD,
            at(CREATED),
            at(EXPIRES),
            rng,
        )
        .unwrap()
    };
    let mut rng = Seeded::new("seal");
    let (first, second) = (seal(&mut rng), seal(&mut rng));
    assert_eq!(first, seal(&mut Seeded::new("seal")));
    assert_eq!(first[..8], second[..8]);
    for field in [
        8..24,
        72..104,
        106..122,
        122..1242,
        1242..1290,
        1290..1566,
        1566..1630,
    ] {
        assert_ne!(first[field.clone()], second[field]);
    }
    assert_ne!(rng.try_next_u64(), Seeded::new("seal").try_next_u64());
}

/// Somebody else may call `Identity::generate`, which gives no X-Wing key.
#[test]
fn an_identity_without_xwing_key_sends_and_receives_nothing() {
    let sender = Identity::generate(&mut Seeded::new("plain"));
    let sealed = envelope::seal(
        &sender,
        &[bob().card()],
        &text_metadata(),
        PAYLOAD,
        at(CREATED),
        at(EXPIRES),
        &mut Seeded::new("seal"),
    )
    .unwrap();
    assert_eq!(
        open(&sealed, &bob()).unwrap().sender,
        *sender.public_keys().verifying()
    );
    assert_eq!(
        open_at(&sealed, &sender, at(CREATED)).unwrap_err(),
        Failure::NotForMe
    );
}
