"""The shared vectors: same verdict, same failure class, same contents."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

from ctalk_envelope import card, content, envelope, text
from ctalk_envelope.errors import EnvelopeError
from ctalk_envelope.identity import Recipient

Vector = Dict[str, Any]


def checks(folder: Path) -> Iterator[Tuple[str, Callable[[], None]]]:
    """One check for every file in `valid` and `invalid`; a folder without files is a failure."""
    for verdict, judge in (("valid", _is_read), ("invalid", _is_refused)):
        paths = sorted((folder / verdict).glob("*.json"))
        if not paths:

            def there_are_vectors(verdict: str = verdict) -> None:
                raise FileNotFoundError(f"there are no vectors in {folder / verdict}")

            yield f"vectors.{verdict}", there_are_vectors
        for path in paths:

            def agrees(path: Path = path, judge: Callable[[Vector], None] = judge) -> None:
                judge(json.loads(path.read_text("utf-8")))

            yield f"vectors.{verdict}.{path.stem}", agrees


def _is_read(vector: Vector) -> None:
    expected = {name: vector[name] for name in _RESULT_MEMBERS[_is_card(vector)]}
    result = _READERS[vector["kind"]](vector)
    assert result == expected, (result, expected)


def _is_refused(vector: Vector) -> None:
    try:
        _READERS[vector["kind"]](vector)
    except EnvelopeError as error:
        assert error.name == vector["class"], f"{error.name}, not {vector['class']}: {error}"
        return
    raise AssertionError(f"it was read, and must be refused as {vector['class']}")


_RESULT_MEMBERS = {
    False: ("sender", "id", "created", "expires", "metadata", "payload"),
    True: ("card",),
}


def _is_card(vector: Vector) -> bool:
    return vector["kind"] in ("card", "text-card")


def _read_envelope(vector: Vector, data: bytes) -> Dict[str, Any]:
    keys = vector["recipient"]
    recipient = Recipient(bytes.fromhex(keys["signingKey"]), [bytes.fromhex(keys["xwingSeed"])])
    opened = envelope.parse(data).verify().open(recipient, vector["now"])
    metadata = opened.metadata
    return {
        "sender": opened.header.sender.hex(),
        "id": opened.header.id.hex(),
        "created": opened.header.created,
        "expires": opened.header.expires,
        "metadata": {
            "kind": content.KINDS[metadata.kind],
            "topic": metadata.topic,
            "correlationId": metadata.correlation_id,
            "replyTo": metadata.reply_to,
            "contentType": metadata.content_type,
            "name": metadata.name,
            "card": None if metadata.card is None else _to_base64(metadata.card),
        },
        "payload": _to_base64(opened.payload),
    }


def _read_card(_vector: Vector, data: bytes) -> Dict[str, Any]:
    read = card.read(data)
    return {
        "card": {
            "serial": read.serial,
            "created": read.created,
            "expires": read.expires,
            "signingKey": read.signing_key.hex(),
            "encryptionKey": read.encryption_key.hex(),
            "xwingKey": read.xwing_key.hex(),
            "name": read.name,
            "addresses": read.addresses,
        }
    }


_READERS: Dict[str, Callable[[Vector], Dict[str, Any]]] = {
    "envelope": lambda vector: _read_envelope(vector, _from_base64(vector["input"])),
    "card": lambda vector: _read_card(vector, _from_base64(vector["input"])),
    "text-envelope": lambda vector: _read_envelope(
        vector, text.envelope_from_text(vector["input"])
    ),
    "text-card": lambda vector: _read_card(vector, text.card_from_text(vector["input"])),
}


def _from_base64(encoded: str) -> bytes:
    return base64.b64decode(encoded, validate=True)


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
