"""Samples at a device's rate, to frames at a model's, on one line of time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import SourceError
from edgernn.frames import Frame


class Track:
    """Frames whose times count every sample, lost ones included, whatever rate they came at.

    The times are of the sound itself: what a resampler keeps back (some 20 to 40 ms) comes
    later, but is not dated later.  How the samples are cut never changes what comes out.  A gap
    ends what the resampler remembers, so that nothing of before it is heard after it.

    Parameters
    ----------
    rate_hz : int
        Samples per second of the frames.
    block : int
        Samples per frame; the last before a gap may be shorter.
    """

    def __init__(self, rate_hz: int, block: int) -> None:
        self.rate_hz, self.block = rate_hz, block
        self.saturated = 0
        """Samples that were beyond 16 bits."""
        self._from_hz = rate_hz
        self._resampler: Any = None
        self._begin = 0  # where samples at `_from_hz` began, in samples at `rate_hz`
        self._came = 0  # samples at `_from_hz` since then, lost ones included
        self._done = 0  # samples at `rate_hz` given, gaps included
        self._waiting = np.zeros(0, np.float32)  # too few for a frame
        self._gap = 0  # before them

    def begin(self, from_hz: int, gap: int = 0) -> None:
        """Go on with samples of another device, or of the same one that was away.

        Call `flush` before it.

        Parameters
        ----------
        from_hz : int
            Their rate.
        gap : int
            Samples that were lost before them, at `rate_hz`.

        Raises
        ------
        SourceError
            If soxr is needed, since the rates differ, and is not installed.
        """
        self._from_hz = from_hz
        self._resampler = None if from_hz == self.rate_hz else _resampler(from_hz, self.rate_hz)
        self._begin, self._came = self._done + gap, 0
        self._skip_to(self._begin)

    def push(self, samples: NDArray[np.float32], missing: int = 0) -> Iterator[Frame]:
        """Take samples, of which `missing` were lost just before; give frames.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            One is a step of 16 bits, so up to 32768.
        missing : int
            At the same rate.
        """
        if missing:
            self._came += missing
            here = self._begin + round(self._came * self.rate_hz / self._from_hz)
            # A gap of one sample at least, so that whoever listens begins a new window as we do.
            yield from self._flush(here - 1)
            self._skip_to(max(self._done + 1, here))
        self._came += len(samples)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        yield from self._cut(samples)

    def flush(self) -> Iterator[Frame]:
        """Give what is kept back; what comes next is apart from it."""
        yield from self._flush()

    def _flush(self, until: int | None = None) -> Iterator[Frame]:
        """As `flush`, but no sample from that one on: a fraction of one is rounded up else."""
        if self._resampler is not None:
            tail = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            if until is not None:
                tail = tail[:max(0, until - self._done - len(self._waiting))]
            yield from self._cut(tail)
            self._resampler.clear()
        if len(self._waiting):
            waiting, self._waiting = self._waiting, np.zeros(0, np.float32)
            yield self._frame(waiting)

    def _skip_to(self, position: int) -> None:
        self._gap += position - self._done
        self._done = position

    def _cut(self, samples: NDArray[np.float32]) -> Iterator[Frame]:
        """Whole blocks; the rest waits."""
        joined = np.concatenate((self._waiting, samples)) if len(self._waiting) else samples
        whole = len(joined) - len(joined) % self.block
        self._waiting = joined[whole:]
        for start in range(0, whole, self.block):
            yield self._frame(joined[start:start + self.block])

    def _frame(self, samples: NDArray[np.float32]) -> Frame:
        rounded = np.rint(samples)
        inside = np.clip(rounded, -32768, 32767)
        self.saturated += int(np.count_nonzero(inside != rounded))
        frame = Frame(inside.astype(np.int16), self._done / self.rate_hz, self._gap)
        self._done += len(samples)
        self._gap = 0
        return frame


def _resampler(from_hz: int, to_hz: int) -> Any:
    try:
        import soxr
    except (ImportError, OSError) as problem:
        raise SourceError(f"The audio is sampled at {from_hz} Hz and {to_hz} Hz were needed; to "
                          'resample, soxr is needed: pip install "edgernn[audio]"') from problem
    return soxr.ResampleStream(from_hz, to_hz, 1, "float32", "HQ")
