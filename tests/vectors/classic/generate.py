"""Writes the vectors of the ClawTalk message format beside this file.

Needs PyNaCl (`pip install pynacl`) and shares no code with ctalk. The keys are fixed byte sequences,
so that every run writes the same files. README.md says what is in them.
"""

import base64
import hashlib
import json
import pathlib

import nacl.bindings as sodium

HERE = pathlib.Path(__file__).parent
NONCE = bytes(range(0x80, 0x98))
PLAINTEXT = '{"text":"h\u00e9llo \u2028 \\"q\\" \\\\ /","n":1.5}'.encode()
ORDER = 2**252 + 27742317777372353535851937790883648493


def b64(data):
    return base64.b64encode(data).decode()


class Agent:
    def __init__(self, secret_start, seed_start):
        self.secret = bytes(range(secret_start, secret_start + 32))
        self.public = sodium.crypto_scalarmult_base(self.secret)
        self.seed = bytes(range(seed_start, seed_start + 32))
        self.verifying, self.signing = sodium.crypto_sign_seed_keypair(self.seed)

    def keygen(self):
        return {
            "publicKey": b64(self.public),
            "privateKey": b64(self.secret),
            "signingKey": b64(self.verifying),
            "signingPrivateKey": b64(self.signing),
        }

    def public_keys(self):
        return {"publicKey": b64(self.public), "signingKey": b64(self.verifying)}


ALICE = Agent(0x01, 0x41)
BOB = Agent(0x21, 0x61)
MALLORY = Agent(0x81, 0xA1)


def canonical(**members):
    names = ["to", "type", "topic", "correlationId", "ttl", "encrypted", "payload", "nonce"]
    present = {name: members[name] for name in names if name in members}
    text = json.dumps(present, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def sign(signing, message):
    return sodium.crypto_sign(message, signing)[:64]


def signed(plaintext=PLAINTEXT, signer=ALICE, recipient=BOB, ttl=None, **options):
    """A message as the relay lists it, and its canonical string."""
    sealed = sodium.crypto_box(plaintext, NONCE, recipient.public, ALICE.secret)
    members = {"to": "Bob", "type": "request", **options}
    members |= {"encrypted": True, "payload": b64(sealed), "nonce": b64(NONCE)}
    text = canonical(**members, **({} if ttl is None else {"ttl": ttl}))
    members["signature"] = b64(sign(signer.signing, text))
    relayed = {"id": "6b1f6c0e-52a4-4d0f-9d0a-6d5a4c3b2a19", "from": "alice"}
    return relayed | members | {"ts": "2026-03-21T10:11:12.345Z"}, text


def without(message, name):
    return {key: value for key, value in message.items() if key != name}


def flip(text, byte):
    data = bytearray(base64.b64decode(text))
    data[byte] ^= 1
    return b64(bytes(data))


def number(data):
    return int.from_bytes(data, "little")


def signature_with_s_above_the_order(signature):
    raw = base64.b64decode(signature)
    return b64(raw[:32] + (number(raw[32:]) + ORDER).to_bytes(32, "little"))


def signature_with_small_order_r(message):
    """Satisfies the equation with R = the neutral element; only the key's owner can make it."""
    r = (1).to_bytes(32, "little")
    digest = hashlib.sha512(ALICE.seed).digest()
    scalar = number(digest[:32]) & ((1 << 254) - 8) | 1 << 254
    challenge = number(hashlib.sha512(r + ALICE.verifying + message).digest())
    return b64(r + (challenge * scalar % ORDER).to_bytes(32, "little"))


def write(name, about, expect, message, payload=None):
    vector = {
        "about": about,
        "expect": expect,
        "sender": ALICE.public_keys(),
        "recipient": BOB.keygen(),
        "relayed": message if isinstance(message, str) else json.dumps(message, ensure_ascii=False),
    }
    if payload is not None:
        vector["payload"] = payload
    text = json.dumps(vector, indent=2, ensure_ascii=True)
    (HERE / f"{name}.json").write_text(text + "\n")


def main():
    for old in HERE.glob("*.json"):
        old.unlink()
    text = PLAINTEXT.decode()
    tricky = "t\x01\x7f\u2028/\"\\\n\u00e9"
    message, message_text = signed()

    opened = lambda name, about, message, payload=text: write(name, about, "opened", message, payload)
    opened("v1", "no options", message)
    opened("v2", "a topic", signed(topic="sync")[0])
    opened("v3", "characters that need care, and an empty correlation id",
           signed(topic=tricky, correlationId="")[0])
    opened("empty_recipient_name", "an empty string is a value", signed(to="")[0])
    opened("null_topic", "null stands for an absent member", message | {"topic": None})
    opened("unknown_members", "unknown members are ignored", message | {"ttl": 60, "x": [{}]})
    opened("reply_to_added", "replyTo is not covered by the signature", message | {"replyTo": "x"})
    opened("plaintext_spaced", "JSON need not be compact",
           signed(b' {"a" : 1}\n')[0], '{"a" : 1}')
    opened("plaintext_nested_127", "nesting at the limit",
           signed(b"[" * 127 + b"]" * 127)[0], "[" * 127 + "]" * 127)

    refused = lambda name, about, message: write(name, about, "not verified", message)
    refused("v4", "a signature that covers the ttl, which the relay drops",
            signed(ttl=3600, topic="sync")[0])
    refused("signature_of_another", "signed by another agent", signed(signer=MALLORY)[0])
    refused("signature_bit_flipped", "one bit of the signature differs",
            message | {"signature": flip(message["signature"], 0)})
    refused("signature_s_above_order", "the signature's second half is not reduced",
            message | {"signature": signature_with_s_above_the_order(message["signature"])})
    refused("signature_small_order_r", "the signature's first half is a point of small order",
            message | {"signature": signature_with_small_order_r(message_text)})
    refused("payload_bit_flipped", "one bit of the box differs",
            message | {"payload": flip(message["payload"], 20)})
    refused("payload_trailing_bits", "the same box in other base64 is another signed text",
            message | {"payload": message["payload"][:-2] + "5="})
    refused("nonce_bit_flipped", "one bit of the nonce differs",
            message | {"nonce": flip(message["nonce"], 23)})
    refused("to_readdressed", "addressed to another name", message | {"to": "Carol"})
    refused("to_other_case", "the name in other letters", message | {"to": "bob"})
    refused("type_altered", "another type", message | {"type": "response"})
    refused("topic_added", "a topic that was not signed", message | {"topic": "sync"})
    refused("topic_emptied", "an empty topic is not an absent one", message | {"topic": ""})
    refused("correlation_id_removed", "a signed correlation id is gone",
            without(signed(correlationId="c")[0], "correlationId"))

    wrong_keys = "cannot open: wrong keys"
    write("box_for_another", "sealed to another agent's key, and signed for Bob", wrong_keys,
          signed(recipient=MALLORY)[0])
    tampered, _ = signed()
    tampered["payload"] = flip(tampered["payload"], 20)
    members = {name: tampered[name] for name in ("to", "type", "encrypted", "payload", "nonce")}
    tampered["signature"] = b64(sign(ALICE.signing, canonical(**members)))
    write("box_broken_but_signed", "the sender signed a broken box", wrong_keys, tampered)

    not_json = lambda name, about, plaintext: write(
        f"plaintext_{name}", about, "cannot open: not json", signed(plaintext)[0])
    not_json("empty", "no plaintext at all", b"")
    not_json("not_json", "text that is not JSON", b"hello")
    not_json("not_utf8", "a byte that no UTF-8 has", b'"\xff"')
    not_json("trailing", "something after the JSON", b"1 2")
    not_json("lone_surrogate", "half a surrogate pair", b'"\\ud800"')
    not_json("number_overflow", "a number beyond double precision", b"[1e400]")
    not_json("nested_128", "nesting one past the limit", b"[" * 128 + b"]" * 128)

    unauthenticated = lambda name, about, message, payload=text: write(
        name, about, "unauthenticated", message, payload)
    unauthenticated("unsigned", "a box without a signature", without(message, "signature"))
    unauthenticated("unsigned_null", "a signature that is null", message | {"signature": None})
    unsealed = {"from": "alice", "to": "Bob", "type": "request"}
    unauthenticated("plain_string", "a string in plain text",
                    unsealed | {"encrypted": False, "payload": "hi"}, '"hi"')
    unauthenticated("plain_null", "null is a payload",
                    unsealed | {"encrypted": False, "payload": None}, "null")
    for name, value in [("null", None), ("zero", 0), ("empty", "")]:
        unauthenticated(f"plain_encrypted_{name}", "what JavaScript takes for false",
                        unsealed | {"encrypted": value, "payload": 1}, "1")
    unauthenticated("plain_encrypted_absent", "no word about encryption",
                    unsealed | {"payload": 1}, "1")
    unauthenticated("plain_with_signature", "plain text stays plain whatever it carries",
                    message | {"encrypted": False}, json.dumps(message["payload"]))

    bad = lambda name, member, about, message: write(name, about, f"malformed: {member}", message)
    for member in ["from", "to", "type", "payload", "nonce"]:
        bad(f"{member}_missing", member, "a member that is needed", without(message, member))
        if member != "payload":
            bad(f"{member}_number", member, "a number for a string", message | {member: 1})
    for member in ["id", "topic", "correlationId", "replyTo", "ts", "signature"]:
        bad(f"{member}_number", member, "a number for a string", message | {member: 1})
    bad("payload_number", "payload", "a box that is no string", message | {"payload": 1})
    bad("encrypted_one", "encrypted", "a number that JavaScript takes for true",
        message | {"encrypted": 1})
    bad("encrypted_string", "encrypted", "a string that JavaScript takes for true",
        message | {"encrypted": "false"})
    bad("topic_lone_surrogate", "topic", "half a surrogate pair",
        json.dumps(message | {"topic": "\ud800"}))
    bad("plain_lone_surrogate", "payload", "half a surrogate pair in plain text",
        json.dumps(unsealed | {"encrypted": False, "payload": ["\ud800"]}))
    bad("payload_twice", "payload", "a member that stands twice",
        json.dumps(message)[:-1] + ',"payload":"AAAA"}')
    bad("payload_twice_escaped", "payload", "a member that stands twice, once with an escape",
        json.dumps(message)[:-1] + ',"payloa\\u0064":"AAAA"}')
    bad("nonce_empty", "nonce", "no nonce", message | {"nonce": ""})
    for length in [23, 25]:
        bad(f"nonce_{length}_bytes", "nonce", "a wrong length",
            message | {"nonce": b64(bytes(length))})
    for length in [0, 63, 65]:
        bad(f"signature_{length}_bytes", "signature", "a wrong length",
            message | {"signature": b64(bytes(length))})
    bad("signature_url_safe", "signature", "the other alphabet",
        message | {"signature": "-_" + message["signature"][2:]})
    bad("payload_url_safe", "payload", "the other alphabet",
        message | {"payload": "-_" + message["payload"][2:]})
    bad("payload_unpadded", "payload", "no padding", message | {"payload": message["payload"][:-1]})
    bad("payload_spaced", "payload", "white space", message | {"payload": " " + message["payload"]})
    bad("payload_15_bytes", "payload", "shorter than a tag", message | {"payload": b64(bytes(15))})
    for name, relayed in [("array", "[]"), ("string", '"{}"'), ("empty", ""), ("two", "{}{}")]:
        bad(f"object_{name}", "object", "not one JSON object", relayed)
    bad("object_truncated", "object", "the last byte is missing", json.dumps(message)[:-1])


main()
