"""Accepted keys and signatures (section 1.2), from points made for the purpose."""

from __future__ import annotations

import hashlib

from ctalk_envelope import primitives, xwing
from ctalk_envelope.identity import Identity
from ctalk_envelope.primitives import ORDER, P, _add, _decode_point, _times

_BASE = _decode_point(bytes.fromhex("58" + "66" * 31))
_MESSAGE = b"a message"
_SMALL_ORDER_U = (
    0,
    1,
    P - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)


def _multiply(scalar, point):
    total = (0, 1)
    for bit in bin(scalar)[2:]:
        total = _add(total, total)
        if bit == "1":
            total = _add(total, point)
    return total


def _encode(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _small_order_points():
    """The eight points whose order divides 8: multiples of one of order 8."""
    for y in range(2, P):
        point = _decode_point(y.to_bytes(32, "little"))
        if point is not None:
            torsion = _multiply(ORDER, point)
            if _multiply(4, torsion) != (0, 1):
                return [_multiply(times, torsion) for times in range(8)]


_SMALL_ORDER_POINTS = _small_order_points()
_OF_ORDER_8 = _SMALL_ORDER_POINTS[1]


def _challenge(r, key):
    return int.from_bytes(hashlib.sha512(r + key + _MESSAGE).digest(), "little") % ORDER


def _signature(nonce, secret, key, r_torsion=(0, 1)):
    """A signature with chosen nonce; `R` may have a part of small order."""
    r = _encode(_add(_multiply(nonce, _BASE), r_torsion))
    s = (nonce + _challenge(r, key) * secret) % ORDER
    return r + s.to_bytes(32, "little")


def a_key_of_small_order_is_refused():
    assert len(set(_SMALL_ORDER_POINTS)) == 8
    for point in _SMALL_ORDER_POINTS:
        assert not primitives.is_accepted_point(_encode(point)), _encode(point).hex()


def a_key_in_another_encoding_is_refused():
    decodable = 0
    for y in range(P, 2**255):
        decodable += _decode_point((y - P).to_bytes(32, "little")) is not None
        for sign in (0, 1):
            encoded = (y | sign << 255).to_bytes(32, "little")
            assert not primitives.is_accepted_point(encoded), encoded.hex()
    assert decodable > 2, "there were no points to encode in another way"
    for y in (1, P - 1):
        encoded = (y | 1 << 255).to_bytes(32, "little")
        assert _decode_point(encoded) is None, "x = 0 has no negative"


def half_of_all_numbers_are_no_point():
    refused = sum(_decode_point(y.to_bytes(32, "little")) is None for y in range(2, 202))
    assert 60 < refused < 140, refused


def a_key_with_a_part_of_small_order_is_accepted_and_verified_without_the_cofactor():
    secret = 12345
    key = _encode(_add(_multiply(secret, _BASE), _OF_ORDER_8))
    assert primitives.is_accepted_point(key)
    verdicts = set()
    for nonce in range(1, 40):
        signature = _signature(nonce, secret, key)
        # [h]A has no part of small order exactly when 8 divides h.
        expected = _challenge(signature[:32], key) % 8 == 0
        assert primitives.is_accepted_signature(key, _MESSAGE, signature) == expected
        verdicts.add(expected)
    assert verdicts == {True, False}


def a_signature_whose_r_has_a_part_of_small_order_is_refused_without_the_cofactor():
    secret = 12345
    key = _encode(_multiply(secret, _BASE))
    assert primitives.is_accepted_signature(key, _MESSAGE, _signature(7, secret, key))
    signature = _signature(7, secret, key, _OF_ORDER_8)
    assert not primitives.is_accepted_signature(key, _MESSAGE, signature)


def a_signature_whose_r_is_of_small_order_is_refused():
    secret = 12345
    key = _encode(_multiply(secret, _BASE))
    neutral = _encode((0, 1))
    s = _challenge(neutral, key) * secret % ORDER
    # The equation holds; only the rule about R refuses it.
    signature = neutral + s.to_bytes(32, "little")
    assert not primitives.is_accepted_signature(key, _MESSAGE, signature)


def a_signature_whose_s_is_not_below_the_order_is_refused():
    secret = 12345
    key = _encode(_multiply(secret, _BASE))
    signature = _signature(7, secret, key)
    s = int.from_bytes(signature[32:], "little") + ORDER
    malleable = signature[:32] + s.to_bytes(32, "little")
    assert not primitives.is_accepted_signature(key, _MESSAGE, malleable)


def the_five_coordinates_are_those_of_small_order_and_refused():
    for u in _SMALL_ORDER_U:
        # The ladder does not know that the point with coordinate 0 has order 2.
        assert u == 0 or _times(8, u)[1] == 0, u
        assert not primitives.is_accepted_x25519_value(u.to_bytes(32, "little")), u
    # The map u = (1 + y) / (1 - y) from edwards25519 finds those on the curve.
    on_curve = {(1 + y) * pow(1 - y, P - 2, P) % P for _, y in _SMALL_ORDER_POINTS if y != 1}
    assert on_curve < set(_SMALL_ORDER_U)


def an_x25519_value_above_the_prime_is_refused():
    assert primitives.is_accepted_x25519_value((9).to_bytes(32, "little"))
    for u in (P, P + 9, 9 | 1 << 255, 2**256 - 1):
        assert not primitives.is_accepted_x25519_value(u.to_bytes(32, "little")), u


def an_encryption_key_lies_in_the_prime_order_subgroup():
    key = Identity.generate().encryption_key
    assert primitives.is_accepted_encryption_key(key)
    point = _add(_multiply(12345, _BASE), _OF_ORDER_8)
    shifted = (1 + point[1]) * pow(1 - point[1], P - 2, P) % P
    twist = next(u for u in range(2, P) if pow(u * (u * u + 486662 * u + 1), P // 2, P) != 1)
    for u in (shifted, twist):
        encoded = u.to_bytes(32, "little")
        assert primitives.is_accepted_x25519_value(encoded)
        assert not primitives.is_accepted_encryption_key(encoded), u


def an_encryption_key_plus_a_point_of_small_order_opens_the_same_boxes():
    point = _multiply(12345, _BASE)
    plain, shifted = (
        ((1 + y) * pow(1 - y, P - 2, P) % P).to_bytes(32, "little")
        for _, y in (point, _add(point, _OF_ORDER_8))
    )
    secret = bytes(range(32))
    assert plain != shifted
    assert primitives.x25519(secret, plain) == primitives.x25519(secret, shifted)


def an_xwing_key_has_coefficients_below_the_prime_and_an_accepted_value():
    key = Identity.generate().xwing_keys[0].public_key
    assert xwing.is_accepted_public_key(key)
    assert not xwing.is_accepted_public_key(key[:-1])
    assert not xwing.is_accepted_public_key(key + b"\x00")
    assert not xwing.is_accepted_public_key(key[:1184] + bytes(32))
    for at in (0, 3, 1149):
        for pair in (3329, 3329 << 12, 0xFFFFFF):
            large = key[:at] + pair.to_bytes(3, "little") + key[at + 3 :]
            assert not xwing.is_accepted_public_key(large), (at, pair)
        largest = key[:at] + (3328 << 12 | 3328).to_bytes(3, "little") + key[at + 3 :]
        assert xwing.is_accepted_public_key(largest), at
    # The seed after the coefficients may be any bytes.
    assert xwing.is_accepted_public_key(key[:1152] + b"\xff" * 32 + key[1184:])
