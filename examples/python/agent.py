"""An agent that answers, and one that asks it.

Run with: pip install ./bindings/python && python examples/python/agent.py

A real program would use the relay that its peers use, and a key store that is protected. This one starts
a relay of its own and keeps everything in a temporary folder.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import ctalk


def answer(agent: ctalk.Client) -> None:
    """Handles what comes until the agent is stopped.

    The end of the `with` commits the message, and an exception has it tried again. Whatever happens to
    this program meanwhile, a message that was committed never comes again, and one that was not does.
    """
    for message in agent.follow():
        with message:
            if message.type == "request":
                message.reply({"sum": sum(message.content)})


def make_agent(folder: Path, relay: ctalk.Relay) -> ctalk.Client:
    """A new agent, which is named as its folder."""
    with ctalk.Identity.generate() as identity:
        identity.save(folder, folder.name, key_store="plain")
    agent = ctalk.Client(folder)
    agent.register(relay=relay.url, admin_key=relay.admin_key)
    return agent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, ctalk.Relay() as relay:
        adder = make_agent(Path(folder, "adder"), relay)
        asker = make_agent(Path(folder, "asker"), relay)
        with adder, asker:
            answering = threading.Thread(target=answer, args=[adder])
            answering.start()
            try:
                response = asker.call("adder", [17, 25])
            finally:
                adder.stop()
                answering.join()
            print(f"{response.sender} ({response.trust}) answers {response.content['sum']}")


if __name__ == "__main__":
    main()
