//! Two identities whose secrets are known, and randomness that is not random.

use core::convert::Infallible;
use std::sync::LazyLock;

use ctalk_core::{Card, CardStatement, Identity, Timestamp, XWingSecret};
use ed25519_dalek::SigningKey;
use rand_core::{TryCryptoRng, TryRng};

/// The Ed25519 seed of [`ALICE`].
const ALICE_SEED: [u8; 32] = [0xa1; 32];

/// The X25519 secret of [`ALICE`].
pub(crate) const ALICES_ENCRYPTION_SECRET: [u8; 32] = [0xa2; 32];

/// The Ed25519 seed of [`BOB`], and below his X-Wing seed, are those of the recipient in most files
/// of `tests/vectors/envelope`.
const BOB_SEED: [u8; 32] = *b"\x7e\x0d\x66\x05\x1d\x26\x7f\xde\x8f\x9b\x57\x48\xfe\x65\xc9\x80\
                              \xee\xdf\x35\x2a\xdb\xf4\x2f\x16\x1a\xf2\x3d\xeb\xb4\x63\x45\xd2";

const BOB_XWING_SEED: [u8; 32] = *b"\x5c\x0e\xda\x3b\x63\x0c\xf0\xea\xa5\xb1\xb2\xa5\x90\x87\xbb\x5b\
                                    \x07\x4a\x71\x7b\xc9\x00\xfa\x94\x02\x2f\xeb\x77\xb6\xd6\x87\x41";

/// Who sends.
pub(crate) static ALICE: LazyLock<Identity> =
    LazyLock::new(|| identity(ALICES_ENCRYPTION_SECRET, ALICE_SEED));

/// Who receives.
pub(crate) static BOB: LazyLock<Identity> = LazyLock::new(|| {
    identity([0xb2; 32], BOB_SEED).with_xwing(XWingSecret::from_seed(&BOB_XWING_SEED))
});

/// A card of [`BOB`].
pub(crate) static BOBS_CARD: LazyLock<Card> = LazyLock::new(|| {
    let statement = CardStatement {
        name: "bob",
        serial: 1,
        created: at(NOW - DAY),
        expires: at(NOW + DAY),
        addresses: &[],
    };
    Card::sign(&BOB, BOB.xwing_keys().next().unwrap(), &statement).unwrap()
});

/// [`BOB`]'s signing key in a form that signs anything.
pub(crate) static BOB_SIGNS: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_bytes(&BOB_SEED));

/// [`ALICE`]'s signing key in a form that signs anything.
pub(crate) static ALICE_SIGNS: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_bytes(&ALICE_SEED));

/// A moment at which most files of `tests/vectors/envelope` are alive, in milliseconds.
pub(crate) const NOW: u64 = 1_800_086_400_000;

/// A day in milliseconds.
pub(crate) const DAY: u64 = 24 * 60 * 60 * 1000;

/// A time that is one.
pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn identity(encryption_secret: [u8; 32], signing_seed: [u8; 32]) -> Identity {
    Identity::generate(&mut Ring::new([encryption_secret, signing_seed].concat()))
}

/// The same bytes over and over.
pub(crate) struct Ring(std::iter::Cycle<std::vec::IntoIter<u8>>);

impl Ring {
    /// Begins with `bytes`, which are not none.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into_iter().cycle())
    }
}

impl TryRng for Ring {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for (byte, next) in bytes.iter_mut().zip(&mut self.0) {
            *byte = next;
        }
        Ok(())
    }
}

impl TryCryptoRng for Ring {}
