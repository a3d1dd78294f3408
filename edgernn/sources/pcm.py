"""Raw samples from a pipe: signed 16 bit, little endian, mono, as `arecord -t raw` writes."""

import select
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from edgernn.errors import SourceError
from edgernn.frames import Frame
from edgernn.sources.source import Source


class PcmSource(Source):
    """Samples read from a binary stream, a block at a time, until it ends.

    Parameters
    ----------
    stream : binary file
        Such as ``sys.stdin.buffer``.  Reads may give less than was asked for.
    rate_hz : int
        Samples per second that the sender must use: raw audio does not say.
    block : int
        Samples per frame; each is given as soon as it is complete.
    name : str
        What a message calls the stream.

    Raises
    ------
    SourceError
        If the stream is a terminal.  While iterating: if not a single sample
        came, if it begins with a wav header, or if reading fails.
    """

    odd_bytes = 0
    """Bytes left at the end that make no whole sample, 0 or 1."""

    def __init__(self, stream: BinaryIO, rate_hz: int, block: int, name: str = "stdin") -> None:
        super().__init__(rate_hz, block)
        self.name = name
        self._stream = stream
        if stream.isatty():
            raise SourceError(f"{name} is a terminal; raw audio is needed. "
                              f"Pipe it in: {self._example()}")

    def __iter__(self) -> Iterator[Frame]:
        done = 0
        while data := self._read(2 * self.block):
            if not done and data[:4] in (b"RIFF", b"fLaC", b"OggS"):
                raise SourceError(f"{self.name} begins with the header of a "
                                  f"{data[:4].decode()} file; raw s16le is needed. Name the file "
                                  f"with --input FILE, or pipe raw audio: {self._example()}")
            whole = len(data) // 2
            self.odd_bytes = len(data) % 2
            if whole:
                samples = np.frombuffer(data, "<i2", whole).astype(np.int16)
                yield Frame(samples, done / self.rate_hz)
                done += whole
        if not done:
            raise SourceError(f"{self.name} ended before the first sample; raw s16le audio is "
                              f"needed. Does the sender work? {self._example()}")

    def _example(self) -> str:
        return (f"arecord -q -t raw -f S16_LE -r {self.rate_hz} -c 1 | edgernn stream --input -")

    def _read(self, count: int) -> bytes:
        """Read `count` bytes, fewer only at the end."""
        parts: list[bytes] = []
        while count:
            try:
                part = self._stream.read(count)
            except (OSError, ValueError) as problem:  # ValueError: closed meanwhile
                raise SourceError(f"{self.name} cannot be read any more ({problem}). "
                                  "Start the sender again.") from problem
            if part is None:  # set non-blocking by whoever opened it
                select.select([self._stream], [], [])
                continue
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Leave the stream to whoever opened it."""
