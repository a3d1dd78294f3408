"""One word after another, found in a stream by how loud it is, and whether each is good enough."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgernn.sources.levels import CLIPPED_SHARE, FULL, dbfs

BLOCK_S = 0.02
"""How often the loudness is looked at."""
FLOOR_S = 0.5
"""Of quiet before the first word, to know the room by."""
OVER_DB = 9.0
"""A word is so much louder than the room."""
QUIETEST_DBFS = -50.0
"""And at least so loud; a room may be quieter than any word."""
STARTS_S, ENDS_S = 0.06, 0.4
"""So long above begins a word, so long below ends it."""
MARGIN_S = 0.2
"""Kept before and after."""
SHORTEST_S, LONGEST_S = 0.15, 4.0
WEAKEST_DBFS = -32.0
"""A word whose loudest block stays below is too quiet to learn from."""
CLEAR_DB = 12.0
"""A word's loudest block over the room."""


@dataclass(frozen=True)
class Take:
    """What was said once."""

    samples: NDArray[np.int16]
    """With `MARGIN_S` on either side."""
    begin_s: float
    end_s: float
    """Of the word alone, since the first sample."""
    peak_dbfs: float
    loud_dbfs: float
    """Of the loudest block."""
    floor_dbfs: float
    """Of the room before it."""
    fault: str
    """What is wrong with it and what to do, or empty."""


class Takes:
    """Finds words in audio that comes in pieces of any length.

    Parameters
    ----------
    rate_hz : int
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.block = round(BLOCK_S * rate_hz)
        self._rest = np.zeros(0, np.int16)
        self._blocks: list[NDArray[np.int16]] = []
        self._levels: list[float] = []
        self._past = 0  # blocks before these
        self._begun = -1  # block in which the word began
        self._silent_since = 0

    @property
    def listening(self) -> bool:
        """Whether the room is known, so that a word may be said."""
        return len(self._blocks) * BLOCK_S >= FLOOR_S

    def push(self, samples: NDArray[np.int16]) -> list[Take]:
        """What was said to its end in these samples, shape (n,)."""
        self._rest = np.concatenate([self._rest, samples])
        found = []
        while len(self._rest) >= self.block:
            take = self._hear(self._rest[:self.block])
            self._rest = self._rest[self.block:]
            if take is not None:
                found.append(take)
        return found

    def end(self) -> list[Take]:
        """The word that was being said when the audio ended, if there was one."""
        if self._begun < 0:
            return []
        cut = not self._silent_since
        take = self._end(long=False)
        return [replace(take, fault="the audio ended in the middle of it; say it again")
                if cut and not take.fault else take]

    def _hear(self, block: NDArray[np.int16]) -> Take | None:
        self._blocks.append(block)
        self._levels.append(dbfs(float(np.sqrt(np.mean(block.astype(np.float64) ** 2)))))
        if not self.listening:
            return None
        now = len(self._levels)
        if self._begun < 0:
            last = self._levels[-round(STARTS_S / BLOCK_S):]
            if min(last) > self._least():
                self._begun, self._silent_since = now - len(last), 0
            elif now * BLOCK_S > 2 * FLOOR_S:  # the room is what was heard lately
                del self._blocks[0], self._levels[0]
                self._past += 1
            return None
        quiet = self._levels[-1] <= self._least()
        self._silent_since = self._silent_since + 1 if quiet else 0
        long = (now - self._begun) * BLOCK_S > LONGEST_S
        if self._silent_since * BLOCK_S < ENDS_S and not long:
            return None
        return self._end(long)

    def _floor(self) -> float:
        before = self._levels[:self._begun] if self._begun >= 0 else self._levels
        return float(np.median(before))

    def _least(self) -> float:
        """What is louder is a word."""
        return max(self._floor() + OVER_DB, QUIETEST_DBFS)

    def _end(self, long: bool) -> Take:
        end = len(self._levels) - self._silent_since
        margin = round(MARGIN_S / BLOCK_S)
        samples = np.concatenate(self._blocks[max(0, self._begun - margin):end + margin])
        said = np.concatenate(self._blocks[self._begun:end])
        floor, loud = self._floor(), max(self._levels[self._begun:end])
        peak = dbfs(float(np.abs(said.astype(np.int32)).max()))
        clipped = float(np.mean(np.abs(said.astype(np.int32)) >= FULL - 1))
        begin_s, end_s = ((self._past + at) * self.block / self.rate_hz
                          for at in (self._begun, end))
        take = Take(samples, begin_s, end_s, peak, loud, floor,
                    _fault(len(said) / self.rate_hz, long, clipped, loud, floor))
        # What followed the word is the room before the next one.
        self._blocks, self._levels = self._blocks[end:], self._levels[end:]
        self._past += end
        self._begun, self._silent_since = -1, 0
        return take


def _fault(seconds: float, long: bool, clipped: float, loud: float, floor: float) -> str:
    if long:
        return (f"something went on for more than {LONGEST_S:g} s; one word at a time was needed. "
                "Wait for quiet, then say it once")
    if seconds < SHORTEST_S:
        return f"{1000 * seconds:.0f} ms were heard, a click; say the whole word"
    if clipped >= CLIPPED_SHARE:
        return (f"{clipped:.1%} of it is at full scale: too loud. Speak softer or farther away, or "
                "turn the microphone down")
    if loud < WEAKEST_DBFS:
        return (f"it reaches {loud:.0f} dBFS; {WEAKEST_DBFS:g} were needed. Speak up, come nearer, "
                "or turn the microphone up")
    if loud - floor < CLEAR_DB:
        return (f"it is {loud - floor:.0f} dB over the room; {CLEAR_DB:g} were needed. Come "
                "nearer, or find a quieter place")
    return ""
