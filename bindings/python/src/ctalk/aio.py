"""The same agent for asyncio: `async with ctalk.aio.Client(folder) as client`.

Each call runs on a thread of its own, so that the event loop goes on. A task that is cancelled stops its
call; a message that came at just that moment is tried again.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, AsyncIterator, Callable, Optional, TypeVar, Union

import ctalk
from ctalk._waiting import Stopper, Work
from ctalk.client import Sent
from ctalk.message import Received

T = TypeVar("T")


async def _in_thread(work: Callable[[], T]) -> T:
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def finish() -> None:
        if not over.done():
            over.set_result(None)

    def then() -> None:
        try:
            loop.call_soon_threadsafe(finish)
        except RuntimeError:
            # The loop was closed meanwhile, so that nobody waits any more.
            pass

    running = Work(work, then)
    await over
    return running.result()


class Message(Received):
    """A message in the hands of this program; see `ctalk.Message`. `async with` settles it."""

    __slots__ = ()

    @classmethod
    def _of(cls, message: ctalk.Message) -> Message:
        own = cls.__new__(cls)
        # One handle for both, freed once neither is there.
        own._handle = message._handle
        return own

    async def commit(self) -> None:
        """It was handled. Once this returns, it is never handed over again."""
        await _in_thread(self._commit)

    async def reply(self, data: Any, *, content_type: Optional[str] = None) -> None:
        """It was handled, and this is the answer."""
        await _in_thread(lambda: self._reply(data, content_type))

    async def retry(self, why: str = "", *, after: float = 0) -> None:
        """It could not be handled now, and is handed over again later."""
        await _in_thread(lambda: self._retry(why, after))

    async def reject(self, why: str = "") -> None:
        """It will never be handled: it is a dead letter."""
        await _in_thread(lambda: self._reject(why))

    async def __aenter__(self) -> Message:
        return self

    async def __aexit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        await _in_thread(lambda: self._settle(error))


class Client:
    """An agent: the profile in a folder, at its relay. Takes what `ctalk.Client` takes."""

    def __init__(self, folder: Union[str, os.PathLike[str]], **options: Any) -> None:
        self._open = lambda: ctalk.Client(folder, **options)
        self._client: Optional[ctalk.Client] = None

    @property
    def sync(self) -> ctalk.Client:
        """The client behind it, for what does not wait: `whoami`, `card`, `events`, most of
        `contacts`."""
        if self._client is None:
            raise RuntimeError("the client is open within `async with` only")
        return self._client

    async def do(self, work: Callable[[ctalk.Client], T]) -> T:
        """Has the client do something that waits, such as `lambda client: client.contacts.add(name)`.
        """
        client = self.sync
        stopper = Stopper()

        def stoppable() -> T:
            client._here.stopper = stopper
            return work(client)

        try:
            return await _in_thread(stoppable)
        except asyncio.CancelledError:
            stopper.stop()
            raise

    async def register(self, **options: Any) -> ctalk.client.Registered:
        """See `ctalk.Client.register`."""
        return await self.do(lambda client: client.register(**options))

    async def send(self, to: Union[str, list[str]], data: Any, **options: Any) -> list[Sent]:
        """See `ctalk.Client.send`."""
        return await self.do(lambda client: client.send(to, data, **options))

    async def call(self, to: str, data: Any, **options: Any) -> Message:
        """See `ctalk.Client.call`."""
        return Message._of(await self.do(lambda client: client.call(to, data, **options)))

    async def flush(self) -> None:
        """See `ctalk.Client.flush`."""
        await self.do(lambda client: client.flush())

    async def receive(self, timeout: Optional[float] = None) -> Optional[Message]:
        """See `ctalk.Client.receive`."""
        message = await self.do(lambda client: client.receive(timeout))
        return None if message is None else Message._of(message)

    async def follow(self, **options: Any) -> AsyncIterator[Message]:
        """See `ctalk.Client.follow`."""
        messages = await self.do(lambda client: client.follow(**options))
        while True:
            message = await self.do(lambda _: next(messages, None))
            if message is None:
                return
            yield Message._of(message)
            del message

    def stop(self) -> None:
        """Ends what waits now; see `ctalk.Client.stop`."""
        self.sync.stop()

    async def __aenter__(self) -> Client:
        self._client = await _in_thread(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        await _in_thread(self.sync.close)
