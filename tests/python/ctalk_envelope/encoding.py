"""Numbers, lengths and times as section 1 writes them, and a reader that refuses a byte too few."""

from __future__ import annotations

from .errors import Malformed

MAGIC = b"ctalk"
VERSION = 2
SUITE = 1
MAX_TIME = 2**53 - 1


def u8(value: int) -> bytes:
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


class Reader:
    """Takes fields off the front of `data`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.offset = 0

    def take(self, length: int, field: str) -> bytes:
        """The next `length` bytes; `Malformed`, naming `field`, when there are fewer."""
        end = self.offset + length
        if end > len(self._data):
            raise Malformed(f"the input ends within {field}")
        taken = self._data[self.offset : end]
        self.offset = end
        return taken

    def number(self, length: int, field: str) -> int:
        return int.from_bytes(self.take(length, field), "big")

    def time(self, field: str) -> int:
        value = self.number(8, field)
        if value > MAX_TIME:
            raise Malformed(f"{field} is above 2^53 - 1")
        return value

    def at_end(self) -> bool:
        return self.offset == len(self._data)


def utf8(data: bytes, field: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"{field} is not UTF-8") from error
