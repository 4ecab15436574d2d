"""ClawTalk's own message format, for agents that have no key card."""

from __future__ import annotations

import json
from typing import Any, Optional, TypedDict

from ctalk import _native as native
from ctalk._native import lib
from ctalk.card import Card


class Sealed(TypedDict):
    """What goes into a relay's request, in standard base64."""

    payload: str
    nonce: str
    signature: str


# Written like this because `from` is a word of Python.
Claims = TypedDict(
    "Claims",
    {
        "id": Optional[str],
        "from": str,
        "to": str,
        "type": str,
        "topic": Optional[str],
        "correlationId": Optional[str],
        "replyTo": Optional[str],
        "ts": Optional[str],
    },
)
Claims.__doc__ = """What relay and sender say about a message. Only `to`, `type`, `topic` and
`correlationId` are signed."""


class Peer(native.Handle):
    """The public keys of an agent that speaks ClawTalk's format, as a directory lists them: X25519 and
    Ed25519, in standard base64.

    Never changes; any number of threads may use one at the same time.
    """

    __slots__ = ()

    def __init__(self, public_key: str, signing_key: str) -> None:
        public, signing = native.text(public_key), native.text(signing_key)
        self._hold(
            native.obtain(
                "ctalk_peer **", lib.ctalk_peer_new, public, len(public), signing, len(signing)
            ),
            lib.ctalk_peer_free,
        )

    @classmethod
    def of(cls, card: Card) -> Peer:
        """The keys that are on a card."""
        if not isinstance(card, Card):
            raise TypeError(f"a Card is needed, not {type(card).__name__}")
        peer = cls.__new__(cls)
        handle = native.obtain("ctalk_peer **", lib.ctalk_peer_of_card, card._handle)
        peer._hold(handle, lib.ctalk_peer_free)
        return peer

    @property
    def fingerprint(self) -> str:
        """Of both keys together, which is not that of a key card: 64 hex digits."""
        return native.view(lib.ctalk_peer_fingerprint, self._handle).decode()

    def __repr__(self) -> str:
        return f"<ctalk.Peer {self.fingerprint[:16]}…>"


class _Opened:
    __slots__ = ("payload", "_claims")

    def __init__(self, payload: bytes, claims: bytes) -> None:
        #: JSON, as it was sealed.
        self.payload = payload
        self._claims = claims

    @property
    def content(self) -> Any:
        """What the JSON says."""
        return json.loads(self.payload)

    @property
    def claims(self) -> Claims:
        """What relay and sender say about it."""
        claims: Claims = json.loads(self._claims)
        return claims


class Classic(_Opened):
    """A message in ClawTalk's format, whose signature was checked."""

    __slots__ = ()


class Unauthenticated(_Opened):
    """A message in ClawTalk's format that nobody signed."""

    __slots__ = ()
