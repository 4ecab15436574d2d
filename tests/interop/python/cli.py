"""Command line of the Python ClawTalk client. Secrets come from files, never from arguments."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

from nacl.bindings import crypto_scalarmult
from nacl.public import Box, PrivateKey, PublicKey
from nacl.signing import SigningKey

import clawtalk


def print_line(value):
    sys.stdout.buffer.write(clawtalk.stringify(value).encode("utf-8") + b"\n")


def read_keys(args):
    return json.loads(args.key_file.read_text("utf-8"))


def client(args):
    return clawtalk.Client(args.url, args.api_key_file.read_text("utf-8").strip())


def keygen(_args):
    print(json.dumps(clawtalk.keygen(), indent=2))


def register(args):
    admin = clawtalk.Client(args.url, args.admin_key_file.read_text("utf-8").strip())
    print(admin.register(args.name, read_keys(args)))


def send(args):
    options = {
        "type": args.type,
        "topic": args.topic,
        "correlationId": args.correlation_id,
        "replyTo": args.reply_to,
        "ttl": args.ttl,
    }
    given = {name: value for name, value in options.items() if value is not None}
    print_line(client(args).send(args.to, json.loads(args.payload), read_keys(args), given, args.form))


def receive(args):
    relay = client(args)
    for message in relay.receive(read_keys(args)):
        print_line(message)
        if args.ack:
            sys.stdout.buffer.flush()
            relay.ack(message["id"])


def vectors(args):
    """Reproduce the protocol's published values; the first mismatch ends the run."""
    v = json.loads(args.file.read_text("utf-8"))

    def expect(name, actual, expected):
        if actual != expected:
            sys.exit(f"{name}: expected {expected!r}, got {actual!r}")
        print(f"ok {name}")

    secret = PrivateKey(bytes.fromhex(v["senderSecretHex"]))
    recipient = PrivateKey(bytes.fromhex(v["recipientSecretHex"]))
    signing = SigningKey(bytes.fromhex(v["signingSeedHex"]))
    sender = {
        "publicKey": clawtalk.b64encode(bytes(secret.public_key)),
        "privateKey": clawtalk.b64encode(bytes(secret)),
        "signingKey": clawtalk.b64encode(bytes(signing.verify_key)),
        "signingPrivateKey": clawtalk.b64encode(bytes(signing) + bytes(signing.verify_key)),
    }
    expect("sender public key", sender["publicKey"], v["senderPublic"])
    expect("recipient public key", clawtalk.b64encode(bytes(recipient.public_key)), v["recipientPublic"])
    expect("signing public key", sender["signingKey"], v["signingPublic"])
    expect("signing private key", sender["signingPrivateKey"], v["signingPrivateKey"])
    shared = crypto_scalarmult(bytes(secret), bytes(recipient.public_key))
    expect("X25519 shared secret", shared.hex(), v["sharedSecretHex"])
    box_key = Box(secret, PublicKey(bytes(recipient.public_key))).shared_key()
    expect("box key", box_key.hex(), v["boxKeyHex"])
    expect("plaintext", clawtalk.stringify(v["message"]).encode("utf-8").hex(), v["plaintextHex"])

    sealed = clawtalk.seal(v["message"], sender, v["recipientPublic"], clawtalk.b64decode(v["nonce"], 24))
    expect("payload", sealed["payload"], v["payload"])
    keys = {"privateKey": clawtalk.b64encode(bytes(recipient))}
    for case in v["signatures"]:
        name = case["name"]
        message = {"to": "Bob", "type": "request", **case["options"], **sealed}
        text = clawtalk.canonical(message)
        expect(f"{name} canonical length", len(text), case["bytes"])
        expect(f"{name} canonical SHA-256", hashlib.sha256(text).hexdigest(), case["sha256"])
        message["signature"] = clawtalk.sign(message, sender)
        expect(f"{name} signature", message["signature"], case["signature"])
        message.update({"from": "Alice", "id": name})
        opened = clawtalk.open_message(message, keys, {"Alice": sender})
        expect(f"{name} verifies at the receiver", opened["verified"], case["verifiesWithoutTtl"])
        expect(f"{name} opens", opened["payload"], v["message"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(run, help_text, *options):
        sub = verbs.add_parser(run.__name__, help=help_text)
        sub.set_defaults(run=run)
        for option in options:
            sub.add_argument(option, required=True, type=Path if option.endswith("-file") else str)
        return sub

    verb(keygen, "print a new key pair")
    verb(register, "register an agent and print its API key", "--url", "--admin-key-file", "--key-file", "--name")
    sub = verb(send, "send one message", "--url", "--api-key-file", "--key-file", "--to", "--payload")
    for option in ("--type", "--topic", "--correlation-id", "--reply-to"):
        sub.add_argument(option)
    sub.add_argument("--ttl", type=int, help="seconds")
    sub.add_argument("--form", default="signed", choices=("signed", "signed-ttl", "unsigned", "plaintext"))
    sub = verb(receive, "print the inbox as JSON lines", "--url", "--api-key-file", "--key-file")
    sub.add_argument("--ack", action="store_true", help="delete each message after printing it")
    verb(vectors, "check the protocol's test vectors").add_argument("file", type=Path)

    args = parser.parse_args()
    try:
        args.run(args)
    except clawtalk.ClawTalkError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
