"""Ask ctalk's relay everything that its OpenAPI document allows, and much that it does not.

Run from the root of the repository, with a Python that has tests/openapi/requirements.txt installed:

    python tests/openapi/run.py --ctalk target/debug/ctalk

Schemathesis makes requests from /openapi.json: once with an agent's key, once with the admin key. No
answer may be a server error, have a status, a content type or a body that the document does not say.
It reads every answer to its end, which GET /messages/stream does not have: that is asked here, and each
answer read until its first event. Takes about two minutes and exits 1 when something does not hold.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request
from pathlib import Path

# How long requests are made with each key; what is under way then is finished.
SECONDS = 50
# Longest run with one key.
TIMEOUT_SECONDS = 240
# How often the stream is opened with each key.
STREAMS = 200
STREAM = "/messages/stream"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
KEY = "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw="

# Nobody shall wait for messages.
SETTINGS = """
[[operations]]
include-name = "GET /messages"
parameters = { wait = "0" }
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ctalk", type=Path, required=True, help="the binary to test")
    ctalk = parser.parse_args().ctalk.resolve()
    schemathesis = Path(sys.executable).parent / "schemathesis"
    with tempfile.TemporaryDirectory() as folder:
        admin_key = secrets.token_urlsafe(24)
        relay, url = start(ctalk, Path(folder), admin_key)
        try:
            agent_key = register(url, admin_key)
            statuses = [
                ask(schemathesis, Path(folder), url, name, key)
                for name, key in (("an agent", agent_key), ("the operator", admin_key))
            ]
            statuses += [
                open_streams(url, name, key)
                for name, key in (
                    ("an agent", agent_key), ("the operator", admin_key), ("nobody", "ct_unknown"))
            ]
            healthy = get(url + "/health")["status"] == "ok"
        finally:
            relay.terminate()
            stopped = relay.wait(TIMEOUT_SECONDS)
    print(f"relay: answers at the end: {healthy}, exit code {stopped}")
    return 0 if healthy and stopped == 0 and not any(statuses) else 1


def start(ctalk: Path, folder: Path, admin_key: str) -> tuple[subprocess.Popen[str], str]:
    """Starts a relay with every part of the API switched on; returns it with its URL."""
    relay = subprocess.Popen(
        [ctalk, "-q", "relay", "--json", "--listen", "127.0.0.1:0", "--data", folder / "relay",
         "--audit", "automatic", "--registration-limit", "off"],
        env={**os.environ, "ADMIN_KEY": admin_key},
        stdout=subprocess.PIPE,
        text=True,
    )
    first_line: list[str] = []
    reader = threading.Thread(target=lambda: first_line.append(relay.stdout.readline()))
    reader.start()
    reader.join(TIMEOUT_SECONDS)
    if not first_line or not first_line[0]:
        relay.kill()
        sys.exit("the relay did not start")
    return relay, json.loads(first_line[0])["listening"]


def register(url: str, admin_key: str) -> str:
    agent = {"name": "tester", "owner": "test", "publicKey": KEY, "signingKey": KEY}
    request = urllib.request.Request(
        url + "/agents",
        data=json.dumps(agent).encode(),
        headers={"Authorization": f"Bearer {admin_key}"},
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        return json.load(answer)["apiKey"]


def get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
        return json.load(answer)


def ask(schemathesis: Path, folder: Path, url: str, name: str, key: str) -> int:
    """Runs Schemathesis in the name of whoever has this key; returns its exit code."""
    print(f"requests of {name}", flush=True)
    settings = folder / "schemathesis.toml"
    settings.write_text(SETTINGS)
    return subprocess.run(
        [schemathesis, "--config-file", settings, "run", url + "/openapi.json",
         "--header", f"Authorization: Bearer {key}",
         "--checks", ",".join(CHECKS),
         # It has no end.
         "--exclude-path", STREAM,
         "--max-time", str(SECONDS),
         "--request-timeout", "20",
         "--seed", "1",
         "--generation-database", "none",
         "--warnings", "off",
         "--no-color"],
        cwd=folder,
        timeout=TIMEOUT_SECONDS,
        check=False,
    ).returncode


def open_streams(url: str, name: str, key: str) -> int:
    """Opens the stream in many ways; returns how often the answer was not what the document says."""
    documented = get(url + "/openapi.json")["paths"][STREAM]["get"]["responses"]
    chance = random.Random(1)
    statuses: dict[int, int] = {}
    wrong = 0
    for _ in range(STREAMS):
        query = [
            (chance.choice(("after", "topic", "since", "limit", junk(chance))), value(chance))
            for _ in range(chance.randrange(4))
        ]
        headers = {"Authorization": f"Bearer {key}"}
        if chance.random() < 0.5:
            # What a header cannot hold is not sent.
            visible = "".join(it for it in value(chance) if it.isprintable())
            headers["Last-Event-ID"] = visible.encode("latin-1", "replace")
        path = STREAM + "?" + urllib.parse.urlencode(query)
        problem, status = open_stream(url, path, headers, documented)
        statuses[status] = statuses.get(status, 0) + 1
        if problem:
            print(f"{path} {headers.get('Last-Event-ID')}: {problem}")
            wrong += 1
    print(f"streams of {name}: {statuses}, {wrong} not as documented", flush=True)
    return wrong


def open_stream(
    url: str, path: str, headers: dict[str, object], documented: dict[str, dict[str, object]]
) -> tuple[str | None, int]:
    """Says what is wrong with one answer, if anything is, and its status."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        if str(answer.status) not in documented:
            return f"status {answer.status}", answer.status
        kind = answer.headers.get_content_type()
        if kind not in documented[str(answer.status)]["content"]:
            return f"content type {kind}", answer.status
        if answer.status >= 500:
            return "server error", answer.status
        if answer.status == 200:
            lines = answer.readline() + answer.readline()
            return (None if lines == b":\n\n" else f"it begins with {lines!r}"), 200
        return (None if "code" in json.load(answer) else "no code"), answer.status
    finally:
        connection.close()


def junk(chance: random.Random) -> str:
    return "".join(chr(chance.choice((chance.randrange(1, 256), chance.randrange(256, 0xD800))))
                   for _ in range(chance.randrange(40)))


def value(chance: random.Random) -> str:
    return chance.choice((
        "", "0", "-1", "9" * 400, "2026-03-21T10:11:12.345Z", "+275760-09-13T00:00:00Z",
        "0000-01-01", "2026-13-99T99:99:99Z", junk(chance), "x" * 2000,
    ))


if __name__ == "__main__":
    sys.exit(main())
