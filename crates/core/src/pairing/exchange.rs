//! SPAKE2 and the two confirmations that follow from it.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use spake2::{Ed25519Group, Identity, Password, Spake2};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    code::Code,
    element::{ELEMENT_LEN, Element},
    error::PairingError,
    message::Introduction,
};
use crate::label;

/// Bytes of a confirmation.
pub(super) const TAG_LEN: usize = 32;

/// What `spake2` writes before the element of side A and of side B.
const SIDE_A: u8 = 0x41;
const SIDE_B: u8 = 0x42;

/// A confirmation. One that was not sent yet is secret.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Tag([u8; TAG_LEN]);

impl Tag {
    pub(super) const fn received(bytes: &[u8; TAG_LEN]) -> Self {
        Self(*bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; TAG_LEN] {
        &self.0
    }

    /// Whether `received` is this one, in constant time.
    pub(super) fn check(&self, received: &Self) -> Result<(), PairingError> {
        if self.0.ct_eq(&received.0).into() {
            Ok(())
        } else {
            Err(PairingError::NotConfirmed)
        }
    }
}

/// Which side of a pairing: side A of SPAKE2 is the inviter, side B the joiner.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Inviter,
    Joiner,
}

/// One side's SPAKE2 before it knows the other's element.
pub(super) struct Exchange {
    role: Role,
    spake2: Spake2<Ed25519Group>,
    element: Element,
}

impl Exchange {
    /// Uses up the code.
    pub(super) fn start(role: Role, code: Code, rng: &mut impl CryptoRng) -> Self {
        let password = Password::new(code.secret());
        let inviter = Identity::new(label::PAIRING_INVITER);
        let joiner = Identity::new(label::PAIRING_JOINER);
        let start = match role {
            Role::Inviter => Spake2::start_a_with_rng,
            Role::Joiner => Spake2::start_b_with_rng,
        };
        let (spake2, message) = start(&password, &inviter, &joiner, Rng06(rng));
        let mut element = [0; ELEMENT_LEN];
        // The byte before it names the side, which is known from the message's place.
        for (byte, own) in element.iter_mut().zip(message.iter().skip(1)) {
            *byte = *own;
        }
        Self {
            role,
            spake2,
            element: Element::own(element),
        }
    }

    pub(super) const fn element(&self) -> &Element {
        &self.element
    }

    /// What each side has to say to prove that it knows the code.
    pub(super) fn finish(
        self,
        request: &Introduction,
        answer: &Introduction,
    ) -> Result<Confirmations, PairingError> {
        if request.session != answer.session {
            return Err(PairingError::OtherSession);
        }
        if request.element == answer.element {
            return Err(PairingError::Reflected);
        }
        let (side, theirs) = match self.role {
            Role::Inviter => (SIDE_B, &request.element),
            Role::Joiner => (SIDE_A, &answer.element),
        };
        let message = [&[side], &theirs.as_bytes()[..]].concat();
        // Side, length and point are right; were they not, nothing would be confirmed.
        let key = self.spake2.finish(&message);
        let key = Zeroizing::new(key.map_err(|_| PairingError::NotConfirmed)?);
        let confirm = |key_label| confirmation(&key, key_label, request, answer);
        Ok(Confirmations {
            inviter: confirm(label::PAIRING_INVITER_KEY),
            joiner: confirm(label::PAIRING_JOINER_KEY),
        })
    }
}

/// The confirmations of both sides.
pub(super) struct Confirmations {
    pub(super) inviter: Tag,
    pub(super) joiner: Tag,
}

#[allow(
    clippy::expect_used,
    reason = "HKDF refuses only outputs beyond 255 hashes and HMAC no key"
)]
fn confirmation(
    key: &[u8],
    key_label: &[u8],
    request: &Introduction,
    answer: &Introduction,
) -> Tag {
    let mut mac_key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(request.session.as_bytes()), key)
        .expand(key_label, &mut *mac_key)
        .expect("32 bytes are one hash");
    let mac = Hmac::<Sha256>::new_from_slice(&*mac_key)
        .expect("any length is a key")
        .chain_update(label::PAIRING_TRANSCRIPT)
        .chain_update(request.session.as_bytes())
        .chain_update(request.element.as_bytes())
        .chain_update(answer.element.as_bytes())
        .chain_update(Sha256::digest(request.card.as_bytes()))
        .chain_update(Sha256::digest(answer.card.as_bytes()));
    Tag(mac.finalize().into_bytes().into())
}

/// Randomness as the previous generation of `rand_core`, which `spake2` uses, asks for it.
struct Rng06<'r, R>(&'r mut R);

impl<R: CryptoRng> rand_core_06::RngCore for Rng06<'_, R> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: CryptoRng> rand_core_06::CryptoRng for Rng06<'_, R> {}
