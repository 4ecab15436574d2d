//! Fixed people, fixed randomness, and cards and times for tests.

use core::convert::Infallible;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use ctalk_core::{
    Card, CardStatement, Identity, Timestamp, XWingSecret,
    envelope::{self, Envelope, Failure, Kind, Metadata, OpenError, Opened},
};
use ed25519_dalek::SigningKey;
use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};

/// 2027-01-15T08:00:00Z.
pub(crate) const CREATED: u64 = 1_800_000_000_000;
pub(crate) const DAY: u64 = 24 * 60 * 60 * 1000;
pub(crate) const EXPIRES: u64 = CREATED + 7 * DAY;
pub(crate) const SKEW: u64 = 5 * 60 * 1000;

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// The same bytes for the same seed, on every machine: SHA-256 of seed and counter.
pub(crate) struct Seeded {
    seed: String,
    counter: u64,
    left: Vec<u8>,
}

impl Seeded {
    pub(crate) fn new(seed: impl Into<String>) -> Self {
        Self {
            seed: seed.into(),
            counter: 0,
            left: Vec::new(),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.try_fill_bytes(&mut bytes).unwrap();
        bytes
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(u64::from_be_bytes(self.array()) % bound).unwrap()
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.array()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            if self.left.is_empty() {
                let digest = Sha256::new()
                    .chain_update(&self.seed)
                    .chain_update(self.counter.to_be_bytes())
                    .finalize();
                self.left = digest.iter().rev().copied().collect();
                self.counter += 1;
            }
            *byte = self.left.pop().unwrap();
        }
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

/// Somebody with keys made from a name.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) signing_seed: [u8; 32],
    pub(crate) encryption_secret: [u8; 32],
    pub(crate) xwing_seed: [u8; 32],
}

impl Person {
    pub(crate) fn new(name: &str) -> Self {
        let mut rng = Seeded::new(format!("person/{name}"));
        Self {
            name: name.to_owned(),
            signing_seed: rng.array(),
            encryption_secret: rng.array(),
            xwing_seed: rng.array(),
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        identity(&self.signing_seed, &self.encryption_secret)
            .with_xwing(XWingSecret::from_seed(&self.xwing_seed))
    }

    pub(crate) fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.signing_seed)
    }

    /// The Ed25519 public key.
    pub(crate) fn verifying(&self) -> [u8; 32] {
        self.signing_key().verifying_key().to_bytes()
    }

    /// The X25519 public key.
    pub(crate) fn encryption(&self) -> [u8; 32] {
        let secret = x25519_dalek::StaticSecret::from(self.encryption_secret);
        x25519_dalek::PublicKey::from(&secret).to_bytes()
    }

    /// The X-Wing public key.
    pub(crate) fn xwing(&self) -> [u8; 1216] {
        *XWingSecret::from_seed(&self.xwing_seed)
            .public_key()
            .as_bytes()
    }

    /// A card that lives from a day before [`CREATED`] to thirty days after it.
    pub(crate) fn card(&self) -> Card {
        let statement = CardStatement {
            name: &self.name,
            serial: 1,
            created: at(CREATED - DAY),
            expires: at(CREATED + 30 * DAY),
            addresses: &[],
        };
        self.card_of(&statement)
    }

    pub(crate) fn card_of(&self, statement: &CardStatement<'_>) -> Card {
        let identity = self.identity();
        Card::sign(&identity, identity.xwing_keys().next().unwrap(), statement).unwrap()
    }
}

pub(crate) fn alice() -> Person {
    Person::new("alice")
}

pub(crate) fn bob() -> Person {
    Person::new("bob")
}

pub(crate) fn carol() -> Person {
    Person::new("carol")
}

pub(crate) fn mallory() -> Person {
    Person::new("mallory")
}

/// An identity without X-Wing key, by way of the only form in which seeds are taken.
pub(crate) fn identity(signing_seed: &[u8; 32], encryption_secret: &[u8; 32]) -> Identity {
    let signing = SigningKey::from_bytes(signing_seed);
    let secret = x25519_dalek::StaticSecret::from(*encryption_secret);
    let public = x25519_dalek::PublicKey::from(&secret);
    Identity::from_keygen_json(
        &serde_json::json!({
            "publicKey": STANDARD.encode(public.as_bytes()),
            "privateKey": STANDARD.encode(encryption_secret),
            "signingKey": STANDARD.encode(signing.verifying_key().as_bytes()),
            "signingPrivateKey": STANDARD.encode(signing.to_keypair_bytes()),
        })
        .to_string(),
    )
    .unwrap()
}

pub(crate) fn text_metadata() -> Metadata {
    Metadata::new(Kind::Request, "text/plain")
}

/// `payload` from alice to `recipients`.
pub(crate) fn seal_to(recipients: &[Card], payload: &[u8]) -> Vec<u8> {
    envelope::seal(
        &alice().identity(),
        recipients,
        &text_metadata(),
        payload,
        at(CREATED),
        at(EXPIRES),
        &mut Seeded::new("seal"),
    )
    .unwrap()
}

/// Everything from bytes to payload, with the class of what fails.
pub(crate) fn open(bytes: &[u8], recipient: &Person) -> Result<Opened, Failure> {
    open_at(bytes, &recipient.identity(), at(CREATED + DAY))
}

pub(crate) fn open_at(
    bytes: &[u8],
    recipient: &Identity,
    now: Timestamp,
) -> Result<Opened, Failure> {
    Envelope::parse(bytes)
        .map_err(|error| error.failure())?
        .verify()
        .map_err(|error| error.failure())?
        .open(recipient, now)
        .map_err(|error| error.failure())
}

/// Why an envelope that its sender signed does not open for `recipient`.
pub(crate) fn open_error(bytes: &[u8], recipient: &Person) -> OpenError {
    Envelope::parse(bytes)
        .unwrap()
        .verify()
        .unwrap()
        .open(&recipient.identity(), at(CREATED + DAY))
        .unwrap_err()
}

pub(crate) fn days(days: u64) -> Duration {
    Duration::from_millis(days * DAY)
}
