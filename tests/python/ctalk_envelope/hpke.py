"""HPKE (RFC 9180), base mode, for suite 01 only: one message per setup, no associated data.

X-Wing's shared secret is HPKE's, without a derivation between them.
"""

from __future__ import annotations

from typing import Optional, Tuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from . import primitives, xwing

_KEM, _KDF, _AEAD = 0x647A, 0x0001, 0x0003
_SUITE_ID = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (_KEM, _KDF, _AEAD))
_MODE_BASE = b"\x00"
_KEY_BYTES = 32
_NONCE_BYTES = 12


def seal(public_key: bytes, info: bytes, plaintext: bytes) -> Tuple[bytes, bytes]:
    """`SetupBaseS`, then the first `Seal`: the encapsulation and the ciphertext with its tag."""
    shared, encapsulation = xwing.encapsulate(public_key)
    key, nonce = _key_schedule(shared, info)
    return encapsulation, primitives.seal_bytes(key, nonce, plaintext)


def open_sealed(
    key_pair: xwing.KeyPair, encapsulation: bytes, info: bytes, sealed: bytes
) -> Optional[bytes]:
    """`SetupBaseR`, then the first `Open`; `None` when the encapsulation or the tag is refused."""
    shared = key_pair.decapsulate(encapsulation)
    if shared is None:
        return None
    key, nonce = _key_schedule(shared, info)
    return primitives.open_bytes(key, nonce, sealed)


def _key_schedule(shared: bytes, info: bytes) -> Tuple[bytes, bytes]:
    """Key and nonce of sequence number 0 (RFC 9180 sections 5.1 and 5.2)."""
    context = (
        _MODE_BASE
        + _labeled_extract(b"", b"psk_id_hash", b"")
        + _labeled_extract(b"", b"info_hash", info)
    )
    secret = _labeled_extract(shared, b"secret", b"")
    return (
        _labeled_expand(secret, b"key", context, _KEY_BYTES),
        _labeled_expand(secret, b"base_nonce", context, _NONCE_BYTES),
    )


def _labeled_extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return HKDF.extract(SHA256(), salt, b"HPKE-v1" + _SUITE_ID + label + ikm)


def _labeled_expand(secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + _SUITE_ID + label + info
    return HKDFExpand(SHA256(), length, labeled).derive(secret)
