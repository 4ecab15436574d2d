//! Time of sealing and opening envelopes of 1 KiB, beside the bare primitives that an envelope
//! cannot do without, the size of one, and the time of each step of a pipeline per full segment.
//!
//! Prints one measurement per line, as `benches/classic.rs` does: a name and nanoseconds per
//! envelope, the median over rounds and the least. Sealing and its bare primitives are measured in
//! turns, so that both meet the same machine. Sizes are in bytes.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use ctalk_core::{
    Card, CardStatement, Identity, Timestamp, XWingSecret,
    envelope::{self, Envelope, Header, Kind, Metadata, PlainSegment, Sealing, Segment},
};
use ed25519_dalek::{Signer, SigningKey};
use getrandom::{SysRng, rand_core::UnwrapErr};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::XWing,
};

const ROUNDS: usize = 101;
const REPEATS: u32 = 10;
const RECIPIENTS: usize = 100;
const SEGMENTS: usize = 16;
const INFO: &[u8] = &[0; 76];
/// What a segment's signature covers, in bytes.
const SIGNED: &[u8] = &[0; 84];

type Error = Box<dyn std::error::Error>;
type Rng = UnwrapErr<SysRng>;

fn main() -> Result<(), Error> {
    let mut rng = UnwrapErr(SysRng);
    let created = Timestamp::from_millis(1_800_000_000_000).ok_or("too late")?;
    let expires = created
        .checked_add(Duration::from_secs(7 * 24 * 60 * 60))
        .ok_or("too late")?;
    let alice = Identity::generate(&mut rng);
    let mut people = Vec::new();
    for _ in 0..RECIPIENTS {
        people.push(Identity::generate(&mut rng).with_xwing(XWingSecret::generate(&mut rng)));
    }
    let cards = people
        .iter()
        .map(|identity| card(identity, created, expires))
        .collect::<Result<Vec<_>, Error>>()?;
    let (Some(bob), Some(bobs_card)) = (people.first(), cards.first()) else {
        return Err("nobody there".into());
    };
    let metadata = Metadata::new(Kind::Request, "text/plain");
    let payload = [b'x'; 1024];
    let seal = |cards: &[Card], rng: &mut Rng| {
        envelope::seal(
            &alice,
            cards,
            &metadata,
            black_box(&payload),
            created,
            expires,
            rng,
        )
    };
    let one = seal(core::slice::from_ref(bobs_card), &mut rng)?;
    let many = seal(&cards, &mut rng)?;

    let bare = Bare::new()?;
    let sealed_key = bare.seal(&mut rng)?;
    let mut rngs = [UnwrapErr(SysRng), UnwrapErr(SysRng)];
    let [first, second] = &mut rngs;
    measure(&mut [
        ("bare_seal", REPEATS, &mut || {
            bare.seal(first).map(|sealed| drop(black_box(sealed)))
        }),
        ("seal_1k", REPEATS, &mut || {
            drop(black_box(seal(core::slice::from_ref(bobs_card), second)?));
            Ok(())
        }),
    ])?;
    measure(&mut [
        ("bare_open", REPEATS, &mut || {
            bare.open(black_box(&sealed_key))
        }),
        ("open_1k", REPEATS, &mut || {
            drop(black_box(
                Envelope::parse(black_box(&one))?
                    .verify()?
                    .open(bob, created)?,
            ));
            Ok(())
        }),
        // What an expanded decapsulation key would spare of each opening.
        ("expand_key", REPEATS, &mut || {
            let key = <XWing as Kem>::PrivateKey::from_bytes(black_box(&bare.seed))?;
            drop(black_box(key));
            Ok(())
        }),
    ])?;
    measure(&mut [
        ("bare_100_wraps", 1, &mut || {
            for _ in 0..RECIPIENTS {
                drop(black_box(bare.wrap(second)?));
            }
            Ok(())
        }),
        ("seal_1k_100_recipients", 1, &mut || {
            drop(black_box(seal(&cards, first)?));
            Ok(())
        }),
        ("open_1k_100_recipients", 1, &mut || {
            drop(black_box(
                Envelope::parse(black_box(&many))?
                    .verify()?
                    .open(bob, created)?,
            ));
            Ok(())
        }),
        ("parse_card", REPEATS, &mut || {
            drop(black_box(Card::parse(black_box(bobs_card.as_bytes()))?));
            Ok(())
        }),
    ])?;
    segments(&alice, bob, bobs_card, created, expires)?;
    println!("size_1k_bytes {}", one.len());
    println!("size_1k_100_recipients_bytes {}", many.len());
    println!("size_card_bytes {}", bobs_card.as_bytes().len());
    Ok(())
}

/// The four steps of a full segment, each of which a pipeline does on a thread beside another.
fn segments(
    alice: &Identity,
    bob: &Identity,
    card: &Card,
    created: Timestamp,
    expires: Timestamp,
) -> Result<(), Error> {
    let metadata = Metadata::new(Kind::Request, "text/plain");
    let mut rng = UnwrapErr(SysRng);
    let [mut encrypt, mut sign, mut verify, mut decrypt]: [Vec<u128>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let Sealing {
            header,
            first,
            mut cipher,
            mut signer,
            ..
        } = Sealing::new(alice, [card], &metadata, created, expires, &mut rng)?;
        let mut segment = first;
        let mut sealed = Vec::new();
        for _ in 0..SEGMENTS {
            let length = segment.free().len();
            segment.advance(length);
            let encrypted = timed(&mut encrypt, || cipher.encrypt(segment))?;
            sealed.push(timed(&mut sign, || signer.sign(encrypted))?);
            segment = PlainSegment::default();
        }
        let (header, _) = Header::parse(&header)?;
        let mut sealed = sealed.into_iter();
        let first = Segment::parse(sealed.next().unwrap_or_default(), false)?;
        let (header, first, mut verifier) = header.verify(first)?;
        let mut opener = header.open(bob, created, first)?.rest;
        for bytes in sealed {
            let segment = Segment::parse(bytes, false)?;
            let verified = timed(&mut verify, || verifier.verify(segment))?;
            black_box(timed(&mut decrypt, || opener.open(verified))?);
        }
    }
    for (name, mut times) in [
        ("encrypt", encrypt),
        ("sign", sign),
        ("verify", verify),
        ("decrypt", decrypt),
    ] {
        times.sort_unstable();
        if let (Some(median), Some(least)) = (times.get(times.len() / 2), times.first()) {
            println!("{name}_segment_ns {median}");
            println!("{name}_segment_min_ns {least}");
        }
    }
    Ok(())
}

/// Runs something once and notes how long it took.
fn timed<T>(times: &mut Vec<u128>, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = run();
    times.push(start.elapsed().as_nanos());
    value
}

fn card(identity: &Identity, created: Timestamp, expires: Timestamp) -> Result<Card, Error> {
    let statement = CardStatement {
        name: "bob",
        serial: 1,
        created,
        expires,
        addresses: &["https://relay.example/bob"],
    };
    let key = identity.xwing_keys().next().ok_or("no X-Wing key")?;
    Ok(Card::sign(identity, key, &statement)?)
}

/// HPKE and Ed25519 as the crates offer them: one encapsulation with a 32-byte key sealed, one
/// signature.
struct Bare {
    public: <XWing as Kem>::PublicKey,
    private: <XWing as Kem>::PrivateKey,
    seed: [u8; 32],
    signing: SigningKey,
}

/// An encapsulation and the key sealed under it.
type BareWrap = (<XWing as Kem>::EncappedKey, Vec<u8>);

struct BareSealed {
    wrap: BareWrap,
    signature: ed25519_dalek::Signature,
}

impl Bare {
    fn new() -> Result<Self, Error> {
        let seed = [7; 32];
        let private = <XWing as Kem>::PrivateKey::from_bytes(&seed)?;
        Ok(Self {
            public: XWing::sk_to_pk(&private),
            private,
            seed,
            signing: SigningKey::from_bytes(&[8; 32]),
        })
    }

    fn wrap(&self, rng: &mut Rng) -> Result<BareWrap, Error> {
        let (encapsulation, mut context) =
            hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
                &OpModeS::Base,
                black_box(&self.public),
                black_box(INFO),
                rng,
            )?;
        Ok((encapsulation, context.seal(black_box(&[9; 32]), b"")?))
    }

    fn seal(&self, rng: &mut Rng) -> Result<BareSealed, Error> {
        Ok(BareSealed {
            wrap: self.wrap(rng)?,
            signature: self.signing.sign(black_box(SIGNED)),
        })
    }

    fn open(&self, sealed: &BareSealed) -> Result<(), Error> {
        self.signing
            .verifying_key()
            .verify_strict(black_box(SIGNED), &sealed.signature)?;
        let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            black_box(&self.private),
            &sealed.wrap.0,
            black_box(INFO),
        )?;
        drop(black_box(context.open(&sealed.wrap.1, b"")?));
        Ok(())
    }
}

/// A name, how often it is repeated per round, and what is measured.
type Subject<'s> = (&'static str, u32, &'s mut dyn FnMut() -> Result<(), Error>);

/// Measures the subjects in turns.
fn measure(subjects: &mut [Subject<'_>]) -> Result<(), Error> {
    let mut times = vec![Vec::with_capacity(ROUNDS); subjects.len()];
    // The first round warms caches up and is thrown away.
    for round in 0..=ROUNDS {
        for ((_, repeats, subject), times) in subjects.iter_mut().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..*repeats {
                subject()?;
            }
            if round > 0 {
                times.push((start.elapsed() / *repeats).as_nanos());
            }
        }
    }
    for ((name, ..), mut times) in subjects.iter().zip(times) {
        times.sort_unstable();
        if let (Some(median), Some(least)) = (times.get(ROUNDS / 2), times.first()) {
            println!("{name}_ns {median}");
            println!("{name}_min_ns {least}");
        }
    }
    Ok(())
}
