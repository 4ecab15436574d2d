"""An agent at its relay: sending, receiving, calling."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Iterator, Optional, TypedDict, TypeVar, Union

from ctalk import _native as native
from ctalk import payload
from ctalk._native import NULL, lib
from ctalk._waiting import Stopper, interruptibly
from ctalk.card import Card
from ctalk.contacts import Contacts
from ctalk.errors import Error
from ctalk.identity import Identity
from ctalk.message import Message

T = TypeVar("T")


class Whoami(TypedDict):
    """An agent, as `ctalk --json whoami` prints it."""

    name: str
    fingerprint: str
    classicFingerprint: str
    publicKey: str
    signingKey: str
    keyStore: str
    profile: str
    relay: Optional[str]


class Registered(TypedDict):
    """An agent at its relay."""

    name: str
    relay: str
    fingerprint: str


class Sent(TypedDict, total=False):
    """What became of a message for one recipient, as `ctalk --json send` prints it: where it did not
    leave, `error`, `class`, `code` and `hint` say why."""

    to: str
    id: Optional[str]
    relayId: Optional[str]
    ts: Optional[str]
    format: str
    encrypted: bool
    fingerprint: str
    pinned: bool
    state: str
    error: str
    code: int
    hint: Optional[str]


def profile_folder(name: str = "default") -> str:
    """Where the command line keeps the profile of this name, whether there is one or not."""
    profile = native.text(name)
    return native.obtain_bytes(lib.ctalk_profile_folder, profile, len(profile)).decode()


class Client(native.Closable):
    """An agent: the profile in a folder, at its relay.

    Any number of threads may use one at the same time, and any number of clients, in one process or
    many, may have the same profile open. A child process of `os.fork` must not open one, nor use what it
    inherits: start it with `exec`, or by `multiprocessing` with `spawn`.
    """

    __slots__ = ("_stoppers", "_stops", "_here")

    def __init__(
        self,
        folder: Union[str, os.PathLike[str]],
        *,
        passphrase: Optional[str] = None,
        passphrase_file: Union[str, os.PathLike[str], None] = None,
        relay: Optional[str] = None,
        api_key: Optional[str] = None,
        require: Optional[list[str]] = None,
    ) -> None:
        """Opens the profile; the relay is not asked.

        `relay` is an address that counts instead of the profile's, with `api_key` for it. `require` is
        a list of `verified` and `native`: what must hold of everybody who is written to or read.

        Raises LocalStoreError.
        """
        given = native.options(
            folder=os.fspath(folder),
            passphrase=passphrase,
            passphrase_file=None if passphrase_file is None else os.fspath(passphrase_file),
            relay=relay,
            api_key=api_key,
            require=require,
        )
        interruptibly(
            lambda _: self._hold(
                native.obtain("ctalk_client **", lib.ctalk_client_open, given, len(given)),
                lib.ctalk_client_free,
            )
        )
        self._stoppers: set[Stopper] = set()
        self._stops = 0
        self._here = threading.local()

    def whoami(self) -> Whoami:
        """The agent's name, keys and relay."""
        whoami: Whoami = interruptibly(
            lambda _: native.obtain_json(lib.ctalk_client_whoami, self._handle)
        )
        return whoami

    def card(self) -> Card:
        """The agent's current key card, for others to add."""
        return interruptibly(
            lambda _: Card._of(
                native.obtain("ctalk_card **", lib.ctalk_client_card, self._handle)
            )
        )

    def identity(self) -> Identity:
        """The agent's keys as they are now, to seal and open without the relay."""
        return interruptibly(
            lambda _: Identity._of(
                native.obtain("ctalk_identity **", lib.ctalk_client_identity, self._handle)
            )
        )

    @property
    def contacts(self) -> Contacts:
        """The agent's contacts."""
        return Contacts(self)

    def register(
        self,
        *,
        admin_key: Optional[str] = None,
        invite: Optional[str] = None,
        relay: Optional[str] = None,
        owner: Optional[str] = None,
    ) -> Registered:
        """Registers the agent at a relay: its name, its keys and its key card. The profile is at that
        relay from now on. Needs an admin key or an invite. Safe to repeat.
        """
        given = native.options(admin_key=admin_key, invite=invite, relay=relay, owner=owner)
        registered: Registered = self._wait(
            lambda stopper: native.obtain_json(
                lib.ctalk_client_register, self._handle, given, len(given), stopper
            )
        )
        return registered

    def send(
        self,
        to: Union[str, list[str]],
        data: Any,
        *,
        content_type: Optional[str] = None,
        type: Optional[str] = None,
        topic: Optional[str] = None,
        public_topic: bool = False,
        correlation_id: Optional[str] = None,
        reply_to: Optional[str] = None,
        ttl: Optional[int] = None,
        name: Optional[str] = None,
        idempotency_key: Optional[str] = None,
        receipt: bool = False,
        plaintext: bool = False,
        no_wait: bool = False,
    ) -> list[Sent]:
        """Seals, signs and sends a message to contacts, or to names of the relay, which are pinned by
        this first use. Returns what became of it, for each recipient in order.

        A `str` is text, what is like `bytes` is bytes, and everything else is JSON. `type` is
        `request` (the default), `response` or `notification`. `topic` is shown to the relay only with
        `public_topic`. `ttl` is how many seconds it lives, by default 7 days. `name` is that of the
        file that it is. Under an `idempotency_key` it is delivered once, however often this is called.
        With `receipt` one is asked for, and the message sent again until it came. `plaintext` neither
        encrypts nor signs. `no_wait` only puts it into the outbox.

        To one recipient a failure raises; RelayUnreachableError with the code `CTALK_QUEUED` then says
        that the message is in the outbox and will leave. To several, look at each answer's `error`.
        """
        said, content_type = payload.encoded(data, content_type)
        given = native.options(
            to=to,
            content_type=content_type,
            type=type,
            topic=topic,
            public_topic=public_topic,
            correlation_id=correlation_id,
            reply_to=reply_to,
            ttl=ttl,
            name=name,
            idempotency_key=idempotency_key,
            receipt=receipt,
            plaintext=plaintext,
            no_wait=no_wait,
        )
        sent: list[Sent] = self._wait(
            lambda stopper: native.obtain_json(
                lib.ctalk_client_send,
                self._handle,
                said,
                len(said),
                given,
                len(given),
                stopper,
            )
        )
        return sent

    def call(
        self,
        to: str,
        data: Any,
        *,
        timeout: float = 30,
        content_type: Optional[str] = None,
        topic: Optional[str] = None,
        correlation_id: Optional[str] = None,
        name: Optional[str] = None,
    ) -> Message:
        """Sends a request to one recipient and waits for its response, which is settled already.

        Raises TimedOutError when none came in so many seconds, and RemoteFailedError or RefusedError
        when the other side says that it did not handle the request.
        """
        said, content_type = payload.encoded(data, content_type)
        given = native.options(
            to=to,
            timeout_ms=min(native.milliseconds(timeout), 2**53),
            content_type=content_type,
            topic=topic,
            correlation_id=correlation_id,
            name=name,
        )
        # Held within, so that it is freed where an interruption comes between.
        return self._wait(
            lambda stopper: Message._of(
                native.obtain(
                    "ctalk_message **",
                    lib.ctalk_client_call,
                    self._handle,
                    said,
                    len(said),
                    given,
                    len(given),
                    stopper,
                )
            )
        )

    def flush(self) -> None:
        """Sends what is in the outbox. Raises what keeps the first message there."""
        self._wait(lambda stopper: native.call(lib.ctalk_client_flush, self._handle, stopper))

    def receive(self, timeout: Optional[float] = None) -> Optional[Message]:
        """The next message, or None when none came in so many seconds: 0 asks the relay once, None
        waits for ever. Several may be in hand at a time; those of one sender come one after the other.
        """
        limit = native.milliseconds(timeout)
        return self._wait(lambda stopper: self._next(limit, stopper))

    def follow(
        self,
        *,
        idle: Optional[float] = None,
        topic: Optional[str] = None,
        since: Optional[int] = None,
        handler: Optional[str] = None,
        interval: Optional[float] = None,
        max_attempts: Optional[int] = None,
        retry_after: Optional[float] = None,
        unordered: bool = False,
        unsigned: bool = False,
        keep: bool = False,
        sanitize: Optional[bool] = None,
    ) -> Iterator[Message]:
        """Messages as they come, until `stop` is called or, with `idle`, none came for so many
        seconds. Those of one sender come in their order: settle each before asking for the next.

        Sets how messages are handed over, also by `receive`, from now on; what is in hand is given
        back. `topic` and `since` (a relay's time in milliseconds since 1970) select messages.
        `handler` is the name by which the profile's policy knows the program. `interval` is the
        longest pause in seconds between two looks at a relay that does not push, by default 2.
        `max_attempts` is 8 unless given, `retry_after` the pause before the second one, by default 1
        second. `unordered` does not have later messages of a sender wait for earlier ones. `unsigned`
        hands over what nobody signed, too. `keep` keeps the bytes of handled messages, still sealed.
        `sanitize=False` leaves hidden and directional characters in texts.
        """
        given = native.options(
            topic=topic,
            since=since,
            handler=handler,
            interval_ms=None if interval is None else native.milliseconds(interval),
            max_attempts=max_attempts,
            retry_after_ms=None if retry_after is None else native.milliseconds(retry_after),
            unordered=unordered,
            unsigned=unsigned,
            keep=keep,
            sanitize=sanitize,
        )
        limit = native.milliseconds(idle)
        interruptibly(
            lambda _: native.call(lib.ctalk_client_follow, self._handle, given, len(given))
        )
        return self._messages(limit, self._stops)

    def _messages(self, limit: int, stops: int) -> Iterator[Message]:
        while True:
            try:
                message = self._wait(lambda stopper: self._next(limit, stopper), stops)
            except Error:
                if stops != self._stops:
                    return
                raise
            if message is None:
                return
            yield message
            del message

    def _next(self, limit: int, stopper: native.Pointer) -> Optional[Message]:
        handle = native.obtain(
            "ctalk_message **", lib.ctalk_client_next, self._handle, limit, stopper
        )
        return Message._of(handle) if handle else None

    def events(self) -> list[dict[str, Any]]:
        """What came up since this was last called, oldest first: objects whose `event` is `set-aside`
        (a message that is held, or was set aside with a reason), `notice`, `pinned`, `trouble`
        (something that may pass, and is tried again) or `recovered`.
        """
        events: list[dict[str, Any]] = native.obtain_json(
            lib.ctalk_client_take_events, self._handle
        )
        return events

    def stop(self) -> None:
        """Ends what waits now, in whatever thread: `follow` ends as if nothing came any more, other
        calls raise StoppedError. The client goes on."""
        self._stops += 1
        for stopper in list(self._stoppers):
            stopper.stop()

    def close(self) -> None:
        """Stops what waits, and closes the client. Messages that nobody settled are given back."""
        self.stop()
        super().close()
        # A call that began in between has the handle still.
        self.stop()

    def _wait(self, work: Callable[[native.Pointer], T], stops: Optional[int] = None) -> T:
        """Does what waits for the relay, so that it can be stopped; at once where there were more
        stops than these."""
        stopper: Stopper = getattr(self._here, "stopper", None) or Stopper()
        self._stoppers.add(stopper)
        if stops is not None and stops != self._stops:
            stopper.stop()
        try:
            return interruptibly(work, stopper)
        finally:
            self._stoppers.discard(stopper)

    def __enter__(self) -> Client:
        return self
