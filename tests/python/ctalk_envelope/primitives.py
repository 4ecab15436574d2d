"""Accepted keys and signatures (section 1.2), and the hashes and ciphers of section 1."""

from __future__ import annotations

import hashlib
from typing import Optional, Tuple

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

#: The prime of the field of curve25519 and edwards25519.
P = 2**255 - 19
#: The order of the group that the base point makes.
ORDER = 2**252 + 27742317777372353535851937790883648493

_D = -121665 * pow(121666, P - 2, P) % P
_SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)
_NEUTRAL = (0, 1)
_SMALL_ORDER_U = frozenset(
    (
        0,
        1,
        2**255 - 20,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hkdf(ikm: bytes, salt: bytes, info: bytes) -> bytes:
    """`HKDF(ikm, salt, info)` of section 1: HKDF-SHA256 to 32 bytes."""
    return HKDF(SHA256(), 32, salt, info).derive(ikm)


def seal_bytes(key: bytes, nonce: bytes, plaintext: bytes) -> bytes:
    """ChaCha20-Poly1305 without associated data; the tag stands at the end."""
    return ChaCha20Poly1305(key).encrypt(nonce, plaintext, None)


def open_bytes(key: bytes, nonce: bytes, sealed: bytes) -> Optional[bytes]:
    """The plaintext of `seal_bytes`, or `None` when the tag fails."""
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, None)
    except InvalidTag:
        return None


def _decode_point(encoded: bytes) -> Optional[Tuple[int, int]]:
    """The point of edwards25519 whose one canonical encoding this is (RFC 8032 section 5.1.3)."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if len(encoded) != 32 or y >= P:
        return None
    u, v = (y * y - 1) % P, (_D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == P - u and u != 0:
        x = x * _SQRT_MINUS_1 % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    return (x if x & 1 == sign else P - x), y


def _add(left: Tuple[int, int], right: Tuple[int, int]) -> Tuple[int, int]:
    """The addition law of edwards25519 (RFC 8032 section 5.1.4), in affine coordinates."""
    (x1, y1), (x2, y2) = left, right
    product = _D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P) % P,
    )


def is_accepted_point(encoded: bytes) -> bool:
    """Whether this is an accepted Ed25519 public key; a signature's `R` has the same rule."""
    point = _decode_point(encoded)
    if point is None:
        return False
    for _ in range(3):
        point = _add(point, point)
    return point != _NEUTRAL


def is_accepted_signature(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` by the accepted `key` over `message` is accepted.

    OpenSSL recomputes `R` as `[S]B - [h]A` and compares its encoding, hence without the cofactor.
    """
    if len(signature) != 64 or not is_accepted_point(signature[:32]):
        return False
    if int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def sign(seed: bytes, message: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def signing_key(seed: bytes) -> bytes:
    """The Ed25519 public key of a seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _times(scalar: int, u: int) -> Tuple[int, int]:
    """`[scalar]` of a point with coordinate `u` as (X, Z): the ladder of RFC 7748, unclamped."""
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in bin(scalar)[2:]:
        if bit == "1":
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
        if bit == "1":
            x2, z2, x3, z3 = x3, z3, x2, z2
    return x2, z2


def is_accepted_x25519_value(value: bytes) -> bool:
    u = int.from_bytes(value, "little")
    return len(value) == 32 and u < P and u not in _SMALL_ORDER_U


def is_accepted_encryption_key(key: bytes) -> bool:
    """Whether `key` is an accepted X25519 encryption key.

    A point of the twist has an order that divides four times another prime, so `[ORDER]` makes the
    neutral element (Z = 0) of points of the prime-order subgroup only.
    """
    u = int.from_bytes(key, "little")
    return is_accepted_x25519_value(key) and _times(ORDER, u)[1] == 0


def x25519(secret: bytes, value: bytes) -> bytes:
    """X25519 of a secret with an accepted value, so that the result is never zero."""
    public = X25519PublicKey.from_public_bytes(value)
    return X25519PrivateKey.from_private_bytes(secret).exchange(public)


def x25519_key(secret: bytes) -> bytes:
    """The X25519 public key of a secret."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
