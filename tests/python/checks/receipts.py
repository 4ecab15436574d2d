"""The shared vectors of receipts (section 4.3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Iterator, Tuple

from ctalk_envelope import receipt
from ctalk_envelope.content import Metadata
from ctalk_envelope.errors import Malformed


def checks(path: Path) -> Iterator[Tuple[str, Callable[[], None]]]:
    """One check for every vector of the file."""
    for vector in json.loads(path.read_text("utf-8")):

        def agrees(vector: dict = vector) -> None:
            metadata = Metadata(
                kind=4, content_type=vector["contentType"], reply_to=vector["replyTo"]
            )
            try:
                read = vars(receipt.read(metadata, bytes.fromhex(vector["payload"])))
            except Malformed:
                read = None
            assert read == vector.get("receipt"), read

        yield f"receipts.{vector['description']}", agrees
