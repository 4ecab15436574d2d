//! The parts that a pipeline is built of.

use std::{sync::mpsc, thread};

use ctalk_core::envelope::{
    Envelope, Header, NotVerified, OpenError, Opening, ParseError, PlainSegment, SealError,
    Sealing, Segment, SegmentVerifier, VerifiedHeader, VerifiedSegment,
};

use crate::{
    forge::{SEGMENT, SLOT},
    support::{CREATED, EXPIRES, Seeded, alice, at, bob, seal_to, text_metadata},
};

fn payload(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| (place / 3).to_le_bytes()[0])
        .collect()
}

fn sealing(identity: &ctalk_core::Identity) -> Sealing<'_> {
    Sealing::new(
        identity,
        &[bob().card()],
        &text_metadata(),
        at(CREATED),
        at(EXPIRES),
        &mut Seeded::new("seal"),
    )
    .unwrap()
}

/// Seals as a pipeline does: one thread encrypts, another one signs, and buffers are used again.
/// `read` takes the next bytes of the payload into a buffer.
fn seal_in_two_threads(mut read: impl FnMut(&mut [u8]) -> usize + Send) -> Vec<u8> {
    let alice = alice().identity();
    let Sealing {
        header,
        first,
        mut cipher,
        mut signer,
        ..
    } = sealing(&alice);
    let (encrypted, to_sign) = mpsc::sync_channel(1);
    let (used, free) = mpsc::channel::<Vec<u8>>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut segment = first;
            loop {
                let length = read(segment.free());
                segment.advance(length);
                if length == 0 {
                    break;
                }
                if segment.is_full() {
                    encrypted.send(cipher.encrypt(segment).unwrap()).unwrap();
                    segment = PlainSegment::reusing(free.try_recv().unwrap_or_default());
                }
            }
            for segment in cipher.finish(segment) {
                encrypted.send(segment.unwrap()).unwrap();
            }
        });
        let mut envelope = header;
        for segment in to_sign {
            let bytes = signer.sign(segment).unwrap();
            envelope.extend_from_slice(&bytes);
            // The other thread may have ended.
            let _ = used.send(bytes);
        }
        envelope
    })
}

fn reader(payload: &[u8], most: usize) -> impl FnMut(&mut [u8]) -> usize + Send + '_ {
    let mut rest = payload;
    move |buffer| {
        let length = rest.len().min(buffer.len()).min(most);
        let (now, later) = rest.split_at(length);
        buffer[..length].copy_from_slice(now);
        rest = later;
        length
    }
}

#[test]
fn a_pipeline_makes_the_same_bytes_as_sealing_in_memory() {
    for length in [
        0,
        1,
        5000,
        SLOT - 18,
        SLOT - 17,
        2 * SLOT - 18,
        3 * SLOT + 5,
    ] {
        let payload = payload(length);
        let whole = seal_to(&[bob().card()], &payload);
        for most in [usize::MAX, 65_537] {
            assert!(
                seal_in_two_threads(reader(&payload, most)) == whole,
                "{length} by {most}"
            );
        }
    }
}

#[test]
fn what_a_buffer_held_before_is_not_sealed() {
    let alice = alice().identity();
    let Sealing {
        header,
        mut first,
        cipher,
        mut signer,
        ..
    } = sealing(&alice);
    first.free().fill(0xff);
    first.advance(0);
    let mut envelope = header;
    for segment in cipher.finish(first) {
        envelope.extend(signer.sign(segment.unwrap()).unwrap());
    }
    assert!(envelope == seal_to(&[bob().card()], b""));
}

#[test]
fn more_than_is_free_is_not_counted() {
    let mut segment = PlainSegment::default();
    assert_eq!(segment.push(&vec![1; SLOT + 10]), SLOT);
    assert!(segment.is_full());
    assert_eq!(segment.push(b"x"), 0);
    assert!(segment.free().is_empty());
    let mut segment = PlainSegment::default();
    segment.advance(10);
    assert_eq!(segment.free().len(), SLOT);
    segment.advance(usize::MAX);
    assert!(segment.is_full());
}

#[test]
fn a_segment_that_others_follow_is_full() {
    let alice = alice().identity();
    let Sealing {
        first, mut cipher, ..
    } = sealing(&alice);
    assert_eq!(cipher.encrypt(first).err(), Some(SealError::NotFull));
}

/// Header, first segment and what verifies the others, of an envelope in memory.
fn verified(bytes: &[u8]) -> (VerifiedHeader, VerifiedSegment<'_>, SegmentVerifier) {
    let (header, body) = Header::parse(bytes).unwrap();
    let end = body.len().min(SEGMENT);
    let first = Segment::parse(&body[..end], end == body.len()).unwrap();
    header.verify(first).unwrap()
}

#[test]
fn a_pipeline_opens_in_two_threads_what_was_sealed() {
    for length in [0, SLOT - 18, 2 * SLOT + 77] {
        let payload = payload(length);
        let sealed = seal_to(&[bob().card()], &payload);
        let start = Header::length(&sealed[..106]).unwrap();
        let (header, first, mut verifier) = verified(&sealed);
        let first = first.into_owned();
        let (send, receive) = mpsc::sync_channel(1);
        let opened = thread::scope(|scope| {
            let segments = sealed[start..].chunks(SEGMENT).skip(1);
            let count = sealed[start..].len().div_ceil(SEGMENT);
            scope.spawn(move || {
                for (place, bytes) in segments.enumerate() {
                    let segment = Segment::parse(bytes.to_vec(), place + 2 == count).unwrap();
                    send.send(verifier.verify(segment).unwrap()).unwrap();
                }
            });
            let Opening {
                metadata,
                first,
                mut rest,
            } = header.open(&bob().identity(), at(CREATED), first).unwrap();
            assert_eq!(metadata, text_metadata());
            let mut opened = first.payload().to_vec();
            let mut complete = first.is_last();
            for segment in receive {
                assert!(!complete);
                let segment = rest.open(segment).unwrap();
                opened.extend_from_slice(segment.payload());
                complete = segment.is_last();
            }
            assert!(complete);
            opened
        });
        assert!(opened == payload, "{length}");
    }
}

#[test]
fn nothing_verifies_after_the_last_segment() {
    let sealed = seal_to(&[bob().card()], b"x");
    let (_, _, mut verifier) = verified(&sealed);
    let again = Segment::parse(&sealed[106 + 16 + 1168..], true).unwrap();
    assert!(matches!(
        verifier.verify(again),
        Err(NotVerified::Signature { segment: 0, .. })
    ));
}

#[test]
fn a_segment_is_not_taken_for_the_last_or_for_another_than_the_last() {
    let sealed = seal_to(&[bob().card()], &payload(2 * SLOT));
    let start = 106 + 16 + 1168;
    let (header, body) = Header::parse(&sealed).unwrap();
    let early = Segment::parse(&body[..SEGMENT], true).unwrap();
    assert!(header.verify(early).is_err());

    let (_, _, mut verifier) = verified(&sealed);
    let second = &sealed[start + SEGMENT..start + 2 * SEGMENT];
    assert!(
        verifier
            .verify(Segment::parse(second, true).unwrap())
            .is_err()
    );
    assert!(
        verifier
            .verify(Segment::parse(second, false).unwrap())
            .is_ok()
    );
    let third = &sealed[start + 2 * SEGMENT..];
    assert!(matches!(
        Segment::parse(third, false).err(),
        Some(ParseError::SegmentLength { .. })
    ));
    let third = verifier
        .verify(Segment::parse(third, true).unwrap())
        .unwrap();
    assert!(third.is_last());
}

/// Segments that were verified but reach the opener in another order do not open.
#[test]
fn an_opener_takes_segments_only_in_their_order() {
    let sealed = seal_to(&[bob().card()], &payload(3 * SLOT));
    let (header, first, mut verifier) = verified(&sealed);
    let start = 106 + 16 + 1168;
    let mut segment = |place: usize, last| {
        let bytes = &sealed[start + place * SEGMENT..];
        let bytes = &bytes[..bytes.len().min(SEGMENT)];
        verifier
            .verify(Segment::parse(bytes, last).unwrap())
            .unwrap()
    };
    let (_, third) = (segment(1, false), segment(2, false));
    let bob = bob().identity();
    let Opening { mut rest, .. } = header.open(&bob, at(CREATED), first).unwrap();
    assert_eq!(rest.open(third).err(), Some(OpenError::Tag { segment: 2 }));

    let (header, _, mut verifier) = verified(&sealed);
    let second = Segment::parse(&sealed[start + SEGMENT..start + 2 * SEGMENT], false).unwrap();
    let second = verifier.verify(second).unwrap();
    assert_eq!(
        header.open(&bob, at(CREATED), second).err(),
        Some(OpenError::Tag { segment: 1 })
    );
}

#[test]
fn an_outsider_sees_claims_and_rough_length_before_anything_is_proven() {
    let mut sealed = seal_to(&[bob().card()], &payload(5000));
    let end = sealed.len() - 1;
    sealed[end] ^= 1;
    let envelope = Envelope::parse(&sealed).unwrap();
    let claims = envelope.claims();
    assert_eq!(claims.sender, alice().verifying());
    assert_eq!(claims.created, at(CREATED));
    assert_eq!(claims.expires, at(EXPIRES));
    assert_eq!(claims.recipients, 1);
    assert_eq!(claims.id.to_string().len(), 32);
    assert_eq!(claims.id.to_string().parse(), Ok(claims.id));
    assert_eq!(envelope.padded_len(), 5120);
    assert!(envelope.verify().is_err());
}
