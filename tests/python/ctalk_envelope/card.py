"""Key cards (section 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Sequence

from . import labels, primitives, xwing
from .encoding import MAGIC, SUITE, VERSION, Reader, u8, u16, u64, utf8
from .errors import Malformed, Newer, NotVerified
from .identity import Identity

MAX_BYTES = 3000
#: A name of one byte and no address.
_MIN_BYTES = 1379
_KIND = b"c"
_MAX_NAME_BYTES = 64
_MAX_ADDRESSES = 8
_MAX_ADDRESS_BYTES = 255
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Card:
    """A card that passed every check. Times are milliseconds since 1970."""

    encoded: bytes
    serial: int
    created: int
    expires: int
    signing_key: bytes
    encryption_key: bytes
    xwing_key: bytes
    name: str
    addresses: List[str]


def issue(
    identity: Identity, serial: int, created: int, expires: int, name: str, addresses: Sequence[str]
) -> Card:
    """The card of the identity's newest keys; `Malformed` when a value breaks a rule."""
    parts = [MAGIC, _KIND, u8(VERSION), u8(SUITE), u64(serial), u64(created), u64(expires)]
    parts += [identity.signing_key, identity.encryption_key, identity.xwing_keys[0].public_key]
    encoded_name = name.encode("utf-8")
    if len(encoded_name) > _MAX_NAME_BYTES:
        raise Malformed(f"the name has more than {_MAX_NAME_BYTES} bytes")
    if len(addresses) > _MAX_ADDRESSES:
        raise Malformed(f"there are more than {_MAX_ADDRESSES} addresses")
    parts += [u8(len(encoded_name)), encoded_name, u8(len(addresses))]
    for address in addresses:
        encoded_address = address.encode("utf-8")
        if len(encoded_address) > _MAX_ADDRESS_BYTES:
            raise Malformed(f"an address has more than {_MAX_ADDRESS_BYTES} bytes")
        parts += [u16(len(encoded_address)), encoded_address]
    signed = b"".join(parts)
    return read(signed + primitives.sign(identity.signing_seed, labels.CARD + signed))


def read(data: bytes) -> Card:
    """The card that `data` is, checked in the order of section 3."""
    if not _MIN_BYTES <= len(data) <= MAX_BYTES:
        raise Malformed(f"a card has {_MIN_BYTES} to {MAX_BYTES} bytes")
    reader = Reader(data)
    if reader.take(5, "the magic") != MAGIC:
        raise Malformed("the magic is not that of ctalk")
    if reader.take(1, "the kind") != _KIND:
        raise Malformed("this is not a card")
    if reader.take(2, "version and suite") != u8(VERSION) + u8(SUITE):
        raise Newer("the card's version or suite is unknown")
    serial = reader.number(8, "the serial")
    created = reader.time("created")
    expires = reader.time("expires")
    if expires <= created:
        raise Malformed("the card expires no later than it was created")
    signing_key = reader.take(32, "the signing key")
    encryption_key = reader.take(32, "the encryption key")
    xwing_key = reader.take(xwing.PUBLIC_KEY_BYTES, "the X-Wing key")
    name = _text(reader, reader.number(1, "the name's length"), _MAX_NAME_BYTES, "the name")
    addresses = _addresses(reader)
    signed = data[: reader.offset]
    signature = reader.take(64, "the signature")
    if not reader.at_end():
        raise Malformed("something follows the card")

    if not primitives.is_accepted_point(signing_key):
        raise Malformed("the card's signing key is not accepted")
    if not primitives.is_accepted_encryption_key(encryption_key):
        raise Malformed("the card's encryption key is not accepted")
    if not xwing.is_accepted_public_key(xwing_key):
        raise Malformed("the card's X-Wing key is not accepted")
    if not primitives.is_accepted_signature(signing_key, labels.CARD + signed, signature):
        raise NotVerified("the card's signature is not accepted")
    return Card(
        data, serial, created, expires, signing_key, encryption_key, xwing_key, name, addresses
    )


def _addresses(reader: Reader) -> List[str]:
    count = reader.number(1, "the number of addresses")
    if count > _MAX_ADDRESSES:
        raise Malformed(f"there are more than {_MAX_ADDRESSES} addresses")
    addresses: List[str] = []
    for _ in range(count):
        length = reader.number(2, "an address's length")
        address = _text(reader, length, _MAX_ADDRESS_BYTES, "an address")
        if address in addresses:
            raise Malformed("an address is listed twice")
        addresses.append(address)
    return addresses


def _text(reader: Reader, length: int, at_most: int, field: str) -> str:
    if not 1 <= length <= at_most:
        raise Malformed(f"{field} has not 1 to {at_most} bytes")
    text = utf8(reader.take(length, field), field)
    if _CONTROL.search(text):
        raise Malformed(f"{field} holds a control character")
    return text
