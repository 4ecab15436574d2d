"""Parts of an envelope (section 7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence

from . import envelope, labels, primitives
from .encoding import MAGIC, SUITE, VERSION, Reader, u8, u16, u32, u64
from .errors import Expired, Malformed, Newer, NotVerified
from .identity import Identity

_KIND = b"p"
_MIN_BYTES = 169
_MAX_BYTES = 44_968
_MIN_SLICE_BYTES = 2_048
_MAX_SLICE_BYTES = 44_800
_MAX_ENVELOPE_BYTES = 100_663_296
_SIGNATURE_BYTES = 64


@dataclass(frozen=True)
class Whole:
    """What all parts of an envelope say alike."""

    id: bytes
    slice_length: int
    length: int
    expires: int
    sender: bytes
    digest: bytes

    @property
    def count(self) -> int:
        return -(-self.length // self.slice_length)


@dataclass(frozen=True)
class Part:
    """A part that passed every check."""

    whole: Whole
    index: int
    slice: bytes


def split(identity: Identity, sealed: bytes, slice_length: int) -> List[bytes]:
    """The parts of an envelope that `identity` sealed."""
    header = envelope.parse(sealed).verify().header
    whole = Whole(
        header.id,
        slice_length,
        len(sealed),
        header.expires,
        identity.signing_key,
        primitives.sha256(sealed),
    )
    return [_encode(identity, whole, index, sealed) for index in range(whole.count)]


def _encode(identity: Identity, whole: Whole, index: int, sealed: bytes) -> bytes:
    start = index * whole.slice_length
    signed = b"".join(
        (
            MAGIC,
            _KIND,
            u8(VERSION),
            u8(SUITE),
            whole.id,
            u16(index),
            u16(whole.slice_length),
            u32(whole.length),
            u64(whole.expires),
            whole.sender,
            whole.digest,
            sealed[start : start + whole.slice_length],
        )
    )
    return signed + primitives.sign(identity.signing_seed, labels.PART + signed)


def read(data: bytes, now: int) -> Part:
    """The part that `data` is, checked in the order of section 7.1."""
    part = _parse(data)
    sender, signed = part.whole.sender, data[:-_SIGNATURE_BYTES]
    if not primitives.is_accepted_point(sender):
        raise NotVerified("the part's sender is not accepted")
    signature = data[-_SIGNATURE_BYTES:]
    if not primitives.is_accepted_signature(sender, labels.PART + signed, signature):
        raise NotVerified("the part's signature is not accepted")
    if now > part.whole.expires + envelope.CLOCK_SKEW:
        raise Expired("the part's envelope has expired")
    if part.whole.expires > now + envelope.MAX_LIFETIME + envelope.CLOCK_SKEW:
        raise Expired("the part's envelope expires later than any that was sealed by now")
    return part


def join(parts: Sequence[Part]) -> bytes:
    """The envelope that `parts`, in any order, make; `Malformed` when they make none."""
    whole = parts[0].whole
    slices = {}
    for part in parts:
        if part.whole != whole or slices.setdefault(part.index, part.slice) != part.slice:
            raise Malformed("the parts conflict")
    if len(slices) != whole.count:
        raise Malformed("parts are missing")
    joined = b"".join(slices[index] for index in range(whole.count))
    if primitives.sha256(joined) != whole.digest:
        raise Malformed("the parts do not make what their digest says")
    header = envelope.parse(joined).verify().header
    if (header.id, header.expires, header.sender) != (whole.id, whole.expires, whole.sender):
        raise Malformed("the envelope is not what its parts said")
    return joined


def _parse(data: bytes) -> Part:
    if not _MIN_BYTES <= len(data) <= _MAX_BYTES:
        raise Malformed(f"a part has {_MIN_BYTES} to {_MAX_BYTES} bytes")
    reader = Reader(data[:-_SIGNATURE_BYTES])
    if reader.take(5, "the magic") != MAGIC:
        raise Malformed("the magic is not that of ctalk")
    if reader.take(1, "the kind") != _KIND:
        raise Malformed("this is not a part")
    if reader.take(2, "version and suite") != u8(VERSION) + u8(SUITE):
        raise Newer("the part's version or suite is unknown")
    envelope_id = reader.take(16, "the id")
    index = reader.number(2, "the index")
    slice_length = reader.number(2, "the slice length")
    length = reader.number(4, "the length")
    expires = reader.time("expires")
    if not _MIN_SLICE_BYTES <= slice_length <= _MAX_SLICE_BYTES:
        raise Malformed("the slice length is out of its limits")
    if not slice_length < length <= _MAX_ENVELOPE_BYTES:
        raise Malformed("the length is out of its limits")
    sender = reader.take(32, "the sender")
    digest = reader.take(32, "the digest")
    whole = Whole(envelope_id, slice_length, length, expires, sender, digest)
    if index >= whole.count:
        raise Malformed("there is no part with this index")
    slice_ = data[reader.offset : -_SIGNATURE_BYTES]
    if len(slice_) != min(slice_length, length - index * slice_length):
        raise Malformed("the slice has another length than its place")
    return Part(whole, index, slice_)
