"""What several tests need."""

from __future__ import annotations

import base64
import ctypes
import gc
import json
import sys
import threading
from pathlib import Path
from typing import Any, Callable

import ctalk
from ctalk import _native as native
from ctalk._waiting import interruptibly

WORKSPACE = Path(__file__).resolve().parents[3]


def codes() -> list[tuple[int, str]]:
    """Every number and its name, from the table that is never changed."""
    table = (WORKSPACE / "crates/ffi/codes.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in table.splitlines()]
    return [(int(number), name) for number, name, _ in lines if number != "0"]


def fail_next(code: int) -> None:
    """Makes this thread's next call of the library fail; with CTALK_PANIC it panics."""
    ctypes.CDLL(native.library).ctalk_fault_next(ctypes.c_uint32(code))


def handles() -> int:
    """How many handles the process holds, but for those of what nobody has any more."""
    gc.collect()
    return int(native.lib.ctalk_handle_count())


def vectors(folder: str) -> dict[str, Any]:
    """The vector files of a folder, by name."""
    files = sorted((WORKSPACE / "tests/vectors" / folder).glob("*.json"))
    assert files, folder
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def vector_list(file: str) -> list[dict[str, Any]]:
    """The vectors of a file that is a list of them."""
    listed: list[dict[str, Any]] = json.loads(
        (WORKSPACE / "tests/vectors" / file).read_text(encoding="utf-8")
    )
    assert listed, file
    return listed


def identity(signing_key: str, signing_seed: str, xwing_seed: str) -> ctalk.Identity:
    """The identity of a vector, whose values are hex. Its X25519 key matters to none of them."""
    keys = {
        "publicKey": "E75P6uryBMf9M1j8nAByGIHRdCeBKCJ+xnTzf3/pe20=",
        "privateKey": b64(bytes([7] * 32)),
        "signingKey": b64(bytes.fromhex(signing_key)),
        "signingPrivateKey": b64(bytes.fromhex(signing_seed + signing_key)),
    }
    return ctalk.Identity.from_keys(json.dumps(keys), bytes.fromhex(xwing_seed))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Scene:
    """Agents of one test, at the relay of all tests."""

    def __init__(self, relay: ctalk.Relay, folder: Path, number: int) -> None:
        self.relay = relay
        self._folder = folder
        self._number = number
        self._clients: list[ctalk.Client] = []

    def name(self, name: str) -> str:
        """An agent's name at the relay, and as a contact."""
        return f"{name}-{self._number}"

    def profile(self, name: str) -> Path:
        return self._folder / name

    def register(self, name: str) -> Path:
        """Makes and registers an agent."""
        folder = self.profile(name)
        with ctalk.Identity.generate() as identity:
            identity.save(folder, self.name(name), key_store="plain")
        with ctalk.Client(folder) as client:
            client.register(relay=self.relay.url, admin_key=self.relay.admin_key)
        return folder

    def open(self, name: str) -> ctalk.Client:
        """Opens an agent once more."""
        client = ctalk.Client(self.profile(name))
        self._clients.append(client)
        return client

    def agent(self, name: str) -> ctalk.Client:
        """A new agent."""
        self.register(name)
        return self.open(name)

    def close(self) -> None:
        for client in self._clients:
            client.close()


def wait_until_it_waits(client: ctalk.Client) -> None:
    """Returns when some thread waits in a call of this client."""
    while not client._stoppers:
        pass


def wait_until_in(thread: threading.Thread, function: Callable[..., object]) -> None:
    """Returns when a thread is in this function, and in none that it calls but for one of C."""
    while True:
        frame = sys._current_frames().get(thread.ident or 0)
        if frame is not None and frame.f_code is function.__code__:
            return


def wait_until_the_main_thread_waits() -> None:
    """Returns when the main thread waits for a call."""
    wait_until_in(threading.main_thread(), interruptibly)
