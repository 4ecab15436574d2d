"""Padmé and the slots of section 4.1."""

from __future__ import annotations

from typing import List

from .encoding import u32
from .errors import Malformed

#: `C`: the most bytes that a segment's slot has.
SLOT_BYTES = 1_048_572
#: Before the slot: `used`.
USED_BYTES = 4
_SMALLEST = 256


def padme(length: int) -> int:
    """Padmé of a length of at least 2 bytes."""
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def padded_length(length: int) -> int:
    """`P`, the bytes of all slots of a content of `length` bytes."""
    return padme(max(length, _SMALLEST))


def segments(content: bytes) -> List[bytes]:
    """The plaintexts (`used` and slot) of all segments of a content."""
    total = padded_length(len(content))
    plaintexts = []
    for start in range(0, total, SLOT_BYTES):
        slot_bytes = min(SLOT_BYTES, total - start)
        used = content[start : start + slot_bytes]
        plaintexts.append(u32(len(used)) + used.ljust(slot_bytes, b"\x00"))
    return plaintexts


class Unpadder:
    """Takes the padding off segments in their order."""

    def __init__(self) -> None:
        self._length = 0
        self._total = 0

    def take(self, plaintext: bytes) -> bytes:
        """The content in one segment's plaintext; `Malformed` when `used` or a zero is wrong."""
        used = int.from_bytes(plaintext[:USED_BYTES], "big")
        slot = plaintext[USED_BYTES:]
        if used > len(slot):
            raise Malformed("a segment uses more bytes than it has")
        # Content goes on only where it has filled every slot so far.
        if used and self._length != self._total:
            raise Malformed("content goes on after its end")
        if any(slot[used:]):
            raise Malformed("the padding is not zero")
        self._length += used
        self._total += len(slot)
        return slot[:used]

    def finish(self) -> None:
        """`Malformed` unless the slots have the length that their content demands."""
        if self._total != padded_length(self._length):
            raise Malformed("the padded length is not that of the content")
