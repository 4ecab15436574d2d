"""Contacts: whose keys are pinned, and what they count for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Optional, TypedDict, Union

from ctalk import _native as native
from ctalk._native import NULL, lib
from ctalk._waiting import interruptibly
from ctalk.card import Card

if TYPE_CHECKING:
    from ctalk.client import Client


class Contact(TypedDict):
    """A contact, as `ctalk --json contact list` prints it."""

    name: str
    address: Optional[str]
    standing: str
    learned: str
    since: str
    fingerprint: str
    classicFingerprint: str
    publicKey: str
    signingKey: str
    format: str
    cardExpires: Optional[str]
    notes: str


class HeldCard(TypedDict):
    """A card that a contact had."""

    serial: int
    created: str
    expires: str
    received: str
    fingerprint: str


class ShownContact(Contact):
    """A contact with the cards that it had, the newest first."""

    cards: list[HeldCard]


class Comparison(TypedDict):
    """What both sides compare: `safetyNumber` and `words` are the same on both."""

    name: str
    standing: str
    format: str
    safetyNumber: str
    words: str
    fingerprint: str
    ownFingerprint: str


class Refusal(TypedDict):
    """Why somebody on a list was not pinned."""

    line: int
    error: str
    code: int
    hint: Optional[str]


class Imported(TypedDict):
    """What became of a list of contacts."""

    added: int
    renewed: int
    known: int
    refused: int
    refusals: list[Refusal]


class Contacts:
    """The contacts of a client. Those that it does not have raise UsageError."""

    __slots__ = ("_client",)

    def __init__(self, client: Client) -> None:
        self._client = client

    def __iter__(self) -> Iterator[Contact]:
        """All of them, by name."""
        contacts: list[Contact] = self._json(lib.ctalk_contacts_list)
        return iter(contacts)

    def show(self, name: str) -> ShownContact:
        """One of them."""
        shown: ShownContact = self._json(lib.ctalk_contacts_show, name)
        return shown

    def add(self, peer: Union[str, Card], name: Optional[str] = None) -> Contact:
        """Adds somebody, by a key card (as such, or as its line of text) or by the relay's name for an
        agent, under this name, or under the one on the card or of the relay.

        Raises NotTrustedError where its keys, or its name, are somebody else's already.
        """
        somebody = native.text(str(peer) if isinstance(peer, Card) else peer)
        local = NULL if name is None else native.text(name)
        length = 0 if name is None else len(local)
        contact: Contact = self._client._wait(
            lambda stopper: native.obtain_json(
                lib.ctalk_contacts_add,
                self._client._handle,
                somebody,
                len(somebody),
                local,
                length,
                stopper,
            )
        )
        return contact

    def accept_key(self, name: str, fingerprint: str) -> Contact:
        """Pins the keys that the relay shows for a name, if they have this fingerprint, even where
        that name has other keys so far."""
        who, given = native.text(name), native.text(fingerprint)
        contact: Contact = self._client._wait(
            lambda stopper: native.obtain_json(
                lib.ctalk_contacts_accept_key,
                self._client._handle,
                who,
                len(who),
                given,
                len(given),
                stopper,
            )
        )
        return contact

    def compare(self, name: str) -> Comparison:
        """What both sides compare to find out whose keys a contact's are."""
        comparison: Comparison = self._json(lib.ctalk_contacts_compare, name)
        return comparison

    def verify(self, name: str, fingerprint: str) -> Contact:
        """Marks a contact as verified, provided that this is its fingerprint, as its owner reads it
        out, or that of `compare` once both sides saw the same number."""
        contact: Contact = self._json(lib.ctalk_contacts_verify, name, fingerprint)
        return contact

    def block(self, name: str) -> Contact:
        """Takes nothing from it any more and sends it nothing."""
        contact: Contact = self._json(lib.ctalk_contacts_block, name)
        return contact

    def unblock(self, name: str) -> Contact:
        """Ends that; it is to be verified again."""
        contact: Contact = self._json(lib.ctalk_contacts_unblock, name)
        return contact

    def rename(self, name: str, new_name: str) -> Contact:
        """Gives it another name: 2 to 32 letters, digits, `_` or `-`."""
        contact: Contact = self._json(lib.ctalk_contacts_rename, name, new_name)
        return contact

    def note(self, name: str, note: str) -> Contact:
        """Writes something down about it, in place of what was written down before."""
        contact: Contact = self._json(lib.ctalk_contacts_note, name, note)
        return contact

    def remove(self, name: str) -> None:
        """Forgets it and its keys."""
        who = native.text(name)
        interruptibly(
            lambda _: native.call(
                lib.ctalk_contacts_remove, self._client._handle, who, len(who)
            )
        )

    def export_list(self) -> str:
        """All that are not blocked, one line of JSON each, for another profile to import."""
        return interruptibly(
            lambda _: native.obtain_bytes(lib.ctalk_contacts_export, self._client._handle)
        ).decode()

    def import_list(self, lines: str) -> Imported:
        """Pins everybody on such a list; none of them is verified by that."""
        imported: Imported = self._json(lib.ctalk_contacts_import, lines)
        return imported

    def _json(self, function: Any, *texts: str) -> Any:
        arguments: list[Any] = []
        for value in texts:
            text = native.text(value)
            arguments += (text, len(text))
        return interruptibly(
            lambda _: native.obtain_json(function, self._client._handle, *arguments)
        )
