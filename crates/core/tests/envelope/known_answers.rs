//! X-Wing's published vectors, through everything that uses X-Wing.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use ctalk_core::{
    Card, CardStatement, XWingSecret,
    envelope::{self, Envelope},
};
use hpke::rand_core::{TryCryptoRng, TryRng};

use crate::{
    forge::{key_and_nonce, sha256},
    support::{CREATED, DAY, EXPIRES, alice, at, bob, identity, text_metadata},
};

/// Of draft-connolly-cfrg-xwing-kem-06, as its authors publish them: `sk`, `pk`, `eseed`, `ct`, `ss`.
const VECTORS: &str = include_str!("../../../../tests/vectors/xwing.json");

fn vectors() -> Vec<[Vec<u8>; 5]> {
    let vectors: Vec<serde_json::Value> = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(vectors.len(), 3);
    vectors
        .iter()
        .map(|vector| {
            ["sk", "pk", "eseed", "ct", "ss"]
                .map(|name| hex::decode(vector[name].as_str().unwrap()).unwrap())
        })
        .collect()
}

/// Gives these bytes and no more.
struct Given(Vec<u8>);

impl TryRng for Given {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        panic!("only bytes are taken")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        panic!("only bytes are taken")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let rest = self.0.split_off(bytes.len());
        bytes.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Given {}

#[test]
fn a_seed_gives_the_published_public_key() {
    for [seed, public, ..] in vectors() {
        let secret = XWingSecret::from_seed(&seed.try_into().unwrap());
        assert_eq!(secret.public_key().as_bytes()[..], public);
        let generated = XWingSecret::generate(&mut Given(secret.seed().to_vec()));
        assert_eq!(generated.public_key(), secret.public_key());
    }
}

#[test]
fn an_envelope_holds_the_published_encapsulation_and_a_key_sealed_under_its_secret() {
    for [seed, _, encapsulation_seed, encapsulation, shared_secret] in vectors() {
        let secret = XWingSecret::from_seed(&seed.try_into().unwrap());
        let key = secret.public_key().clone();
        let reader = identity(&bob().signing_seed, &bob().encryption_secret).with_xwing(secret);
        let statement = CardStatement {
            name: "bob",
            serial: 1,
            created: at(CREATED),
            expires: at(EXPIRES),
            addresses: &[],
        };
        let card = Card::sign(&reader, &key, &statement).unwrap();
        let (id, content_key) = ([1; 16], [2; 32]);
        let random = [&id[..], &content_key, &encapsulation_seed].concat();
        let sealed = envelope::seal(
            &alice().identity(),
            [&card],
            &text_metadata(),
            b"x",
            at(CREATED),
            at(EXPIRES),
            &mut Given(random),
        )
        .unwrap();

        let (prefix, rest) = sealed.split_at(106 + 16);
        assert_eq!(rest[..1120], encapsulation);
        let info = [b"ctalk/wrap/2", &sha256(&[prefix])[..], &bob().verifying()].concat();
        let (key, nonce) = key_and_nonce(&shared_secret, &info);
        let opened = ChaCha20Poly1305::new(&key.into())
            .decrypt(&nonce.into(), &rest[1120..1168])
            .unwrap();
        assert_eq!(opened, content_key);

        let opened = Envelope::parse(&sealed)
            .unwrap()
            .verify()
            .unwrap()
            .open(&reader, at(CREATED + DAY))
            .unwrap();
        assert_eq!(opened.payload, b"x");
    }
}
