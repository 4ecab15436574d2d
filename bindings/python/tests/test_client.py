"""Agents that talk over a relay."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

import ctalk
from support import Scene, handles


def take(client: ctalk.Client) -> ctalk.Message:
    """The next message, which must come."""
    message = client.receive()
    assert message is not None
    return message


@pytest.mark.parametrize("said", ["grüße", b"\x00\xff", {"answer": 42}, [1.5], ""])
def test_a_message_arrives_as_it_was_sent_and_once(scene: Scene, said: Any) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    (sent,) = alice.send(
        scene.name("bob"), said, type="notification", topic="lab", correlation_id="c", reply_to="r"
    )
    assert sent["pinned"] and sent["format"] == "native"
    message = take(bob)
    assert message.content == said
    assert message.id == sent["id"]
    assert message.sender == message.relay_sender == scene.name("alice")
    assert message.fingerprint == alice.whoami()["fingerprint"]
    assert (message.trust, message.type) == ("pinned", "notification")
    assert (message.topic, message.correlation_id, message.reply_to) == ("lab", "c", "r")
    assert message.attempt == message.info["attempt"] == 1
    message.commit()
    assert bob.receive(0) is None
    assert [event["event"] for event in bob.events()] == ["pinned"]
    assert bob.events() == []


def test_a_call_is_answered(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")

    def answer() -> None:
        for message in bob.follow():
            with message:
                message.reply({"sum": sum(message.content)})

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        response = alice.call(scene.name("bob"), [17, 25], timeout=60)
    finally:
        bob.stop()
        thread.join()
    assert response.content == {"sum": 42}
    assert response.type == "response"
    with pytest.raises(ctalk.UsageError) as failure:
        response.commit()
    assert failure.value.name == "CTALK_ALREADY_SETTLED"


def test_a_call_that_nobody_answers_times_out(scene: Scene) -> None:
    alice, _ = scene.agent("alice"), scene.agent("bob")
    with pytest.raises(ctalk.TimedOutError) as failure:
        alice.call(scene.name("bob"), "anybody there?", timeout=0.01)
    assert isinstance(failure.value, TimeoutError)


def test_a_with_commits_or_has_it_tried_again(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    alice.send(scene.name("bob"), "hello")
    seen = []
    for message in bob.follow(retry_after=0.001):
        seen.append(message.attempt)
        if len(seen) == 1:
            with pytest.raises(ZeroDivisionError):
                with message:
                    raise ZeroDivisionError
            continue
        with message:
            pass
        break
    assert seen == [1, 2]
    assert bob.receive(0) is None


def test_what_was_settled_within_a_with_stays_so(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    alice.send(scene.name("bob"), "hello")
    with take(bob) as message:
        message.reject("never")
    assert bob.receive(0) is None
    for again in (message.commit, message.retry, message.reject, lambda: message.reply("no")):
        with pytest.raises(ctalk.UsageError) as failure:
            again()
        assert failure.value.name == "CTALK_ALREADY_SETTLED"


def test_a_message_that_is_dropped_is_tried_again(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    alice.send(scene.name("bob"), "hello")
    messages = bob.follow(retry_after=0.001)
    message = next(messages)
    assert message.attempt == 1
    del message
    message = next(messages)
    assert message.attempt == 2
    message.commit()


def test_a_client_that_is_closed_gives_back_what_it_has(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    alice.send(scene.name("bob"), "hello")
    message = take(bob)
    bob.close()
    for use in (message.commit, bob.whoami, bob.flush, lambda: bob.receive(0)):
        with pytest.raises(ctalk.UsageError) as failure:
            use()
        assert failure.value.name == "CTALK_WRONG_HANDLE"
    assert not bob._stoppers
    # What it says is there all the same.
    assert message.content == "hello"
    again = take(scene.open("bob"))
    assert (again.content, again.attempt) == ("hello", 2)
    again.commit()


def test_only_a_signed_request_is_answered(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    alice.send(scene.name("bob"), "hello", type="notification")
    message = take(bob)
    with pytest.raises(ctalk.UsageError) as failure:
        message.reply("hello yourself")
    assert failure.value.name == "CTALK_NOT_ASKED"
    message.commit()


def test_what_nobody_signed_comes_only_where_it_is_asked_for(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    alice.send(scene.name("bob"), "hello", plaintext=True)
    assert list(bob.follow(idle=0)) == []
    assert [event["event"] for event in bob.events()] == ["set-aside"]
    alice.send(scene.name("bob"), "hello again", plaintext=True)
    for message in bob.follow(idle=0, unsigned=True):
        with message:
            assert (message.sender, message.fingerprint) == (None, None)
            assert message.trust == "plaintext"
            assert message.relay_sender == scene.name("alice")


def test_following_ends_when_nothing_comes_any_more(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    for number in range(3):
        alice.send(scene.name("bob"), number)
    said = []
    for message in bob.follow(idle=0):
        with message:
            said.append(message.content)
    assert said == [0, 1, 2]


def test_a_message_to_several_says_what_became_of_each(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    nobody = scene.name("nobody")
    to_bob, to_nobody = alice.send([scene.name("bob"), nobody], "hello")
    assert "error" not in to_bob
    assert to_nobody["to"] == nobody and to_nobody["error"]
    with take(bob) as message:
        assert message.content == "hello"
    with pytest.raises(ctalk.Error):
        alice.send(nobody, "hello")


def test_a_message_waits_in_the_outbox_while_the_relay_is_away(scene: Scene) -> None:
    alice = scene.agent("alice")
    bob = scene.agent("bob")
    alice.contacts.add(scene.name("bob"))
    (sent,) = alice.send(scene.name("bob"), "hello", no_wait=True)
    assert sent["state"] == "queued"
    assert bob.receive(0) is None
    alice.flush()
    with take(bob) as message:
        assert message.content == "hello"


def test_a_relay_that_is_not_there_is_told_from_one_that_says_no(scene: Scene) -> None:
    alice = scene.agent("alice")
    with ctalk.Relay() as other:
        with pytest.raises(ctalk.RelayRefusedError):
            alice.register(relay=other.url, admin_key="wrong")
        gone = other.url
    with pytest.raises(ctalk.RelayUnreachableError):
        alice.register(relay=gone, admin_key="any")


def test_contacts_are_kept(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    contacts = alice.contacts
    assert contacts.add(bob.card(), "robert")["standing"] == "pinned"
    assert [contact["name"] for contact in contacts] == ["robert"]
    assert contacts.show("robert")["cards"][0]["fingerprint"] == bob.card().fingerprint
    assert contacts.rename("robert", "bobby")["name"] == "bobby"
    assert contacts.note("bobby", "met at the fair")["notes"] == "met at the fair"
    bob.contacts.add(str(alice.card()), "alice")
    compared = contacts.compare("bobby")
    assert compared["safetyNumber"] == bob.contacts.compare("alice")["safetyNumber"]
    with pytest.raises(ctalk.NotTrustedError):
        contacts.verify("bobby", alice.card().fingerprint)
    assert contacts.verify("bobby", compared["fingerprint"])["standing"] == "verified"
    assert contacts.block("bobby")["standing"] == "blocked"
    assert contacts.export_list() == ""
    assert contacts.unblock("bobby")["standing"] == "pinned"
    carol = scene.agent("carol")
    imported = carol.contacts.import_list(contacts.export_list() + "nonsense\n")
    assert (imported["added"], imported["refused"]) == (1, 1)
    assert imported["refusals"][0]["line"] == 2
    contacts.remove("bobby")
    for use in (contacts.show, contacts.remove, contacts.block, contacts.compare):
        with pytest.raises(ctalk.UsageError) as failure:
            use("bobby")
        assert failure.value.name == "CTALK_UNKNOWN_CONTACT"


def test_the_keys_of_a_client_work_without_the_relay(scene: Scene) -> None:
    alice, bob = scene.agent("alice"), scene.agent("bob")
    with alice.identity() as me, bob.identity() as other:
        sealed = me.seal("hello", [bob.card()])
        assert other.open(sealed, sender=alice.card()).content == "hello"
    assert alice.whoami()["fingerprint"] == alice.card().fingerprint
    assert alice.whoami()["relay"] == scene.relay.url


def test_garbage_in_options_is_refused(scene: Scene) -> None:
    alice = scene.agent("alice")
    garbage: Any
    for garbage in (1, None, {}, [1]):
        with pytest.raises(ctalk.UsageError):
            alice.send(garbage, "hello")
    for garbage in (-1, float("nan")):
        with pytest.raises(ValueError):
            alice.receive(garbage)
        with pytest.raises(ValueError):
            alice.follow(idle=garbage)
    for garbage in ("1", [], object()):
        with pytest.raises(TypeError):
            alice.receive(garbage)
    with pytest.raises(ctalk.UsageError):
        alice.follow(handler=4711)  # type: ignore[arg-type]
    with pytest.raises(ctalk.UsageError):
        ctalk.Client(scene.profile("alice"), require=["nonsense"])
    with pytest.raises(ctalk.LocalStoreError):
        ctalk.Client(scene.profile("nobody"))


def test_nothing_is_left_behind(scene: Scene) -> None:
    scene.register("alice")
    scene.register("bob")
    # What earlier tests left is theirs, and may go meanwhile.
    gc.collect()
    before = handles()
    with ctalk.Client(scene.profile("alice")) as alice, ctalk.Client(scene.profile("bob")) as bob:
        alice.send(scene.name("bob"), "hello")
        with take(bob) as message:
            message.reply("hello yourself")
        with pytest.raises(ctalk.Error):
            alice.send(scene.name("nobody"), "hello")
    del message
    assert handles() <= before
