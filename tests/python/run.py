#!/usr/bin/env python3
"""Checks the Python implementation of envelope and card, and its agreement with ctalk's vectors.

The last line is `N passed, M failed`; the exit code is 1 when a check failed.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Callable, Iterator, Tuple

from checks import ctalk, format, kem, keys, parts, receipts, vectors

Check = Tuple[str, Callable[[], None]]

_VECTORS = Path(__file__).resolve().parent.parent / "vectors"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ctalk", type=Path, help="also exchange envelopes with this binary")
    args = parser.parse_args()

    passed = failed = 0
    for name, check in _checks(args):
        try:
            check()
        except Exception:
            failed += 1
            print(f"FAIL {name}\n{traceback.format_exc()}")
        else:
            passed += 1
            print(f"ok   {name}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def _checks(args: argparse.Namespace) -> Iterator[Check]:
    for module in (keys, kem, format, parts):
        yield from _claims(module)
    yield from vectors.checks(_VECTORS / "envelope")
    yield from receipts.checks(_VECTORS / "receipt.json")
    if args.ctalk is not None:
        yield from ctalk.checks(args.ctalk)


def _claims(module: ModuleType) -> Iterator[Check]:
    """The public functions that `module` itself defines."""
    for name, value in vars(module).items():
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__:
            yield f"{module.__name__}.{name}", value


if __name__ == "__main__":
    sys.exit(main())
