"""Envelopes: what was in them, and what everybody sees of them."""

from __future__ import annotations

from typing import Any, BinaryIO, Optional, TypedDict, Union, cast

from ctalk import _native as native
from ctalk import _stream as stream
from ctalk import payload
from ctalk._native import BytesLike, lib
from ctalk.card import Card


class Outside(TypedDict):
    """What everybody sees of an envelope, none of it proven, as the command line prints it."""

    form: str
    claimedSender: Optional[str]
    id: str
    created: str
    expires: str
    recipients: int
    segments: int
    paddedBytes: int


# Written like this because `from` is a word of Python.
Verified = TypedDict(
    "Verified",
    {
        "from": Optional[str],
        "fingerprint": str,
        "trust": str,
        "id": str,
        "created": str,
        "expires": str,
        "recipients": int,
    },
)
Verified.__doc__ = "Who signed an envelope, as the command line prints it."


class Inside(Verified):
    """What an envelope says besides its payload, as the command line prints it."""

    type: str
    topic: Optional[str]
    correlationId: Optional[str]
    replyTo: Optional[str]
    contentType: str
    name: Optional[str]
    bytes: int


def verify(envelope: Union[str, BytesLike, BinaryIO]) -> Verified:
    """Checks the signatures of a whole envelope, without opening it, and says who signed it.

    Takes bytes, the one line of text, or a file that is open for reading bytes.

    Raises MalformedError or NotVerifiedError.
    """
    verified: Verified = _examined(
        envelope, lib.ctalk_envelope_verify, lib.ctalk_envelope_verify_stream
    )
    return verified


def inspect(envelope: Union[str, BytesLike, BinaryIO]) -> Outside:
    """Says what everybody sees of an envelope, none of it proven. Takes what `verify` takes.

    Raises MalformedError.
    """
    outside: Outside = _examined(
        envelope, lib.ctalk_envelope_inspect, lib.ctalk_envelope_inspect_stream
    )
    return outside


def _examined(envelope: Union[str, BytesLike, BinaryIO], whole: Any, streamed: Any) -> Any:
    # A mapped file is both, and its bytes are there already.
    if isinstance(envelope, str) or native.is_bytes(envelope):
        data = either(cast("Union[str, BytesLike]", envelope))
        return native.obtain_json(whole, data, len(data))
    with stream.Reader(cast(BinaryIO, envelope)) as reader:
        return native.obtain_json(streamed, stream.READ, reader.user)


def either(envelope: Union[str, BytesLike]) -> bytes:
    """An envelope in either form, as C takes it."""
    return native.text(envelope) if isinstance(envelope, str) else native.data(envelope)


class Envelope(native.Handle):
    """An envelope that was verified and opened.

    Never changes; any number of threads may use one at the same time.
    """

    __slots__ = ()

    @classmethod
    def _of(cls, handle: native.Pointer) -> Envelope:
        envelope = cls.__new__(cls)
        envelope._hold(handle, lib.ctalk_opened_free)
        return envelope

    @property
    def payload(self) -> bytes:
        """What was sealed, byte for byte. Copied each time."""
        return native.copied(lib.ctalk_opened_payload(self._handle)) or b""

    @property
    def content(self) -> Any:
        """The payload as its content type says: a `str`, what JSON says, or `bytes`.

        Raises ValueError where it is not what its sender says.
        """
        said = native.window(lib.ctalk_opened_payload(self._handle))
        return payload.decoded(said, self.content_type)

    @property
    def fingerprint(self) -> str:
        """Of whoever signed it: 64 hex digits."""
        return native.view(lib.ctalk_opened_fingerprint, self._handle).decode()

    @property
    def sender(self) -> bytes:
        """The Ed25519 public key of whoever signed it, 32 bytes."""
        return native.view(lib.ctalk_opened_sender, self._handle)

    @property
    def id(self) -> str:
        """32 hex digits, which another sender may have used too."""
        return native.view(lib.ctalk_opened_id, self._handle).decode()

    @property
    def digest(self) -> bytes:
        """The SHA-256 of its header, 32 bytes. One sender and id with two digests are two envelopes,
        of which the second is to be refused."""
        return native.view(lib.ctalk_opened_digest, self._handle)

    @property
    def type(self) -> str:
        """`request`, `response` or `notification`; `receipt`, `card`, `succession` or `pairing` are
        ctalk's own."""
        return native.view(lib.ctalk_opened_type, self._handle).decode()

    @property
    def topic(self) -> Optional[str]:
        """What it is about."""
        return self._text(lib.ctalk_opened_topic)

    @property
    def correlation_id(self) -> Optional[str]:
        """What ties a request to its response."""
        return self._text(lib.ctalk_opened_correlation_id)

    @property
    def reply_to(self) -> Optional[str]:
        """Which message it answers."""
        return self._text(lib.ctalk_opened_reply_to)

    @property
    def content_type(self) -> str:
        """The payload's media type."""
        return native.view(lib.ctalk_opened_content_type, self._handle).decode()

    @property
    def name(self) -> Optional[str]:
        """The name of the file that the payload is. Any text: check it before using it as a path."""
        return self._text(lib.ctalk_opened_name)

    @property
    def wants_receipt(self) -> bool:
        """Whether the sender asks for a receipt."""
        return bool(lib.ctalk_opened_wants_receipt(self._handle))

    @property
    def created(self) -> int:
        """When it was sealed, in milliseconds since 1970."""
        return int(lib.ctalk_opened_created(self._handle))

    @property
    def expires(self) -> int:
        """Until when it could be opened, and has to be remembered, in milliseconds since 1970."""
        return int(lib.ctalk_opened_expires(self._handle))

    @property
    def recipients(self) -> int:
        """How many keys it was sealed to."""
        return int(lib.ctalk_opened_recipients(self._handle))

    @property
    def card(self) -> Optional[Card]:
        """The sender's card, where it came along."""
        handle = native.obtain("ctalk_card **", lib.ctalk_opened_card, self._handle)
        return Card._of(handle) if handle else None

    def _text(self, function: Any) -> Optional[str]:
        found = native.copied(function(self._handle))
        return None if found is None else found.decode()

    def __repr__(self) -> str:
        return f"<ctalk.Envelope {self.id} from {self.fingerprint[:16]}…>"
