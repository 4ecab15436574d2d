"""Agents at a relay of this process."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Iterator

import pytest

import ctalk
from support import Scene

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
