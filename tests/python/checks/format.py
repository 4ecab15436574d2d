"""Cards, envelopes, padding and text: what is written is read, and what is wrong refused."""

from __future__ import annotations

import dataclasses
from unittest import mock

from ctalk_envelope import card, content, envelope, labels, padding, primitives, text
from ctalk_envelope.errors import (
    CannotOpen,
    EnvelopeError,
    Expired,
    Malformed,
    Newer,
    NotForMe,
    NotVerified,
)
from ctalk_envelope.identity import Identity, fingerprint

_NOW = 1_700_000_000_000
_HOUR = 3_600_000
_ALICE = Identity(bytes([1]) * 32, bytes([2]) * 32, [bytes([3]) * 32])
# Bob still holds the X-Wing key before his newest.
_BOB = Identity(bytes([4]) * 32, bytes([5]) * 32, [bytes([6]) * 32, bytes([7]) * 32])
_CAROL = Identity(bytes([8]) * 32, bytes([9]) * 32, [bytes([10]) * 32])


def _card(identity, **changes):
    fields = {
        "serial": 1,
        "created": _NOW,
        "expires": _NOW + _HOUR,
        "name": "bob",
        "addresses": ["https://relay.example/bob", "b\u00f6b"],
    }
    return card.issue(identity, **{**fields, **changes})


_METADATA = content.Metadata(
    kind=1,
    content_type="text/plain",
    topic="a topic\n",
    correlation_id="",
    reply_to="\u00e9",
    name="notes.txt",
    card=_card(_ALICE).encoded,
)
_SMALL = content.Metadata(kind=3, content_type="t")
_SMALL_BYTES = len(content.encode(_SMALL, b""))


def _seal(payload=b"hello", metadata=_METADATA, recipients=(_BOB,)):
    cards = [_card(identity) for identity in recipients]
    return envelope.seal(_ALICE, cards, _NOW, _NOW + _HOUR, metadata, payload)


def _open(sealed, identity=_BOB, now=_NOW):
    return envelope.parse(sealed).verify().open(identity, now)


def _refusal(function, *args):
    """The class with which `function` refuses its arguments."""
    try:
        function(*args)
    except EnvelopeError as error:
        return type(error)
    raise AssertionError("it was not refused")


def _resign(signed):
    """A card of alice with these bytes before the signature."""
    return signed + primitives.sign(_ALICE.signing_seed, labels.CARD + signed)


def _body(header, key, plaintexts):
    """Alice's segments for plaintexts that `padding.segments` would not make."""
    with mock.patch.object(padding, "segments", lambda _content: plaintexts):
        return envelope._seal_body(_ALICE, header, key, b"")


def _grammar(hints=(bytes(16),), created=_NOW, expires=_NOW + _HOUR, segment=bytes(85)):
    """What only parsing can refuse: nothing in it is sealed or signed."""
    times = created.to_bytes(8, "big") + expires.to_bytes(8, "big")
    prefix = b"ctalke\x02\x01" + bytes(16) + times + bytes(64) + len(hints).to_bytes(2, "big")
    return prefix + b"".join(hints) + bytes(1168) * len(hints) + segment


def _header_of(sealed, identity=_BOB):
    """Header and content key of an envelope to one recipient."""
    verified = envelope.parse(sealed).verify()
    return sealed[: 122 + 1168], verified._content_key(identity)


def labels_are_told_apart_by_their_first_bytes():
    values = [value for name, value in vars(labels).items() if name.isupper()]
    assert len(values) == 10
    for value in values:
        assert not any(other.startswith(value) for other in values if other is not value), value


def a_fingerprint_is_sha256_of_label_and_key():
    key = bytes(range(32))
    expected = primitives.sha256(b"ctalk/fingerprint/native/2" + key).hex()
    assert fingerprint(key) == expected


def padme_gives_the_examples_of_the_page():
    examples = {256: 256, 257: 272, 1000: 1024, 1025: 1088}
    assert {length: padding.padme(length) for length in examples} == examples
    assert padding.padded_length(0) == padding.padded_length(256) == 256


def padding_costs_at_most_12_percent_and_never_shrinks():
    for length in range(2, 20_000):
        padded = padding.padme(length)
        assert length <= padded <= length * 1.12, length
        assert padding.padme(length + 1) >= padded, length


def a_card_is_read_as_it_was_written():
    for changes in (
        {},
        {"addresses": [], "name": "n" * 64, "serial": 2**64 - 1},
        {"addresses": [f"{at}" * 255 for at in range(8)][:6], "expires": 2**53 - 1},
    ):
        issued = _card(_BOB, **changes)
        assert card.read(issued.encoded) == issued
        for field, value in changes.items():
            assert getattr(issued, field) == value
        assert issued.signing_key == _BOB.signing_key
        assert issued.encryption_key == _BOB.encryption_key
        assert issued.xwing_key == _BOB.xwing_keys[0].public_key


def a_card_that_breaks_a_rule_is_not_written():
    for changes in (
        {"name": ""},
        {"name": "n" * 65},
        {"name": "tab\t"},
        {"name": "\u0085"},
        {"addresses": [""]},
        {"addresses": ["a" * 256]},
        {"addresses": ["a", "b", "a"]},
        {"addresses": [str(at) for at in range(9)]},
        {"addresses": [f"{at}" * 255 for at in range(8)]},
        {"expires": _NOW},
        {"expires": 2**53},
    ):
        assert _refusal(lambda changes=changes: _card(_BOB, **changes)) is Malformed, changes


def every_changed_bit_of_a_card_is_refused():
    encoded = _card(_ALICE).encoded
    for at in range(len(encoded)):
        changed = bytearray(encoded)
        changed[at] ^= 1 << at % 8
        refusal = _refusal(card.read, bytes(changed))
        expected = (Newer,) if at in (6, 7) else (Malformed, NotVerified)
        assert refusal in expected, (at, refusal)


def every_cut_or_longer_card_is_malformed():
    encoded = _card(_ALICE).encoded
    for length in range(len(encoded)):
        assert _refusal(card.read, encoded[:length]) is Malformed, length
    assert _refusal(card.read, encoded + b"\x00") is Malformed


def a_signed_card_with_a_key_that_is_not_accepted_is_malformed():
    signed = _card(_ALICE).encoded[:-64]
    for at, key in ((64, bytes(32)), (96, b"\xff" * 32), (1280, bytes(32))):
        changed = signed[:at] + key + signed[at + 32 :]
        assert _refusal(card.read, _resign(changed)) is Malformed, at
    changed = signed[:32] + (1).to_bytes(32, "little") + signed[64:]
    assert _refusal(card.read, _resign(changed)) is Malformed


def text_is_read_as_it_was_written():
    for length in range(5):
        data = bytes([0xFB, 0xFF, 0xBF, 0x00, 0x01])[:length]
        assert text.card_from_text(text.card_to_text(data)) == data
        assert text.envelope_from_text(text.envelope_to_text(data)) == data
    assert text.card_to_text(b"\xfb\xff") == "ctalk-card:-_8"
    assert len(text.card_to_text(bytes(3000))) == 4011


def text_in_another_form_is_malformed():
    for other in (
        "",
        "ctalk2",
        "Ctalk2:-_8",
        "ctalk3:-_8",
        " ctalk2:-_8",
        "ctalk2:-_8\n",
        "ctalk2:-_8=",
        "ctalk2:-_9",
        "ctalk2:-_",
        "ctalk2:+_8",
        "ctalk2:-/8",
        "ctalk2:- _8",
        "ctalk2:-_8AA",
        "ctalk2:-_8\u00e9",
        "ctalk-card:-_8",
    ):
        assert _refusal(text.envelope_from_text, other) is Malformed, other
    assert _refusal(text.card_from_text, text.card_to_text(bytes(3001))) is Malformed


def one_line_end_is_taken_off_and_no_more():
    for line in ("a", "a\n", "a\r\n"):
        assert text.without_line_end(line) == "a"
    assert text.without_line_end("a\n\n") == "a\n"
    assert text.without_line_end("a\r") == "a\r"


def an_envelope_is_opened_as_it_was_sealed():
    for payload in (b"", b"hello", bytes(256), b"x" * 100_000):
        for metadata in (_METADATA, _SMALL):
            opened = _open(_seal(payload, metadata))
            assert opened.payload == payload
            assert opened.metadata == metadata
            assert opened.header.sender == _ALICE.signing_key


def every_recipient_opens_and_nobody_else():
    sealed = _seal(recipients=(_BOB, _CAROL, _ALICE))
    for identity in (_BOB, _CAROL, _ALICE):
        assert _open(sealed, identity).payload == b"hello"
    assert _refusal(_open, _seal(), _CAROL) is NotForMe


def an_older_xwing_key_still_opens():
    older = Identity(_BOB.signing_seed, _BOB.encryption_secret, [bytes([7]) * 32])
    assert _open(_seal(recipients=(older,)), _BOB).payload == b"hello"
    assert _refusal(_open, _seal(recipients=(_BOB,)), older) is NotForMe


def contents_around_whole_segments_have_the_segments_they_need():
    # Padding takes the second and the third into a segment that holds zeros only.
    for length, segments in (
        (63 * 2**14, 1),
        (63 * 2**14 + 1, 2),
        (padding.SLOT_BYTES, 2),
        (padding.SLOT_BYTES + 1, 2),
        (2 * padding.SLOT_BYTES + 1, 3),
    ):
        payload = bytes(range(251)) * (length // 251 + 1)
        payload = payload[: length - _SMALL_BYTES]
        sealed = _seal(payload, _SMALL)
        assert len(envelope.parse(sealed)._segments) == segments, length
        expected = 122 + 1168 + padding.padded_length(length) + 84 * segments
        assert len(sealed) == expected, length
        assert _open(sealed).payload == payload, length


def every_changed_bit_of_an_envelope_is_refused():
    sealed = _seal(metadata=_SMALL)
    newer = malformed = 0
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1 << at % 8
        refusal = _refusal(_open, bytes(changed))
        assert refusal in (Newer, Malformed, NotVerified), (at, refusal)
        newer += refusal is Newer
        malformed += refusal is Malformed
    assert newer == 2
    assert malformed < 30, "only magic, kind, times and count have a grammar"


def every_cut_or_longer_envelope_is_refused():
    sealed = _seal(metadata=_SMALL)
    body = len(sealed) - (122 + 1168)
    for length in range(len(sealed)):
        refusal = _refusal(_open, sealed[:length])
        parsed = length >= len(sealed) - body + 85
        assert refusal is (NotVerified if parsed else Malformed), (length, refusal)
    assert _refusal(_open, sealed + b"\x00") is NotVerified


def a_header_that_breaks_a_rule_is_malformed():
    hints = [at.to_bytes(16, "big") for at in range(1025)]
    month = 2_592_000_000
    last = 2**53 - 1
    for right in (
        _grammar(),
        _grammar(hints[:2]),
        _grammar(hints[:1024]),
        _grammar(expires=_NOW + month),
        _grammar(created=last - 1, expires=last),
        _grammar(segment=bytes(2**20 + 80)),
        _grammar(segment=bytes(2**20 + 80 + 85)),
    ):
        envelope.parse(right)
    for wrong in (
        _grammar([]),
        _grammar(hints),
        _grammar(hints[1::-1]),
        _grammar([hints[0], hints[0]]),
        _grammar(expires=_NOW),
        _grammar(expires=_NOW + month + 1),
        _grammar(created=last, expires=last + 1),
        _grammar(segment=b""),
        _grammar(segment=bytes(84)),
        _grammar(segment=bytes(2**20 + 80 + 84)),
    ):
        assert _refusal(envelope.parse, wrong) is Malformed, len(wrong)


def a_sender_of_small_order_is_not_verified():
    neutral, base = (1).to_bytes(32, "little"), bytes.fromhex("58" + "66" * 31)
    sealed = _seal(metadata=_SMALL)
    # With the neutral element as the key, R = [1]B and S = 1 sign everything.
    forged = sealed[:40] + neutral + sealed[72:-64] + base + neutral
    with mock.patch.object(primitives, "is_accepted_point", lambda _encoded: True):
        envelope.parse(forged).verify()
    assert _refusal(envelope.parse(forged).verify) is NotVerified


def a_lost_or_exchanged_segment_is_not_verified():
    payload = b"x" * (2 * padding.SLOT_BYTES)
    sealed = _seal(payload, _SMALL)
    start, full = 122 + 1168, 2**20 + 80
    first, second = sealed[start : start + full], sealed[start + full : start + 2 * full]
    header, third = sealed[:start], sealed[start + 2 * full :]
    assert _refusal(_open, header + first + second) is NotVerified
    assert _refusal(_open, header + first) is NotVerified
    assert _refusal(_open, header + second + first + third) is NotVerified
    assert _refusal(_open, header + first + third) is NotVerified
    assert _refusal(_open, header + first + first + third) is NotVerified
    assert _open(header + first + second + third).payload == payload


def clocks_may_be_five_minutes_apart():
    sealed = _seal()
    skew = 5 * 60 * 1000
    for now in (_NOW - skew, _NOW + _HOUR + skew):
        assert _open(sealed, now=now).payload == b"hello"
    for now in (_NOW - skew - 1, _NOW + _HOUR + skew + 1):
        assert _refusal(lambda now=now: _open(sealed, now=now)) is Expired


def a_signed_envelope_with_another_content_key_cannot_be_opened():
    header, key = _header_of(_seal())
    plaintexts = padding.segments(content.encode(_METADATA, b"hello"))
    assert _open(header + _body(header, key, plaintexts)).payload == b"hello"
    sealed = header + _body(header, bytes(32), plaintexts)
    assert _refusal(_open, sealed) is CannotOpen
    with mock.patch.object(envelope, "_commitment", lambda _key, _id: bytes(32)):
        sealed = _seal()
        assert _open(sealed).payload == b"hello"
    assert _refusal(_open, sealed) is CannotOpen


def a_signed_envelope_with_a_broken_wrap_cannot_be_opened():
    header, key = _header_of(_seal())
    plaintexts = padding.segments(content.encode(_METADATA, b"hello"))
    for at in (122, 122 + 1088, 122 + 1120, len(header) - 1):
        changed = header[:at] + bytes([header[at] ^ 1]) + header[at + 1 :]
        assert _refusal(_open, changed + _body(changed, key, plaintexts)) is CannotOpen, at
    changed = header[: 122 + 1088] + bytes(32) + header[122 + 1120 :]
    assert _refusal(_open, changed + _body(changed, key, plaintexts)) is CannotOpen


def wrong_padding_is_malformed():
    header, key = _header_of(_seal())
    body = content.encode(_SMALL, b"")
    used, size = len(body).to_bytes(4, "big"), padding.SLOT_BYTES
    right = used + body.ljust(256, b"\x00")
    full = used + body.ljust(size, b"\x00")
    for plaintexts in (
        [right[:-1]],
        [right + b"\x00"],
        [right[:-1] + b"\x01"],
        [(257).to_bytes(4, "big") + right[4:]],
        [bytes(4) + bytes(256)],
        # More slots than the content demands.
        [full, bytes(4) + bytes(256)],
        # As long as the content demands, but it goes on after its end, or past its slot's.
        [(size - 1).to_bytes(4, "big") + full[4:], (3).to_bytes(4, "big") + bytes(4)],
        [(size + 1).to_bytes(4, "big") + full[4:], bytes(4) + bytes(4)],
    ):
        sealed = header + _body(header, key, plaintexts)
        assert _refusal(_open, sealed) is Malformed, [len(part) for part in plaintexts]
    assert _open(header + _body(header, key, [right])).payload == b""
    goes_on = [size.to_bytes(4, "big") + full[4:], (3).to_bytes(4, "big") + bytes(4)]
    assert len(_open(header + _body(header, key, goes_on)).payload) == size + 3 - len(body)


def metadata_that_breaks_a_rule_is_malformed():
    for changes in (
        {"kind": 0},
        {"kind": 8},
        {"topic": "t" * 1025},
        {"correlation_id": "\u00e9" * 513},
        {"reply_to": "t" * 1025},
        {"content_type": ""},
        {"content_type": "t" * 256},
        {"content_type": "tab\t"},
        {"content_type": "\u00e9"},
        {"content_type": "line\n"},
        {"name": "n" * 256},
        {"card": b""},
        {"card": _card(_BOB).encoded},
        {"card": _card(_ALICE).encoded[:-1]},
        {"card": _card(_ALICE).encoded[:-1] + b"\x00"},
        {"card": _card(_ALICE).encoded[:6] + b"\x03" + _card(_ALICE).encoded[7:]},
    ):
        encoded = content.encode(dataclasses.replace(_METADATA, **changes), b"")
        assert _refusal(content.read, encoded, _ALICE.signing_key) is Malformed, changes
    encoded = content.encode(_SMALL, b"")
    for at in (1, 2, 3, 7, 8):
        changed = encoded[:at] + b"\x02" + encoded[at + 1 :]
        assert _refusal(content.read, changed, _ALICE.signing_key) is Malformed, at
    for length in range(len(encoded)):
        assert _refusal(content.read, encoded[:length], _ALICE.signing_key) is Malformed, length
    assert _refusal(content.read, b"\x03\x01\x00\x01\xff" + bytes(9), b"") is Malformed


def the_longest_metadata_are_accepted():
    longest = content.Metadata(
        kind=7,
        content_type="~" * 255,
        topic="\u00e9" * 512,
        correlation_id="\x00" * 1024,
        reply_to="r" * 1024,
        name="n" * 255,
    )
    assert _open(_seal(b"p", longest)).metadata == longest


def sealing_refuses_what_section_5_forbids():
    bob = _card(_BOB)
    skew = 5 * 60 * 1000
    edges = [
        _card(_BOB, created=_NOW - 1, expires=_NOW),
        _card(_CAROL, created=_NOW + skew),
    ]
    envelope.seal(_ALICE, edges, _NOW, _NOW + 1, _SMALL, b"")
    for cards, expires in (
        ([], _NOW + 1),
        ([bob, _card(_BOB, serial=2)], _NOW + 1),
        ([_card(_BOB, created=_NOW - 2, expires=_NOW - 1)], _NOW + 1),
        ([_card(_BOB, created=_NOW + skew + 1)], _NOW + 1),
        ([bob], _NOW),
        ([bob], _NOW + envelope.MAX_LIFETIME + 1),
    ):
        try:
            envelope.seal(_ALICE, cards, _NOW, expires, _SMALL, b"")
        except ValueError:
            continue
        raise AssertionError(f"{len(cards)} cards, expires {expires}")
