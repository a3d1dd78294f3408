"""How loud a microphone is, and whether something is wrong with that."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import SourceError

FULL = 32768
"""What 0 dBFS is: the largest 16-bit sample."""
SILENT_S = 10.0
SILENT_DBFS = -84.0
"""A peak of two steps of 16 bits: no microphone that is on is so quiet, in any room."""
CLIPPED_SHARE = 1e-3
"""Of a second's samples at full scale is clipping; a single one may be a peak."""
CLEAR_S = 5
"""Seconds without clipping after which it has ended."""


def dbfs(amplitude: float) -> float:
    """Decibels of an amplitude in steps of 16 bits, full scale being 0; -inf of nothing."""
    return 20 * float(np.log10(amplitude / FULL)) if amplitude else float("-inf")


def one_channel(samples: NDArray[np.int16], channel: int | None) -> NDArray[np.float32]:
    """A channel, from 1, or the mean of all.

    Parameters
    ----------
    samples : int16 array, shape (n, channels)

    Returns
    -------
    float32 array, shape (n,)
    """
    if channel is not None:
        return samples[:, channel - 1].astype(np.float32)
    if samples.shape[1] == 1:
        return samples[:, 0].astype(np.float32)
    return samples.mean(axis=1, dtype=np.float32)


def at_full_scale(samples: NDArray[np.int16], channel: int | None) -> int:
    """How many samples are as large as 16 bits can hold, in the channels that are listened to."""
    heard = samples if channel is None else samples[:, channel - 1]
    return int(np.count_nonzero((heard == FULL - 1) | (heard == -FULL)))


@dataclass
class Levels:
    """Watches blocks for silence and clipping; says when each begins, and when it ends.

    Time is counted in samples, so that no clock can disturb it.
    """

    rate_hz: int
    say: Callable[[str], None]
    """Told a sentence."""
    silent_s: float = SILENT_S
    """Seconds of silence before it is told; 0: never."""
    silent_dbfs: float = SILENT_DBFS
    """A block whose peak is up to this is silent."""
    clipped: int = 0
    """Samples at full scale."""
    silences: int = 0
    """How often silence was told."""
    clippings: int = 0
    """How often clipping was told."""
    heard_silence_s: float = 0.0
    """Seconds of the silences that were told."""

    def __post_init__(self) -> None:
        if not self.silent_s >= 0:
            raise SourceError(f"Silence of {self.silent_s} s was to be told; 0 or more is needed.")
        self.restart(self.rate_hz)

    def restart(self, rate_hz: int) -> None:
        """Begin anew with a device that has come back; what was told of the old one is over."""
        self.rate_hz = rate_hz
        self._quiet = 0  # samples since something was heard
        self._silent = self._clipping = False
        self._second = self._at_full = self._clear_s = 0

    def push(self, mono: NDArray[np.float32], clipped: int) -> None:
        """Look at a block.

        Parameters
        ----------
        mono : float32 array, shape (n,), n >= 1
            In steps of 16 bits, before any gain.
        clipped : int
            How many samples of it were at full scale.
        """
        self._hear_silence(len(mono), dbfs(float(np.abs(mono).max())))
        self._hear_clipping(len(mono), clipped)

    def _hear_silence(self, count: int, peak_dbfs: float) -> None:
        if peak_dbfs > self.silent_dbfs:
            if self._silent:
                self.say(f"is heard again, after {self._quiet / self.rate_hz:.1f} s of silence")
            self._quiet, self._silent = 0, False
            return
        self._quiet += count
        if self._silent:
            self.heard_silence_s += count / self.rate_hz
        elif 0 < self.silent_s * self.rate_hz <= self._quiet:
            self._silent = True
            self.silences += 1
            self.heard_silence_s += self._quiet / self.rate_hz
            self.say(f"is silent: nothing above {self.silent_dbfs:g} dBFS for {self.silent_s:g} s. "
                     "Is it muted, or the wrong one? `edgernn devices --level` shows what it hears")

    def _hear_clipping(self, count: int, clipped: int) -> None:
        self.clipped += clipped
        self._second += count
        self._at_full += clipped
        if self._second < self.rate_hz:
            return
        if self._at_full >= CLIPPED_SHARE * self._second:
            if not self._clipping:
                self.clippings += 1
                self.say(f"clips: {self._at_full} of {self._second} samples were at full scale. "
                         "Turn it down, in alsamixer or by pactl set-source-volume")
            self._clipping, self._clear_s = True, 0
        elif self._clipping:
            self._clear_s += 1
            if self._clear_s == CLEAR_S:
                self._clipping = False
                self.say("clips no more")
        self._second = self._at_full = 0
