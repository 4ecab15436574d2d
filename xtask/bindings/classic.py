"""Time of sealing and opening one message of 1 KiB in ClawTalk's format from Python, with ctalk or with
PyNaCl, in nanoseconds per message: the median over rounds and the least. Both begin with a value that JSON can say and
end with one, and both have read the keys before. PyNaCl's part is what tests/interop/python does.

usage: classic.py ctalk|pynacl
"""

import json
import sys
import time
from pathlib import Path

ROUNDS = 11
MESSAGES = 300
VALUE = {"text": "x" * 1013}
SAID = {"to": "bob", "type": "request", "topic": "sync"}


def measure(name, work):
    rounds = []
    # The first round warms caches up and is thrown away.
    for number in range(ROUNDS + 1):
        start = time.perf_counter_ns()
        for _ in range(MESSAGES):
            work()
        if number > 0:
            rounds.append((time.perf_counter_ns() - start) // MESSAGES)
    print(f"{name}_ns {sorted(rounds)[ROUNDS // 2]}")
    print(f"{name}_min_ns {min(rounds)}")


def relayed(sealed):
    """The message as a relay would list it."""
    message = {
        "id": "0b8f7f4e-9a52-4f0c-8a3c-2f6f6f0f6f6f",
        "from": "alice",
        "ts": "2026-03-21T10:11:12.345Z",
        "encrypted": True,
        **SAID,
        **sealed,
    }
    return json.dumps(message, separators=(",", ":"))


def with_ctalk():
    import ctalk

    alice, bob = ctalk.Identity.generate(), ctalk.Identity.generate()
    of_alice, of_bob = ctalk.Peer.of(alice.card()), ctalk.Peer.of(bob.card())

    def seal():
        return alice.seal_classic(VALUE, of_bob, **SAID)

    message = relayed(seal())
    measure("seal_sign_1k", seal)

    def open_it():
        return bob.open_classic(message, of_alice).content

    assert open_it() == VALUE
    measure("verify_open_1k", open_it)


def with_pynacl():
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests/interop/python"))
    from clawtalk import b64decode, b64encode, canonical, stringify
    from nacl.public import Box, PrivateKey
    from nacl.signing import SigningKey

    alice, bob, signing = PrivateKey.generate(), PrivateKey.generate(), SigningKey.generate()

    def seal_in(box):
        boxed = box.encrypt(stringify(VALUE).encode())
        sealed = {"payload": b64encode(boxed.ciphertext), "nonce": b64encode(boxed.nonce)}
        signed = canonical({**SAID, "encrypted": True, **sealed})
        return {**sealed, "signature": b64encode(signing.sign(signed).signature)}

    message = relayed(seal_in(Box(alice, bob.public_key)))

    def open_in(box):
        read = json.loads(message)
        signing.verify_key.verify(canonical(read), b64decode(read["signature"], 64))
        opened = box.decrypt(b64decode(read["payload"]), b64decode(read["nonce"], 24))
        return json.loads(opened.decode())

    assert open_in(Box(bob, alice.public_key)) == VALUE
    measure("seal_sign_1k", lambda: seal_in(Box(alice, bob.public_key)))
    measure("verify_open_1k", lambda: open_in(Box(bob, alice.public_key)))
    # With the box's key computed once, which the other client does not do.
    there, back = Box(alice, bob.public_key), Box(bob, alice.public_key)
    measure("kept_seal_sign_1k", lambda: seal_in(there))
    measure("kept_verify_open_1k", lambda: open_in(back))


{"ctalk": with_ctalk, "pynacl": with_pynacl}[sys.argv[1]]()
