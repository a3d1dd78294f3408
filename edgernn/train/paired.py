"""Two models on the same audio: whether one is better, or chance explains it."""

import math
from collections.abc import Sequence


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int, float]:
    """Words that one alone found, each, and the chance of so uneven a split if neither is better.

    McNemar's test in its exact form: of the words that one found and the other missed, either
    is as likely to be which (McNemar 1947; Dietterich 1998, for classifiers).

    Parameters
    ----------
    first, second : sequences of bool, of one length
        Whether each found each word.
    """
    alone = sum(a and not b for a, b in zip(first, second, strict=True))
    other = sum(b and not a for a, b in zip(first, second, strict=True))
    return alone, other, binomial_p(alone, alone + other)


def binomial_p(count: int, of: int) -> float:
    """Chance of a split of `of` at least as uneven as `count`, two-sided, each way 1/2; 1 of none.

    Of the false alarms of two models in the same hours it is the exact test of one Poisson
    rate against another, given their sum (Przyborowski and Wilenski 1940).
    """
    few = min(count, of - count)
    # By logarithms: with thousands of alarms the numbers of ways have thousands of digits.
    tail = math.fsum(math.exp(math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
                              - of * math.log(2)) for k in range(few + 1))
    return min(1.0, 2 * tail)
