"""Puts libctalk, and what cffi needs to know of it, into the wheel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from cffi import FFI
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WORKSPACE = Path(__file__).resolve().parents[2]
HEADER = WORKSPACE / "crates/ffi/include/ctalk.h"
LIBRARY = "libctalk.dylib" if sys.platform == "darwin" else "libctalk.so"


class Library(BuildHookInterface):
    """Takes the library that CTALK_LIBRARY names, or builds it with cargo."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            # It would be without the sources of the library.
            self.app.abort("there are no source distributions of ctalk: build a wheel in its source tree")
        self.folder = tempfile.TemporaryDirectory()
        declarations = Path(self.folder.name) / "_abi.py"
        ffi = FFI()
        ffi.set_source("ctalk._abi", None)
        ffi.cdef(for_cffi(HEADER.read_text(encoding="utf-8")))
        ffi.emit_python_code(str(declarations))
        library = os.environ.get("CTALK_LIBRARY") or build()
        platform = re.sub("[-.]", "_", sysconfig.get_platform())
        build_data["pure_python"] = False
        # Nothing in it depends on the version of Python.
        build_data["tag"] = f"py3-none-{platform}"
        build_data["force_include"][str(Path(library).resolve())] = f"ctalk/{LIBRARY}"
        build_data["force_include"][str(declarations)] = "ctalk/_abi.py"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self.folder.cleanup()


def build() -> Path:
    """Builds the library as users get it, and gives the file that cargo says it made."""
    command = ["cargo", "build", "--profile", "dist", "--locked", "--package", "ctalk-ffi", "--lib"]
    done = subprocess.run(
        [*command, "--message-format", "json-render-diagnostics"],
        cwd=WORKSPACE,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    for line in reversed(done.stdout.splitlines()):
        for file in map(Path, json.loads(line).get("filenames", [])):
            if file.name == LIBRARY:
                return file
    raise FileNotFoundError(f"cargo built no {LIBRARY}")


def for_cffi(header: str) -> str:
    """What a C compiler of before 2023 sees of the header, which is all that cffi can read."""
    header = re.sub(r"/\*.*?\*/|//[^\n]*", "", header, flags=re.DOTALL)
    lines: list[str] = []
    seen: list[bool] = []
    for line in header.splitlines():
        if line.startswith("#if"):
            seen.append(line.startswith("#ifndef"))
        elif line.startswith("#else"):
            seen[-1] = not seen[-1]
        elif line.startswith("#endif"):
            seen.pop()
        elif all(seen) and (not line.startswith("#") or re.match(r"#define \w+ \d+$", line)):
            lines.append(line)
    return "\n".join(lines)
