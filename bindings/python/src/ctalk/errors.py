"""Why calls fail: one class for each class of failure, the same that the command line's exit codes tell
apart."""

from __future__ import annotations


class Error(Exception):
    """A call failed. The text says what is wrong and what helps, and holds no secrets."""

    #: The number of the class: the exit code with which the command line ends for the same reason.
    exit_code = 1

    def __init__(self, message: str, code: int, name: str) -> None:
        super().__init__(message)
        #: The number of the exact reason, which never changes its meaning.
        self.code = code
        #: Its name, such as `CTALK_EXPIRED`.
        self.name = name

    def __reduce__(self) -> tuple[type[Error], tuple[str, int, str]]:
        return type(self), (str(self), self.code, self.name)


class UnexpectedError(Error):
    """Something that nobody foresaw, or a bug in ctalk (`CTALK_PANIC`)."""


class UsageError(Error, ValueError):
    """An argument makes no sense here: a closed object, an unknown contact, a missing option."""

    exit_code = 2


class NotVerifiedError(Error):
    """A signature is missing, or not that of the sender."""

    exit_code = 3


class CannotOpenError(Error):
    """It was sealed for somebody else, or does not open."""

    exit_code = 4


class NotTrustedError(Error):
    """A key changed, belongs to somebody else, or must not be used any more."""

    exit_code = 5


class RelayUnreachableError(Error):
    """No answer from the relay. With `CTALK_QUEUED` the message is in the outbox and will leave."""

    exit_code = 6


class RelayRefusedError(Error):
    """The relay answered no."""

    exit_code = 7


class LocalStoreError(Error):
    """The key store or the local store failed."""

    exit_code = 8


class SetAsideError(Error):
    """Some messages were set aside; everything else went well."""

    exit_code = 9


class MalformedError(Error, ValueError):
    """It breaks its format, or is of a version that this one does not know (`CTALK_NEWER`)."""

    exit_code = 10


class RemoteFailedError(Error):
    """The other side's handler failed."""

    exit_code = 11


class TimedOutError(Error, TimeoutError):
    """It took too long."""

    exit_code = 12


class RefusedError(Error):
    """The peer or a policy refused, or the time in which it counted is over."""

    exit_code = 13


class StoppedError(Error):
    """`Client.stop` or `Client.close` ended the call."""

    exit_code = 130


BY_EXIT_CODE: dict[int, type[Error]] = {
    error.exit_code: error
    for error in (
        UnexpectedError,
        UsageError,
        NotVerifiedError,
        CannotOpenError,
        NotTrustedError,
        RelayUnreachableError,
        RelayRefusedError,
        LocalStoreError,
        SetAsideError,
        MalformedError,
        RemoteFailedError,
        TimedOutError,
        RefusedError,
        StoppedError,
    )
}
