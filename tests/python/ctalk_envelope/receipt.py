"""Receipts (section 4.3)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from .content import KINDS, Metadata
from .errors import Malformed

_MAX_BYTES = 1024
_OUTCOMES = ("done", "failed", "refused")
_ID = re.compile("[0-9a-f]{32}")
_DIGEST = re.compile("[0-9a-f]{64}")
_DIGITS = re.compile("0|[1-9][0-9]{0,9}")


@dataclass(frozen=True)
class Receipt:
    """What became of the message `id`."""

    id: str
    outcome: str
    attempt: int
    digest: str


class _Number(str):
    """A number as it stands in the text."""


class _Object(list):
    """The members of an object as pairs, repeated ones too."""


def read(metadata: Metadata, payload: bytes) -> Receipt:
    """The receipt in an opened envelope; `Malformed` when it is none."""
    if KINDS[metadata.kind] != "receipt" or metadata.content_type != "application/json":
        raise Malformed("the kind or the content type is not that of a receipt")
    if metadata.reply_to is None or not _ID.fullmatch(metadata.reply_to):
        raise Malformed("the receipt does not say which message it is for")
    if len(payload) > _MAX_BYTES:
        raise Malformed(f"a receipt has at most {_MAX_BYTES} bytes")
    members = _members(payload)
    outcome, attempt, digest = (_one(members, name) for name in ("outcome", "attempt", "digest"))
    if outcome not in _OUTCOMES:
        raise Malformed("the outcome is unknown")
    if not isinstance(attempt, _Number) or not _DIGITS.fullmatch(attempt):
        raise Malformed("the attempt is no whole number")
    if int(attempt) >= 1 << 32:
        raise Malformed("the attempt is too large")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise Malformed("the digest is not 64 lower-case hex digits")
    return Receipt(metadata.reply_to, outcome, int(attempt), digest)


def _members(payload: bytes) -> _Object:
    try:
        read = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=_Object,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse,
        )
    except ValueError as error:
        raise Malformed("the receipt is not JSON") from error
    if not isinstance(read, _Object):
        raise Malformed("the receipt is not an object")
    return read


def _one(members: _Object, name: str) -> object:
    values = [value for member, value in members if member == name]
    if len(values) != 1:
        raise Malformed(f"the receipt has not one {name}")
    return values[0]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
