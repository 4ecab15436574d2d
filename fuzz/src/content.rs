//! What a recipient finds inside an envelope that its sender made properly on the outside: padding,
//! metadata and payload.

use std::sync::LazyLock;

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use ctalk_core::envelope::{Envelope, Kind, Metadata, OpenError, Sealing};
use ed25519_dalek::Signer;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use super::people::{ALICE, ALICE_SIGNS, BOB, BOBS_CARD, DAY, NOW, Ring, at};

/// Bytes of the count before a slot.
const USED_LEN: usize = 4;

/// The first 16 are the envelope's id and the next 32 its content key.
fn randomness() -> Vec<u8> {
    (0..=255).collect()
}

/// An envelope from alice to bob without its body.
struct Start {
    header: Vec<u8>,
    cipher: ChaCha20Poly1305,
    hash: [u8; 32],
}

static START: LazyLock<Start> = LazyLock::new(|| {
    let Sealing { header, .. } = Sealing::new(
        &ALICE,
        [&*BOBS_CARD],
        &Metadata::new(Kind::Request, "text/plain"),
        at(NOW),
        at(NOW + DAY),
        &mut Ring::new(randomness()),
    )
    .unwrap();
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(&Sha256::digest(&header)), &randomness()[16..48])
        .expand(b"ctalk/body/2", &mut key)
        .unwrap();
    Start {
        cipher: ChaCha20Poly1305::new(&key.into()),
        hash: sha256(&[b"ctalk/header/2", &header]),
        header,
    }
});

/// Takes what follows the first byte of `data` as content and pads it properly, or, if that byte is
/// odd, as count and slot in one.
pub(crate) fn check(data: &[u8]) -> bool {
    let plaintext = match data {
        [] => return false,
        [mode, plaintext @ ..] if mode % 2 == 1 => plaintext.to_vec(),
        [_, content @ ..] => padded(content),
    };
    if plaintext.len() <= USED_LEN {
        return false;
    }
    let envelope = sealed(&plaintext);
    let verified = Envelope::parse(&envelope).unwrap().verify().unwrap();
    let opened = match verified.open(&BOB, at(NOW)) {
        Ok(opened) => opened,
        Err(OpenError::Metadata(_) | OpenError::Padding { .. }) => return false,
        Err(error) => panic!("nothing else is wrong with it: {error}"),
    };
    let mut content = encoded(&opened.metadata);
    content.extend(&opened.payload);
    assert!(
        padded(&content) == plaintext,
        "what was opened has another encoding"
    );
    true
}

/// Metadata as the specification has it.
fn encoded(metadata: &Metadata) -> Vec<u8> {
    let kind = match metadata.kind {
        Kind::Request => 1,
        Kind::Response => 2,
        Kind::Notification => 3,
        Kind::Receipt => 4,
        Kind::Card => 5,
        Kind::Succession => 6,
        Kind::Pairing => 7,
    };
    let mut bytes = vec![if metadata.receipt { kind | 0x80 } else { kind }];
    optional(&mut bytes, metadata.topic.as_deref());
    optional(&mut bytes, metadata.correlation_id.as_deref());
    optional(&mut bytes, metadata.reply_to.as_deref());
    field(&mut bytes, metadata.content_type.as_bytes());
    optional(&mut bytes, metadata.name.as_deref());
    // Alice has no card, so none can be accepted.
    assert_eq!(metadata.card, None);
    bytes.push(0);
    bytes
}

fn optional(bytes: &mut Vec<u8>, text: Option<&str>) {
    bytes.push(text.is_some().into());
    if let Some(text) = text {
        field(bytes, text.as_bytes());
    }
}

fn field(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
}

/// Content in one slot, with its count and Padmé zeros.
fn padded(content: &[u8]) -> Vec<u8> {
    let length = content.len().max(256);
    let exponent = length.ilog2();
    let unit = 1 << (exponent - exponent.ilog2() - 1);
    let used = u32::try_from(content.len()).unwrap();
    let mut plaintext = [&used.to_be_bytes(), content].concat();
    plaintext.resize(USED_LEN + length.div_ceil(unit) * unit, 0);
    plaintext
}

/// An envelope of one segment, from the specification and not from the code that is tested.
fn sealed(plaintext: &[u8]) -> Vec<u8> {
    const NONCE: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const INDEX_AND_LAST: [u8; 5] = [0, 0, 0, 0, 1];
    let Start {
        header,
        cipher,
        hash,
    } = &*START;
    let segment = cipher.encrypt(&NONCE.into(), plaintext).unwrap();
    let digest = sha256(&[&segment]);
    let statement = [b"ctalk/segment/2", &hash[..], &INDEX_AND_LAST, &digest].concat();
    let signature = ALICE_SIGNS.sign(&statement).to_bytes();
    [&header[..], &segment, &signature].concat()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}
