"""The package as such."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import ctalk
from support import WORKSPACE

PACKAGE = WORKSPACE / "bindings/python"


def test_its_version_is_that_of_the_workspace() -> None:
    manifest = (WORKSPACE / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'(?m)^version = "([^"]+)"$', manifest)
    assert found and ctalk.__version__ == found[1]


def test_python_3_9_can_read_it() -> None:
    sources = [*PACKAGE.rglob("src/**/*.py"), *(WORKSPACE / "examples/python").glob("*.py")]
    assert len(sources) > 10
    for source in sources:
        ast.parse(source.read_text(encoding="utf-8"), str(source), feature_version=(3, 9))


def test_it_says_that_it_has_types() -> None:
    assert Path(ctalk.__file__).with_name("py.typed").exists()


def test_its_licences_come_along() -> None:
    files = importlib.metadata.files("ctalk") or []
    for name in ("LICENSE-APACHE", "LICENSE-MIT"):
        packed = [file for file in files if file.name == name]
        assert len(packed) == 1, name
        assert packed[0].read_text() == (WORKSPACE / name).read_text(encoding="utf-8")


def test_importing_it_loads_neither_asyncio_nor_a_parser() -> None:
    script = "import sys, ctalk; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    modules = run.stdout.split()
    assert "ctalk.client" in modules
    assert not {"asyncio", "cffi", "pycparser", "concurrent.futures"} & set(modules)


def test_everything_exported_is_documented() -> None:
    for name in ctalk.__all__:
        assert getattr(ctalk, name).__doc__, name
