"""Identities, cards, envelopes and ClawTalk's format, in memory and through files."""

from __future__ import annotations

import array
import io
import json
import mmap
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest

import ctalk
from ctalk.errors import Error
from support import handles

ALICE = ctalk.Identity.generate()
BOB = ctalk.Identity.generate()
CARDS = [BOB.card("bob")]
FROM_ALICE = ALICE.card("alice")


@pytest.mark.parametrize(
    ("said", "content_type"),
    [
        ("grüße", "text/plain"),
        ("", "text/plain"),
        (b"\x00\xff", "application/octet-stream"),
        (b"", "application/octet-stream"),
        ({"answer": 42, "why": None}, "application/json"),
        ([1.5, True], "application/json"),
        (None, "application/json"),
    ],
)
def test_what_is_sealed_is_opened_as_the_same(said: Any, content_type: str) -> None:
    opened = BOB.open(ALICE.seal(said, CARDS), sender=FROM_ALICE)
    assert opened.content == said
    assert opened.content_type == content_type
    assert opened.fingerprint == ALICE.fingerprint


def mapped(data: bytes) -> mmap.mmap:
    """Memory with this in it."""
    memory = mmap.mmap(-1, len(data))
    memory.write(data)
    return memory


def numbers(data: bytes) -> array.array[int]:
    return array.array("B", data)


@pytest.mark.parametrize("like", [bytes, bytearray, memoryview, mapped, numbers])
def test_everything_like_bytes_is_taken(like: Any) -> None:
    sealed = ALICE.seal(like(b"data"), CARDS)
    assert BOB.open(like(sealed)).payload == b"data"
    assert ctalk.inspect(like(sealed)) == ctalk.inspect(sealed)
    assert ctalk.Card.parse(like(bytes(FROM_ALICE))) == FROM_ALICE
    strided = memoryview(b"d-a-t-a-")[::2]
    assert BOB.open(ALICE.seal(strided, CARDS)).payload == b"data"


def test_what_is_said_besides_the_payload_arrives() -> None:
    sealed = ALICE.seal(
        b"data",
        CARDS,
        type="request",
        topic="lab",
        correlation_id="c-1",
        reply_to="r-1",
        content_type="image/png",
        name="picture.png",
        receipt=True,
        card=FROM_ALICE,
        created=FROM_ALICE.created,
        ttl=60,
        armor=True,
    )
    assert sealed.startswith(b"ctalk2:")
    opened = BOB.open(sealed.decode())
    assert (opened.type, opened.topic, opened.correlation_id) == ("request", "lab", "c-1")
    assert (opened.reply_to, opened.content_type, opened.name) == (
        "r-1",
        "image/png",
        "picture.png",
    )
    assert opened.wants_receipt and opened.card == FROM_ALICE
    assert opened.created == FROM_ALICE.created
    assert opened.expires == FROM_ALICE.created + 60_000
    assert opened.content == b"data"


def test_an_envelope_from_somebody_else_is_not_taken() -> None:
    sealed = BOB.seal("hello", CARDS)
    with pytest.raises(ctalk.NotTrustedError):
        BOB.open(sealed, sender=FROM_ALICE)


def test_an_envelope_for_somebody_else_does_not_open_but_verifies() -> None:
    sealed = ALICE.seal("hello", CARDS)
    with pytest.raises(ctalk.CannotOpenError):
        ALICE.open(sealed)
    assert ctalk.verify(sealed)["fingerprint"] == ALICE.fingerprint
    assert ctalk.verify(io.BytesIO(sealed)) == ctalk.verify(sealed)
    assert ctalk.inspect(sealed)["claimedSender"] == ALICE.fingerprint
    assert ctalk.inspect(io.BytesIO(sealed)) == ctalk.inspect(sealed)


def test_an_altered_envelope_is_not_verified() -> None:
    sealed = bytearray(ALICE.seal("hello", CARDS))
    sealed[-1] ^= 1
    for look in (BOB.open, ctalk.verify):
        with pytest.raises(ctalk.NotVerifiedError):
            look(sealed)


@pytest.mark.parametrize("armor", [False, True])
def test_a_file_of_many_segments_goes_through(tmp_path: Path, armor: bool) -> None:
    data = os.urandom(2**20 + 17)
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(data)
    with plain.open("rb", buffering=0) as source, sealed.open("wb", buffering=0) as target:
        told = ALICE.seal_file(source, target, CARDS, armor=armor, name="plain")
    assert told["bytes"] == len(data)
    with sealed.open("rb") as source, opened.open("wb") as target:
        inside = BOB.open_file(source, target, sender=FROM_ALICE)
    assert inside["name"] == "plain" and inside["trust"] == "named"
    assert opened.read_bytes() == data


def test_of_a_broken_file_only_what_was_verified_is_written() -> None:
    sealed = io.BytesIO()
    ALICE.seal_file(io.BytesIO(bytes(2**20 + 1)), sealed, CARDS)
    broken = bytearray(sealed.getvalue())
    broken[-1] ^= 1
    target = io.BytesIO()
    with pytest.raises(ctalk.NotVerifiedError):
        BOB.open_file(io.BytesIO(broken), target)
    assert bytes(2**20 + 1).startswith(target.getvalue())


def test_a_card_is_the_same_as_text_and_as_bytes() -> None:
    card = BOB.card("bob", serial=7, created=1000, expires=2000, addresses=["a", "b"])
    assert ctalk.Card.parse(str(card)) == ctalk.Card.parse(bytes(card)) == card
    assert pickle.loads(pickle.dumps(card)) == card
    assert (card.name, card.serial, card.created, card.expires) == ("bob", 7, 1000, 2000)
    assert card.addresses == ["a", "b"]
    assert card.info["card"] == str(card)
    assert card.fingerprint == BOB.fingerprint
    card.check_current(1500)
    with pytest.raises(ctalk.NotTrustedError):
        card.check_current()
    with pytest.raises(ctalk.NotTrustedError):
        ALICE.seal("hello", [card])


def test_keys_go_out_and_in() -> None:
    keys = BOB.keys()
    again = ctalk.Identity.from_keys(*keys)
    assert again.fingerprint == BOB.fingerprint
    assert again.open(ALICE.seal("hello", CARDS)).content == "hello"
    # As ClawTalk's key generator prints them, and without a key to receive with.
    assert set(json.loads(keys.json)) == {
        "publicKey",
        "privateKey",
        "signingKey",
        "signingPrivateKey",
    }
    only_sends = ctalk.Identity.from_keys(keys.json)
    only_sends.seal("hello", [FROM_ALICE])
    with pytest.raises(ctalk.MalformedError):
        only_sends.card("bob")


def test_an_identity_is_saved_and_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    identity = ctalk.Identity.generate()
    identity.save(folder, "carol", key_store="file", passphrase="secret")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with pytest.raises(ctalk.UsageError, match="profile"):
        identity.save(folder, "carol", key_store="plain")
    with pytest.raises(ctalk.LocalStoreError) as failure:
        ctalk.Identity.load(folder, "wrong")
    assert failure.value.name == "CTALK_BAD_PASSPHRASE"
    loaded = ctalk.Identity.load(folder, "secret")
    assert loaded.card().name == "carol"
    assert loaded.open(ALICE.seal("hello", [loaded.card()])).content == "hello"
    with pytest.raises(ctalk.LocalStoreError) as failure:
        ctalk.Identity.load(tmp_path / "nowhere")
    assert failure.value.name == "CTALK_NO_PROFILE"


def test_the_format_of_clawtalk_goes_both_ways() -> None:
    alice, bob = ctalk.Peer.of(FROM_ALICE), ctalk.Peer.of(CARDS[0])
    sealed = ALICE.seal_classic({"answer": 42}, bob, to="bob", topic="sums")
    message = {"from": "alice", "to": "bob", "type": "notification", "topic": "sums"}
    listed = json.dumps({"encrypted": True, **message, **sealed})
    opened = BOB.open_classic(listed, alice)
    assert opened.content == {"answer": 42}
    assert opened.claims["topic"] == "sums"
    with pytest.raises(ctalk.NotVerifiedError):
        BOB.open_classic(listed.replace("sums", "else"), alice)
    with pytest.raises(ctalk.UsageError):
        BOB.open_unsigned_classic(listed, alice)
    del sealed["signature"]  # type: ignore[misc]
    unsigned = BOB.open_unsigned_classic(json.dumps({"encrypted": True, **message, **sealed}), alice)
    assert unsigned.content == {"answer": 42}
    assert not isinstance(unsigned, ctalk.Classic)


def test_a_with_wipes_an_identity() -> None:
    before = handles()
    with ctalk.Identity.generate() as identity:
        assert handles() == before + 1
    assert handles() == before
    with pytest.raises(ctalk.UsageError) as failure:
        identity.seal("hello", CARDS)
    assert failure.value.name == "CTALK_WRONG_HANDLE"
    assert "freed" in str(failure.value)
    identity.close()


def test_nothing_is_left_behind() -> None:
    before = handles()
    for _ in range(10):
        opened = BOB.open(ALICE.seal("hello", [ctalk.Card.parse(str(CARDS[0]))], card=FROM_ALICE))
        assert opened.card is not None
        with pytest.raises(Error):
            BOB.open(b"nothing")
    del opened
    assert handles() == before
