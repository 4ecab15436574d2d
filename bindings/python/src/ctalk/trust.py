"""Whose keys somebody holds, and how long they count."""

from __future__ import annotations

from typing import Literal, Optional, TypedDict, Union

from ctalk import _native as native
from ctalk._native import lib
from ctalk.card import Card


class SafetyNumber(TypedDict):
    """What two people compare, whole, in any one of its forms."""

    #: 75 digits in groups of five.
    safetyNumber: str
    #: The same in 23 words.
    words: str
    #: The text of its QR code.
    qr: str


class Statement(TypedDict):
    """What is stated about the end of an identity."""

    kind: Literal["succession", "revocation"]
    #: Of the identity that ends.
    fingerprint: str
    #: The fingerprint of the one that takes its place; None where none does.
    successor: Optional[str]
    #: In milliseconds since 1970.
    created: int


def safety_number(one: Union[Card, str], other: Union[Card, str]) -> SafetyNumber:
    """The number that the owners of two cards, or of their fingerprints, compare. The same in either
    order.

    Raises UsageError for what is no fingerprint.
    """
    first, second = _fingerprint(one), _fingerprint(other)
    number: SafetyNumber = native.obtain_json(
        lib.ctalk_safety_number, first, len(first), second, len(second)
    )
    return number


def verify_statement(text: str) -> Statement:
    """Checks the signatures of a succession (`ctalk-succession:…`) or a revocation
    (`ctalk-revocation:…`), and says what it states. The identity is that of the cards with the same
    fingerprint.

    Raises MalformedError or NotVerifiedError.
    """
    line = native.text(text)
    statement: Statement = native.obtain_json(lib.ctalk_statement_verify, line, len(line))
    return statement


def _fingerprint(whose: Union[Card, str]) -> bytes:
    return native.text(whose.fingerprint if isinstance(whose, Card) else whose)
