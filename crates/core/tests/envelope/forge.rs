//! A second way to make envelopes and cards, written from `docs/ENVELOPE.md` with the cryptographic
//! crates alone, which can be told to break any rule.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead, aead::Payload};
use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION};
use ed25519_dalek::Signer;
use hkdf::Hkdf;
use hpke::{Deserializable, Kem, OpModeS, Serializable, kdf::HkdfSha256, kem::XWing};
use ml_kem::kem::Encapsulate;
use sha2::{Digest, Sha256, Sha512};

use crate::support::{CREATED, EXPIRES, Person, Seeded, alice, bob};

pub(crate) const SLOT: usize = 1_048_572;
pub(crate) const SEGMENT: usize = 1_048_656;

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

pub(crate) fn hkdf(ikm: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    let mut output = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), ikm)
        .expand(info, &mut output)
        .unwrap();
    output
}

/// The formula of the paper in floating point, so that it shares nothing with the one in integers.
pub(crate) fn padme(length: usize) -> usize {
    let length = length.max(256);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "lengths in tests are small enough to be exact"
    )]
    let log2 = |number: usize| (number as f64).log2().floor() as usize;
    let exponent = log2(length);
    let unit = 1 << (exponent - log2(exponent) - 1);
    length.div_ceil(unit) * unit
}

/// Whom a wrap is for.
#[derive(Clone)]
pub(crate) struct Recipient {
    pub(crate) signing: [u8; 32],
    pub(crate) xwing: [u8; 1216],
}

impl From<&Person> for Recipient {
    fn from(person: &Person) -> Self {
        Self {
            signing: person.verifying(),
            xwing: person.xwing(),
        }
    }
}

/// How a segment or card is signed: from what is to be signed to the signature.
pub(crate) type Sign = Box<dyn Fn(&[u8]) -> [u8; 64]>;

/// HPKE's `info` from the digest of the prefix and a signing key.
pub(crate) type Info = Box<dyn Fn(&[u8; 32], &[u8; 32]) -> Vec<u8>>;

/// The body key from content key and header.
pub(crate) type BodyKey = Box<dyn Fn(&[u8; 32], &[u8]) -> [u8; 32]>;

/// Nonce and associated data of a segment by index and last.
pub(crate) type NonceOf = Box<dyn Fn(u32, bool) -> ([u8; 12], Vec<u8>)>;

/// What is signed, from running hash, index, last and digest.
pub(crate) type Statement = Box<dyn Fn(&[u8; 32], u32, bool, &[u8; 32]) -> Vec<u8>>;

/// Something done to a value on its way into the envelope.
pub(crate) type Edit<T> = Box<dyn Fn(&mut T)>;

/// RFC 9180 section 5.1 for base mode, `HKDF-SHA256` and `ChaCha20-Poly1305`, as far as the first
/// message needs it.
pub(crate) fn key_and_nonce(shared_secret: &[u8], info: &[u8]) -> ([u8; 32], [u8; 12]) {
    let suite = b"HPKE\x64\x7a\x00\x01\x00\x03";
    let extract = |salt: &[u8], label: &[u8], ikm: &[u8]| {
        let ikm = [b"HPKE-v1", &suite[..], label, ikm].concat();
        Hkdf::<Sha256>::extract(Some(salt), &ikm)
    };
    let (psk_id_hash, _) = extract(b"", b"psk_id_hash", b"");
    let (info_hash, _) = extract(b"", b"info_hash", info);
    let context = [&[0][..], &psk_id_hash, &info_hash].concat();
    let (_, secret) = extract(shared_secret, b"secret", b"");
    let (mut key, mut nonce) = ([0; 32], [0; 12]);
    for (label, output) in [(&b"key"[..], &mut key[..]), (b"base_nonce", &mut nonce)] {
        let length = u16::try_from(output.len()).unwrap().to_be_bytes();
        let info = [&length[..], b"HPKE-v1", suite, label, &context].concat();
        secret.expand(&info, output).unwrap();
    }
    (key, nonce)
}

fn wrap(recipient: &Recipient, info: &[u8], key: &[u8; 32], rng: &mut Seeded) -> [u8; 1168] {
    let public = <XWing as Kem>::PublicKey::from_bytes(&recipient.xwing).unwrap();
    let (encapsulation, mut context) = hpke::setup_sender_with_rng::<
        hpke::aead::ChaCha20Poly1305,
        HkdfSha256,
        XWing,
    >(&OpModeS::Base, &public, info, rng)
    .unwrap();
    let sealed = context.seal(key, b"").unwrap();
    [&encapsulation.to_bytes()[..], &sealed]
        .concat()
        .try_into()
        .unwrap()
}

/// A wrap with any X25519 value in its encapsulation, under the secret that X-Wing makes of it when
/// X25519 gives `shared`: what a receiver opens that does not look at the value.
fn wrap_with_x25519(
    recipient: &Recipient,
    (x25519, shared): ([u8; 32], [u8; 32]),
    info: &[u8],
    key: &[u8; 32],
    rng: &mut Seeded,
) -> [u8; 1168] {
    let (mlkem_key, x25519_key) = recipient.xwing.split_at(1184);
    let mlkem_key =
        ml_kem::ml_kem_768::EncapsulationKey::new(mlkem_key.try_into().unwrap()).unwrap();
    let (ciphertext, mlkem_shared) = mlkem_key.encapsulate_with_rng(rng);
    let secret = sha3::Sha3_256::digest(
        [&mlkem_shared[..], &shared, &x25519, x25519_key, br"\.//^\"].concat(),
    );
    let (hpke_key, nonce) = key_and_nonce(&secret, info);
    let sealed = ChaCha20Poly1305::new(&hpke_key.into())
        .encrypt(&nonce.into(), &key[..])
        .unwrap();
    [&ciphertext[..], &x25519, &sealed]
        .concat()
        .try_into()
        .unwrap()
}

/// An envelope to be made. As it comes from [`Forge::new`] it keeps every rule.
pub(crate) struct Forge {
    pub(crate) id: [u8; 16],
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) sender: [u8; 32],
    pub(crate) key: [u8; 32],
    pub(crate) recipients: Vec<Recipient>,
    /// Metadata and payload.
    pub(crate) content: Vec<u8>,
    /// The slots' plaintexts; from `content` where none are given.
    pub(crate) plaintexts: Option<Vec<Vec<u8>>>,
    pub(crate) sign: Sign,
    /// What is done to the sorted hints and their recipients before they are written.
    pub(crate) edit_recipients: Edit<Vec<([u8; 16], Recipient)>>,
    /// What is done to the prefix before anything is bound to it.
    pub(crate) edit_prefix: Edit<Vec<u8>>,
    pub(crate) info: Info,
    /// What the wraps hold.
    pub(crate) wrapped_key: Option<[u8; 32]>,
    /// The X25519 part of the encapsulations, and what X25519 with the recipient's secret makes of it.
    pub(crate) x25519: Option<([u8; 32], [u8; 32])>,
    /// What is done to the wraps before anything is bound to them.
    pub(crate) edit_wraps: Edit<Vec<[u8; 1168]>>,
    pub(crate) body_key: BodyKey,
    pub(crate) nonce: NonceOf,
    /// What is done to a sealed segment before it is signed.
    pub(crate) edit_sealed: Edit<Vec<u8>>,
    pub(crate) statement: Statement,
    pub(crate) rng: Seeded,
}

impl Forge {
    /// From alice to bob, made of the same randomness that sealing takes from `Seeded::new(seed)`.
    pub(crate) fn new(seed: &str, content: &[u8]) -> Self {
        let mut rng = Seeded::new(seed);
        let id = rng.array();
        let key = rng.array();
        Self {
            id,
            created: CREATED,
            expires: EXPIRES,
            sender: alice().verifying(),
            key,
            recipients: vec![(&bob()).into()],
            content: content.to_vec(),
            plaintexts: None,
            sign: Box::new(|statement| alice().signing_key().sign(statement).to_bytes()),
            edit_recipients: Box::new(|_| ()),
            edit_prefix: Box::new(|_| ()),
            info: Box::new(|prefix, signing| [b"ctalk/wrap/2", &prefix[..], signing].concat()),
            wrapped_key: None,
            x25519: None,
            edit_wraps: Box::new(|_| ()),
            body_key: Box::new(|key, header| hkdf(key, &sha256(&[header]), b"ctalk/body/2")),
            nonce: Box::new(|index, last| (nonce(index, last), Vec::new())),
            edit_sealed: Box::new(|_| ()),
            statement: Box::new(statement),
            rng,
        }
    }

    pub(crate) fn to(mut self, people: &[&Person]) -> Self {
        self.recipients = people.iter().map(|person| (*person).into()).collect();
        self
    }

    /// Header and segments.
    pub(crate) fn parts(mut self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let header = self.header();
        let segments = self.segments(&header);
        (header, segments)
    }

    pub(crate) fn make(self) -> Vec<u8> {
        let (header, segments) = self.parts();
        [header, segments.concat()].concat()
    }

    pub(crate) fn header(&mut self) -> Vec<u8> {
        let mut recipients: Vec<_> = self
            .recipients
            .iter()
            .map(|recipient| (hint(&self.id, recipient), recipient.clone()))
            .collect();
        recipients.sort_by_key(|(hint, _)| *hint);
        (self.edit_recipients)(&mut recipients);

        let mut prefix = b"ctalke\x02\x01".to_vec();
        prefix.extend(self.id);
        prefix.extend(self.created.to_be_bytes());
        prefix.extend(self.expires.to_be_bytes());
        prefix.extend(self.sender);
        prefix.extend(hkdf(&self.key, &self.id, b"ctalk/commitment/2"));
        prefix.extend(u16::try_from(recipients.len()).unwrap().to_be_bytes());
        for (hint, _) in &recipients {
            prefix.extend(hint);
        }
        (self.edit_prefix)(&mut prefix);

        let digest = sha256(&[&prefix]);
        let mut wraps = Vec::new();
        for (_, recipient) in &recipients {
            let info = (self.info)(&digest, &recipient.signing);
            let key = self.wrapped_key.unwrap_or(self.key);
            wraps.push(match self.x25519 {
                Some(x25519) => wrap_with_x25519(recipient, x25519, &info, &key, &mut self.rng),
                None => wrap(recipient, &info, &key, &mut self.rng),
            });
        }
        (self.edit_wraps)(&mut wraps);
        [prefix, wraps.concat()].concat()
    }

    pub(crate) fn segments(&self, header: &[u8]) -> Vec<Vec<u8>> {
        let plaintexts = self
            .plaintexts
            .clone()
            .unwrap_or_else(|| plaintexts(&self.content));
        let cipher = ChaCha20Poly1305::new(&(self.body_key)(&self.key, header).into());
        let mut hash = sha256(&[b"ctalk/header/2", header]);
        let mut segments = Vec::new();
        for (place, plaintext) in plaintexts.iter().enumerate() {
            let index = u32::try_from(place).unwrap();
            let last = place + 1 == plaintexts.len();
            let (nonce, aad) = (self.nonce)(index, last);
            let payload = Payload {
                msg: plaintext,
                aad: &aad,
            };
            let mut sealed = cipher.encrypt(&nonce.into(), payload).unwrap();
            (self.edit_sealed)(&mut sealed);
            let digest = sha256(&[&sealed]);
            let signature = (self.sign)(&(self.statement)(&hash, index, last, &digest));
            hash = sha256(&[b"ctalk/chain/2", &hash, &digest]);
            sealed.extend(signature);
            segments.push(sealed);
        }
        segments
    }
}

pub(crate) fn hint(id: &[u8; 16], recipient: &Recipient) -> [u8; 16] {
    let digest = sha256(&[b"ctalk/hint/2", id, &recipient.signing, &recipient.xwing]);
    *digest.first_chunk().unwrap()
}

pub(crate) fn nonce(index: u32, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[7..11].copy_from_slice(&index.to_be_bytes());
    nonce[11] = last.into();
    nonce
}

pub(crate) fn statement(hash: &[u8; 32], index: u32, last: bool, digest: &[u8; 32]) -> Vec<u8> {
    [
        b"ctalk/segment/2",
        &hash[..],
        &index.to_be_bytes(),
        &[last.into()],
        digest,
    ]
    .concat()
}

/// Content with its padding in slots.
pub(crate) fn plaintexts(content: &[u8]) -> Vec<Vec<u8>> {
    let mut padded = content.to_vec();
    padded.resize(padme(content.len()), 0);
    padded
        .chunks(SLOT)
        .enumerate()
        .map(|(place, slot)| {
            let used = content.len().saturating_sub(place * SLOT).min(slot.len());
            plaintext(used, slot)
        })
        .collect()
}

/// One plaintext with any count.
pub(crate) fn plaintext(used: usize, slot: &[u8]) -> Vec<u8> {
    [&u32::try_from(used).unwrap().to_be_bytes(), slot].concat()
}

/// Metadata of kind `kind` and of the given content type, with nothing optional in it.
pub(crate) fn metadata(kind: u8, content_type: &str) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(u16::try_from(content_type.len()).unwrap().to_be_bytes());
    bytes.extend(content_type.as_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// Content as [`crate::support::seal_to`] makes it.
pub(crate) fn text_content(payload: &[u8]) -> Vec<u8> {
    [&metadata(1, "text/plain")[..], payload].concat()
}

/// A card to be made. As it comes from [`ForgedCard::new`] it keeps every rule.
pub(crate) struct ForgedCard {
    pub(crate) start: Vec<u8>,
    pub(crate) serial: u64,
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) signing: [u8; 32],
    pub(crate) encryption: [u8; 32],
    pub(crate) xwing: [u8; 1216],
    pub(crate) name: Vec<u8>,
    pub(crate) addresses: Vec<Vec<u8>>,
    /// What stands between the addresses and the signature, and is signed.
    pub(crate) more: Vec<u8>,
    pub(crate) label: Vec<u8>,
    pub(crate) sign: Sign,
}

impl ForgedCard {
    pub(crate) fn new(person: &Person) -> Self {
        let key = person.signing_key();
        Self {
            start: b"ctalkc\x02\x01".to_vec(),
            serial: 1,
            created: CREATED,
            expires: EXPIRES,
            signing: person.verifying(),
            encryption: person.encryption(),
            xwing: person.xwing(),
            name: person.name.clone().into_bytes(),
            addresses: Vec::new(),
            more: Vec::new(),
            label: b"ctalk/card/2".to_vec(),
            sign: Box::new(move |statement| key.sign(statement).to_bytes()),
        }
    }

    pub(crate) fn make(self) -> Vec<u8> {
        let mut card = self.start;
        card.extend(self.serial.to_be_bytes());
        card.extend(self.created.to_be_bytes());
        card.extend(self.expires.to_be_bytes());
        card.extend(self.signing);
        card.extend(self.encryption);
        card.extend(self.xwing);
        card.push(u8::try_from(self.name.len()).unwrap());
        card.extend(self.name);
        card.push(u8::try_from(self.addresses.len()).unwrap());
        for address in self.addresses {
            card.extend(u16::try_from(address.len()).unwrap().to_be_bytes());
            card.extend(address);
        }
        card.extend(self.more);
        let signature = (self.sign)(&[&self.label[..], &card].concat());
        card.extend(signature);
        card
    }
}

fn clamped(seed: &[u8; 32]) -> Scalar {
    let hash = Sha512::digest(seed);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&hash[..32]);
    Scalar::from_bytes_mod_order(curve25519_dalek::scalar::clamp_integer(bytes))
}

fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    let digest: [u8; 64] = Sha512::digest([&r[..], a, message].concat()).into();
    Scalar::from_bytes_mod_order_wide(&digest)
}

/// The same signature with the group order added to its number.
pub(crate) fn plus_order(signature: [u8; 64]) -> [u8; 64] {
    const ORDER: [u8; 32] =
        *b"\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10";
    let mut forged = signature;
    let mut carry = 0_u16;
    for (byte, order) in forged[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    forged
}

/// A signature by `person` that satisfies the equation, with these bytes for an `R` that is the
/// neutral element.
pub(crate) fn sign_with_neutral_r(person: &Person, r: [u8; 32], message: &[u8]) -> [u8; 64] {
    let s = challenge(&r, &person.verifying(), message) * clamped(&person.signing_seed);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(s.as_bytes());
    signature
}

/// A signature under a key of small order that nobody made, but that satisfies the equation.
pub(crate) fn sign_under_small_order(key: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let mut rng = Seeded::new("small order");
    loop {
        let s = Scalar::from_bytes_mod_order_wide(&rng.array());
        let r = EdwardsPoint::mul_base(&s).compress().to_bytes();
        if challenge(&r, key, message).as_bytes()[0].is_multiple_of(8) {
            return *[r, s.to_bytes()].concat().first_chunk().unwrap();
        }
    }
}

/// The public key of `person` plus a point of order 8.
pub(crate) fn mixed_order_key(person: &Person) -> [u8; 32] {
    (EdwardsPoint::mul_base(&clamped(&person.signing_seed)) + EIGHT_TORSION[1])
        .compress()
        .to_bytes()
}

/// A signature under [`mixed_order_key`]. With `cofactorless` the equation holds as it is, which
/// takes a challenge that is a multiple of 8; without, only after multiplying by the cofactor.
pub(crate) fn sign_mixed(person: &Person, cofactorless: bool, message: &[u8]) -> [u8; 64] {
    let key = mixed_order_key(person);
    let mut rng = Seeded::new("mixed");
    loop {
        let nonce = Scalar::from_bytes_mod_order_wide(&rng.array());
        let r = EdwardsPoint::mul_base(&nonce).compress().to_bytes();
        let k = challenge(&r, &key, message);
        if k.as_bytes()[0].is_multiple_of(8) != cofactorless {
            continue;
        }
        let s = nonce + k * clamped(&person.signing_seed);
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(s.as_bytes());
        return signature;
    }
}

/// The generator pads by a formula of its own.
#[test]
fn both_formulas_for_padding_agree() {
    for (length, padded) in [(0, 256), (257, 272), (1000, 1024), (SLOT, 1 << 20)] {
        assert_eq!(padme(length), padded);
        let total: usize = plaintexts(&vec![1; length])
            .iter()
            .map(|plaintext| plaintext.len() - 4)
            .sum();
        assert_eq!(total, padded);
    }
}
