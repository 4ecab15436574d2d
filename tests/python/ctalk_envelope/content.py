"""Metadata and payload (section 4.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional, Tuple

from . import card
from .encoding import Reader, u8, u16, utf8
from .errors import EnvelopeError, Malformed

KINDS = {
    1: "request",
    2: "response",
    3: "notification",
    4: "receipt",
    5: "card",
    6: "succession",
    7: "pairing",
}
_RECEIPT_MARK = 0x80
_KINDS_WITH_RECEIPT = (1, 2, 3)
_MAX_PREFIXED_BYTES = 0xFFFF
_MAX_TEXT_BYTES = 1024
_MAX_CONTENT_TYPE_BYTES = 255
_MAX_NAME_BYTES = 255
_CONTENT_TYPE = re.compile("[ -~]+")


@dataclass(frozen=True)
class Metadata:
    """What stands before the payload; an absent field is `None`."""

    kind: int
    content_type: str
    topic: Optional[str] = None
    correlation_id: Optional[str] = None
    reply_to: Optional[str] = None
    name: Optional[str] = None
    card: Optional[bytes] = None
    receipt: bool = False


def encode(metadata: Metadata, payload: bytes) -> bytes:
    return b"".join(
        (
            u8(metadata.kind | _RECEIPT_MARK if metadata.receipt else metadata.kind),
            _optional(metadata.topic),
            _optional(metadata.correlation_id),
            _optional(metadata.reply_to),
            _prefixed(metadata.content_type.encode("utf-8")),
            _optional(metadata.name),
            b"\x00" if metadata.card is None else b"\x01" + _prefixed(metadata.card),
            payload,
        )
    )


def read(content: bytes, sender: bytes) -> Tuple[Metadata, bytes]:
    """Metadata and payload of a content from `sender`; `Malformed` when a field breaks its rule."""
    reader = Reader(content)
    byte = reader.number(1, "the kind")
    kind, receipt = byte & ~_RECEIPT_MARK, byte & _RECEIPT_MARK != 0
    if kind not in KINDS:
        raise Malformed("the kind is unknown")
    if receipt and kind not in _KINDS_WITH_RECEIPT:
        raise Malformed("the kind gets no receipt")
    topic = _optional_text(reader, _MAX_TEXT_BYTES, "the topic")
    correlation_id = _optional_text(reader, _MAX_TEXT_BYTES, "the correlation id")
    reply_to = _optional_text(reader, _MAX_TEXT_BYTES, "reply-to")
    content_type = _text(reader, _MAX_CONTENT_TYPE_BYTES, "the content type")
    if not _CONTENT_TYPE.fullmatch(content_type):
        raise Malformed("the content type is empty or not printable ASCII")
    name = _optional_text(reader, _MAX_NAME_BYTES, "the name")
    encoded_card = None
    if _is_present(reader, "the card"):
        encoded_card = _data(reader, card.MAX_BYTES, "the card")
        _check_card(encoded_card, sender)
    metadata = Metadata(
        kind, content_type, topic, correlation_id, reply_to, name, encoded_card, receipt
    )
    return metadata, content[reader.offset :]


def _check_card(encoded: bytes, sender: bytes) -> None:
    try:
        signing_key = card.read(encoded).signing_key
    except EnvelopeError as error:
        raise Malformed(f"the card in the envelope is refused: {error}") from error
    if signing_key != sender:
        raise Malformed("the card in the envelope is not its sender's")


def _is_present(reader: Reader, field: str) -> bool:
    flag = reader.number(1, field)
    if flag > 1:
        raise Malformed(f"{field} is neither absent nor present")
    return flag == 1


def _data(reader: Reader, at_most: int, field: str) -> bytes:
    length = reader.number(2, field)
    if length > at_most:
        raise Malformed(f"{field} has more than {at_most} bytes")
    return reader.take(length, field)


def _text(reader: Reader, at_most: int, field: str) -> str:
    return utf8(_data(reader, at_most, field), field)


def _optional_text(reader: Reader, at_most: int, field: str) -> Optional[str]:
    if not _is_present(reader, field):
        return None
    return _text(reader, at_most, field)


def _prefixed(data: bytes) -> bytes:
    if len(data) > _MAX_PREFIXED_BYTES:
        raise Malformed(f"a field has more than {_MAX_PREFIXED_BYTES} bytes")
    return u16(len(data)) + data


def _optional(text: Optional[str]) -> bytes:
    return b"\x00" if text is None else b"\x01" + _prefixed(text.encode("utf-8"))
