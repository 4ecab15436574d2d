//! Time of sealing and opening one ClawTalk message of 1 KiB to a known peer.
//!
//! Prints one measurement per line, a name and nanoseconds per message: the median over rounds and
//! the least. `xtask/peers/libsodium.c` prints the same names for libsodium.

use std::{hint::black_box, time::Instant};

use ctalk_core::{
    Identity,
    classic::{self, BoxKeys, Message, Metadata},
};
use getrandom::{SysRng, rand_core::UnwrapErr};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

const ROUNDS: usize = 21;
const MESSAGES_PER_ROUND: u32 = 500;

const METADATA: Metadata<'_> = Metadata {
    to: "bob",
    message_type: "request",
    topic: Some("sync"),
    correlation_id: None,
};

type Error = Box<dyn std::error::Error>;

#[derive(Serialize)]
struct Written<'a> {
    payload: &'a str,
    nonce: &'a str,
    signature: &'a str,
}

fn main() -> Result<(), Error> {
    let mut rng = UnwrapErr(SysRng);
    let alice = Identity::generate(&mut rng);
    let bob = Identity::generate(&mut rng);
    // Two quotation marks make it 1024 bytes of JSON.
    let payload = to_raw_value(&"x".repeat(1022))?;

    let mut keys = BoxKeys::default();
    measure("seal_sign_1k", || {
        seal(&alice, &mut keys, &bob, &payload, &mut rng).map(|sealed| {
            black_box(sealed);
        })
    })?;

    // The same from bytes to JSON, as programs in other languages begin and end.
    let bytes = payload.get().as_bytes();
    measure("seal_sign_json_1k", || {
        let payload: &RawValue = serde_json::from_slice(black_box(bytes))?;
        let sealed = seal(&alice, &mut keys, &bob, payload, &mut rng)?;
        black_box(serde_json::to_vec(&Written {
            payload: &sealed.payload,
            nonce: &sealed.nonce,
            signature: &sealed.signature,
        })?);
        Ok(())
    })?;

    let relayed = relayed(&seal(&alice, &mut keys, &bob, &payload, &mut rng)?);
    let mut keys = BoxKeys::default();
    measure("verify_open_1k", || {
        let Message::Signed(message) = Message::parse(black_box(relayed.as_bytes()))? else {
            return Err("the message is not signed".into());
        };
        let _ = black_box(message.verify(alice.public_keys())?.open(&bob, &mut keys)?);
        Ok(())
    })
}

fn seal(
    alice: &Identity,
    keys: &mut BoxKeys,
    bob: &Identity,
    payload: &RawValue,
    rng: &mut UnwrapErr<SysRng>,
) -> Result<classic::Sealed, Error> {
    let recipient = bob.public_keys().encryption();
    Ok(classic::seal(
        alice,
        keys,
        recipient,
        &METADATA,
        black_box(payload),
        rng,
    )?)
}

/// The message as a relay would list it.
fn relayed(sealed: &classic::Sealed) -> String {
    serde_json::json!({
        "id": "0b8f7f4e-9a52-4f0c-8a3c-2f6f6f0f6f6f",
        "from": "alice",
        "type": METADATA.message_type,
        "topic": METADATA.topic,
        "encrypted": true,
        "payload": sealed.payload,
        "nonce": sealed.nonce,
        "signature": sealed.signature,
        "ts": "2026-03-21T10:11:12.345Z",
        "to": METADATA.to,
    })
    .to_string()
}

fn measure(name: &str, mut message: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    // The first round warms caches up and is thrown away.
    for round in 0..=ROUNDS {
        let start = Instant::now();
        for _ in 0..MESSAGES_PER_ROUND {
            message()?;
        }
        if round > 0 {
            rounds.push((start.elapsed() / MESSAGES_PER_ROUND).as_nanos());
        }
    }
    rounds.sort_unstable();
    if let (Some(median), Some(least)) = (rounds.get(ROUNDS / 2), rounds.first()) {
        println!("{name}_ns {median}");
        println!("{name}_min_ns {least}");
    }
    Ok(())
}
