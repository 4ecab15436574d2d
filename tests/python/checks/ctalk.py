"""Exchanges cards and envelopes with a `ctalk` binary, in both directions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Iterator, Tuple

from ctalk_envelope import card, text

_TIMEOUT_SECONDS = 60
_PYTHON_FOLDER = Path(__file__).resolve().parent.parent
# Nothing, one segment, and two.
_PAYLOADS = (b"", bytes(range(256)) * 4, bytes(range(256)) * 5000)


def checks(binary: Path) -> Iterator[Tuple[str, Callable[[], None]]]:
    """The checks, in one temporary folder, with one identity on each side."""
    if not binary.is_file():

        def the_binary_exists() -> None:
            raise FileNotFoundError(f"there is no {binary}; build it or leave out --ctalk")

        yield "ctalk.the_binary_exists", the_binary_exists
        return
    with tempfile.TemporaryDirectory() as folder:
        exchange = _Exchange(binary.resolve(), Path(folder))
        yield "ctalk.its_card_is_read", exchange.its_card_is_read
        for payload in _PAYLOADS:
            for armored in (False, True):
                name = f"{len(payload)}_bytes_as_{'text' if armored else 'bytes'}"

                def it_opens(payload: bytes = payload, armored: bool = armored) -> None:
                    exchange.it_opens_what_is_sealed_here(payload, armored)

                def it_seals(payload: bytes = payload, armored: bool = armored) -> None:
                    exchange.what_it_seals_is_opened_here(payload, armored)

                yield f"ctalk.it_opens_what_is_sealed_here.{name}", it_opens
                yield f"ctalk.what_it_seals_is_opened_here.{name}", it_seals
        yield "ctalk.it_verifies_what_is_sealed_here", exchange.it_verifies_what_is_sealed_here
        yield "ctalk.it_refuses_a_changed_bit", exchange.it_refuses_a_changed_bit


class _Exchange:
    """Two identities: one made by the binary, one by this implementation."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._ready = False

    def its_card_is_read(self) -> None:
        self._set_up()
        theirs = text.without_line_end((self._folder / "their.card").read_text("ascii"))
        assert card.read(text.card_from_text(theirs)).name == "their"

    def it_opens_what_is_sealed_here(self, payload: bytes, armored: bool) -> None:
        assert (
            self._ctalk("open", "--any-sender", stdin=self._seal_here(payload, armored)) == payload
        )

    def what_it_seals_is_opened_here(self, payload: bytes, armored: bool) -> None:
        self._set_up()
        armor = ["--armor"] if armored else []
        sealed = self._ctalk("seal", "--to", self._folder / "our.card", *armor, stdin=payload)
        assert sealed.startswith(b"ctalk2:" if armored else b"ctalke")
        path = self._write("sealed", sealed)
        _python(
            "open", path, "--keys", self._folder / "our.keys", "--payload", self._folder / "out"
        )
        assert (self._folder / "out").read_bytes() == payload

    def it_verifies_what_is_sealed_here(self) -> None:
        sealed = self._write("sealed", self._seal_here(b"hello", False))
        verified = json.loads(_python("verify", sealed))
        assert verified["recipients"] == 1
        self._ctalk("verify", "--from", self._folder / "our.card", sealed)

    def it_refuses_a_changed_bit(self) -> None:
        sealed = self._seal_here(b"hello", False)
        assert self._ctalk("open", "--any-sender", stdin=sealed) == b"hello"
        changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        try:
            self._ctalk("open", "--any-sender", stdin=changed)
        except subprocess.CalledProcessError:
            return
        raise AssertionError("it opened an envelope whose signature was changed")

    def _set_up(self) -> None:
        if self._ready:
            return
        self._ctalk("keygen", "--name", "their", "--key-store", "plain")
        self._write("their.card", self._ctalk("card"))
        keys = self._write("our.keys", _python("keygen"))
        self._write("our.card", _python("card", "--keys", keys, "--name", "our", "--text"))
        self._ready = True

    def _seal_here(self, payload: bytes, armored: bool) -> bytes:
        self._set_up()
        path = self._write("payload", payload)
        form = ["--text"] if armored else []
        keys, theirs = self._folder / "our.keys", self._folder / "their.card"
        return _python("seal", path, "--keys", keys, "--to", theirs, *form)

    def _write(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(data)
        return path

    def _ctalk(self, *arguments: object, stdin: bytes = b"") -> bytes:
        home = {"CTALK_HOME": str(self._folder / "home")}
        return _run([self._binary, *arguments], stdin, {**os.environ, **home})


def _python(*arguments: object) -> bytes:
    """This implementation's command line, as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(_PYTHON_FOLDER)}
    return _run([sys.executable, "-m", "ctalk_envelope", *arguments], b"", environment)


def _run(command: list, stdin: bytes, environment: dict) -> bytes:
    finished = subprocess.run(
        [str(part) for part in command],
        input=stdin,
        capture_output=True,
        env=environment,
        timeout=_TIMEOUT_SECONDS,
    )
    if finished.returncode:
        print(finished.stderr.decode("utf-8", "replace"), end="")
        finished.check_returncode()
    return finished.stdout
