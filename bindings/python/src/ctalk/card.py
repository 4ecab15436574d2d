"""Key cards."""

from __future__ import annotations

from typing import Any, TypedDict, Union

from ctalk import _native as native
from ctalk._native import BytesLike, lib


class CardInfo(TypedDict):
    """What a card says, as the command line prints it."""

    card: str
    name: str
    fingerprint: str
    serial: int
    created: str
    expires: str
    addresses: list[str]


class Card(native.Handle):
    """What others need to seal to an identity and to know its envelopes: its public keys, signed.

    Never changes; any number of threads may use one at the same time.
    """

    __slots__ = ()

    @classmethod
    def _of(cls, handle: native.Pointer) -> Card:
        card = cls.__new__(cls)
        card._hold(handle, lib.ctalk_card_free)
        return card

    @classmethod
    def parse(cls, card: Union[str, BytesLike]) -> Card:
        """Reads a card from its line of text (`ctalk-card:…`), or from its bytes, and checks its
        signature.

        Raises MalformedError or NotVerifiedError.
        """
        if isinstance(card, str):
            line = native.text(card)
            return cls._of(
                native.obtain("ctalk_card **", lib.ctalk_card_from_text, line, len(line))
            )
        data = native.data(card)
        return cls._of(native.obtain("ctalk_card **", lib.ctalk_card_from_bytes, data, len(data)))

    def check_current(self, now: int = 0) -> None:
        """Raises NotTrustedError if nobody may seal to it at `now`, in milliseconds since 1970; 0 is
        now."""
        native.call(lib.ctalk_card_check_current, self._handle, now)

    @property
    def info(self) -> CardInfo:
        """All that it says, but for its keys."""
        info: CardInfo = native.obtain_json(lib.ctalk_card_json, self._handle)
        return info

    @property
    def name(self) -> str:
        """What the identity suggests to be called: not unique, and not to be believed."""
        return native.view(lib.ctalk_card_name, self._handle).decode()

    @property
    def fingerprint(self) -> str:
        """64 hex digits for people to compare, the same on all cards of an identity."""
        return native.view(lib.ctalk_card_fingerprint, self._handle).decode()

    @property
    def serial(self) -> int:
        """What grows with every card of an identity."""
        return int(lib.ctalk_card_serial(self._handle))

    @property
    def created(self) -> int:
        """When it was made, in milliseconds since 1970."""
        return int(lib.ctalk_card_created(self._handle))

    @property
    def expires(self) -> int:
        """The last moment at which others may seal to it, in milliseconds since 1970."""
        return int(lib.ctalk_card_expires(self._handle))

    @property
    def addresses(self) -> list[str]:
        """Where to reach the identity, the preferred place first."""
        return self.info["addresses"]

    @property
    def signing_key(self) -> bytes:
        """The Ed25519 public key that is the identity, 32 bytes."""
        return native.view(lib.ctalk_card_signing_key, self._handle)

    @property
    def encryption_key(self) -> bytes:
        """The X25519 public key of ClawTalk's format, 32 bytes."""
        return native.view(lib.ctalk_card_encryption_key, self._handle)

    @property
    def xwing_key(self) -> bytes:
        """The X-Wing public key that envelopes are sealed to, 1216 bytes."""
        return native.view(lib.ctalk_card_xwing_key, self._handle)

    def __str__(self) -> str:
        """Its line of text, which passes through everything that carries text."""
        return native.view(lib.ctalk_card_text, self._handle).decode()

    def __bytes__(self) -> bytes:
        """The bytes as they were signed."""
        return native.view(lib.ctalk_card_data, self._handle)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Card) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __repr__(self) -> str:
        return f"<ctalk.Card of {self.name!r} {self.fingerprint[:16]}…>"

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return Card.parse, (bytes(self),)

