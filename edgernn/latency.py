"""Percentiles of durations, in memory that does not grow with their number."""

from collections import defaultdict
from math import log2


class LatencyHistogram:
    """Counts in bins 2**(1/8) apart, from 0.1 us: percentiles are within 5 %."""

    SMALLEST_S = 1e-7
    PER_OCTAVE = 8

    def __init__(self) -> None:
        self._bins: defaultdict[int, int] = defaultdict(int)
        self.count = 0
        self.largest_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        place = 0
        if seconds > self.SMALLEST_S:
            place = int(log2(seconds / self.SMALLEST_S) * self.PER_OCTAVE)
        self._bins[place] += 1
        self.count += 1
        if seconds > self.largest_s:
            self.largest_s = seconds

    def merge(self, other: "LatencyHistogram") -> None:
        """Count all that another counted."""
        for place, count in other._bins.items():
            self._bins[place] += count
        self.count += other.count
        self.largest_s = max(self.largest_s, other.largest_s)

    def percentile_s(self, share: float) -> float:
        """Duration, seconds, that `share` (0 to 1) of all do not exceed; 0 without any."""
        reached = 0
        for place in sorted(self._bins):
            reached += self._bins[place]
            if reached >= share * self.count:
                middle: float = self.SMALLEST_S * 2 ** ((place + 0.5) / self.PER_OCTAVE)
                return min(middle, self.largest_s)
        return 0.0
