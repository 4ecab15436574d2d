"""The shared vectors: same verdict, same failure class, same contents."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

from ctalk_envelope import card, content, envelope, part, text
from ctalk_envelope.errors import EnvelopeError
from ctalk_envelope.identity import Recipient, fingerprint

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
    result = _read(vector)
    expected = vector[vector["kind"].replace("text-", "")]
    wrong = {
        name: (result.get(name), expected.get(name))
        for name in result.keys() | expected.keys()
        if name not in result or name not in expected or result[name] != expected[name]
    }
    assert not wrong, wrong


def _is_refused(vector: Vector) -> None:
    try:
        _read(vector)
    except EnvelopeError as error:
        assert error.name == vector["class"], f"{error.name}, not {vector['class']}: {error}"
        return
    raise AssertionError(f"it was read, and must be refused as {vector['class']}")


def _read(vector: Vector) -> Dict[str, Any]:
    """What the input says, with the members of a valid vector."""
    kind, given = vector["kind"], vector["input"]
    if kind == "card":
        return _read_card(_from_base64(given))
    if kind == "text-card":
        return _read_card(text.card_from_text(given))
    if kind == "envelope":
        return _read_envelope(vector, _from_base64(given))
    if kind == "text-envelope":
        return _read_envelope(vector, text.envelope_from_text(given))
    if kind == "part":
        return _read_part(vector, _from_base64(given))
    if kind == "text-part":
        return _read_part(vector, text.part_from_text(given))
    raise ValueError(f"there is no kind {kind} of vector")


def _read_envelope(vector: Vector, data: bytes) -> Dict[str, Any]:
    keys = vector["recipient"]
    recipient = Recipient(bytes.fromhex(keys["signingKey"]), [bytes.fromhex(keys["xwingSeed"])])
    opened = envelope.parse(data).verify().open(recipient, vector["now"])
    header, metadata = opened.header, opened.metadata
    return {
        "sender": header.sender.hex(),
        "id": header.id.hex(),
        "created": header.created,
        "expires": header.expires,
        "recipients": len(header.hints),
        "headerDigest": header.digest.hex(),
        "metadata": {
            "kind": content.KINDS[metadata.kind],
            **({"receipt": True} if metadata.receipt else {}),
            "topic": metadata.topic,
            "correlationId": metadata.correlation_id,
            "replyTo": metadata.reply_to,
            "contentType": metadata.content_type,
            "name": metadata.name,
            "card": None if metadata.card is None else text.card_to_text(metadata.card),
        },
        "payload": base64.b64encode(opened.payload).decode("ascii"),
    }


def _read_card(data: bytes) -> Dict[str, Any]:
    read = card.read(data)
    return {
        "fingerprint": fingerprint(read.signing_key),
        "name": read.name,
        # As text, because JSON's numbers end before a u64 does.
        "serial": str(read.serial),
        "created": read.created,
        "expires": read.expires,
        "signingKey": read.signing_key.hex(),
        "encryptionKey": read.encryption_key.hex(),
        "xwingKey": read.xwing_key.hex(),
        "addresses": read.addresses,
    }


def _read_part(vector: Vector, data: bytes) -> Dict[str, Any]:
    read = part.read(data, vector["now"])
    return {
        "sender": read.whole.sender.hex(),
        "id": read.whole.id.hex(),
        "index": read.index,
        "count": read.whole.count,
        "sliceLength": read.whole.slice_length,
        "length": read.whole.length,
        "expires": read.whole.expires,
        "digest": read.whole.digest.hex(),
        "slice": base64.b64encode(read.slice).decode("ascii"),
    }


def _from_base64(encoded: str) -> bytes:
    return base64.b64decode(encoded, validate=True)
