"""An identity's secrets and fingerprint (section 2)."""

from __future__ import annotations

import os
from typing import Sequence

from . import labels, primitives, xwing


class Recipient:
    """What opening needs: the signing key, and the X-Wing keys still held, the newest first."""

    def __init__(self, signing_key: bytes, xwing_seeds: Sequence[bytes]) -> None:
        self.signing_key = signing_key
        self.xwing_seeds = list(xwing_seeds)
        self.xwing_keys = [xwing.KeyPair(seed) for seed in self.xwing_seeds]


class Identity(Recipient):
    """All three secrets."""

    def __init__(
        self, signing_seed: bytes, encryption_secret: bytes, xwing_seeds: Sequence[bytes]
    ) -> None:
        super().__init__(primitives.signing_key(signing_seed), xwing_seeds)
        self.signing_seed = signing_seed
        self.encryption_secret = encryption_secret
        self.encryption_key = primitives.x25519_key(encryption_secret)

    @staticmethod
    def generate() -> Identity:
        return Identity(os.urandom(32), os.urandom(32), [os.urandom(32)])


def fingerprint(signing_key: bytes) -> str:
    return primitives.sha256(labels.FINGERPRINT + signing_key).hex()
