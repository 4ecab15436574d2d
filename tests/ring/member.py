"""The ring's member in Python: member.py NAME NEXT. Adds its name to each text and sends it on."""

from __future__ import annotations

import sys

import ctalk


def main(name: str, following: str) -> None:
    with ctalk.Client(ctalk.profile_folder(name), require=["verified", "native"]) as client:
        for message in client.follow():
            with message:
                if message.content.split()[-1] != message.sender:
                    message.reject("another name")
                    continue
                text = f"{message.content} {name}"
                # The id keeps a message from going on twice, should this program end before it commits.
                client.send(following, text, type="notification", idempotency_key=message.id)
            print(text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
