"""Messages that were received."""

from __future__ import annotations

import json
from typing import Any, Optional

from ctalk import _native as native
from ctalk import payload
from ctalk._native import lib
from ctalk._waiting import interruptibly
from ctalk.errors import UsageError


class Received(native.Handle):
    """What a message says. Any number of threads may use one at the same time."""

    __slots__ = ()

    @property
    def payload(self) -> bytes:
        """What it says, byte for byte. Copied each time."""
        return native.copied(lib.ctalk_message_payload(self._handle)) or b""

    @property
    def content(self) -> Any:
        """What it says, as its content type tells: a `str`, what JSON says, or `bytes`.

        Raises ValueError where it is not what its sender says.
        """
        said = native.window(lib.ctalk_message_payload(self._handle))
        return payload.decoded(said, self.content_type)

    @property
    def content_type(self) -> str:
        """`text/plain`, `application/json`, or what its sender says."""
        return self._text(lib.ctalk_message_content_type)

    @property
    def id(self) -> str:
        """32 hex digits for an envelope, else the relay's. Empty where there is none."""
        return self._text(lib.ctalk_message_id)

    @property
    def sender(self) -> Optional[str]:
        """The contact whose key signed it. None where nobody's did: then only `relay_sender` says
        something, which is not to be believed."""
        return self._text(lib.ctalk_message_from) or None

    @property
    def relay_sender(self) -> str:
        """Who sent it by the relay's word."""
        return self._text(lib.ctalk_message_relay_from)

    @property
    def fingerprint(self) -> Optional[str]:
        """Of the keys that signed it, 64 hex digits. None where nobody's did."""
        return self._text(lib.ctalk_message_fingerprint) or None

    @property
    def trust(self) -> str:
        """What is known about the sender: `verified` or `pinned`; `unknown`, `unsigned` or
        `plaintext` only where unsigned messages were asked for."""
        return self._text(lib.ctalk_message_trust)

    @property
    def type(self) -> str:
        """`request`, `response` or `notification`, or whatever a plaintext sender wrote."""
        return self._text(lib.ctalk_message_type)

    @property
    def topic(self) -> Optional[str]:
        """What it is about."""
        return self._text(lib.ctalk_message_topic) or None

    @property
    def correlation_id(self) -> Optional[str]:
        """What pairs a request with its response."""
        return self._text(lib.ctalk_message_correlation_id) or None

    @property
    def reply_to(self) -> Optional[str]:
        """The id of the message that it answers."""
        return self._text(lib.ctalk_message_reply_to) or None

    @property
    def attempt(self) -> int:
        """Which attempt at it this is; the first is 1. Higher after a crash, too: what a program does
        before it commits may happen once more."""
        return int(lib.ctalk_message_attempt(self._handle))

    @property
    def info(self) -> dict[str, Any]:
        """All of it, as `ctalk --json recv` prints it, with `attempt`."""
        info: dict[str, Any] = json.loads(native.view(lib.ctalk_message_json, self._handle))
        return info

    def _text(self, function: Any) -> str:
        return (native.copied(function(self._handle)) or b"").decode()

    # What becomes of it, for both kinds of programs.

    def _commit(self) -> None:
        self._say(lib.ctalk_message_commit)

    def _reply(self, data: Any, content_type: Optional[str]) -> None:
        said, content_type = payload.encoded(data, content_type)
        given = native.options(content_type=content_type)
        self._say(lib.ctalk_message_reply, said, len(said), given, len(given))

    def _retry(self, why: str, after: float) -> None:
        reason = native.text(why)
        self._say(lib.ctalk_message_retry, reason, len(reason), native.milliseconds(after))

    def _reject(self, why: str) -> None:
        reason = native.text(why)
        self._say(lib.ctalk_message_reject, reason, len(reason))

    def _say(self, function: Any, *arguments: Any) -> None:
        interruptibly(lambda _: native.call(function, self._handle, *arguments))

    def _settle(self, error: Optional[BaseException]) -> None:
        """What the end of a `with` says, unless it was said before."""
        try:
            if error is None:
                self._commit()
            else:
                # Not what the error says: that may hold anything.
                self._retry(f"the handler raised {type(error).__name__}", 0)
        except UsageError as failure:
            if error is None and failure.code != lib.CTALK_ALREADY_SETTLED:
                raise

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self.id} from {self.sender!r}>"


class Message(Received):
    """A message in the hands of this program: until it is said what became of it, nobody else gets it.

    Say so once, with `commit`, `reply`, `retry` or `reject`, or by a `with`: its end commits the
    message, an exception has it tried again. One that is dropped without a word is tried again, and so
    is one whose program ends, however it ends.
    """

    __slots__ = ()

    @classmethod
    def _of(cls, handle: native.Pointer) -> Message:
        message = cls.__new__(cls)
        message._hold(handle, lib.ctalk_message_free)
        return message

    def commit(self) -> None:
        """It was handled. Once this returns, it is never handed over again."""
        self._commit()

    def reply(self, data: Any, *, content_type: Optional[str] = None) -> None:
        """It was handled, and this is the answer: a `str`, bytes, or JSON. Both become durable
        together, and the answer leaves with the next call that talks to the relay, as `follow` does.

        Raises UsageError, and nothing happens, unless it is a request that a contact signed.
        """
        self._reply(data, content_type)

    def retry(self, why: str = "", *, after: float = 0) -> None:
        """It could not be handled now. It comes again after a pause that doubles from attempt to
        attempt (1 second to 5 minutes), and no sooner than after so many seconds; after its last
        attempt it is a dead letter. `why` is kept beside it, for people.
        """
        self._retry(why, after)

    def reject(self, why: str = "") -> None:
        """It will never be handled: it is a dead letter, which stays in the inbox for people to look
        at (`ctalk inbox`)."""
        self._reject(why)

    def __enter__(self) -> Message:
        return self

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        self._settle(error)
