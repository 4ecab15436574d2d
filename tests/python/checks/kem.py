"""X-Wing against the draft's test vectors, and HPKE against that of `cryptography`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

from ctalk_envelope import hpke, xwing

# The test vectors of the draft's appendix.
_DRAFT_VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "xwing.json"
_SEED = bytes(range(32))
_INFO = b"info"
_PLAINTEXT = b"plaintext"
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def xwing_gives_what_the_draft_publishes():
    vectors = json.loads(_DRAFT_VECTORS.read_text("ascii"))
    assert len(vectors) == 3
    for vector in vectors:
        published = {name: bytes.fromhex(value) for name, value in vector.items()}
        pair = xwing.KeyPair(published["seed"])
        assert pair.public_key == published["pk"]
        shared, encapsulation = xwing.encapsulate(pair.public_key, published["eseed"])
        assert shared == published["ss"]
        assert encapsulation == published["ct"]
        assert pair.decapsulate(encapsulation) == shared


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
