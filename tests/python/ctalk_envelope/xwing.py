"""X-Wing (draft-connolly-cfrg-xwing-kem-06): ML-KEM-768 and X25519 as one KEM."""

from __future__ import annotations

import hashlib
import os
from typing import Optional, Tuple

from kyber_py.ml_kem import ML_KEM_768

from . import primitives

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 1216
ENCAPSULATION_BYTES = 1120

_LABEL = bytes.fromhex("5c2e2f2f5e5c")
_ML_KEM_KEY_BYTES = 1184
_ML_KEM_CIPHERTEXT_BYTES = 1088
_ML_KEM_PRIME = 3329


class KeyPair:
    """What a seed of 32 bytes expands to."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an X-Wing seed has {SEED_BYTES} bytes, this one {len(seed)}")
        expanded = hashlib.shake_256(seed).digest(96)
        ml_kem_key, self._ml_kem_secret = ML_KEM_768.key_derive(expanded[:64])
        self._x25519_secret = expanded[64:]
        self._x25519_key = primitives.x25519_key(self._x25519_secret)
        self.public_key = ml_kem_key + self._x25519_key

    def decapsulate(self, encapsulation: bytes) -> Optional[bytes]:
        """The shared secret, or `None` when the encapsulation is not accepted (section 1.2)."""
        ml_kem_ciphertext = encapsulation[:_ML_KEM_CIPHERTEXT_BYTES]
        x25519_value = encapsulation[_ML_KEM_CIPHERTEXT_BYTES:]
        if not primitives.is_accepted_x25519_value(x25519_value):
            return None
        return _combine(
            ML_KEM_768.decaps(self._ml_kem_secret, ml_kem_ciphertext),
            primitives.x25519(self._x25519_secret, x25519_value),
            x25519_value,
            self._x25519_key,
        )


def is_accepted_public_key(key: bytes) -> bool:
    """Whether `key` is an accepted X-Wing public key (section 1.2)."""
    return (
        len(key) == PUBLIC_KEY_BYTES
        and _passes_modulus_check(key[:_ML_KEM_KEY_BYTES])
        and primitives.is_accepted_x25519_value(key[_ML_KEM_KEY_BYTES:])
    )


def encapsulate(public_key: bytes, randomness: Optional[bytes] = None) -> Tuple[bytes, bytes]:
    """A shared secret for an accepted public key, and its encapsulation.

    `randomness` is the draft's `eseed` of 64 bytes, for its test vectors; fresh by default.
    """
    randomness = os.urandom(64) if randomness is None else randomness
    ml_kem_key, x25519_key = public_key[:_ML_KEM_KEY_BYTES], public_key[_ML_KEM_KEY_BYTES:]
    # The public `encaps` draws its own randomness; this is what it calls with it.
    ml_kem_shared, ml_kem_ciphertext = ML_KEM_768._encaps_internal(ml_kem_key, randomness[:32])
    x25519_value = primitives.x25519_key(randomness[32:])
    shared = _combine(
        ml_kem_shared, primitives.x25519(randomness[32:], x25519_key), x25519_value, x25519_key
    )
    return shared, ml_kem_ciphertext + x25519_value


def _combine(
    ml_kem_shared: bytes, x25519_shared: bytes, x25519_value: bytes, x25519_key: bytes
) -> bytes:
    return hashlib.sha3_256(
        ml_kem_shared + x25519_shared + x25519_value + x25519_key + _LABEL
    ).digest()


def _passes_modulus_check(key: bytes) -> bool:
    """FIPS 203 section 7.2: every 12-bit coefficient is below the prime."""
    # The last 32 bytes are a seed, which may have any value.
    coefficients = key[: _ML_KEM_KEY_BYTES - 32]
    for at in range(0, len(coefficients), 3):
        pair = int.from_bytes(coefficients[at : at + 3], "little")
        if pair & 0xFFF >= _ML_KEM_PRIME or pair >> 12 >= _ML_KEM_PRIME:
            return False
    return True
