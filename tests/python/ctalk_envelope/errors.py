"""The failure classes of section 8, one exception each."""

from __future__ import annotations


class EnvelopeError(Exception):
    """An input that is refused. The text says what was wrong and never holds a secret."""

    #: The name by which section 8 and the vectors call this class.
    name: str


class Malformed(EnvelopeError):
    """Grammar, padding, metadata or text, or a card that breaks a rule before its signature."""

    name = "malformed"


class Newer(EnvelopeError):
    """Length, magic and kind are right, and the version or suite unknown."""

    name = "newer"


class NotVerified(EnvelopeError):
    """The sender's key or a signature is not accepted."""

    name = "not-verified"


class Expired(EnvelopeError):
    """Too old, or from too far in the future."""

    name = "expired"


class NotForMe(EnvelopeError):
    """No hint names this identity."""

    name = "not-for-me"


class CannotOpen(EnvelopeError):
    """An encapsulation, wrap, commitment or tag fails."""

    name = "cannot-open"
