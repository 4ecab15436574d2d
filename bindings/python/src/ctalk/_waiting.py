"""Calls that wait, and what ends them early."""

from __future__ import annotations

import threading
from typing import Any, Callable, Generic, Optional, TypeVar

from ctalk import _native as native
from ctalk._native import lib

T = TypeVar("T")


class Stopper(native.Handle):
    """What ends the calls that were given it, from any thread."""

    __slots__ = ()

    def __init__(self) -> None:
        self._hold(
            native.obtain("ctalk_stopper **", lib.ctalk_stopper_new), lib.ctalk_stopper_free
        )

    def stop(self) -> None:
        native.call(lib.ctalk_stopper_stop, self._handle)


class Work(Generic[T]):
    """Something that runs on a thread of its own, so that another one can be interrupted meanwhile."""

    def __init__(self, work: Callable[[], T], then: Callable[[], object]) -> None:
        self._work = work
        self._then = then
        self._result: Optional[T] = None
        self._raised: Optional[BaseException] = None
        #: Whether it did it. Set before `then` is called.
        self.over = False
        threading.Thread(target=self._run, name="ctalk", daemon=True).start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:
            self._raised = error
        finally:
            self.over = True
            self._then()

    def result(self) -> T:
        """What it gave, once it is over."""
        try:
            if self._raised is not None:
                raise self._raised
            return self._result  # type: ignore[return-value]
        finally:
            # An exception knows of this frame, and this frame of the exception.
            self._raised = self._result = None


def interruptibly(work: Callable[[Any], T], stopper: Optional[Stopper] = None) -> T:
    """Does what waits in C, given the stopper's handle. In the main thread, signal handlers run
    meanwhile; where one raises, as for Ctrl-C, the work is stopped first. Without a stopper, as for what
    waits for the disk or the keyring, it goes on by itself, and nobody hears how it ended."""
    handle = native.NULL if stopper is None else stopper._handle
    if threading.current_thread() is not threading.main_thread():
        return work(handle)
    # Held until the work is over. Of all that `threading` has, a bare lock alone stays whole wherever
    # a signal handler raises.
    over = threading.Lock()
    over.acquire()
    running: Optional[Work[T]] = None
    try:
        running = Work(lambda: work(handle), over.release)
        over.acquire()
    except BaseException:
        if stopper is not None:
            stopper.stop()
            # A handler may have raised when the lock was taken already; nobody would give it once more.
            if running is not None and not running.over:
                over.acquire()
        raise
    return running.result()
