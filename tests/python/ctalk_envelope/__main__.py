"""Command line of this implementation. Secrets come from files, never from arguments."""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any, Dict, Optional

from . import card, content, envelope, text
from .errors import EnvelopeError
from .identity import Identity, fingerprint

_REFUSED = 1
_UNUSABLE = 2
_DAY = 86_400_000


def main() -> int:
    args = _arguments().parse_args()
    try:
        args.run(args)
    except EnvelopeError as error:
        print(f"{error.name}: {error}", file=sys.stderr)
        return _REFUSED
    except (KeyError, OSError, OverflowError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _UNUSABLE
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ctalk_envelope", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    now = int(time.time() * 1000)

    command = commands.add_parser("keygen", help="print fresh keys as JSON")
    command.set_defaults(run=_keygen)

    command = commands.add_parser("card", help="write the card of an identity's keys")
    command.add_argument("--keys", type=Path, required=True)
    command.add_argument("--name", required=True)
    command.add_argument("--address", action="append", default=[])
    command.add_argument("--serial", type=int, default=1)
    command.add_argument("--created", type=int, default=now, metavar="MS")
    command.add_argument(
        "--expires", type=int, metavar="MS", help="30 days from created by default"
    )
    command.add_argument("--text", action="store_true", help="write the text form")
    command.set_defaults(run=_card)

    command = commands.add_parser("seal", help="write an envelope that holds a file")
    command.add_argument("payload", type=Path)
    command.add_argument("--keys", type=Path, required=True)
    command.add_argument("--to", type=Path, action="append", required=True, metavar="CARD")
    kinds = {name: number for number, name in content.KINDS.items()}
    command.add_argument("--kind", choices=kinds, default="notification")
    command.add_argument("--content-type", default="application/octet-stream")
    command.add_argument("--topic")
    command.add_argument("--correlation-id")
    command.add_argument("--reply-to")
    command.add_argument("--name")
    command.add_argument("--card", type=Path, help="the sender's card")
    command.add_argument("--created", type=int, default=now, metavar="MS")
    command.add_argument("--expires", type=int, metavar="MS", help="a day from created by default")
    command.add_argument("--text", action="store_true", help="write the text form")
    command.set_defaults(run=_seal)

    command = commands.add_parser("verify", help="print who sent an envelope, without opening it")
    command.add_argument("envelope", type=Path)
    command.set_defaults(run=_verify)

    command = commands.add_parser("open", help="print what an envelope says")
    command.add_argument("envelope", type=Path)
    command.add_argument("--keys", type=Path, required=True)
    command.add_argument("--now", type=int, default=now, metavar="MS")
    command.add_argument(
        "--payload", type=Path, help="write the payload here and not into the JSON"
    )
    command.set_defaults(run=_open)
    return parser


def _keygen(_args: argparse.Namespace) -> None:
    identity = Identity.generate()
    _print_json(
        {
            "signingSeed": identity.signing_seed.hex(),
            "encryptionSecret": identity.encryption_secret.hex(),
            "xwingSeeds": [seed.hex() for seed in identity.xwing_seeds],
            "signingKey": identity.signing_key.hex(),
            "fingerprint": fingerprint(identity.signing_key),
        }
    )


def _card(args: argparse.Namespace) -> None:
    expires = args.created + 30 * _DAY if args.expires is None else args.expires
    issued = card.issue(
        _identity(args.keys), args.serial, args.created, expires, args.name, args.address
    )
    _write(issued.encoded, text.card_to_text if args.text else None)


def _seal(args: argparse.Namespace) -> None:
    metadata = content.Metadata(
        kind=next(number for number, name in content.KINDS.items() if name == args.kind),
        content_type=args.content_type,
        topic=args.topic,
        correlation_id=args.correlation_id,
        reply_to=args.reply_to,
        name=args.name,
        card=None if args.card is None else _read(args.card, text.card_from_text),
    )
    sealed = envelope.seal(
        _identity(args.keys),
        [card.read(_read(path, text.card_from_text)) for path in args.to],
        args.created,
        args.created + _DAY if args.expires is None else args.expires,
        metadata,
        args.payload.read_bytes(),
    )
    _write(sealed, text.envelope_to_text if args.text else None)


def _verify(args: argparse.Namespace) -> None:
    parsed = envelope.parse(_read(args.envelope, text.envelope_from_text))
    _print_json(_header(parsed.verify().header))


def _open(args: argparse.Namespace) -> None:
    parsed = envelope.parse(_read(args.envelope, text.envelope_from_text))
    opened = parsed.verify().open(_identity(args.keys), args.now)
    result = {
        **_header(opened.header),
        "kind": content.KINDS[opened.metadata.kind],
        "topic": opened.metadata.topic,
        "correlationId": opened.metadata.correlation_id,
        "replyTo": opened.metadata.reply_to,
        "contentType": opened.metadata.content_type,
        "name": opened.metadata.name,
        "card": None if opened.metadata.card is None else _base64(opened.metadata.card),
    }
    if args.payload is None:
        result["payload"] = _base64(opened.payload)
    else:
        args.payload.write_bytes(opened.payload)
    _print_json(result)


def _header(header: envelope.Header) -> Dict[str, Any]:
    return {
        "id": header.id.hex(),
        "created": header.created,
        "expires": header.expires,
        "sender": header.sender.hex(),
        "recipients": len(header.hints),
    }


def _identity(path: Path) -> Identity:
    keys = json.loads(path.read_text("utf-8"))
    return Identity(
        bytes.fromhex(keys["signingSeed"]),
        bytes.fromhex(keys["encryptionSecret"]),
        [bytes.fromhex(seed) for seed in keys["xwingSeeds"]],
    )


def _read(path: Path, from_text: Any) -> bytes:
    """A card or envelope in either form; text may end with a line end."""
    data = path.read_bytes()
    if not text.is_text(data):
        return data
    return from_text(text.without_line_end(data.decode("latin-1")))


def _write(data: bytes, to_text: Optional[Any]) -> None:
    sys.stdout.buffer.write(data if to_text is None else to_text(data).encode("ascii") + b"\n")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _print_json(value: Dict[str, Any]) -> None:
    print(json.dumps(value))


if __name__ == "__main__":
    sys.exit(main())
