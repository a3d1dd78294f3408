"""What a running stream tells systemd: that it is ready, and that it is not stuck.

The protocol is that of sd_notify(3): lines of text to the socket in NOTIFY_SOCKET.
"""

import os
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")


class Watchdog:
    """Tells systemd READY=1, then WATCHDOG=1 for as long as work goes on; use it with `with`.

    Waiting for input is no standstill: a microphone may be unplugged, a pipe silent.  But when
    the work on one frame lasts longer than the unit's WatchdogSec, nothing is told, and systemd
    starts the process anew.  Without systemd it does nothing.

    Parameters
    ----------
    environment : mapping, optional
        Where NOTIFY_SOCKET and WATCHDOG_USEC are; those of the process by default.
    """

    def __init__(self, environment: "os._Environ[str] | dict[str, str] | None" = None) -> None:
        found = os.environ if environment is None else environment
        address = found.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        # It is for one process alone, and not for those it starts.
        ours = found.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every_s = int(found.get("WATCHDOG_USEC", "0") if ours else "0") / 1e6 / 3
        self._ended, self._worked = threading.Event(), threading.Event()
        self._working = False

    def watched(self, items: Iterator[T]) -> Iterator[T]:
        """The items; what their taker does between one and the next is the work."""
        if not self._address or not self._every_s:
            yield from items
            return
        for item in items:
            self._working = True
            yield item
            self._worked.set()
            self._working = False

    def __enter__(self) -> "Watchdog":
        self._tell("READY=1")
        if self._address and self._every_s:
            threading.Thread(target=self._run, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._ended.set()
        self._tell("STOPPING=1")

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            # In the midst of a frame now: has any other been done since the last look?
            if not self._working or self._worked.is_set():
                self._worked.clear()
                self._tell("WATCHDOG=1")

    def _tell(self, what: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as to:
                to.sendto(what.encode(), self._address)
        except OSError:
            pass  # systemd is not listening, and that is no reason to stop
