"""Every file of tests/vectors that reads something which the package can read."""

from __future__ import annotations

import base64
import json
from typing import Any, Optional

import pytest

import ctalk
from support import WORKSPACE, b64, identity, vector_list, vectors

VALID = vectors("envelope/valid")
INVALID = vectors("envelope/invalid")
CLASSIC = vectors("classic")

#: The classes of refused cards and envelopes, and what they are here.
FAILURES = {
    "malformed": (ctalk.MalformedError, "CTALK_MALFORMED"),
    "newer": (ctalk.MalformedError, "CTALK_NEWER"),
    "not-verified": (ctalk.NotVerifiedError, "CTALK_NOT_VERIFIED"),
    "expired": (ctalk.RefusedError, "CTALK_EXPIRED"),
    "not-for-me": (ctalk.CannotOpenError, "CTALK_NOT_FOR_ME"),
    "cannot-open": (ctalk.CannotOpenError, "CTALK_CANNOT_OPEN"),
}


def is_a_part(vector: Any) -> bool:
    """Slices of a message are a matter between clients and never leave them."""
    return vector["kind"] in ("part", "text-part")


def test_only_parts_of_messages_and_pairing_are_left_out() -> None:
    files = {file.name for file in (WORKSPACE / "tests/vectors").glob("*.json")}
    # Pairing is a conversation, which the command line leads.
    assert files == {"pairing.json", "receipt.json", "safety.json", "succession.json", "xwing.json"}
    kinds = {v["kind"] for v in [*VALID.values(), *INVALID.values()] if not is_a_part(v)}
    assert kinds == {"envelope", "text-envelope", "card", "text-card"}
    assert sum(not is_a_part(v) for v in VALID.values()) >= 45
    assert sum(not is_a_part(v) for v in INVALID.values()) >= 270
    assert len(CLASSIC) >= 75


def read(vector: Any) -> dict[str, Any]:
    """What the package makes of a vector, in the vector's words."""
    is_text = vector["kind"].startswith("text-")
    given = vector["input"] if is_text else base64.b64decode(vector["input"])
    if vector["kind"] in ("card", "text-card"):
        return {"card": shown_card(ctalk.Card.parse(given))}
    reader = vector["recipient"]
    me = identity(reader["signingKey"], reader["signingSeed"], reader["xwingSeed"])
    return {"envelope": shown_envelope(me.open(given, now=vector["now"]))}


def shown_card(card: ctalk.Card) -> dict[str, Any]:
    return {
        "fingerprint": card.fingerprint,
        "name": card.name,
        "serial": str(card.serial),
        "created": card.created,
        "expires": card.expires,
        "signingKey": card.signing_key.hex(),
        "encryptionKey": card.encryption_key.hex(),
        "xwingKey": card.xwing_key.hex(),
        "addresses": card.addresses,
    }


def shown_envelope(opened: ctalk.Envelope) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "kind": opened.type,
        "topic": opened.topic,
        "correlationId": opened.correlation_id,
        "replyTo": opened.reply_to,
        "contentType": opened.content_type,
        "name": opened.name,
        "card": None if opened.card is None else str(opened.card),
    }
    if opened.wants_receipt:
        metadata["receipt"] = True
    return {
        "sender": opened.sender.hex(),
        "id": opened.id,
        "created": opened.created,
        "expires": opened.expires,
        "recipients": opened.recipients,
        "headerDigest": opened.digest.hex(),
        "metadata": metadata,
        "payload": b64(opened.payload),
    }


@pytest.mark.parametrize("name", [name for name, v in VALID.items() if not is_a_part(v)])
def test_a_valid_vector_reads_as_it_says(name: str) -> None:
    vector = VALID[name]
    expected = {part: vector[part] for part in ("card", "envelope") if part in vector}
    assert read(vector) == expected


@pytest.mark.parametrize("name", [name for name, v in INVALID.items() if not is_a_part(v)])
def test_an_invalid_vector_fails_with_its_class(name: str) -> None:
    vector = INVALID[name]
    expected, code = FAILURES[vector["class"]]
    with pytest.raises(ctalk.Error) as failure:
        read(vector)
    assert (type(failure.value), failure.value.name) == (expected, code)


@pytest.mark.parametrize("name", CLASSIC)
def test_a_classic_vector_is_read_as_it_says(name: str) -> None:
    vector = CLASSIC[name]
    assert read_classic(vector) == (vector["expect"].split(":")[0], vector.get("payload"))


def read_classic(vector: Any) -> tuple[str, Optional[str]]:
    sender = ctalk.Peer(vector["sender"]["publicKey"], vector["sender"]["signingKey"])
    keys = json.dumps(vector["recipient"])
    me = ctalk.Identity.from_keys(keys)
    try:
        try:
            return "opened", me.open_classic(vector["relayed"], sender).payload.decode()
        except ctalk.NotVerifiedError as error:
            if error.name != "CTALK_NOT_SIGNED":
                raise
            unsigned = me.open_unsigned_classic(vector["relayed"], sender)
            return "unauthenticated", unsigned.payload.decode()
    except ctalk.NotVerifiedError:
        return "not verified", None
    except ctalk.CannotOpenError:
        return "cannot open", None
    except ctalk.MalformedError:
        return "malformed", None


@pytest.mark.parametrize("vector", vector_list("safety.json"), ids=lambda v: v["description"])
def test_a_safety_number_is_that_of_its_vector_in_either_order(vector: Any) -> None:
    one, other = vector["fingerprints"]
    number = {"safetyNumber": vector["digits"], "words": vector["words"], "qr": vector["qr"]}
    assert ctalk.safety_number(one, other) == ctalk.safety_number(other, one) == number


@pytest.mark.parametrize("vector", vector_list("succession.json"), ids=lambda v: v["description"])
def test_a_statement_has_the_verdict_of_its_vector(vector: Any) -> None:
    if "class" in vector:
        expected, code = FAILURES[vector["class"]]
        with pytest.raises(ctalk.Error) as failure:
            ctalk.verify_statement(vector["text"])
        assert (type(failure.value), failure.value.name) == (expected, code)
        return
    stated = vector["statement"]
    fingerprints = [identity["fingerprint"] for identity in stated["identities"]]
    assert ctalk.verify_statement(vector["text"]) == {
        "kind": vector["kind"],
        "fingerprint": fingerprints[0],
        "successor": fingerprints[1] if len(fingerprints) == 2 else None,
        "created": stated["created"],
    }


@pytest.mark.parametrize("vector", vector_list("receipt.json"), ids=lambda v: v["description"])
def test_a_receipt_has_the_verdict_of_its_vector(vector: Any) -> None:
    payload = bytes.fromhex(vector["payload"])
    given = (payload, vector["contentType"], vector["replyTo"])
    if "receipt" in vector:
        assert ctalk.read_receipt(*given) == vector["receipt"]
    else:
        with pytest.raises(ctalk.MalformedError):
            ctalk.read_receipt(*given)


def test_the_x_wing_key_of_a_seed_is_that_of_its_vector() -> None:
    keys = ctalk.Identity.generate().keys().json
    for vector in vector_list("xwing.json"):
        me = ctalk.Identity.from_keys(keys, bytes.fromhex(vector["seed"]))
        assert me.card("me").xwing_key.hex() == vector["pk"]
