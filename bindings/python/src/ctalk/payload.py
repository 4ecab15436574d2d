"""What messages say: texts, JSON and bytes."""

from __future__ import annotations

import json
from typing import Any, Optional

from ctalk import _native as native

TEXT = "text/plain"
JSON = "application/json"
BYTES = "application/octet-stream"

_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


def encoded(payload: Any, content_type: Optional[str]) -> tuple[bytes, str]:
    """A payload as bytes, and what it is unless the caller says so: a `str` is text, what is like
    `bytes` is bytes, and everything else is JSON."""
    if isinstance(payload, str):
        return native.text(payload), content_type or TEXT
    if native.is_bytes(payload):
        return native.data(payload), content_type or BYTES
    return native.text(_encode(payload)), content_type or JSON


def decoded(payload: Any, content_type: str) -> Any:
    """What `encoded` was given: a `str`, `bytes`, or what the JSON says."""
    if content_type == TEXT:
        return str(payload, "utf-8")
    said = bytes(payload)
    return json.loads(said) if content_type == JSON else said
