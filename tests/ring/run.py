"""Have agents in four languages pass messages round over ctalk's relay.

Run from the root of the repository, with a Python in which bindings/python is installed:

    python tests/ring/run.py --ctalk target/debug/ctalk --c PROGRAM --node target/node/empty/ring/member.mjs

PROGRAM is member.c, compiled and linked with the C library, and member.mjs lies where Node finds the package
`ctalk`. Exits 1 when anything does not come round as it should.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Iterator, NoReturn, Optional

HERE = Path(__file__).resolve().parent
RING = ("cli", "c11", "python", "node")
MESSAGES = 5
ROUNDS = 3
#: A ring in which nothing moves any more is a failure and does not hang.
LIMIT_SECONDS = 120


class Ctalk:
    """The command line, with the profiles of one folder."""

    def __init__(self, binary: Path, home: Path) -> None:
        self._binary = binary
        self.environment = {**os.environ, "CTALK_HOME": str(home)}

    def run(self, profile: str, *arguments: object, text: Optional[str] = None) -> list[Any]:
        """What a command of this profile says, an object for each line."""
        line = [self._binary, "--json", "--quiet", "--profile", profile, *arguments]
        done = subprocess.run(
            [str(word) for word in line],
            env=self.environment,
            input=text,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
        return [json.loads(said) for said in done.stdout.splitlines()]

    @contextlib.contextmanager
    def relay(self, data: Path) -> Iterator[str]:
        """A relay on a free port, and its address."""
        line = [self._binary, "--quiet", "relay", "--listen=127.0.0.1:0", f"--data={data}", "--rate-limit=off"]
        with process(line, self.environment) as relay:
            assert relay.stdout is not None
            for said in relay.stdout:
                if said.startswith("listening on "):
                    yield said.split()[-1]
                    return
            raise AssertionError("the relay ended before it was ready")


@contextlib.contextmanager
def process(line: list[object], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A program that is ended with the block."""
    with subprocess.Popen(
        [str(word) for word in line],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as running:
        try:
            yield running
        finally:
            running.terminate()


def neighbours(name: str) -> tuple[str, str]:
    """Whoever comes before and after a member."""
    place = RING.index(name)
    return RING[place - 1], RING[(place + 1) % len(RING)]


def introduce(ctalk: Ctalk, relay: str, admin_key: Path) -> None:
    """Makes and registers the members, and gives each the cards of its neighbours, which it verifies."""
    cards = {}
    for name in RING:
        ctalk.run(name, "keygen", "--name", name, "--key-store", "plain")
        ctalk.run(name, "register", "--relay", relay, "--admin-key", f"@{admin_key}")
        (cards[name],) = ctalk.run(name, "card")
    for name in RING:
        for other in neighbours(name):
            ctalk.run(name, "contact", "add", "-", text=cards[other]["card"])
            ctalk.run(name, "contact", "verify", other, cards[other]["fingerprint"])


def go_round(ctalk: Ctalk, members: dict[str, subprocess.Popen[str]]) -> None:
    """Sends the messages round, as often as is asked, and looks at each on its way and at its return."""
    texts = [f"{number}" for number in range(MESSAGES)]
    for number in range(1, ROUNDS + 1):
        texts = [f"{text} cli" for text in texts]
        for text in texts:
            ctalk.run("cli", "send", "c11", text, "--type", "notification", "--require", "verified")
        for name, member in members.items():
            texts = [f"{text} {name}" for text in texts]
            assert member.stdout is not None
            passed = [member.stdout.readline().rstrip("\n") for _ in texts]
            assert passed == texts, f"{name} passed on {passed}, not {texts}"
        back = ctalk.run("cli", "recv", "--follow", "--count", len(texts))
        shown = [(message["payload"], message["from"]) for message in back]
        assert shown == [(text, "node") for text in texts], f"what came back: {shown}"
        judged = {(message["format"], message["trust"]) for message in back}
        assert judged == {("native", "verified")}, f"what was made of it: {judged}"
        print(f"ok round {number}: {len(texts)} messages, such as `{texts[0]}`", flush=True)


def nothing_is_left(ctalk: Ctalk, members: dict[str, subprocess.Popen[str]]) -> None:
    """Each member committed what it had once, and nothing came besides."""
    for name, member in members.items():
        member.terminate()
        rest = member.communicate()[0]
        assert member.returncode == -signal.SIGTERM, f"{name} ended by itself: {member.returncode}"
        assert rest == "", f"{name} passed on more: {rest}"
    for name in RING:
        for look in (["recv"], ["inbox", "list"], ["outbox", "list"]):
            left = ctalk.run(name, *look)
            assert left == [], f"{name} has something left, {look[0]}: {left}"
    print("ok nothing is left, and nothing came twice", flush=True)


def give_up(*_: object) -> NoReturn:
    raise AssertionError(f"the messages were not round after {LIMIT_SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description="Agents in four languages pass messages round.")
    parser.add_argument("--ctalk", required=True, type=Path, help="the ctalk binary")
    parser.add_argument("--c", required=True, type=Path, help="the member in C, built")
    parser.add_argument("--node", required=True, type=Path, help="the member in Node")
    args = parser.parse_args()
    # Ended from outside, everything that was started must end too: let `with` run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_SECONDS)
    # Nothing of the caller's own profiles or proxies may take part.
    for name in [name for name in os.environ if name.startswith(("CTALK_", "CLAWTALK_"))]:
        del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ctalk-ring-")))
        ctalk = Ctalk(args.ctalk.resolve(), folder / "profiles")
        relay = stack.enter_context(ctalk.relay(folder / "relay"))
        introduce(ctalk, relay, folder / "relay/admin.key")
        programs: dict[str, list[object]] = {
            "c11": [args.c.resolve()],
            "python": [sys.executable, HERE / "member.py"],
            "node": ["node", args.node.resolve()],
        }
        members = {
            name: stack.enter_context(
                process([*program, name, neighbours(name)[1]], ctalk.environment)
            )
            for name, program in programs.items()
        }
        go_round(ctalk, members)
        nothing_is_left(ctalk, members)


if __name__ == "__main__":
    main()
