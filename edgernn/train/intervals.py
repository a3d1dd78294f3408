"""How far a count may be from the truth it is a sample of."""

import math


def poisson_bound(count: int, confidence: float = 0.95) -> float:
    """Largest mean that would still give `count` events or fewer with 1 - `confidence`.

    One-sided and exact (Garwood 1936): 3.0 for no event, 4.74 for one.
    """
    low, high = 0.0, 10.0 + 3.0 * count
    for _ in range(60):  # bisection: each turn halves the interval
        mean = (low + high) / 2
        low, high = (mean, high) if _at_most(count, mean) > 1 - confidence else (low, mean)
    return high


def poisson_interval(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Means between which the truth lies, two-sided and exact (Garwood 1936).

    0 to 3.69 for no event: that none was seen does not make the rate 0.
    """
    tail = (1 - confidence) / 2
    if not count:
        return 0.0, poisson_bound(0, 1 - tail)
    low, high = 0.0, float(count)
    for _ in range(60):
        mean = (low + high) / 2
        # The least mean that gives so many or more with that probability.
        low, high = (mean, high) if 1 - _at_most(count - 1, mean) < tail else (low, mean)
    return low, poisson_bound(count, 1 - tail)


def _at_most(count: int, mean: float) -> float:
    """Probability of `count` events or fewer."""
    if mean <= 0:
        return 1.0
    first = max(0, int(mean - 12 * math.sqrt(mean) - 20))  # what is left out is below 1e-30
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
                     for k in range(first, count + 1))


def wilson_interval(count: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """Shares between which the truth lies, 95 % (Wilson 1927); 0 to 1 of none."""
    if not of:
        return 0.0, 1.0
    share = count / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)
