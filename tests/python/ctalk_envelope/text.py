"""The text forms of section 7."""

from __future__ import annotations

import base64
import binascii

from .errors import Malformed

_CARD_PREFIX = "ctalk-card:"
_ENVELOPE_PREFIX = "ctalk2:"
_PART_PREFIX = "ctalk2p:"
_MAX_CARD_CHARACTERS = 4011
_MAX_PART_CHARACTERS = 59966


def card_to_text(card: bytes) -> str:
    return _CARD_PREFIX + _encode(card)


def card_from_text(text: str) -> bytes:
    if len(text) > _MAX_CARD_CHARACTERS:
        raise Malformed(f"a card's text has at most {_MAX_CARD_CHARACTERS} characters")
    return _decode(text, _CARD_PREFIX)


def envelope_to_text(envelope: bytes) -> str:
    return _ENVELOPE_PREFIX + _encode(envelope)


def envelope_from_text(text: str) -> bytes:
    return _decode(text, _ENVELOPE_PREFIX)


def part_to_text(part: bytes) -> str:
    return _PART_PREFIX + _encode(part)


def part_from_text(text: str) -> bytes:
    if len(text) > _MAX_PART_CHARACTERS:
        raise Malformed(f"a part's text has at most {_MAX_PART_CHARACTERS} characters")
    return _decode(text, _PART_PREFIX)


def is_text(data: bytes) -> bool:
    """Whether `data` is a text form and not the bytes themselves, by its first bytes."""
    return data.startswith((_CARD_PREFIX.encode("ascii"), _ENVELOPE_PREFIX.encode("ascii")))


def without_line_end(text: str) -> str:
    """`text` without the one line end that programs which read text may take off."""
    if text.endswith("\r\n"):
        return text[:-2]
    return text[:-1] if text.endswith("\n") else text


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _decode(text: str, prefix: str) -> bytes:
    if not text.startswith(prefix):
        raise Malformed(f"the text does not begin with {prefix}")
    encoded = text[len(prefix) :]
    try:
        decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (ValueError, binascii.Error) as error:
        raise Malformed("the text is not base64url") from error
    # Python skips foreign characters and ignores unused bits; only canonical text survives this.
    if _encode(decoded) != encoded:
        raise Malformed("the text is not canonical base64url without padding")
    return decoded
