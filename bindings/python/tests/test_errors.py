"""What fails: each number as the right exception, and nothing as a crash."""

from __future__ import annotations

import inspect
import io
import os
import pickle
import threading
from typing import Any, Callable, List

import pytest

import ctalk
from ctalk.errors import BY_EXIT_CODE
from ctalk import _native as native
from support import codes, fail_next

ME = ctalk.Identity.generate()
CARD = ME.card("me")
SEALED = ME.seal(b"data", [CARD])


@pytest.mark.parametrize(("number", "name"), codes())
def test_each_number_is_an_exception_of_its_class(number: int, name: str) -> None:
    fail_next(number)
    with pytest.raises(ctalk.Error) as failure:
        ME.seal(b"data", [CARD])
    error = failure.value
    assert (error.code, error.name) == (number, name)
    assert error.exit_code == native.lib.ctalk_code_class(number)
    assert type(error) is BY_EXIT_CODE[error.exit_code]
    assert str(error)
    # The next one is itself again.
    assert ME.seal(b"data", [CARD])


def test_the_package_knows_every_number() -> None:
    assert {number: name for number, name in codes()} == {
        number: name for number, name in native._NAMES.items() if number
    }


def test_each_class_is_exported_and_documented() -> None:
    for error in BY_EXIT_CODE.values():
        assert getattr(ctalk, error.__name__) is error
        assert error.__doc__


def test_an_error_can_be_pickled() -> None:
    with pytest.raises(ctalk.MalformedError) as failure:
        ctalk.Card.parse("no card")
    again = pickle.loads(pickle.dumps(failure.value))
    assert (type(again), str(again), again.code, again.name) == (
        ctalk.MalformedError,
        str(failure.value),
        failure.value.code,
        "CTALK_MALFORMED",
    )


#: Nothing of this is anything that any function takes.
GARBAGE: List[Any] = [None, 1, 1.5, object(), [], {}, (), Exception, len]


@pytest.mark.parametrize("garbage", GARBAGE, ids=repr)
@pytest.mark.parametrize(
    "use",
    [
        lambda it: ctalk.Card.parse(it),
        lambda it: ctalk.Identity.from_keys(it),
        lambda it: ctalk.Identity.from_keys("{}", it),
        lambda it: ctalk.Identity.load(it),
        lambda it: ctalk.Peer(it, it),
        lambda it: ctalk.Peer.of(it),
        lambda it: ME.save("folder", it),
        lambda it: ME.seal(b"data", [it]),
        lambda it: ME.open(it),
        lambda it: ME.open_classic(it, ctalk.Peer.of(CARD)),
        lambda it: ME.open_classic(b"", it),
        lambda it: ctalk.verify(it),
        lambda it: ctalk.inspect(it),
        lambda it: ctalk.safety_number(it, CARD),
        lambda it: ctalk.safety_number(CARD, it),
        lambda it: ctalk.verify_statement(it),
        lambda it: ctalk.read_receipt(it, "application/json", None),
        lambda it: ctalk.read_receipt(b"{}", it, None),
        lambda it: ctalk.profile_folder(it),
        lambda it: ctalk.Client(it),
    ],
    ids=lambda use: inspect.getsource(use).strip(" ,\n"),
)
def test_a_wrong_type_is_a_type_error(use: Callable[[Any], object], garbage: Any) -> None:
    with pytest.raises(TypeError):
        use(garbage)


@pytest.mark.parametrize(
    "options",
    [
        {"type": "nonsense"},
        {"type": 1},
        {"topic": ["list"]},
        {"ttl": -1},
        {"ttl": 1.5},
        {"created": 2**64},
        {"receipt": "yes"},
        {"topic": "\ud800"},
    ],
)
def test_impossible_options_are_refused_by_the_library(options: Any) -> None:
    with pytest.raises(ctalk.UsageError) as failure:
        ME.seal(b"data", [CARD], **options)
    assert failure.value.name == "CTALK_BAD_OPTIONS"


def test_options_that_no_json_can_say_are_refused() -> None:
    with pytest.raises(TypeError):
        ME.seal(b"data", [CARD], topic=object())  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        ME.seal(float("nan"), [CARD])


def test_a_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ctalk.UsageError) as failure:
        ctalk.Card.parse("ctalk-card:\ud800")
    assert failure.value.name == "CTALK_NOT_UTF8"


@pytest.mark.parametrize("now", [-1, 2**64])
def test_numbers_that_c_cannot_take_are_refused(now: int) -> None:
    with pytest.raises(OverflowError):
        ME.open(SEALED, now=now)


def test_recipients_are_bounded() -> None:
    for recipients in ([], [CARD, CARD]):
        with pytest.raises(ctalk.UsageError) as failure:
            ME.seal(b"data", recipients)
        assert failure.value.name == "CTALK_BAD_RECIPIENTS"


class File:
    """A file that does as it was told."""

    def __init__(self, does: Callable[..., Any]) -> None:
        self.read = self.write = does


def raises(error: BaseException) -> Callable[..., Any]:
    def does(*_: object) -> Any:
        raise error

    return does


@pytest.mark.parametrize(
    ("does", "expected"),
    [
        (raises(OSError("disk")), OSError),
        (raises(KeyboardInterrupt()), KeyboardInterrupt),
        (raises(SystemExit(3)), SystemExit),
        (lambda _: "text", TypeError),
        (lambda _: [1], TypeError),
        (lambda: b"", TypeError),
    ],
)
def test_what_a_file_raises_comes_out(does: Any, expected: type[BaseException]) -> None:
    file: Any = File(does)
    for use in (
        lambda: ME.seal_file(file, io.BytesIO(), [CARD]),
        lambda: ME.seal_file(io.BytesIO(b"data"), file, [CARD]),
        lambda: ME.open_file(file, io.BytesIO()),
        lambda: ME.open_file(io.BytesIO(SEALED), file),
        lambda: ctalk.verify(file),
        lambda: ctalk.inspect(file),
    ):
        with pytest.raises(expected):
            use()


def test_a_file_that_lies_about_lengths_is_refused() -> None:
    too_much: Any = File(lambda capacity: bytes(capacity + 1))
    with pytest.raises(ValueError, match="returned"):
        ME.seal_file(too_much, io.BytesIO(), [CARD])
    for taken in (0, -1, 2**40):
        liar: Any = File(lambda _, taken=taken: taken)
        with pytest.raises(ValueError, match="took"):
            ME.seal_file(io.BytesIO(b"data"), liar, [CARD])
    no_file: Any = object()
    with pytest.raises(TypeError):
        ME.seal_file(no_file, io.BytesIO(), [CARD])
    with pytest.raises(TypeError):
        ME.seal_file(io.BytesIO(), no_file, [CARD])


def test_a_pipe_that_does_not_block_is_an_error_before_anything_is_lost() -> None:
    there, back = os.pipe()
    for end in (there, back):
        os.set_blocking(end, False)
    with open(there, "rb", buffering=0) as source, open(back, "wb", buffering=0) as target:
        with pytest.raises(BlockingIOError):
            ME.seal_file(source, io.BytesIO(), [CARD])
        with pytest.raises(BlockingIOError):
            ME.seal_file(io.BytesIO(bytes(2**20)), target, [CARD])


def test_a_file_may_close_the_identity_under_the_call() -> None:
    identity = ctalk.Identity.generate()

    def read(_: int) -> bytes:
        identity.close()
        return b""

    closing: Any = File(read)
    sealed = io.BytesIO()
    identity.seal_file(closing, sealed, [CARD])
    assert ME.open(sealed.getvalue()).payload == b""


def test_threads_share_identities_and_close_them_at_any_time() -> None:
    """Whatever comes first, it is an answer or an error, and the process goes on."""
    odd: list[BaseException] = []
    for _ in range(20):
        identity = ctalk.Identity.generate()
        card = identity.card("shared")
        ready = threading.Barrier(5)

        def use(identity: ctalk.Identity = identity, card: ctalk.Card = card) -> None:
            ready.wait()
            try:
                for _ in range(3):
                    sealed = identity.seal(b"data", [card])
                    assert identity.open(sealed).payload == b"data"
            except ctalk.UsageError as error:
                if error.name != "CTALK_WRONG_HANDLE":
                    odd.append(error)
            except BaseException as error:
                odd.append(error)

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        ready.wait()
        identity.close()
        for thread in threads:
            thread.join()
    assert not odd


def test_other_threads_run_while_the_library_works() -> None:
    """If it did not let them, this one would have its turn twice: before, and after."""
    data = bytes(2**20)
    over = threading.Event()

    def seal() -> None:
        ME.seal(data, [CARD])
        over.set()

    thread = threading.Thread(target=seal)
    thread.start()
    turns = 0
    while not over.is_set():
        turns += 1
    thread.join()
    assert turns > 1000
