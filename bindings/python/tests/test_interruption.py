"""What ends a call that waits, from outside."""

from __future__ import annotations

import _thread
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable

import pytest

import ctalk
from ctalk import _native as native
from ctalk._waiting import Stopper, interruptibly
from support import (
    Scene,
    handles,
    wait_until_in,
    wait_until_it_waits,
    wait_until_the_main_thread_waits,
)


def meanwhile(client: ctalk.Client, work: Callable[[], object]) -> threading.Thread:
    """Does something as soon as a call of this client waits."""

    def do() -> None:
        wait_until_it_waits(client)
        work()

    thread = threading.Thread(target=do)
    thread.start()
    return thread


def test_ctrl_c_ends_a_call_of_the_main_thread_and_nothing_else(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    thread = meanwhile(bob, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        bob.receive()
    thread.join()
    alice.send(scene.name("bob"), "hello")
    message = bob.receive()
    assert message is not None and message.content == "hello"
    message.commit()


def test_ctrl_c_at_the_moment_a_call_ends_is_raised() -> None:
    def work(_: object) -> None:
        wait_until_the_main_thread_waits()
        # Wakes nobody: it is seen by then, but not before.
        _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        interruptibly(work, Stopper())


def test_the_response_to_a_call_that_was_interrupted_is_freed(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    before = handles()

    def work() -> None:
        message = bob.receive()
        assert message is not None
        wait_until_the_main_thread_waits()
        # Seen once the response is there.
        _thread.interrupt_main()
        message.reply("hello")
        bob.flush()

    thread = meanwhile(alice, work)
    with pytest.raises(KeyboardInterrupt):
        alice.call(scene.name("bob"), "hello?")
    thread.join()
    assert handles() == before


def test_ctrl_c_ends_what_waits_for_another_process(scene: Scene) -> None:
    bob = scene.agent("bob")
    profile = scene.profile("bob")
    works: list[Callable[[], object]] = [bob.whoami, lambda: ctalk.Identity.load(profile)]

    def interrupt() -> None:
        wait_until_the_main_thread_waits()
        os.kill(os.getpid(), signal.SIGINT)

    # As another process holds it that renews the keys.
    with (profile / "keys.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for work in works:
            thread = threading.Thread(target=interrupt)
            thread.start()
            with pytest.raises(KeyboardInterrupt):
                work()
            thread.join()
    assert bob.whoami()["name"] == scene.name("bob")


def test_another_signal_is_handled_and_the_call_goes_on(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    handled = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: handled.set())

    def work() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        handled.wait()
        alice.send(scene.name("bob"), "hello")

    try:
        thread = meanwhile(bob, work)
        message = bob.receive()
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert message is not None and message.content == "hello"
    message.commit()


def test_stop_ends_what_waits_and_the_client_goes_on(scene: Scene) -> None:
    bob = scene.agent("bob")
    thread = meanwhile(bob, bob.stop)
    with pytest.raises(ctalk.StoppedError):
        bob.receive()
    thread.join()
    thread = meanwhile(bob, bob.stop)
    assert list(bob.follow()) == []
    thread.join()
    assert bob.receive(0) is None
    # One that came between two messages counts, too.
    messages = bob.follow()
    bob.stop()
    assert list(messages) == []


def test_close_ends_what_waits(scene: Scene) -> None:
    bob = scene.agent("bob")
    thread = meanwhile(bob, bob.close)
    assert list(bob.follow()) == []
    thread.join()
    with pytest.raises(ctalk.UsageError):
        bob.follow()


def test_close_ends_a_call_that_begins_meanwhile(scene: Scene) -> None:
    class Closing(ctalk.Client):
        def stop(self) -> None:
            super().stop()
            if waiting.ident is None:
                waiting.start()
                wait_until_it_waits(self)
                wait_until_in(waiting, native.obtain)

    def wait() -> None:
        with pytest.raises((ctalk.StoppedError, ctalk.UsageError)):
            bob.receive()

    waiting = threading.Thread(target=wait)
    bob = Closing(scene.register("bob"))
    bob.close()
    waiting.join()


def test_a_call_is_stopped_from_another_thread(scene: Scene) -> None:
    alice, _ = scene.agent("alice"), scene.agent("bob")
    alice.contacts.add(scene.name("bob"))
    thread = meanwhile(alice, alice.stop)
    with pytest.raises(ctalk.StoppedError):
        alice.call(scene.name("bob"), "anybody there?", timeout=3600)
    thread.join()


def test_others_commit_and_send_while_one_waits(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    alice.send(scene.name("bob"), "hello")
    message = bob.receive()
    assert message is not None
    stopped = threading.Event()

    def wait() -> None:
        with pytest.raises(ctalk.StoppedError):
            bob.receive()
        stopped.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until_it_waits(bob)
    message.commit()
    bob.send(scene.name("alice"), "hello yourself")
    assert not stopped.is_set()
    bob.stop()
    waiting.join()
    assert stopped.is_set()
    answer = alice.receive()
    assert answer is not None and answer.content == "hello yourself"
    answer.commit()


def test_many_threads_send_over_one_client_and_each_message_comes_once(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    odd: list[BaseException] = []

    def send(thread: int) -> None:
        try:
            for number in range(3):
                alice.send(scene.name("bob"), [thread, number])
        except BaseException as error:
            odd.append(error)

    threads = [threading.Thread(target=send, args=[thread]) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not odd
    said = []
    for message in bob.follow(idle=0):
        with message:
            said.append(tuple(message.content))
    assert sorted(said) == [(thread, number) for thread in range(4) for number in range(3)]


CTRL_C = """
import sys, ctalk
client = ctalk.Client(sys.argv[1])
print("waits", flush=True)
for message in client.follow():
    pass
"""


def test_ctrl_c_ends_a_program(scene: Scene) -> None:
    folder = scene.register("bob")
    with subprocess.Popen(
        [sys.executable, "-c", CTRL_C, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "waits\n"
        program.send_signal(signal.SIGINT)
        _, stderr = program.communicate()
    assert "KeyboardInterrupt" in stderr
    assert program.returncode == -signal.SIGINT


FORK = """
import os, sys, ctalk
client = ctalk.Client(sys.argv[1])
client.receive(0)
with ctalk.Relay() as relay:
    child = os.fork()
    if child == 0:
        try:
            client.receive(0)
        except ctalk.UsageError as error:
            print(error.name, flush=True)
        client.close()
        relay.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
assert client.receive(0) is None
sys.exit(status)
"""


def test_a_forked_child_is_refused_and_ends(scene: Scene) -> None:
    folder = scene.register("bob")
    run = subprocess.run(
        [sys.executable, "-c", FORK, folder], capture_output=True, text=True, check=True
    )
    assert run.stdout == "CTALK_FORKED\n"


WORKER = """
import sys, ctalk
with ctalk.Client(sys.argv[1]) as client:
    for message in client.follow():
        print("handling", message.content, flush=True)
        sys.stdin.readline()
        message.commit()
        print("committed", message.content, flush=True)
        sys.stdin.readline()
"""


class Worker:
    """A program that handles messages, and goes on whenever it is told to."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go_on(self) -> str:
        """Lets it do its next step, and says what that was."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.says()

    def kill(self) -> None:
        with self._process:
            self._process.kill()
        assert self._process.returncode == -signal.SIGKILL


def test_a_worker_that_is_killed_and_restarted_commits_each_message_once(scene: Scene) -> None:
    alice = scene.agent("alice")
    folder = scene.register("bob")
    for number in range(3):
        alice.send(scene.name("bob"), number)
    # Killed right after a commit, and in the middle of a message.
    worker = Worker(folder)
    assert worker.says() == "handling 0"
    assert worker.go_on() == "committed 0"
    worker.kill()
    worker = Worker(folder)
    assert worker.says() == "handling 1"
    worker.kill()
    # What it had in hand comes once its lease is over, after half a minute, and in its order.
    worker = Worker(folder)
    assert worker.says() == "handling 1"
    assert worker.go_on() == "committed 1"
    assert worker.go_on() == "handling 2"
    assert worker.go_on() == "committed 2"
    worker.kill()
    with scene.open("bob") as bob:
        assert bob.receive(0) is None
