"""Agents at a relay of this process."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path
from typing import Iterator

import pytest

import ctalk
from support import Scene

# What a shell starts in the background is told to ignore Ctrl-C, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def relay() -> Iterator[ctalk.Relay]:
    with ctalk.Relay() as relay:
        yield relay


@pytest.fixture
def scene(relay: ctalk.Relay, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(relay, tmp_path, next(_numbers))
    yield scene
    scene.close()
