"""Identities: an agent's secret keys."""

from __future__ import annotations

import os
from typing import Any, BinaryIO, Iterable, NamedTuple, Optional, TypedDict, Union

from ctalk import _native as native
from ctalk import _stream as stream
from ctalk import classic, payload
from ctalk._native import NULL, BytesLike, ffi, lib
from ctalk._waiting import interruptibly
from ctalk.card import Card
from ctalk.classic import Peer
from ctalk.envelope import Envelope, Inside, either


class Keys(NamedTuple):
    """An identity's secrets, as `Identity.from_keys` takes them in."""

    #: The lasting keys, as ClawTalk's key generator prints them.
    json: str
    #: The seeds of the X-Wing keys, 32 bytes each, the current one last.
    xwing_seeds: bytes


class Sealed(TypedDict):
    """What was sealed from a file."""

    id: str
    created: str
    expires: str
    recipients: int
    bytes: int


class Identity(native.Closable):
    """An agent's secret keys, wiped when it is closed. Any number of threads may use one at the same
    time.
    """

    __slots__ = ("_fingerprint",)

    _fingerprint: str

    @classmethod
    def _of(cls, handle: native.Pointer) -> Identity:
        identity = cls.__new__(cls)
        identity._hold(handle, lib.ctalk_identity_free)
        identity._fingerprint = native.view(lib.ctalk_identity_fingerprint, handle).decode()
        return identity

    @classmethod
    def generate(cls) -> Identity:
        """Makes a new one, in memory."""
        return cls._of(native.obtain("ctalk_identity **", lib.ctalk_identity_generate))

    @classmethod
    def from_keys(cls, json: Union[str, BytesLike], xwing_seeds: BytesLike = b"") -> Identity:
        """Takes in keys as ClawTalk's key generator prints them, and any number of X-Wing seeds.
        Without any, the identity can send envelopes and receive none.

        Raises MalformedError for what cannot be used.
        """
        keys, seeds = either(json), native.data(xwing_seeds)
        return cls._of(
            native.obtain(
                "ctalk_identity **", lib.ctalk_identity_import, keys, len(keys), seeds, len(seeds)
            )
        )

    @classmethod
    def load(
        cls, folder: Union[str, os.PathLike[str]], passphrase: Optional[str] = None
    ) -> Identity:
        """The identity of a profile, with every key that it has now. Renews keys that are due.

        Raises LocalStoreError.
        """
        path = native.text(os.fspath(folder))
        secret = NULL if passphrase is None else native.text(passphrase)
        length = 0 if passphrase is None else len(secret)
        return interruptibly(
            lambda _: cls._of(
                native.obtain(
                    "ctalk_identity **", lib.ctalk_identity_load, path, len(path), secret, length
                )
            )
        )

    def save(
        self,
        folder: Union[str, os.PathLike[str]],
        name: str,
        *,
        key_store: str = "",
        passphrase: Optional[str] = None,
    ) -> None:
        """Makes a profile of it, from where a Client, `load` and the command line take it. Nothing is
        ever overwritten.

        `name` is the agent's: 2 to 32 letters, digits, `_` or `-`. `key_store` is `keyring`, `file`
        (which needs the passphrase) or `plain` (unprotected); without it, the keyring if one answers,
        else `file`.
        """
        path, agent, kind = (native.text(part) for part in (os.fspath(folder), name, key_store))
        secret = NULL if passphrase is None else native.text(passphrase)
        length = 0 if passphrase is None else len(secret)
        interruptibly(
            lambda _: native.call(
                lib.ctalk_identity_save,
                self._handle,
                path,
                len(path),
                agent,
                len(agent),
                kind,
                len(kind),
                secret,
                length,
            )
        )

    def keys(self) -> Keys:
        """Its secrets, in the clear."""
        json, seeds = ffi.new("ctalk_bytes **"), ffi.new("ctalk_bytes **")
        native.call(lib.ctalk_identity_export, self._handle, json, seeds)
        return Keys(native.taken(json[0]).decode(), native.taken(seeds[0]))

    @property
    def fingerprint(self) -> str:
        """64 hex digits for people to compare."""
        return self._fingerprint

    def card(
        self,
        name: Optional[str] = None,
        *,
        created: Optional[int] = None,
        expires: Optional[int] = None,
        serial: Optional[int] = None,
        addresses: Optional[list[str]] = None,
    ) -> Card:
        """Its card, for its newest X-Wing key, which others need to seal to it.

        `name` is what it suggests to be called, 1 to 64 bytes. Times are in milliseconds since 1970:
        by default now, and 30 days later. `serial` grows with every card; by default it is `created`.
        An identity from a profile has its card already and takes none of these.
        """
        given = native.options(
            name=name, created=created, expires=expires, serial=serial, addresses=addresses
        )
        return Card._of(
            native.obtain(
                "ctalk_card **", lib.ctalk_identity_card, self._handle, given, len(given)
            )
        )

    def seal(
        self,
        data: Any,
        recipients: Iterable[Card],
        *,
        type: Optional[str] = None,
        topic: Optional[str] = None,
        correlation_id: Optional[str] = None,
        reply_to: Optional[str] = None,
        content_type: Optional[str] = None,
        name: Optional[str] = None,
        receipt: bool = False,
        card: Optional[Card] = None,
        created: Optional[int] = None,
        ttl: Optional[int] = None,
        armor: bool = False,
    ) -> bytes:
        """Seals data for the owners of the cards, at most 1024, and signs it.

        A `str` is text, what is like `bytes` is bytes, and everything else is JSON, unless
        `content_type` says something else. `type` is `notification` (the default), `request` or
        `response`; `name` is that of a file; `card` is the sender's own, to go along; `created` is in
        milliseconds since 1970, by default now; `ttl` is how many seconds it can be opened, by default
        7 days, at most 30; with `armor` the envelope is one line of text.

        Raises UsageError, NotTrustedError for a card that has expired, or MalformedError for what is
        too long.
        """
        said, content_type = payload.encoded(data, content_type)
        cards, pointers = _cards(recipients)
        given = native.options(
            type=type,
            topic=topic,
            correlation_id=correlation_id,
            reply_to=reply_to,
            content_type=content_type,
            name=name,
            receipt=receipt,
            card=None if card is None else str(card),
            created=created,
            ttl=ttl,
            armor=armor,
        )
        return native.obtain_bytes(
            lib.ctalk_envelope_seal,
            self._handle,
            pointers,
            len(cards),
            said,
            len(said),
            given,
            len(given),
        )

    def seal_file(
        self,
        source: BinaryIO,
        target: BinaryIO,
        recipients: Iterable[Card],
        *,
        type: Optional[str] = None,
        topic: Optional[str] = None,
        correlation_id: Optional[str] = None,
        reply_to: Optional[str] = None,
        content_type: Optional[str] = None,
        name: Optional[str] = None,
        receipt: bool = False,
        card: Optional[Card] = None,
        created: Optional[int] = None,
        ttl: Optional[int] = None,
        armor: bool = False,
    ) -> Sealed:
        """As `seal`, from one open file to another in constant memory. What was written before a
        failure is no envelope.
        """
        cards, pointers = _cards(recipients)
        given = native.options(
            type=type,
            topic=topic,
            correlation_id=correlation_id,
            reply_to=reply_to,
            content_type=content_type,
            name=name,
            receipt=receipt,
            card=None if card is None else str(card),
            created=created,
            ttl=ttl,
            armor=armor,
        )
        with stream.Reader(source) as reader, stream.Writer(target) as writer:
            sealed: Sealed = native.obtain_json(
                lib.ctalk_envelope_seal_stream,
                self._handle,
                pointers,
                len(cards),
                given,
                len(given),
                stream.READ,
                reader.user,
                stream.WRITE,
                writer.user,
            )
        return sealed

    def open(
        self, envelope: Union[str, BytesLike], *, sender: Optional[Card] = None, now: int = 0
    ) -> Envelope:
        """Verifies and opens an envelope, given as bytes or as its line of text.

        It is taken from `sender` alone; without one, look at the envelope's `fingerprint` before using
        what it says. `now` is the time at which it must be alive, in milliseconds since 1970; 0 is
        now. Whether it was opened before is for the caller to remember, by sender, id and digest; a
        Client does that.

        Raises MalformedError, NotVerifiedError, RefusedError (too old), CannotOpenError or
        NotTrustedError (from somebody else).
        """
        data = either(envelope)
        return Envelope._of(
            native.obtain(
                "ctalk_opened **",
                lib.ctalk_envelope_open,
                self._handle,
                _card_or_none(sender),
                data,
                len(data),
                now,
            )
        )

    def open_file(
        self, source: BinaryIO, target: BinaryIO, *, sender: Optional[Card] = None, now: int = 0
    ) -> Inside:
        """As `open`, from one open file to another in constant memory. Each part is written once it
        was verified; after a failure, what was written is the beginning of what the sender sealed and
        no more.
        """
        with stream.Reader(source) as reader, stream.Writer(target) as writer:
            inside: Inside = native.obtain_json(
                lib.ctalk_envelope_open_stream,
                self._handle,
                _card_or_none(sender),
                now,
                stream.READ,
                reader.user,
                stream.WRITE,
                writer.user,
            )
        return inside

    def seal_classic(
        self,
        data: Any,
        recipient: Peer,
        *,
        to: str,
        type: Optional[str] = None,
        topic: Optional[str] = None,
        correlation_id: Optional[str] = None,
    ) -> classic.Sealed:
        """Seals JSON for one agent in ClawTalk's format and signs it; what is like `bytes` is taken
        as JSON text. `to` is the recipient's name at the relay. `type` is `notification` unless given.
        All of these are signed, so a relay's request has to carry them unchanged.
        """
        said, _ = payload.encoded(data, payload.JSON)
        if isinstance(data, str):
            said, _ = payload.encoded({"text": data}, None)
        given = native.options(to=to, type=type, topic=topic, correlation_id=correlation_id)
        sealed: classic.Sealed = native.obtain_json(
            lib.ctalk_classic_seal,
            self._handle,
            _peer(recipient),
            said,
            len(said),
            given,
            len(given),
        )
        return sealed

    def open_classic(self, message: Union[str, BytesLike], sender: Peer) -> classic.Classic:
        """Checks that `sender` signed a message in ClawTalk's format, given as JSON as a relay lists
        it, and opens it. Nothing in the format tells a message from its repetition.

        Raises MalformedError, NotVerifiedError (also where nobody signed it) or CannotOpenError.
        """
        return classic.Classic(*self._open_classic(lib.ctalk_classic_open, message, sender))

    def open_unsigned_classic(
        self, message: Union[str, BytesLike], sender: Peer
    ) -> classic.Unauthenticated:
        """Reads a message in ClawTalk's format that nobody signed: anybody may have written it.
        `sender` is whom it claims to be from.
        """
        opened = self._open_classic(lib.ctalk_classic_open_unsigned, message, sender)
        return classic.Unauthenticated(*opened)

    def _open_classic(
        self, function: Any, message: Union[str, BytesLike], sender: Peer
    ) -> tuple[bytes, bytes]:
        data = either(message)
        said, claims = ffi.new("ctalk_bytes **"), ffi.new("ctalk_bytes **")
        native.call(
            function, self._handle, _peer(sender), data, len(data), said, claims
        )
        return native.taken(said[0]), native.taken(claims[0])

    def __enter__(self) -> Identity:
        return self

    def __repr__(self) -> str:
        return f"<ctalk.Identity {self.fingerprint[:16]}…>"


def _card(card: Card) -> native.Pointer:
    if not isinstance(card, Card):
        raise TypeError(f"a Card is needed, not {type(card).__name__}")
    return card._handle


def _card_or_none(card: Optional[Card]) -> native.Pointer:
    return NULL if card is None else _card(card)


def _cards(cards: Iterable[Card]) -> tuple[list[native.Pointer], native.Pointer]:
    """Cards as C takes them, and what keeps them meanwhile."""
    handles = [_card(card) for card in cards]
    return handles, ffi.new("ctalk_card *[]", handles)


def _peer(peer: Peer) -> native.Pointer:
    if not isinstance(peer, Peer):
        raise TypeError(f"a Peer is needed, not {type(peer).__name__}")
    return peer._handle
