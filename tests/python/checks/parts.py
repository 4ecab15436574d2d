"""Parts: what is cut is put together, and what does not belong together is not."""

from __future__ import annotations

import dataclasses

from ctalk_envelope import card, content, envelope, part
from ctalk_envelope.errors import Expired, Malformed
from ctalk_envelope.identity import Identity

_NOW = 1_700_000_000_000
_HOUR = 3_600_000
_ALICE = Identity(bytes([1]) * 32, bytes([2]) * 32, [bytes([3]) * 32])
_METADATA = content.Metadata(kind=3, content_type="t")


def _seal(payload):
    issued = card.issue(_ALICE, 1, _NOW, _NOW + _HOUR, "alice", [])
    return envelope.seal(_ALICE, [issued], _NOW, _NOW + _HOUR, _METADATA, payload)


def _parts(sealed, slice_length=2048):
    return [part.read(data, _NOW) for data in part.split(_ALICE, sealed, slice_length)]


def _is_malformed(parts):
    try:
        part.join(parts)
    except Malformed:
        return True
    return False


def parts_in_any_order_make_the_envelope():
    sealed = _seal(bytes(9000))
    for slice_length in (2048, 3000, len(sealed) - 1):
        parts = _parts(sealed, slice_length)
        assert part.join(parts[::-1] + parts[:1]) == sealed


def parts_that_are_missing_or_conflict_make_none():
    parts, others = _parts(_seal(bytes(9000))), _parts(_seal(b"x" * 9000))
    assert _is_malformed(parts[1:])
    assert _is_malformed(parts[:-1] + others[-1:])
    assert _is_malformed(parts + [dataclasses.replace(parts[0], slice=others[0].slice)])
    longer = dataclasses.replace(parts[0].whole, expires=parts[0].whole.expires + 1)
    assert _is_malformed([dataclasses.replace(each, whole=longer) for each in parts])


def parts_of_an_expired_envelope_are_refused():
    (first, *_) = part.split(_ALICE, _seal(bytes(9000)), 2048)
    part.read(first, _NOW + _HOUR + 300_000)
    try:
        part.read(first, _NOW + _HOUR + 300_001)
    except Expired:
        return
    raise AssertionError("it was read")
