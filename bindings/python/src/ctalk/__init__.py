"""End-to-end encrypted, signed messages between programs, over relays that nobody has to trust.

    >>> import ctalk
    >>> alice, bob = ctalk.Identity.generate(), ctalk.Identity.generate()
    >>> sealed = alice.seal("six times seven?", [bob.card("bob")])
    >>> bob.open(sealed, sender=alice.card("alice")).content
    'six times seven?'

`Client` is an agent at its relay; `ctalk.aio` is the same for asyncio.
"""

from ctalk import _native, errors
from ctalk.card import Card
from ctalk.classic import Classic, Peer, Unauthenticated
from ctalk.client import Client, profile_folder
from ctalk.contacts import Contact, Contacts
from ctalk.envelope import Envelope, inspect, verify
from ctalk.errors import (
    CannotOpenError,
    Error,
    LocalStoreError,
    MalformedError,
    NotTrustedError,
    NotVerifiedError,
    RefusedError,
    RelayRefusedError,
    RelayUnreachableError,
    RemoteFailedError,
    SetAsideError,
    StoppedError,
    TimedOutError,
    UnexpectedError,
    UsageError,
)
from ctalk.identity import Identity, Keys
from ctalk.message import Message
from ctalk.receipt import Receipt, read_receipt
from ctalk.relay import Relay
from ctalk.trust import SafetyNumber, Statement, safety_number, verify_statement

__version__: str = (_native.copied(_native.lib.ctalk_version()) or b"").decode()

__all__ = [
    "CannotOpenError",
    "Card",
    "Classic",
    "Client",
    "Contact",
    "Contacts",
    "Envelope",
    "Error",
    "Identity",
    "Keys",
    "LocalStoreError",
    "MalformedError",
    "Message",
    "NotTrustedError",
    "NotVerifiedError",
    "Peer",
    "Receipt",
    "RefusedError",
    "Relay",
    "RelayRefusedError",
    "RelayUnreachableError",
    "RemoteFailedError",
    "SafetyNumber",
    "SetAsideError",
    "Statement",
    "StoppedError",
    "TimedOutError",
    "Unauthenticated",
    "UnexpectedError",
    "UsageError",
    "errors",
    "inspect",
    "profile_folder",
    "read_receipt",
    "safety_number",
    "verify",
    "verify_statement",
]
