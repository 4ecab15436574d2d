"""Envelopes: `seal` (section 5), and the three steps of opening one (section 6).

`parse` gives a `ParsedEnvelope`, its `verify` a `VerifiedEnvelope`, and that one's `open` an
`OpenedEnvelope`, so that no step can be left out.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from typing import List, Sequence

from . import content, hpke, labels, padding, primitives, xwing
from .card import Card
from .encoding import MAGIC, SUITE, VERSION, Reader, u8, u16, u32, u64
from .errors import CannotOpen, Expired, Malformed, Newer, NotForMe, NotVerified
from .identity import Identity, Recipient

#: How far clocks may be apart, in milliseconds.
CLOCK_SKEW = 5 * 60 * 1000
MAX_LIFETIME = 2_592_000_000
MAX_RECIPIENTS = 1024

_KIND = b"e"
_SMALLEST = 106
_ID_BYTES = 16
_HINT_BYTES = 16
_KEY_BYTES = 32
_TAG_BYTES = 16
_SIGNATURE_BYTES = 64
_WRAP_BYTES = xwing.ENCAPSULATION_BYTES + _KEY_BYTES + _TAG_BYTES
_FULL_SEGMENT = padding.USED_BYTES + padding.SLOT_BYTES + _TAG_BYTES + _SIGNATURE_BYTES
#: A last segment whose slot has one byte.
_SMALLEST_SEGMENT = padding.USED_BYTES + 1 + _TAG_BYTES + _SIGNATURE_BYTES
_MAX_SEGMENTS = 2**32


@dataclass(frozen=True)
class Header:
    """The fields of the prefix, and SHA-256 of the header; times are milliseconds since 1970."""

    id: bytes
    created: int
    expires: int
    sender: bytes
    commitment: bytes
    hints: List[bytes]
    digest: bytes


@dataclass(frozen=True)
class OpenedEnvelope:
    """An envelope whose every check passed."""

    header: Header
    metadata: content.Metadata
    payload: bytes


class ParsedEnvelope:
    """An envelope whose grammar is right; who sent it is not known yet."""

    def __init__(
        self, encoded: bytes, header: Header, prefix_bytes: int, header_bytes: int
    ) -> None:
        self._header = header
        self._prefix = encoded[:prefix_bytes]
        self._wraps = encoded[prefix_bytes:header_bytes]
        self._segments = [
            encoded[start : start + _FULL_SEGMENT]
            for start in range(header_bytes, len(encoded), _FULL_SEGMENT)
        ]
        self._chain = primitives.sha256(labels.HEADER + encoded[:header_bytes])

    def verify(self) -> VerifiedEnvelope:
        """Checks the sender's key and the signature of segment 0."""
        if not primitives.is_accepted_point(self._header.sender):
            raise NotVerified("the sender's key is not accepted")
        self._check_segment(0, self._chain)
        return VerifiedEnvelope(self)

    def _check_segment(self, index: int, chain: bytes) -> bytes:
        """Checks the signature of a segment, and gives its ciphertext with the tag."""
        segment = self._segments[index]
        sealed, signature = segment[:-_SIGNATURE_BYTES], segment[-_SIGNATURE_BYTES:]
        message = _signed(chain, index, self._last(index), sealed)
        if not primitives.is_accepted_signature(self._header.sender, message, signature):
            raise NotVerified(f"the signature of segment {index} is not accepted")
        return sealed

    def _last(self, index: int) -> bool:
        return index == len(self._segments) - 1


class VerifiedEnvelope:
    """An envelope whose sender is known; what it says is not known yet."""

    def __init__(self, parsed: ParsedEnvelope) -> None:
        self._parsed = parsed
        self.header = parsed._header

    def open(self, recipient: Recipient, now: int) -> OpenedEnvelope:
        """Opens the envelope for `recipient` at `now`, in milliseconds since 1970."""
        if self.header.created > now + CLOCK_SKEW:
            raise Expired("the envelope was created in the future")
        if now > self.header.expires + CLOCK_SKEW:
            raise Expired("the envelope has expired")
        key = self._content_key(recipient)
        commitment = _commitment(key, self.header.id)
        if not hmac.compare_digest(commitment, self.header.commitment):
            raise CannotOpen("the content key is not the one committed to")
        return self._open_body(key)

    def _content_key(self, recipient: Recipient) -> bytes:
        for key_pair in recipient.xwing_keys:
            hint = _hint(self.header.id, recipient.signing_key, key_pair.public_key)
            if hint in self.header.hints:
                return self._unwrap(self.header.hints.index(hint), key_pair, recipient.signing_key)
        raise NotForMe("no hint is that of a key of this identity")

    def _unwrap(self, place: int, key_pair: xwing.KeyPair, signing_key: bytes) -> bytes:
        wrap = self._parsed._wraps[place * _WRAP_BYTES : (place + 1) * _WRAP_BYTES]
        encapsulation = wrap[: xwing.ENCAPSULATION_BYTES]
        sealed = wrap[xwing.ENCAPSULATION_BYTES :]
        info = _wrap_info(self._parsed._prefix, signing_key)
        key = hpke.open_sealed(key_pair, encapsulation, info, sealed)
        if key is None:
            raise CannotOpen("the wrapped content key does not open")
        return key

    def _open_body(self, content_key: bytes) -> OpenedEnvelope:
        parsed = self._parsed
        key = _body_key(content_key, self.header.digest)
        chain = parsed._chain
        unpadder = padding.Unpadder()
        parts = []
        for index in range(len(parsed._segments)):
            sealed = parsed._check_segment(index, chain)
            plaintext = primitives.open_bytes(key, _nonce(index, parsed._last(index)), sealed)
            if plaintext is None:
                raise CannotOpen(f"segment {index} does not open")
            parts.append(unpadder.take(plaintext))
            if index == 0:
                metadata, parts[0] = content.read(parts[0], self.header.sender)
            chain = _next_chain(chain, sealed)
        unpadder.finish()
        return OpenedEnvelope(self.header, metadata, b"".join(parts))


def parse(data: bytes) -> ParsedEnvelope:
    """The envelope that `data` is by its grammar (section 6, Parse)."""
    if len(data) < _SMALLEST:
        raise Malformed(f"an envelope has at least {_SMALLEST} bytes")
    reader = Reader(data)
    if reader.take(5, "the magic") != MAGIC:
        raise Malformed("the magic is not that of ctalk")
    if reader.take(1, "the kind") != _KIND:
        raise Malformed("this is not an envelope")
    if reader.take(2, "version and suite") != u8(VERSION) + u8(SUITE):
        raise Newer("the envelope's version or suite is unknown")
    envelope_id = reader.take(_ID_BYTES, "the id")
    created = reader.time("created")
    expires = reader.time("expires")
    if not created < expires <= created + MAX_LIFETIME:
        raise Malformed("the envelope does not expire within 30 days of its creation")
    sender = reader.take(32, "the sender")
    commitment = reader.take(32, "the commitment")
    recipients = reader.number(2, "the number of recipients")
    if not 1 <= recipients <= MAX_RECIPIENTS:
        raise Malformed(f"an envelope has 1 to {MAX_RECIPIENTS} recipients")
    hints = [reader.take(_HINT_BYTES, "a hint") for _ in range(recipients)]
    if any(earlier >= later for earlier, later in zip(hints, hints[1:])):
        raise Malformed("the hints are not strictly ascending")
    prefix_bytes = reader.offset
    reader.take(recipients * _WRAP_BYTES, "the wraps")
    _check_segment_lengths(len(data) - reader.offset)
    digest = primitives.sha256(data[: reader.offset])
    header = Header(envelope_id, created, expires, sender, commitment, hints, digest)
    return ParsedEnvelope(data, header, prefix_bytes, reader.offset)


def _check_segment_lengths(length: int) -> None:
    full, rest = divmod(length, _FULL_SEGMENT)
    if not length or 0 < rest < _SMALLEST_SEGMENT:
        raise Malformed("the last segment is too short")
    if full + (rest > 0) > _MAX_SEGMENTS:
        raise Malformed("there are more than 2^32 segments")


def seal(
    sender: Identity,
    recipients: Sequence[Card],
    created: int,
    expires: int,
    metadata: content.Metadata,
    payload: bytes,
) -> bytes:
    """An envelope to the identities of 1 to 1,024 cards (section 5).

    Raises `ValueError` for recipients or times that section 5 forbids, and `Malformed` for metadata
    that breaks section 4.2.
    """
    identities = {card.signing_key for card in recipients}
    if not 1 <= len(recipients) <= MAX_RECIPIENTS or len(identities) != len(recipients):
        raise ValueError(
            f"there must be 1 to {MAX_RECIPIENTS} recipients, each a different identity"
        )
    if any(card.expires < created for card in recipients):
        raise ValueError("a recipient's card has expired; ask for a new one")
    if any(card.created > created + CLOCK_SKEW for card in recipients):
        raise ValueError("a recipient's card is from the future; compare the clocks")
    if not created < expires <= created + MAX_LIFETIME:
        raise ValueError("an envelope must expire within 30 days of its creation")
    body = content.encode(metadata, payload)
    content.read(body[: padding.SLOT_BYTES], sender.signing_key)

    envelope_id = os.urandom(_ID_BYTES)
    content_key = os.urandom(_KEY_BYTES)
    by_hint = {_hint(envelope_id, card.signing_key, card.xwing_key): card for card in recipients}
    prefix = b"".join(
        (
            MAGIC + _KIND + u8(VERSION) + u8(SUITE),
            envelope_id,
            u64(created) + u64(expires),
            sender.signing_key,
            _commitment(content_key, envelope_id),
            u16(len(by_hint)),
            *sorted(by_hint),
        )
    )
    header = prefix
    for _, card in sorted(by_hint.items(), key=lambda item: item[0]):
        info = _wrap_info(prefix, card.signing_key)
        encapsulation, sealed_key = hpke.seal(card.xwing_key, info, content_key)
        header += encapsulation + sealed_key
    return header + _seal_body(sender, header, content_key, body)


def _seal_body(sender: Identity, header: bytes, content_key: bytes, body: bytes) -> bytes:
    key = _body_key(content_key, primitives.sha256(header))
    chain = primitives.sha256(labels.HEADER + header)
    plaintexts = padding.segments(body)
    segments = []
    for index, plaintext in enumerate(plaintexts):
        last = index == len(plaintexts) - 1
        sealed = primitives.seal_bytes(key, _nonce(index, last), plaintext)
        signature = primitives.sign(sender.signing_seed, _signed(chain, index, last, sealed))
        segments.append(sealed + signature)
        chain = _next_chain(chain, sealed)
    return b"".join(segments)


def _hint(envelope_id: bytes, signing_key: bytes, xwing_key: bytes) -> bytes:
    return primitives.sha256(labels.HINT + envelope_id + signing_key + xwing_key)[:_HINT_BYTES]


def _commitment(content_key: bytes, envelope_id: bytes) -> bytes:
    return primitives.hkdf(content_key, envelope_id, labels.COMMITMENT)


def _wrap_info(prefix: bytes, signing_key: bytes) -> bytes:
    return labels.WRAP + primitives.sha256(prefix) + signing_key


def _body_key(content_key: bytes, header_digest: bytes) -> bytes:
    return primitives.hkdf(content_key, header_digest, labels.BODY)


def _flag(last: bool) -> bytes:
    return b"\x01" if last else b"\x00"


def _nonce(index: int, last: bool) -> bytes:
    return bytes(7) + u32(index) + _flag(last)


def _signed(chain: bytes, index: int, last: bool, sealed: bytes) -> bytes:
    """The bytes that a segment's signature covers."""
    return labels.SEGMENT + chain + u32(index) + _flag(last) + primitives.sha256(sealed)


def _next_chain(chain: bytes, sealed: bytes) -> bytes:
    return primitives.sha256(labels.CHAIN + chain + primitives.sha256(sealed))
