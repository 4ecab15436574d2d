"""File objects behind the library's callbacks."""

from __future__ import annotations

import errno
import io
from typing import Any, BinaryIO, Optional

from ctalk._native import Pointer, ffi


class _End:
    """One end of a stream. What its file raises comes out of the `with` that the call is made in."""

    def __init__(self, file: Any, method: str) -> None:
        if not callable(getattr(file, method, None)):
            raise TypeError(f"a file with {method}() is needed, not {type(file).__name__}")
        self.file = file
        self.raised: Optional[BaseException] = None
        self.user: Pointer = ffi.new_handle(self)

    def block(self) -> None:
        """Raises for a raw file that would have to wait, which is what it means by None. Others mean
        that they are done."""
        if isinstance(self.file, io.RawIOBase):
            raise BlockingIOError(errno.EAGAIN, "the file does not block; a stream needs one that does")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        if self.raised is not None and error is not None:
            raise self.raised from None


class Reader(_End):
    """A file that the library reads."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, "read")

    def read(self, capacity: int) -> bytes:
        data = self.file.read(capacity)
        if data is None:
            self.block()
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"read() returned {type(data).__name__}, not bytes")
        data = bytes(data)
        if len(data) > capacity:
            raise ValueError(f"read({capacity}) returned {len(data)} bytes")
        return data


class Writer(_End):
    """A file that the library writes."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, "write")

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            written = self.file.write(left)
            if written is None:
                self.block()
                return
            if not isinstance(written, int):
                raise TypeError(f"write() returned {type(written).__name__}, not a number")
            if not 0 < written <= len(left):
                raise ValueError(f"write() took {written} of {len(left)} bytes")
            left = left[written:]


def _read(user: Pointer, buffer: Pointer, capacity: int, length: Pointer) -> int:
    reader: Reader = ffi.from_handle(user)
    try:
        data = reader.read(capacity)
        ffi.memmove(buffer, data, len(data))
        length[0] = len(data)
        return 0
    except BaseException as error:
        reader.raised = error
        return 1


def _write(user: Pointer, data: Pointer, length: int) -> int:
    writer: Writer = ffi.from_handle(user)
    try:
        writer.write(bytes(ffi.buffer(data, length)))
        return 0
    except BaseException as error:
        writer.raised = error
        return 1


READ: Pointer = ffi.callback("uint32_t(void *, uint8_t *, size_t, size_t *)", _read, error=1)
WRITE: Pointer = ffi.callback("uint32_t(void *, const uint8_t *, size_t)", _write, error=1)
