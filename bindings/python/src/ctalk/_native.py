"""libctalk: loading it, calling it, and holding what it hands over."""

from __future__ import annotations

import functools
import json
import os
from sys import platform
from typing import TYPE_CHECKING, Any, Optional, Union

from ctalk._abi import ffi as ffi
from ctalk.errors import BY_EXIT_CODE, UnexpectedError

#: What functions take as bytes: whatever has the buffer protocol.
if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    BytesLike = ReadableBuffer
else:
    BytesLike = Union[bytes, bytearray, memoryview]
#: A handle or another pointer of the library.
Pointer = Any

#: Without a limit, where C counts milliseconds.
FOREVER = 2**64 - 1
NULL: Pointer = ffi.NULL

library = os.path.join(
    os.path.dirname(__file__), "libctalk.dylib" if platform == "darwin" else "libctalk.so"
)
lib: Any = ffi.dlopen(library)
if lib.ctalk_abi_version() != lib.CTALK_ABI_VERSION:
    raise ImportError(f"{library} is not the one that this package was made for")

_NAMES: dict[int, str] = ffi.typeof("enum ctalk_code").elements


#: To JSON in ASCII. Made once: `json.dumps` makes an encoder for each call.
encode = json.JSONEncoder(allow_nan=False).encode


def call(function: Any, *arguments: Any) -> None:
    """Calls a function that takes an error last, and raises that error."""
    error = ffi.new("ctalk_error **")
    code = function(*arguments, error)
    if code:
        raise_error(code, error[0])


def obtain(kind: str, function: Any, *arguments: Any) -> Pointer:
    """As `call` for a function with an output before the error; returns what was put there."""
    out = ffi.new(kind)
    error = ffi.new("ctalk_error **")
    code = function(*arguments, out, error)
    if code:
        raise_error(code, error[0])
    return out[0]


def obtain_bytes(function: Any, *arguments: Any) -> bytes:
    """As `obtain` for bytes, which are copied once."""
    return taken(obtain("ctalk_bytes **", function, *arguments))


def obtain_json(function: Any, *arguments: Any) -> Any:
    """As `obtain` for JSON."""
    handle = obtain("ctalk_bytes **", function, *arguments)
    try:
        text = str(ffi.buffer(lib.ctalk_bytes_data(handle), lib.ctalk_bytes_len(handle)), "utf-8")
    finally:
        lib.ctalk_bytes_free(handle)
    return json.loads(text)


def raise_error(code: int, error: Pointer) -> None:
    """Raises what a call reported."""
    message = copied(lib.ctalk_error_message(error)) or b""
    lib.ctalk_error_free(error)
    kind = BY_EXIT_CODE.get(lib.ctalk_code_class(code), UnexpectedError)
    raise kind(message.decode(), code, _NAMES.get(code, str(code)))


def taken(handle: Pointer) -> bytes:
    """What a `ctalk_bytes` holds, which is freed."""
    try:
        return bytes(ffi.buffer(lib.ctalk_bytes_data(handle), lib.ctalk_bytes_len(handle)))
    finally:
        lib.ctalk_bytes_free(handle)


def copied(view: Any) -> Optional[bytes]:
    """What a `ctalk_slice` shows; None where there is nothing."""
    return bytes(ffi.buffer(view.data, view.len)) if view.data else None


def window(view: Any) -> Any:
    """What a `ctalk_slice` shows, where it is: for as long as its handle is there."""
    return ffi.buffer(view.data, view.len) if view.data else b""


def view(function: Any, handle: Pointer) -> bytes:
    """What a function shows of a handle, which always has it."""
    return copied(function(handle)) or b""


def data(value: BytesLike) -> bytes:
    """Bytes that nobody changes. What can be changed is copied."""
    if isinstance(value, bytes):
        return value
    if not is_bytes(value):
        raise TypeError(f"bytes are needed, not {type(value).__name__}")
    with memoryview(value) as view:
        return view.tobytes()


def is_bytes(value: object) -> bool:
    """Whether something is like `bytes`: has the buffer protocol, as arrays and mapped files do."""
    try:
        # Let go of at once, because what is looked at can be neither resized nor closed.
        memoryview(value).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def text(value: str) -> bytes:
    """A text as C takes it."""
    if not isinstance(value, str):
        raise TypeError(f"a text is needed, not {type(value).__name__}")
    # What is no Unicode text is left to the library to refuse.
    return value.encode("utf-8", "surrogatepass")


def options(**given: Any) -> bytes:
    """Options as C takes them. What is None is not given."""
    # One that JSON cannot say raises TypeError, as a wrong type does everywhere.
    named = [
        f'"{camel_case(name)}":{encode(value)}' for name, value in given.items() if value is not None
    ]
    return f"{{{','.join(named)}}}".encode() if named else b""


@functools.lru_cache(maxsize=None)
def camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def milliseconds(seconds: Optional[float]) -> int:
    """A time to wait as C takes it."""
    if seconds is None:
        return FOREVER
    if not seconds >= 0:
        raise ValueError(f"a time to wait is not negative, as {seconds} is")
    return min(round(min(seconds, 1e15) * 1000), FOREVER - 1)


class Handle:
    """Something that the library holds for Python. It is freed once nobody has it any more."""

    __slots__ = ("_handle", "__weakref__")

    _handle: Pointer

    def _hold(self, handle: Pointer, free: Any) -> None:
        self._handle = ffi.gc(handle, free)


class Closable(Handle):
    """What frees its secrets or its files when it is closed, at the end of a `with` at the latest.

    Has no views into its handle, because another thread may close it at any time.
    """

    __slots__ = ()

    def close(self) -> None:
        """Frees it. Every later use raises UsageError; closing twice does nothing."""
        # The number stays, which the library refuses from now on.
        ffi.release(self._handle)

    def __exit__(self, *_: object) -> None:
        self.close()
