"""Made by cffi from ctalk.h when the wheel is built."""

from typing import Any

ffi: Any
