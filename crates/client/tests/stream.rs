//! Envelopes through readers and writers: every size, every way to break them, every way to stop.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    io::{self, Cursor, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use ctalk::{
    Class,
    core::{
        Card, CardStatement, Identity, Timestamp, XWingSecret,
        envelope::{
            self, Kind, MAX_HEADER_LEN, Metadata, OpenError, ParseError, SEGMENT_LEN, SLOT_LEN,
            Sealing,
        },
    },
    stream::{self, Form, StreamError},
};

/// Bytes of [`metadata`] as it is sealed.
const METADATA_LEN: usize = 18;
/// Bytes of a header for one recipient.
const HEADER_LEN: usize = 106 + 16 + 1168;
/// More than the pipeline may hold at once.
const MEMORY: u64 = 16 << 20;

fn rng() -> impl rand_core::CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).unwrap()
}

fn later() -> Timestamp {
    now().checked_add(Duration::from_secs(3600)).unwrap()
}

fn metadata() -> Metadata {
    Metadata::new(Kind::Notification, "text/plain")
}

struct Peers {
    alice: Identity,
    bob: Identity,
    card: Card,
}

impl Peers {
    fn new() -> Self {
        let bob = Identity::generate(&mut rng()).with_xwing(XWingSecret::generate(&mut rng()));
        let statement = CardStatement {
            name: "bob",
            serial: 1,
            created: now(),
            expires: later(),
            addresses: &[],
        };
        let card = Card::sign(&bob, bob.xwing_keys().next().unwrap(), &statement).unwrap();
        Self {
            alice: Identity::generate(&mut rng()),
            bob,
            card,
        }
    }

    fn sealing(&self) -> Sealing<'_> {
        let (metadata, mut rng) = (metadata(), rng());
        Sealing::new(
            &self.alice,
            [&self.card],
            &metadata,
            now(),
            later(),
            &mut rng,
        )
        .unwrap()
    }

    fn seal(&self, form: Form, payload: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        let reader = Cursor::new(payload.to_vec());
        let length = stream::seal(self.sealing(), form, reader, &mut sealed, |_| ()).unwrap();
        assert_eq!(length, payload.len() as u64);
        sealed
    }

    /// What was released, and the outcome.
    fn open(&self, sealed: &[u8]) -> (Vec<u8>, Result<stream::Opened, StreamError>) {
        let mut released = Vec::new();
        let reader = Cursor::new(sealed.to_vec());
        let outcome = self.open_from(reader, &mut released);
        (released, outcome)
    }

    fn open_from(
        &self,
        reader: impl Read + Send + 'static,
        writer: impl Write,
    ) -> Result<stream::Opened, StreamError> {
        stream::open(&self.bob, now(), reader, writer, |_| Ok(()), |_| ())
    }
}

fn payload(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| (place / 3 % 251) as u8 ^ (place >> 16) as u8)
        .collect()
}

/// Hands out at most so many bytes at a time.
struct Slowly<R>(R, usize);

impl<R: Read> Read for Slowly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

/// Fails once so many bytes went through.
struct Fails {
    after: usize,
}

impl Fails {
    fn take(&mut self, length: usize) -> io::Result<usize> {
        if self.after == 0 && length > 0 {
            return Err(io::Error::other("the disk is on fire"));
        }
        let taken = length.min(self.after);
        self.after -= taken;
        Ok(taken)
    }
}

impl Read for Fails {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.take(buffer.len())
    }
}

impl Write for Fails {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn every_size_around_a_boundary_comes_back_in_either_form() {
    let peers = Peers::new();
    let slot = SLOT_LEN - METADATA_LEN;
    for length in [
        0,
        1,
        255,
        256,
        257,
        slot - 1,
        slot,
        slot + 1,
        slot + SLOT_LEN - 1,
        slot + SLOT_LEN,
        slot + SLOT_LEN + 1,
        5 * SLOT_LEN,
    ] {
        let payload = payload(length);
        for form in [Form::Binary, Form::Text] {
            let sealed = peers.seal(form, &payload);
            let (released, outcome) = peers.open(&sealed);
            let opened = outcome.unwrap();
            assert!(released == payload, "{length} {form:?}");
            assert_eq!(opened.length, length as u64);
            assert_eq!(opened.metadata, metadata());
            assert_eq!(
                opened.header.sender(),
                peers.alice.public_keys().verifying()
            );
        }
    }
}

#[test]
fn memory_and_stream_read_each_others_envelopes() {
    let peers = Peers::new();
    let payload = payload(2 * SLOT_LEN + 77);
    let sealed = peers.seal(Form::Binary, &payload);
    let envelope = envelope::Envelope::parse(&sealed).unwrap();
    let opened = envelope.verify().unwrap().open(&peers.bob, now()).unwrap();
    assert!(opened.payload == payload);

    let text = peers.seal(Form::Text, &payload);
    let line = str::from_utf8(&text).unwrap().strip_suffix('\n').unwrap();
    let sealed = envelope::from_text(line).unwrap();
    assert!(peers.open(&sealed).0 == payload);
    let text = envelope::to_text(&sealed);
    assert!(peers.open(text.as_bytes()).0 == payload);
}

#[test]
fn pieces_of_any_size_make_the_same_payload() {
    let peers = Peers::new();
    let payload = payload(SLOT_LEN + 5000);
    for form in [Form::Binary, Form::Text] {
        for most in [1, 7, 4099, 65_536] {
            let mut sealed = Vec::new();
            let reader = Slowly(Cursor::new(payload.clone()), most);
            stream::seal(peers.sealing(), form, reader, &mut sealed, |_| ()).unwrap();
            let mut released = Vec::new();
            let reader = Slowly(Cursor::new(sealed), most);
            peers.open_from(reader, &mut released).unwrap();
            assert!(released == payload, "{form:?} by {most}");
        }
    }
}

#[test]
fn progress_ends_with_the_length() {
    let peers = Peers::new();
    let payload = payload(3 * SLOT_LEN);
    let mut told = Vec::new();
    let mut sealed = Vec::new();
    let reader = Cursor::new(payload);
    stream::seal(peers.sealing(), Form::Binary, reader, &mut sealed, |done| {
        told.push(done);
    })
    .unwrap();
    assert!(told.is_sorted() && told.len() >= 4);
    assert_eq!(told.last(), Some(&(3 * SLOT_LEN as u64)));
    let mut told = Vec::new();
    let accept = |_: &_| Ok::<_, StreamError>(());
    stream::open(
        &peers.bob,
        now(),
        Cursor::new(sealed),
        io::sink(),
        accept,
        |done| told.push(done),
    )
    .unwrap();
    assert!(told.is_sorted() && told.len() >= 4);
    assert_eq!(told.last(), Some(&(3 * SLOT_LEN as u64)));
}

/// An envelope of several segments, taken apart.
struct Parts {
    header: Vec<u8>,
    segments: Vec<Vec<u8>>,
}

impl Parts {
    fn of(sealed: &[u8]) -> Self {
        let (header, body) = sealed.split_at(HEADER_LEN);
        Self {
            header: header.to_vec(),
            segments: body.chunks(SEGMENT_LEN).map(<[u8]>::to_vec).collect(),
        }
    }

    fn whole(&self) -> Vec<u8> {
        [&self.header[..], &self.segments.concat()].concat()
    }
}

/// Opening fails with this class, after exactly the first `good` segments were released.
fn is_refused(peers: &Peers, sealed: &[u8], payload: &[u8], good: usize, class: Class) {
    let (released, outcome) = peers.open(sealed);
    let error = outcome.unwrap_err();
    assert_eq!(error.class(), class, "{error}");
    let expected = (good * SLOT_LEN).saturating_sub(METADATA_LEN);
    assert_eq!(released.len(), expected, "{error}");
    assert!(payload.starts_with(&released), "{error}");
}

#[test]
fn a_cut_at_any_place_is_refused_and_releases_whole_segments_only() {
    let peers = Peers::new();
    let payload = payload(3 * SLOT_LEN);
    let sealed = peers.seal(Form::Binary, &payload);
    let body = sealed.len() - HEADER_LEN;
    assert_eq!(body.div_ceil(SEGMENT_LEN), 4);
    // A last segment was signed as the last one, so no cut after a segment makes one.
    for (length, good, class) in [
        (0, 0, Class::Malformed),
        (105, 0, Class::Malformed),
        (HEADER_LEN - 1, 0, Class::Malformed),
        (HEADER_LEN, 0, Class::Malformed),
        (HEADER_LEN + 84, 0, Class::Malformed),
        (HEADER_LEN + 85, 0, Class::NotVerified),
        (HEADER_LEN + SEGMENT_LEN - 1, 0, Class::NotVerified),
        (HEADER_LEN + SEGMENT_LEN, 0, Class::NotVerified),
        (HEADER_LEN + SEGMENT_LEN + 1, 1, Class::Malformed),
        (HEADER_LEN + 2 * SEGMENT_LEN - 1, 1, Class::NotVerified),
        (HEADER_LEN + 2 * SEGMENT_LEN, 1, Class::NotVerified),
        (HEADER_LEN + 3 * SEGMENT_LEN, 2, Class::NotVerified),
        (sealed.len() - 1, 3, Class::NotVerified),
    ] {
        is_refused(&peers, &sealed[..length], &payload, good, class);
    }
}

#[test]
fn something_after_the_end_is_refused() {
    let peers = Peers::new();
    let payload = payload(SLOT_LEN);
    let sealed = peers.seal(Form::Binary, &payload);
    for extra in [&b"\n"[..], &sealed] {
        let more = [&sealed[..], extra].concat();
        is_refused(&peers, &more, &payload, 1, Class::NotVerified);
    }
}

#[test]
fn segments_in_another_order_are_refused() {
    let peers = Peers::new();
    let payload = payload(4 * SLOT_LEN);
    let sealed = peers.seal(Form::Binary, &payload);
    for (left, right) in [(0, 1), (1, 2), (2, 3)] {
        let mut parts = Parts::of(&sealed);
        parts.segments.swap(left, right);
        is_refused(&peers, &parts.whole(), &payload, left, Class::NotVerified);
    }
}

#[test]
fn a_segment_twice_or_not_at_all_is_refused() {
    let peers = Peers::new();
    let payload = payload(4 * SLOT_LEN);
    let sealed = peers.seal(Form::Binary, &payload);
    for place in [0, 1, 3] {
        let mut parts = Parts::of(&sealed);
        parts.segments.insert(place, parts.segments[place].clone());
        is_refused(
            &peers,
            &parts.whole(),
            &payload,
            place + 1,
            Class::NotVerified,
        );
        let mut parts = Parts::of(&sealed);
        parts.segments.remove(place);
        is_refused(&peers, &parts.whole(), &payload, place, Class::NotVerified);
    }
}

#[test]
fn segments_of_another_envelope_of_the_same_sender_are_refused() {
    let peers = Peers::new();
    let payload = payload(3 * SLOT_LEN);
    let mut parts = Parts::of(&peers.seal(Form::Binary, &payload));
    let other = Parts::of(&peers.seal(Form::Binary, &payload));
    parts.segments[2].clone_from(&other.segments[2]);
    is_refused(&peers, &parts.whole(), &payload, 2, Class::NotVerified);

    let mut parts = Parts::of(&peers.seal(Form::Binary, &payload));
    parts.segments.clone_from(&other.segments);
    is_refused(&peers, &parts.whole(), &payload, 0, Class::NotVerified);
}

#[test]
fn a_changed_bit_in_any_segment_is_refused_and_nothing_of_it_released() {
    let peers = Peers::new();
    let payload = payload(4 * SLOT_LEN);
    let sealed = peers.seal(Form::Binary, &payload);
    for segment in 0..5 {
        let start = HEADER_LEN + segment * SEGMENT_LEN;
        let end = sealed.len().min(start + SEGMENT_LEN);
        for place in [start, start + 5000, end - 80, end - 64, end - 1] {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            is_refused(&peers, &changed, &payload, segment, Class::NotVerified);
        }
    }
}

/// The sender is known before a key is tried, so that a blocked one costs no decapsulation.
#[test]
fn the_decision_comes_before_the_identity_is_used() {
    let peers = Peers::new();
    let sealed = peers.seal(Form::Binary, b"x");
    let nobody = Identity::generate(&mut rng());
    let mut released = Vec::new();
    let mut seen = None;
    #[derive(Debug)]
    enum Refusal {
        Blocked,
        Stream(StreamError),
    }
    impl From<StreamError> for Refusal {
        fn from(error: StreamError) -> Self {
            Self::Stream(error)
        }
    }
    let reader = Cursor::new(sealed.clone());
    let outcome = stream::open(
        &nobody,
        now(),
        reader,
        &mut released,
        |header| {
            seen = Some(*header.sender());
            Err(Refusal::Blocked)
        },
        |_| (),
    );
    assert!(matches!(outcome, Err(Refusal::Blocked)));
    assert_eq!(seen, Some(*peers.alice.public_keys().verifying()));
    assert!(released.is_empty());
    let reader = Cursor::new(sealed.clone());
    let outcome = stream::open(&nobody, now(), reader, &mut released, |_| Ok(()), |_| ());
    assert!(matches!(
        outcome,
        Err(Refusal::Stream(StreamError::Open(OpenError::NotForMe)))
    ));

    let mut changed = sealed;
    let end = changed.len() - 1;
    changed[end] ^= 1;
    let never = |_: &_| -> Result<(), StreamError> { panic!("the sender is not verified") };
    let reader = Cursor::new(changed);
    let outcome = stream::open(&peers.bob, now(), reader, io::sink(), never, |_| ());
    assert!(matches!(outcome, Err(StreamError::NotVerified(_))));
}

#[test]
fn a_text_with_anything_around_or_within_it_is_refused() {
    let peers = Peers::new();
    let text = String::from_utf8(peers.seal(Form::Text, &payload(3000))).unwrap();
    let line = text.strip_suffix('\n').unwrap();
    let (left, right) = line.split_at(2000);
    assert!(peers.open(line.as_bytes()).1.is_ok());
    assert!(peers.open(format!("{line}\r\n").as_bytes()).1.is_ok());
    for damaged in [
        format!("{line}\n\n"),
        format!("{line}\r"),
        format!("{line} \n"),
        format!("{line}\r\n\n"),
        format!("{line}\n{line}\n"),
        format!("{line}{line}"),
        format!("{left}\n{right}\n"),
        format!("{left}\n> {right}\n"),
        format!("{left}={right}\n"),
        format!("{line}=\n"),
        format!("{left} {right}\n"),
    ] {
        let (released, outcome) = peers.open(damaged.as_bytes());
        assert!(matches!(outcome, Err(StreamError::Text(_))), "{outcome:?}");
        assert!(released.is_empty());
    }
    for around in [
        format!(" {line}"),
        format!("\n{line}"),
        format!("> {line}\n"),
        format!(">> {line}"),
    ] {
        let outcome = peers.open(around.as_bytes()).1;
        assert!(matches!(outcome, Err(StreamError::Surrounded)), "{around}");
    }
    let card = peers.card.to_text();
    let outcome = peers.open(card.as_bytes()).1;
    assert!(matches!(
        outcome,
        Err(StreamError::Parse(ParseError::WrongKind { found: b'c' }))
    ));
    let outcome = peers.open(peers.card.as_bytes()).1;
    assert!(matches!(
        outcome,
        Err(StreamError::Parse(ParseError::WrongKind { found: b'c' }))
    ));
    let outcome = peers.open(&[b'x'; 5000]).1;
    assert!(matches!(
        outcome,
        Err(StreamError::Parse(ParseError::NotAnEnvelope))
    ));
}

#[test]
fn a_reader_that_fails_ends_the_sealing_and_the_opening() {
    let peers = Peers::new();
    for after in [0, 1, SLOT_LEN, 3 * SLOT_LEN + 1] {
        let outcome = stream::seal(
            peers.sealing(),
            Form::Binary,
            Fails { after },
            io::sink(),
            |_| (),
        );
        assert!(matches!(outcome, Err(StreamError::Read(_))), "{after}");
    }
    let payload = payload(4 * SLOT_LEN);
    let sealed = peers.seal(Form::Binary, &payload);
    for (length, good) in [
        (50, 0),
        (HEADER_LEN + 5, 0),
        (HEADER_LEN + 2 * SEGMENT_LEN + 5, 2),
        (sealed.len(), 4),
    ] {
        let mut released = Vec::new();
        let reader = Cursor::new(sealed[..length].to_vec()).chain(Fails { after: 0 });
        let outcome = peers.open_from(reader, &mut released);
        assert!(matches!(outcome, Err(StreamError::Read(_))), "{length}");
        assert_eq!(
            released.len(),
            (good * SLOT_LEN).saturating_sub(METADATA_LEN),
            "{length}"
        );
    }
}

#[test]
fn a_writer_that_fails_ends_the_sealing_and_the_opening() {
    let peers = Peers::new();
    let payload = payload(9 * SLOT_LEN);
    let sealed = peers.seal(Form::Binary, &payload);
    for after in [0, 1, HEADER_LEN, SLOT_LEN, 3 * SLOT_LEN + 1] {
        for form in [Form::Binary, Form::Text] {
            let reader = Cursor::new(payload.clone());
            let writer = Fails { after };
            let outcome = stream::seal(peers.sealing(), form, reader, writer, |_| ());
            assert!(matches!(outcome, Err(StreamError::Write(_))), "{after}");
        }
        let outcome = peers.open_from(Cursor::new(sealed.clone()), Fails { after });
        assert!(matches!(outcome, Err(StreamError::Write(_))), "{after}");
    }
}

/// Gives what it has, then waits for somebody who never comes.
struct Stalls {
    start: Cursor<Vec<u8>>,
    never: mpsc::Receiver<()>,
}

impl Read for Stalls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.start.read(buffer)? {
            0 => {
                let _ = self.never.recv();
                Ok(0)
            }
            length => Ok(length),
        }
    }
}

#[test]
fn a_writer_that_fails_is_told_while_the_reader_stalls() {
    let peers = Peers::new();
    let payload = payload(4 * SLOT_LEN);
    let sealed = peers.seal(Form::Binary, &payload);
    let (hold, never) = mpsc::channel();
    let reader = Stalls {
        start: Cursor::new(payload[..3 * SLOT_LEN].to_vec()),
        never,
    };
    let writer = Fails { after: SLOT_LEN };
    let outcome = stream::seal(peers.sealing(), Form::Binary, reader, writer, |_| ());
    assert!(matches!(outcome, Err(StreamError::Write(_))));
    drop(hold);

    let (hold, never) = mpsc::channel();
    let reader = Stalls {
        start: Cursor::new(sealed[..HEADER_LEN + 3 * SEGMENT_LEN + 1].to_vec()),
        never,
    };
    let outcome = peers.open_from(reader, Fails { after: 5 });
    assert!(matches!(outcome, Err(StreamError::Write(_))));
    drop(hold);
}

/// Counts what was read of it and never ends.
struct Endless(Arc<AtomicU64>);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.fetch_add(buffer.len() as u64, Ordering::SeqCst);
        buffer.fill(7);
        Ok(buffer.len())
    }
}

#[test]
fn the_reader_does_not_run_away_from_the_writer() {
    let peers = Peers::new();
    let read = Arc::new(AtomicU64::new(0));
    let after = 20 << 20;
    let outcome = stream::seal(
        peers.sealing(),
        Form::Binary,
        Endless(Arc::clone(&read)),
        Fails { after },
        |_| (),
    );
    assert!(matches!(outcome, Err(StreamError::Write(_))));
    let read = read.load(Ordering::SeqCst);
    assert!(read < after as u64 + MEMORY, "{read}");
}

#[test]
fn a_header_that_promises_much_is_not_believed() {
    let peers = Peers::new();
    let mut sealed = peers.seal(Form::Binary, b"x");
    sealed[104..106].copy_from_slice(&1024_u16.to_be_bytes());
    const { assert!(MAX_HEADER_LEN < 2 << 20) };
    is_refused(&peers, &sealed, b"", 0, Class::Malformed);
    sealed[104..106].copy_from_slice(&1025_u16.to_be_bytes());
    is_refused(&peers, &sealed, b"", 0, Class::Malformed);
}

#[test]
#[should_panic = "a reader may panic"]
fn a_panic_of_the_reader_reaches_the_caller() {
    struct Panics;
    impl Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("a reader may panic");
        }
    }
    let _ = stream::seal(
        Peers::new().sealing(),
        Form::Binary,
        Panics,
        io::sink(),
        |_| (),
    );
}

#[test]
fn verifying_needs_no_identity_and_finds_every_change() {
    let peers = Peers::new();
    let sealed = peers.seal(Form::Binary, &payload(3 * SLOT_LEN));
    let text = peers.seal(Form::Text, &payload(3 * SLOT_LEN));
    let header = stream::verify(Cursor::new(sealed.clone()), |_| ()).unwrap();
    assert_eq!(header.sender(), peers.alice.public_keys().verifying());
    assert_eq!((header.created(), header.expires()), (now(), later()));
    assert_eq!(header.recipients(), 1);
    assert!(stream::verify(Cursor::new(text), |_| ()).is_ok());
    for place in [30, HEADER_LEN - 1, HEADER_LEN + 5, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        let outcome = stream::verify(Cursor::new(changed), |_| ());
        let error = outcome.unwrap_err();
        assert_eq!(error.class(), Class::NotVerified, "{place}");
    }
    for length in [HEADER_LEN + SEGMENT_LEN, sealed.len() - 1] {
        let cut = Cursor::new(sealed[..length].to_vec());
        let error = stream::verify(cut, |_| ()).unwrap_err();
        assert_eq!(error.class(), Class::NotVerified, "{length}");
    }
}

#[test]
fn an_outsider_sees_claims_and_rough_length_in_either_form() {
    let peers = Peers::new();
    for (length, segments) in [(0, 1), (5000, 1), (3 * SLOT_LEN, 4)] {
        for form in [Form::Binary, Form::Text] {
            let sealed = peers.seal(form, &payload(length));
            let outside = stream::inspect(Cursor::new(sealed), |_| ()).unwrap();
            assert_eq!(outside.form, form);
            assert_eq!(outside.segments, segments);
            assert_eq!(
                &outside.claims.sender,
                peers.alice.public_keys().verifying().as_bytes()
            );
            let content = (length + METADATA_LEN).max(256) as u64;
            assert!(
                (content..content * 17 / 16 + 1).contains(&outside.padded_len),
                "{length}: {}",
                outside.padded_len
            );
        }
    }
}
