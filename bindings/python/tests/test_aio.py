"""The same for asyncio."""

from __future__ import annotations

import asyncio
from typing import Any, Coroutine

import pytest

import ctalk
from ctalk import aio
from support import Scene


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work, debug=True)


def test_a_call_is_answered_on_one_event_loop(scene: Scene) -> None:
    alice_folder, bob_folder = scene.register("alice"), scene.register("bob")

    async def answer(bob: aio.Client) -> None:
        async for message in bob.follow():
            async with message:
                await message.reply(message.content.upper())

    async def main() -> None:
        async with aio.Client(alice_folder) as alice, aio.Client(bob_folder) as bob:
            answering = asyncio.create_task(answer(bob))
            calls = [alice.call(scene.name("bob"), word, timeout=60) for word in ("one", "two")]
            assert [m.content for m in await asyncio.gather(*calls)] == ["ONE", "TWO"]
            bob.stop()
            await answering

    run(main())


def test_a_cancelled_task_stops_its_call(scene: Scene) -> None:
    alice_folder, bob_folder = scene.register("alice"), scene.register("bob")

    async def main() -> None:
        async with aio.Client(alice_folder) as alice, aio.Client(bob_folder) as bob:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(bob.receive(), timeout=0.01)
            while bob.sync._stoppers:
                await asyncio.sleep(0)
            await alice.send(scene.name("bob"), "hello")
            message = await bob.receive()
            assert message is not None and message.content == "hello"
            await message.commit()
            assert await bob.receive(0) is None

    run(main())


def test_a_message_is_settled_once_and_as_it_is_said(scene: Scene) -> None:
    alice_folder, bob_folder = scene.register("alice"), scene.register("bob")

    async def main() -> None:
        async with aio.Client(alice_folder) as alice, aio.Client(bob_folder) as bob:
            await alice.send(scene.name("bob"), "hello")
            attempts = []
            async for message in bob.follow(retry_after=0.001):
                attempts.append(message.attempt)
                if message.attempt == 1:
                    with pytest.raises(ZeroDivisionError):
                        async with message:
                            raise ZeroDivisionError
                elif message.attempt == 2:
                    await message.retry("not now")
                else:
                    await message.reject("never")
                    with pytest.raises(ctalk.UsageError):
                        await message.commit()
                    break
            assert attempts == [1, 2, 3]
            assert await bob.receive(0) is None

    run(main())


def test_failures_are_the_same(scene: Scene) -> None:
    folder = scene.register("alice")

    async def main() -> None:
        alice = aio.Client(folder)
        with pytest.raises(RuntimeError):
            await alice.flush()
        async with alice:
            with pytest.raises(ctalk.Error):
                await alice.send(scene.name("nobody"), "hello")
            added = await alice.do(lambda client: list(client.contacts))
            assert added == []
        with pytest.raises(ctalk.UsageError):
            await alice.flush()
        with pytest.raises(ctalk.LocalStoreError):
            async with aio.Client(folder / "nothing"):
                pass

    run(main())
