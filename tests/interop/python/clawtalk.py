"""A ClawTalk client on PyNaCl, written from the protocol alone.

It shares no code with ctalk, so that agreement between the two is evidence
about the protocol and not about a common library.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.parse
import urllib.request

from nacl.exceptions import BadSignatureError, CryptoError
from nacl.public import Box, PrivateKey, PublicKey
from nacl.signing import SigningKey, VerifyKey

# The members a signature covers, in the order in which they are signed.
SIGNED_MEMBERS = ("to", "type", "topic", "correlationId", "ttl", "encrypted", "payload", "nonce")
PAGE_SIZE = 100
TIMEOUT_SECONDS = 20

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_SURROGATE = re.compile("[\ud800-\udfff]")


class ClawTalkError(Exception):
    """A message, key or answer that cannot be used."""


def b64encode(data):
    return base64.b64encode(data).decode("ascii")


def b64decode(text, length=None):
    """Decode padded standard base64; with `length`, of exactly that many bytes."""
    if not isinstance(text, str) or not _BASE64.fullmatch(text):
        raise ClawTalkError("not standard base64")
    data = base64.b64decode(text)
    if length is not None and len(data) != length:
        raise ClawTalkError(f"expected {length} bytes, got {len(data)}")
    return data


def stringify(value):
    """Serialise as JavaScript's JSON.stringify does, for strings byte for byte.

    json.dumps already escapes as JavaScript does, but leaves lone surrogates
    raw, where they have no UTF-8 form.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def keygen():
    """Make a key pair in ClawTalk's four-field form."""
    box, signing = PrivateKey.generate(), SigningKey.generate()
    return {
        "publicKey": b64encode(bytes(box.public_key)),
        "privateKey": b64encode(bytes(box)),
        "signingKey": b64encode(bytes(signing.verify_key)),
        "signingPrivateKey": b64encode(bytes(signing) + bytes(signing.verify_key)),
    }


def seal(payload, keys, recipient_public_key, nonce=None):
    """Encrypt `payload`; returns the members `encrypted`, `payload`, `nonce`."""
    box = Box(PrivateKey(b64decode(keys["privateKey"], 32)), PublicKey(b64decode(recipient_public_key, 32)))
    sealed = box.encrypt(stringify(payload).encode("utf-8"), nonce)
    return {"encrypted": True, "payload": b64encode(sealed.ciphertext), "nonce": b64encode(sealed.nonce)}


def canonical(message):
    """The bytes a signature covers: of all members those present and signed, in their order."""
    members = {name: message[name] for name in SIGNED_MEMBERS if name in message}
    return stringify(members).encode("utf-8")


def sign(message, keys):
    seed = b64decode(keys["signingPrivateKey"], 64)[:32]
    return b64encode(SigningKey(seed).sign(canonical(message)).signature)


def verify(message, signing_key):
    """Check a received message. The relay drops `ttl`, so it is never covered."""
    received = {name: value for name, value in message.items() if name != "ttl"}
    try:
        VerifyKey(b64decode(signing_key, 32)).verify(canonical(received), b64decode(message["signature"], 64))
    except (BadSignatureError, ClawTalkError):
        return False
    return True


def open_message(message, keys, directory):
    """Verify and open one message of an inbox.

    `verified` is absent when nothing was signed or nothing could be checked.
    """
    opened = {
        name: message[name]
        for name in ("id", "from", "type", "topic", "correlationId", "replyTo")
        if name in message
    }
    if not (message.get("encrypted") and isinstance(message.get("payload"), str) and message.get("nonce")):
        opened["payload"] = message.get("payload")
        return opened
    sender = directory.get(message.get("from"))
    if sender is None:
        raise ClawTalkError("the sender is not in the directory")
    if "signature" in message:
        opened["verified"] = verify(message, sender.get("signingKey"))
    box = Box(PrivateKey(b64decode(keys["privateKey"], 32)), PublicKey(b64decode(sender.get("publicKey"), 32)))
    plaintext = box.decrypt(b64decode(message["payload"]), b64decode(message["nonce"], Box.NONCE_SIZE))
    opened["payload"] = json.loads(plaintext.decode("utf-8"))
    return opened


class Client:
    """The HTTP side: one agent at one relay."""

    def __init__(self, url, api_key):
        self.url = url.rstrip("/")
        self.api_key = api_key

    def _request(self, method, path, body=None):
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else stringify(body).encode("utf-8"),
            headers={"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                answer = response.read()
        except urllib.error.HTTPError as error:
            detail = error.read().decode("utf-8", "replace")
            raise ClawTalkError(f"{method} {path}: {error.code} {detail}") from error
        return json.loads(answer) if answer else None

    def register(self, name, keys):
        """Register an agent; the client must hold the admin key. Returns the agent's API key."""
        agent = {
            "name": name,
            "owner": name,
            "publicKey": keys["publicKey"],
            "signingKey": keys["signingKey"],
        }
        return self._request("POST", "/agents", agent)["apiKey"]

    def directory(self):
        return {agent["name"]: agent for agent in self._request("GET", "/agents")}

    def resolve(self, name):
        """Find an agent as the relay does: exact name first, then ignoring case."""
        directory = self.directory()
        if name in directory:
            return directory[name]
        for agent in directory.values():
            if agent["name"].lower() == name.lower():
                return agent
        raise ClawTalkError(f"no agent named {name}")

    def send(self, to, payload, keys, options, form="signed"):
        """Send one message. `options` holds its optional members under their wire names.

        `form` is `signed`, `signed-ttl` (the signature covers ttl, a known
        fault of other clients that no receiver can verify), `unsigned` or
        `plaintext`.
        """
        recipient = self.resolve(to)
        # The relay rewrites `to` to the registered spelling, so that is what is signed.
        message = {"type": "request", **options, "to": recipient["name"]}
        if form == "plaintext":
            message.update(encrypted=False, payload=payload)
        else:
            message.update(seal(payload, keys, recipient["publicKey"]))
        if form == "signed":
            message["signature"] = sign({k: v for k, v in message.items() if k != "ttl"}, keys)
        elif form == "signed-ttl":
            message["signature"] = sign(message, keys)
        return self._request("POST", "/messages", message)

    def inbox(self):
        """All waiting messages, oldest first."""
        messages, query = [], {"sort": "asc", "limit": PAGE_SIZE}
        while True:
            page = self._request("GET", "/messages?" + urllib.parse.urlencode(query))["messages"]
            messages += page
            if len(page) < PAGE_SIZE:
                return messages
            query["after"] = page[-1]["ts"]

    def receive(self, keys):
        """Open all waiting messages, each on its own; one that fails carries `error` instead of `payload`."""
        messages, directory = self.inbox(), self.directory()
        for message in messages:
            try:
                yield open_message(message, keys, directory)
            except (ClawTalkError, CryptoError, ValueError) as error:
                yield {"id": message["id"], "from": message["from"], "error": str(error)}

    def ack(self, message_id):
        self._request("DELETE", f"/messages/{message_id}")
