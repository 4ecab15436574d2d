//! `tests/vectors/pairing.json`, and the specification's formulas written out once more.

use std::{fs, path::PathBuf};

use ctalk_core::{
    Card,
    pairing::{Code, Invitation, Joining},
};
use curve25519_dalek::{
    EdwardsPoint, Scalar, constants::ED25519_BASEPOINT_POINT, edwards::CompressedEdwardsY,
};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    scene::{answered_as, confirmed, inviter_confirmation, inviter_finished},
    support::{CREATED, Seeded, alice, at, bob},
};

const CODE: &str = "alice-hotel-obvious-captain-wagon";

const M: &str = "15cfd18e385952982b6a8f8c7854963b58e34388c8e6dae891db756481a02312";
const N: &str = "f04f2e7eb734b2a8f8b472eaf9c3c632576ac64aea650b496a8a20ff00e583c3";

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/pairing.json")
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn point(text: &str) -> EdwardsPoint {
    CompressedEdwardsY(unhex(text)).decompress().unwrap()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn hkdf<const N: usize>(ikm: &[u8], salt: &[u8], info: &[u8]) -> [u8; N] {
    let mut output = [0; N];
    let hkdf = Hkdf::<Sha256>::new(Some(salt), ikm);
    hkdf.expand(info, &mut output).unwrap();
    output
}

/// What the page says, from the inputs to the four messages.
fn by_the_page(
    secret: &str,
    session: [u8; 16],
    x: Scalar,
    y: Scalar,
    inviters: &Card,
    joiners: &Card,
) -> Value {
    let mut wide = [0; 64];
    let hashed = hkdf::<48>(secret.as_bytes(), b"", b"SPAKE2 pw");
    for (byte, hashed) in wide.iter_mut().zip(hashed.iter().rev()) {
        *byte = *hashed;
    }
    let w = Scalar::from_bytes_mod_order_wide(&wide);
    let inviters_element = (ED25519_BASEPOINT_POINT * x + point(M) * w).compress();
    let joiners_element = (ED25519_BASEPOINT_POINT * y + point(N) * w).compress();
    let shared = (joiners_element.decompress().unwrap() - point(N) * w) * x;
    assert_eq!(
        shared,
        (inviters_element.decompress().unwrap() - point(M) * w) * y
    );
    let key = sha256(
        &[
            sha256(secret.as_bytes()),
            sha256(b"ctalk/pairing/inviter/2"),
            sha256(b"ctalk/pairing/joiner/2"),
            inviters_element.to_bytes(),
            joiners_element.to_bytes(),
            shared.compress().to_bytes(),
        ]
        .concat(),
    );
    let transcript = [
        b"ctalk/pairing/transcript/2",
        &session[..],
        joiners_element.as_bytes(),
        inviters_element.as_bytes(),
        &sha256(joiners.as_bytes()),
        &sha256(inviters.as_bytes()),
    ]
    .concat();
    let confirmation = |label: &str| {
        let key = hkdf::<32>(&key, &session, label.as_bytes());
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let mac = mac.chain_update(&transcript).finalize();
        (key, <[u8; 32]>::from(mac.into_bytes()))
    };
    let (inviters_key, inviters_tag) = confirmation("ctalk/pairing/key/inviter/2");
    let (joiners_key, joiners_tag) = confirmation("ctalk/pairing/key/joiner/2");
    let message = |step: u8, value: &[u8], card: &[u8]| {
        let start = [b"ctalkj\x02\x01", &[step][..]].concat();
        hex::encode([&start[..], &session, value, card].concat())
    };
    json!({
        "secret": secret,
        "session": hex::encode(session),
        "x": hex::encode(x.to_bytes()),
        "y": hex::encode(y.to_bytes()),
        "inviters_card": hex::encode(inviters.as_bytes()),
        "joiners_card": hex::encode(joiners.as_bytes()),
        "now": CREATED,
        "w": hex::encode(w.to_bytes()),
        "K": hex::encode(shared.compress().to_bytes()),
        "key": hex::encode(key),
        "inviters_key": hex::encode(inviters_key),
        "joiners_key": hex::encode(joiners_key),
        "transcript": hex::encode(&transcript),
        "request": message(1, joiners_element.as_bytes(), joiners.as_bytes()),
        "answer": message(2, inviters_element.as_bytes(), inviters.as_bytes()),
        "joiners_confirmation": message(3, &joiners_tag, &[]),
        "inviters_confirmation": message(4, &inviters_tag, &[]),
    })
}

/// The vector as the page has it. The randomness is what the crate takes: for the joiner a session,
/// then, as for the inviter, 64 bytes that are a scalar modulo the group order, little-endian.
fn vector() -> Value {
    let mut joiner = Seeded::new("pairing/joiner");
    let session = joiner.array();
    let y = Scalar::from_bytes_mod_order_wide(&joiner.array());
    let x = Scalar::from_bytes_mod_order_wide(&Seeded::new("pairing/inviter").array());
    let secret = CODE.strip_prefix("alice-").unwrap();
    let mut vector = by_the_page(secret, session, x, y, &alice().card(), &bob().card());
    vector["code"] = CODE.into();
    vector
}

#[test]
fn the_page_gives_the_vector() {
    let stored: Value = serde_json::from_str(&fs::read_to_string(file()).unwrap()).unwrap();
    assert_eq!(vector(), stored);
}

#[test]
#[ignore = "writes the vector"]
fn write_the_vector() {
    let text = serde_json::to_string_pretty(&vector()).unwrap();
    fs::write(file(), format!("{text}\n")).unwrap();
}

#[test]
fn both_sides_say_what_the_vector_has() {
    let stored: Value = serde_json::from_str(&fs::read_to_string(file()).unwrap()).unwrap();
    let member = |name: &str| hex::decode(stored[name].as_str().unwrap()).unwrap();
    let code = || Code::parse(stored["code"].as_str().unwrap()).unwrap();
    let card = |name| Card::parse(&member(name)).unwrap();
    assert_eq!(stored["now"], at(CREATED).as_millis());

    let mut rng = Seeded::new("pairing/joiner");
    let (message, joining) = Joining::start(code(), card("joiners_card"), &mut rng);
    assert_eq!(message.to_bytes(), member("request"));
    assert_eq!(joining.session().as_bytes()[..], member("session"));
    let invitation = Invitation::new(code(), card("inviters_card"));
    let (answer, awaiting_joiner) = answered_as(invitation, &member("request"), "pairing/inviter");
    assert_eq!(answer, member("answer"));
    let (confirmation, awaiting_inviter) = confirmed(joining, &member("answer")).unwrap();
    assert_eq!(confirmation, member("joiners_confirmation"));
    let (last, paired) = inviter_finished(awaiting_joiner, &confirmation).unwrap();
    assert_eq!(last, member("inviters_confirmation"));
    assert_eq!(paired.into_card(), card("joiners_card"));
    let paired = awaiting_inviter
        .finish(&inviter_confirmation(&last))
        .unwrap();
    assert_eq!(paired.into_card(), card("inviters_card"));
}
