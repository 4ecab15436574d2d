"""Exchange messages between ctalk and two independent ClawTalk clients over ctalk's relay.

Run from the root of the repository, with a Python that has
tests/interop/python/requirements.txt installed, and with a copy of
tests/interop/node in which `npm ci` was run:

    python tests/interop/run.py --ctalk target/debug/ctalk --node target/interop-node

Prints one line per claim and exits 1 when any of them does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "python"))

import clawtalk  # noqa: E402 (found through the line above)

TIMEOUT_SECONDS = 60
# ctalk's exit code when some messages were set aside and nothing worse happened.
EXIT_SET_ASIDE = 9
# One more than the largest page a relay serves.
BURST = 101

UNICODE = (
    "\u00e9 e\u0301 \u4f60\u597d \u0646\u0635 \U0001f469\u200d\U0001f680 \U00010348 \U0010ffff"
    " \u2028 \u2029 \u007f \u00ad \ufeff \ufffd \uffff"
)
ESCAPES = '"double" \'single\' back\\slash /slash <tag> &amp; \\u0041 \b\f\n\r\t'
CONTROLS = "".join(chr(code) for code in range(0x01, 0x20))

# (claim, payload, optional members under their wire names)
CASES = [
    ("a text", {"text": "hello"}, {}),
    ("a ttl, which the relay drops", {"text": "soon gone"}, {"ttl": 3600}),
    ("a response with every member", {"answer": [1, 2]}, {
        "type": "response", "topic": "sync", "correlationId": "c-1", "replyTo": "r-1", "ttl": 60,
    }),
    ("a notification", {"event": "done"}, {"type": "notification"}),
    ("empty members", {"text": ""}, {"topic": "", "correlationId": "", "replyTo": ""}),
    ("unicode in the payload", {"text": UNICODE, UNICODE: [UNICODE]}, {}),
    ("unicode in the members", {"n": 1}, {"topic": UNICODE, "correlationId": UNICODE, "replyTo": UNICODE}),
    ("escapes in the payload", {"text": ESCAPES, ESCAPES: [ESCAPES]}, {}),
    ("escapes in the members", {"n": 2}, {"topic": ESCAPES, "correlationId": ESCAPES, "replyTo": ESCAPES}),
    ("control characters in the payload", {"text": "\0" + CONTROLS, CONTROLS: None}, {}),
    ("control characters in the members", {"n": 3}, {
        "topic": CONTROLS, "correlationId": CONTROLS, "replyTo": CONTROLS,
    }),
    ("a unicode text", {"text": UNICODE + ESCAPES + CONTROLS}, {"ttl": 3600, "topic": UNICODE}),
    ("numbers", [0, -1, 1.5, -0.25, 1e-7, 1e21, 9007199254740991, -9007199254740991], {}),
    ("null", None, {}),
    ("true", True, {}),
    ("a string", "just a string", {}),
    ("an empty string", "", {}),
    ("an empty array", [], {}),
    ("an empty object", {}, {}),
    ("an object whose text is no string", {"text": 7}, {}),
    ("nested values", {"a": [{"b": [[], {}, [None, {"c": False}]]}]}, {}),
    ("a payload close to the size limit", {"text": "\u20ac" * 16000}, {}),
]


class Failed(Exception):
    """A command that did not do what was asked of it."""


class Claims:
    """Counts what held and what did not."""

    def __init__(self):
        self.passed = self.failed = 0

    def equal(self, claim, actual, expected):
        # Compared as JSON text, because to Python 1, 1.0 and True are equal.
        got, wanted = (json.dumps(value, sort_keys=True) for value in (actual, expected))
        self._report(claim, got == wanted, f"expected {wanted[:600]}, got {got[:600]}")

    @contextlib.contextmanager
    def attempt(self, claim):
        """Fail `claim` when the block raises, whatever it raises: the other claims still have their say."""
        try:
            yield
        except Exception as error:
            self._report(claim, False, f"{type(error).__name__}: {error}")

    def _report(self, claim, holds, detail):
        if holds:
            self.passed += 1
            print(f"ok {claim}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED {claim}: {detail}", flush=True)


def run(command, env=None, accept=(0,)):
    """Run `command` to its end; returns its exit code and what it printed on stdout."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{command[:3]} did not end within {TIMEOUT_SECONDS} s") from error
    if done.returncode not in accept:
        stderr = ascii(done.stderr.decode("utf-8", "replace"))
        raise Failed(f"{[str(part) for part in command[:3]]} exited {done.returncode}: {stderr[:600]}")
    return done.returncode, done.stdout.decode("utf-8")


def json_lines(text):
    # Not splitlines(), which would also split at U+2028 inside a value.
    return [json.loads(line) for line in text.split("\n") if line]


def given_options(options):
    names = {"type": "type", "topic": "topic", "correlationId": "correlation-id", "replyTo": "reply-to", "ttl": "ttl"}
    return [f"--{names[name]}={value}" for name, value in options.items()]


def message(sender, payload, options, authentic):
    """What a receiver must report of a message that was sent so."""
    members = {name: value for name, value in options.items() if name != "ttl"}
    return {"from": sender, "type": "request", **members, "payload": payload, "authentic": authentic}


class ScriptAgent:
    """An agent whose client is one of the two independent ones."""

    def __init__(self, name, command, relay, keys=None):
        self.name, self.command, self.relay = name, command, relay
        folder = relay.folder / name
        folder.mkdir()
        self.key_file, self.api_key_file = folder / "keys.json", folder / "api-key"
        self.key_file.write_text(keys or run([*command, "keygen"])[1], "utf-8")
        _, api_key = run([
            *command, "register", f"--url={relay.url}", f"--admin-key-file={relay.admin_key_file}",
            f"--key-file={self.key_file}", f"--name={name}",
        ])
        self.api_key_file.write_text(api_key, "utf-8")

    def _call(self, verb, *arguments):
        _, out = run([
            *self.command, verb, f"--url={self.relay.url}", f"--api-key-file={self.api_key_file}",
            f"--key-file={self.key_file}", *arguments,
        ])
        return json_lines(out)

    def keys(self):
        return json.loads(self.key_file.read_text("utf-8"))

    def client(self):
        return clawtalk.Client(self.relay.url, self.api_key_file.read_text("utf-8").strip())

    def send(self, to, payload, options, form="signed"):
        """Send one message; returns what the relay answered, its `id` and `ts`."""
        [sent] = self._call(
            "send", f"--to={to}", f"--payload={clawtalk.stringify(payload)}", f"--form={form}", *given_options(options)
        )
        return sent

    def receive(self):
        """Everything that waits, as (id, message), and removes it from the relay."""
        received = []
        for line in self._call("receive", "--ack"):
            # `verified` is true, false or, for what is not signed, absent.
            line["authentic"] = {True: "signed", False: "forged", None: "unsigned"}[line.pop("verified", None)]
            received.append((line.pop("id"), line))
        return received


class CtalkAgent:
    """An agent whose client is ctalk."""

    def __init__(self, name, binary, relay, import_file=None):
        self.name, self.binary = name, binary
        home = relay.folder / name
        self.env = {**os.environ, "CTALK_HOME": str(home)}
        imported = [f"--import={import_file}"] if import_file else []
        self.call("keygen", f"--name={name}", "--key-store=plain", *imported)
        self.call("register", f"--relay={relay.url}", f"--admin-key=@{relay.admin_key_file}")

    def call(self, *arguments, accept=(0,)):
        return run([self.binary, *arguments], self.env, accept)

    def send(self, to, payload, options, form="signed"):
        plaintext = {"signed": [], "plaintext": ["--plaintext"]}[form]
        _, out = self.call(
            "send", to, f"--data={clawtalk.stringify(payload)}", "--json", *plaintext, *given_options(options)
        )
        [sent] = json_lines(out)
        return sent

    def receive(self, expected_code=0):
        """Everything that waits, as (id, message), and removes it from the relay."""
        _, out = self.call("recv", "--json", accept=(expected_code,))
        return [self._message(line) for line in json_lines(out)]

    @staticmethod
    def _message(line):
        payload = line["payload"]
        # ctalk shows a payload that is only a text as that text.
        if line["contentType"] == "text/plain":
            payload = {"text": payload}
        members = {
            name: line[name]
            for name in ("from", "type", "topic", "correlationId", "replyTo")
            if line.get(name) is not None
        }
        authentic = "signed" if line["trust"] == "pinned" else line["trust"]
        return line["relayId"], {**members, "payload": payload, "authentic": authentic}


class Relay:
    """ctalk's relay on a free port, for the time of a `with` block."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.admin_key_file = folder / "admin-key"

    def __enter__(self):
        self.admin_key_file.write_text(secrets.token_urlsafe(32), "utf-8")
        self.process = subprocess.Popen(
            [
                self.binary, "relay", "--listen=127.0.0.1:0", f"--data={self.folder / 'relay'}",
                f"--admin-key=@{self.admin_key_file}", "--rate-limit=off",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        # Ends the wait below when the relay never says that it is ready.
        watchdog = threading.Timer(TIMEOUT_SECONDS, self.process.kill)
        watchdog.start()
        try:
            self.url = self._ready_url()
        except BaseException:
            self.__exit__()
            raise
        finally:
            watchdog.cancel()
        return self

    def _ready_url(self):
        for line in self.process.stdout:
            if line.startswith("listening on "):
                return line.split()[-1]
        raise Failed("the relay ended before it was ready")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def exchange(claims, sender, receiver, cases, form="signed", authentic="signed"):
    """Send all cases one way, then receive them in one go."""
    title = f"{sender.name} to {receiver.name}"
    sent = []
    for claim, payload, options in cases:
        with claims.attempt(f"{title}: {claim}"):
            message_id = sender.send(receiver.name, payload, options, form)["id"]
            sent.append((message_id, claim, payload, options))
    received = []
    with claims.attempt(f"{title}: receiving"):
        received = receiver.receive()
    by_id = dict(received)
    for message_id, claim, payload, options in sent:
        expected = message(sender.name, payload, options, authentic)
        claims.equal(f"{title}: {claim}", by_id.get(message_id), expected)
    claims.equal(f"{title}: every message once, in order", [i for i, _ in received], [s[0] for s in sent])
    with claims.attempt(f"{title}: the inbox is empty afterwards"):
        claims.equal(f"{title}: the inbox is empty afterwards", receiver.receive(), [])


def vectors(claims, commands):
    for name, command in commands.items():
        claim = f"{name}: the protocol's vectors V1 to V4"
        with claims.attempt(claim):
            _, out = run([*command, "vectors", HERE / "vectors.json"])
            claims.equal(claim, out.count("ok V"), 20)


def shown(claims, ctalk, scripts):
    """What ctalk says of a message, member by member, and how far it trusts it."""
    payload = {"text": "from anyone"}
    options = {"type": "response", "topic": "open", "correlationId": "c-2", "replyTo": "r-2"}
    forms = {
        "signed": {"format": "classic", "encrypted": True, "trust": "pinned"},
        "unsigned": {"format": "classic", "encrypted": True, "trust": "unsigned"},
        "plaintext": {"format": "plain", "encrypted": False, "trust": "plaintext"},
    }
    for script in scripts:
        for form, judged in forms.items():
            claim = f"{script.name} to ctalk: a message sent {form} is shown as such, with every member"
            with claims.attempt(claim):
                sent = script.send(ctalk.name, payload, {**options, "ttl": 3600}, form)
                [line] = json_lines(ctalk.call("recv", "--json")[1])
                # Who it is from is said only where a signature proved it.
                proven = form == "signed"
                claims.equal(claim, (line.pop("fingerprint", None) is not None, line), (proven, {
                    **options, **judged, "id": sent["id"], "relayId": sent["id"], "ts": sent["ts"],
                    "from": script.name if proven else None, "relayFrom": script.name, "to": ctalk.name,
                    "contentType": "text/plain", "payload": "from anyone",
                }))


def unauthenticated(claims, ctalk, scripts):
    """Plain and unsigned messages arrive, but never as signed ones."""
    python, node = scripts
    for sender, receiver, form in (
        (ctalk, python, "plaintext"),
        (ctalk, node, "plaintext"),
        (python, node, "unsigned"),
        (python, node, "plaintext"),
        (node, python, "unsigned"),
        (node, python, "plaintext"),
    ):
        case = (f"sent {form}", {"text": "from anyone"}, {"topic": "open"})
        exchange(claims, sender, receiver, [case], form, "unsigned")


def several_recipients(claims, ctalk, scripts):
    """ctalk seals and signs for each recipient alone, so that each can verify."""
    python, node = scripts
    for claim, arguments in (
        ("named recipients", [python.name, f"--to={node.name}"]),
        ("a broadcast", ["--broadcast"]),
    ):
        with claims.attempt(f"ctalk to all: {claim}"):
            ctalk.call("send", *arguments, "--data=[1]", "--topic=all")
            for script in scripts:
                claims.equal(
                    f"ctalk to all: {claim}: {script.name} verifies and reads it",
                    [received for _, received in script.receive()],
                    [message(ctalk.name, [1], {"topic": "all"}, "signed")],
                )


def refused(claims, ctalk, scripts):
    """What cannot be verified or read is set aside by ctalk; its neighbours arrive."""
    bad = [
        ("a signature over ttl", {"text": "forged"}, {"ttl": 3600}, "signed-ttl"),
        ("a lone surrogate in the payload", {"text": "\ud800"}, {}, "signed"),
    ]
    for script in scripts:
        for claim, payload, options, form in bad:
            claim = f"{script.name} to ctalk: {claim} is set aside, its neighbours arrive"
            with claims.attempt(claim):
                before = script.send(ctalk.name, 1, {})["id"]
                aside = script.send(ctalk.name, payload, options, form)["id"]
                after = script.send(ctalk.name, 2, {})["id"]
                received = [message_id for message_id, _ in ctalk.receive(EXIT_SET_ASIDE)]
                listed = [line["relayId"] for line in json_lines(ctalk.call("inbox", "list", "--json")[1])]
                claims.equal(claim, [received, listed[-1:]], [[before, after], [aside]])
    for sender, receiver in (scripts, reversed(scripts)):
        exchange(claims, sender, receiver, [
            ("a signature over ttl does not verify", 1, {"ttl": 3600}),
        ], "signed-ttl", "forged")
        exchange(claims, sender, receiver, [
            ("lone surrogates in the payload", {"text": "\ud800 \udfff", "\udc00": 1}, {}),
        ])


def texts(claims, ctalk, scripts):
    for script in scripts:
        text = UNICODE + ESCAPES + CONTROLS
        claim = f"ctalk to {script.name}: a text given as an argument arrives as an object with a text"
        with claims.attempt(claim):
            ctalk.call("send", script.name, text)
            claims.equal(claim, [m for _, m in script.receive()], [message(ctalk.name, {"text": text}, {}, "signed")])
        claim = f"{script.name} to ctalk: an object with only a text is shown as that text"
        with claims.attempt(claim):
            script.send(ctalk.name, {"text": text}, {})
            [line] = json_lines(ctalk.call("recv", "--json")[1])
            claims.equal(claim, [line["contentType"], line["payload"]], ["text/plain", text])


def spellings(claims, agents):
    """Signatures cover the registered name, whatever spelling the sender used."""
    for sender in agents:
        receiver = agents[agents.index(sender) - 1]
        claim = f"{sender.name} to {receiver.name.upper()}: verifies although the name is spelt differently"
        with claims.attempt(claim):
            sender.send(receiver.name.upper(), 1, {})
            received = [m for _, m in receiver.receive()]
            claims.equal(claim, received, [message(sender.name, 1, {}, "signed")])


def keys_across(claims, ctalk, relay, commands):
    """Keys made by one implementation work in another."""
    case = [CASES[2]]
    for name, command in commands.items():
        other = f"ctalk-with-{name}-keys"
        claim = f"{other}: ctalk imports keys made by {name} and publishes the same ones"
        with claims.attempt(claim):
            peer = ScriptAgent(f"{name}-peer", command, relay)
            key_file = relay.folder / f"{other}.json"
            key_file.write_text(run([*command, "keygen"])[1], "utf-8")
            importer = CtalkAgent(other, ctalk.binary, relay, import_file=key_file)
            made, published = json.loads(key_file.read_text("utf-8")), peer.client().directory()[other]
            claims.equal(
                claim,
                [published["publicKey"], published["signingKey"]],
                [made["publicKey"], made["signingKey"]],
            )
            exchange(claims, importer, peer, case)
            exchange(claims, peer, importer, case)

        other = f"{name}-with-ctalk-keys"
        with claims.attempt(f"{other}: {name} uses keys made by ctalk"):
            user = ScriptAgent(other, command, relay, keys=run([ctalk.binary, "keygen", "--clawtalk"])[1])
            exchange(claims, user, ctalk, case)
            exchange(claims, ctalk, user, case)


def bursts(claims, sender, receivers):
    for receiver in receivers:
        claim = f"{sender.name} to {receiver.name}: {BURST} waiting messages all arrive, in order"
        with claims.attempt(claim):
            client, keys = sender.client(), sender.keys()
            ids = [client.send(receiver.name, {"n": n}, keys, {})["id"] for n in range(BURST)]
            claims.equal(claim, [message_id for message_id, _ in receiver.receive()], ids)


def main():
    parser = argparse.ArgumentParser(description="Interoperation tests of ctalk with independent ClawTalk clients.")
    parser.add_argument("--ctalk", required=True, type=Path, help="the ctalk binary")
    parser.add_argument("--node", required=True, type=Path, help="the folder of the installed Node client")
    args = parser.parse_args()

    # Ended from outside, the relay must end too: let `finally` and `with` run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Nothing of the caller's own profiles or proxies may take part.
    for name in [name for name in os.environ if name.startswith(("CTALK_", "CLAWTALK_")) or name == "ADMIN_KEY"]:
        del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"

    binary = args.ctalk.resolve()
    commands = {
        "python": [sys.executable, HERE / "python" / "cli.py"],
        "node": ["node", args.node.resolve() / "cli.js"],
    }
    claims = Claims()
    vectors(claims, commands)
    with claims.attempt("the three agents register"), \
            tempfile.TemporaryDirectory(prefix="ctalk-interop-") as folder, \
            Relay(binary, Path(folder)) as relay:
        ctalk = CtalkAgent("ctalk", binary, relay)
        scripts = [ScriptAgent(name, command, relay) for name, command in commands.items()]
        agents = [ctalk, *scripts]
        for sender in agents:
            for receiver in agents:
                if sender is not receiver:
                    exchange(claims, sender, receiver, CASES)
        texts(claims, ctalk, scripts)
        shown(claims, ctalk, scripts)
        several_recipients(claims, ctalk, scripts)
        spellings(claims, agents)
        keys_across(claims, ctalk, relay, commands)
        bursts(claims, scripts[0], agents)
        unauthenticated(claims, ctalk, scripts)
        refused(claims, ctalk, scripts)
    print(f"{claims.passed} passed, {claims.failed} failed")
    sys.exit(1 if claims.failed else 0)


if __name__ == "__main__":
    main()
