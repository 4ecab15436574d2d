"""Receipts, for programs that open envelopes themselves."""

from __future__ import annotations

from typing import Literal, Optional, TypedDict

from ctalk import _native as native
from ctalk._native import BytesLike, lib


class Receipt(TypedDict):
    """What the recipient of a message says became of it."""

    #: That of the envelope that it is about.
    id: str
    outcome: Literal["done", "failed", "refused"]
    #: How many times a handler was started for it.
    attempt: int
    #: SHA-256 of the result, 64 hex digits.
    digest: str


def read_receipt(payload: BytesLike, content_type: str, reply_to: Optional[str]) -> Receipt:
    """Reads what an opened envelope of the type `receipt` says. It counts only from somebody to whom the
    envelope that it is about was sealed. A `Client` reads its own by itself.

    Raises MalformedError.
    """
    data, kind = native.data(payload), native.text(content_type)
    answered = native.NULL if reply_to is None else native.text(reply_to)
    receipt: Receipt = native.obtain_json(
        lib.ctalk_receipt_read,
        data,
        len(data),
        kind,
        len(kind),
        answered,
        0 if reply_to is None else len(answered),
    )
    return receipt
