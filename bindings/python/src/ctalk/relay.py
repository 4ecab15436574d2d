"""A relay in this process, for tests of programs that talk to one."""

from __future__ import annotations

import os
from typing import Any, Optional, Union

from ctalk import _native as native
from ctalk._native import lib


class Relay(native.Closable):
    """A relay on 127.0.0.1 that runs until it is closed: on a free port, with data in a temporary
    folder and a random admin key, unless they are given.
    """

    __slots__ = ("_url", "_admin_key")

    _url: str
    _admin_key: str

    def __init__(
        self,
        *,
        port: Optional[int] = None,
        folder: Union[str, os.PathLike[str], None] = None,
        admin_key: Optional[str] = None,
    ) -> None:
        given = native.options(
            port=port, folder=None if folder is None else os.fspath(folder), admin_key=admin_key
        )
        handle = native.obtain("ctalk_relay **", lib.ctalk_relay_start, given, len(given))
        owner = os.getpid()

        def free(relay: Any) -> None:
            # A forked child has none of its threads to wait for.
            if os.getpid() == owner:
                lib.ctalk_relay_free(relay)

        self._hold(handle, free)
        self._url = native.view(lib.ctalk_relay_url, handle).decode()
        self._admin_key = native.view(lib.ctalk_relay_admin_key, handle).decode()

    @property
    def url(self) -> str:
        """Its address, such as `http://127.0.0.1:40123`."""
        return self._url

    @property
    def admin_key(self) -> str:
        """The key that lets agents register."""
        return self._admin_key

    def __enter__(self) -> Relay:
        return self
