"""Sensor rows from a serial port."""

import contextlib
import sys
import threading
import time
from types import ModuleType
from typing import Any

from edgernn.errors import SourceError
from edgernn.sources.live_rows import LiveRows
from edgernn.sources.rows import RowFrames

BAUD = 115200
"""Of Edge Impulse's data forwarder, and of most boards."""
READ_S = 0.1
"""Seconds that a read waits for a byte."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0
"""Seconds before the port is tried again, doubled each time up to the longest."""
LONGEST_LINE = 1 << 16
"""Bytes without an end of line after which they are dropped: it is no text, or another baud."""


class Lines:
    """Cuts bytes into lines, however they come.

    The first line is left out, unless it has no digit: its beginning may be missing, and half a
    number is a number too.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew in the middle of some line."""
        self._kept, self._first = b"", True

    def push(self, data: bytes) -> list[str]:
        """Take bytes; give the lines they complete, blank ones left out."""
        *lines, self._kept = (self._kept + data).replace(b"\r", b"\n").split(b"\n")
        if len(self._kept) > LONGEST_LINE:
            # Passed on so that it is told and counted as the fault it is.
            lines.append(self._kept[:80])
            self._kept = b""
        found = []
        for line in filter(None, lines):
            text = line.decode("utf-8", "replace")
            if not self._first or not any(letter.isdigit() for letter in text):
                found.append(text)
            self._first = False
        return found


class SerialRows(LiveRows):
    """Rows that a device prints, one a line.

    When the device goes away this is told once, and it is waited for; so it is when it comes
    back.

    Parameters
    ----------
    frames : RowFrames
    port : str
        Such as ``/dev/ttyACM0``, or better what stays the same under /dev/serial/by-id.
    baud : int
        Bits per second.

    Raises
    ------
    SourceError
        If pyserial is not installed, or the port cannot be opened.
    """

    def __init__(self, frames: RowFrames, port: str, baud: int = BAUD) -> None:
        super().__init__(frames)
        self._serial = _pyserial()
        self.port, self.baud = port, baud
        try:
            self._open: Any = self._connect()
        except (OSError, ValueError) as problem:
            raise self._refusal(problem) from problem
        self._thread = threading.Thread(target=self._receive, name=port, daemon=True)
        self._end = threading.Event()
        self._died_of: Exception | None = None

    def _connect(self) -> Any:
        return self._serial.Serial(self.port, self.baud, timeout=READ_S, exclusive=True)

    def _refusal(self, problem: Exception) -> SourceError:
        if getattr(problem, "errno", None) == 13:
            todo = "Permit it: sudo usermod -aG dialout $USER, and log in again"
        elif isinstance(problem, ValueError):
            todo = "Give a --baud that it knows, such as 115200"
        else:
            found = ", ".join(_ports()) or "none"
            todo = f"Is it plugged in, and does no other program read it? Ports here: {found}"
        return SourceError(f"the serial port {self.port} cannot be opened ({problem}). {todo}")

    def _start(self) -> None:
        self._thread.start()

    def _receive(self) -> None:
        try:
            while not self._end.is_set():
                with contextlib.closing(self._open):
                    self._read_lines()
                if not self._end.is_set():
                    self._wait_for_device()
        except Exception as problem:
            self._died_of = problem

    def _read_lines(self) -> None:
        """Pass lines on until the device goes away or the source is closed."""
        cut = Lines()
        while not self._end.is_set():
            try:
                data = self._open.read(max(1, self._open.in_waiting))
            except (OSError, TypeError):  # TypeError: closed in mid-read
                if not self._end.is_set():
                    print(f"edgernn: {self.port} is gone; waiting for it to come back",
                          file=sys.stderr)
                return
            for line in cut.push(data):
                self._came(line)

    def _wait_for_device(self) -> None:
        began, wait_s = time.monotonic(), FIRST_WAIT_S
        while not self._end.wait(wait_s):
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            try:
                self._open = self._connect()
            except (OSError, ValueError):
                continue
            self._again()
            print(f"edgernn: {self.port} is back after {time.monotonic() - began:.1f} s",
                  file=sys.stderr)
            return

    @property
    def _defect(self) -> Exception | None:
        return self._died_of

    def close(self) -> None:
        """Let go of the port."""
        self._closed = True
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(1)
        self._open.close()


def _pyserial() -> ModuleType:
    try:
        import serial
    except ImportError as problem:
        raise SourceError('A serial port needs pyserial: pip install "edgernn[serial]"') \
            from problem
    module: ModuleType = serial
    return module


def _ports() -> list[str]:
    from serial.tools import list_ports

    return sorted(port.device for port in list_ports.comports())
