"""X-Wing against the draft's test vectors, and HPKE against that of `cryptography`."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

from ctalk_envelope import hpke, xwing

# Shared secret, and SHA-256 of public key and ciphertext. The draft's generator draws each seed (32
# bytes) and each eseed (64 bytes) from one SHAKE-128 of nothing.
_DRAFT_VECTORS = (
    (
        "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384",
        "2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb",
        "17cd532d657e44c897ca6583e548a5424fc70bf54f99515a4d2bcf99e3469f33",
    ),
    (
        "f2e86241c64d60f6649fbc6c5b7d17180b780a3f34355e64a85749949c45f150",
        "c42ba5f8430d7d2c83739338203819f090e8303ce9c8b02107c272bfa5376916",
        "1661ea86d608a1924ba30840cb0a65f13ae051e3aec9cf0f064efc0bc92f2154",
    ),
    (
        "953f7f4e8c5b5049bdc771d1dffada0dd961477d1a2ae0988baa7ea6898d893f",
        "6b080d6b84f095342092fa7a22423e58bd681397ad0ef00eac92bd254db4fa95",
        "d3ca5578500344b5896cffc4fd740c9311946b82951df155e6fd86a7966b43c6",
    ),
)
_SEED = bytes(range(32))
_INFO = b"info"
_PLAINTEXT = b"plaintext"
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def xwing_gives_what_the_draft_publishes():
    stream = hashlib.shake_128(b"").digest(96 * len(_DRAFT_VECTORS))
    for at, (shared, key_digest, encapsulation_digest) in enumerate(_DRAFT_VECTORS):
        seed, randomness = stream[96 * at :][:32], stream[96 * at + 32 :][:64]
        pair = xwing.KeyPair(seed)
        assert hashlib.sha256(pair.public_key).hexdigest() == key_digest
        secret, encapsulation = xwing.encapsulate(pair.public_key, randomness)
        assert secret.hex() == shared
        assert hashlib.sha256(encapsulation).hexdigest() == encapsulation_digest
        assert pair.decapsulate(encapsulation) == secret


def a_changed_encapsulation_gives_another_secret():
    pair = xwing.KeyPair(_SEED)
    secret, encapsulation = xwing.encapsulate(pair.public_key)
    for at in (0, 1087, 1088):
        changed = bytearray(encapsulation)
        changed[at] ^= 1
        other = pair.decapsulate(bytes(changed))
        assert other is not None and other != secret, at


def an_encapsulation_with_a_value_that_is_not_accepted_is_refused():
    pair = xwing.KeyPair(_SEED)
    _, encapsulation = xwing.encapsulate(pair.public_key)
    for value in (bytes(32), b"\xff" * 32):
        assert pair.decapsulate(encapsulation[:1088] + value) is None


def another_hpke_opens_what_is_sealed():
    pair = xwing.KeyPair(_SEED)
    encapsulation, sealed = hpke.seal(pair.public_key, _INFO, _PLAINTEXT)
    assert len(encapsulation) == 1120 and len(sealed) == len(_PLAINTEXT) + 16
    assert _SUITE.decrypt(encapsulation + sealed, _other_key(), _INFO) == _PLAINTEXT


def what_another_hpke_seals_is_opened():
    sealed = _SUITE.encrypt(_PLAINTEXT, _other_key().public_key(), _INFO)
    pair = xwing.KeyPair(_SEED)
    assert hpke.open_sealed(pair, sealed[:1120], _INFO, sealed[1120:]) == _PLAINTEXT
    assert hpke.open_sealed(pair, sealed[:1120], b"other", sealed[1120:]) is None


def _other_key():
    """The key of `_SEED` in the types of `cryptography`."""
    expanded = hashlib.shake_256(_SEED).digest(96)
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        X25519PrivateKey.from_private_bytes(expanded[64:]),
    )
