"""What the field's protocols say of an evaluation."""

from typing import Any

RARE_PER_HOUR = 0.1
"""One false alarm in ten hours, at which Picovoice's wake word benchmark reads the misses."""
MLPERF = 8
"""Misses and false alarms that MLPerf Tiny's streaming wake word rule allows at most."""


def picovoice(thresholds: list[dict[str, Any]], condition: str) -> dict[str, Any] | None:
    """Fewest words missed at no more than one false alarm in ten hours, counted.

    Parameters
    ----------
    thresholds : list of dict
        That were tried, with what each came to.
    condition : str
        In which the words were said.

    Returns
    -------
    dict or None
        The entry of `thresholds`, its ``condition``, and ``shown``: whether even the upper end of
        the rate's interval keeps to it.  None if no threshold does, or if there are less than ten
        hours, in which one alarm is more than that.
    """
    kept = [each for each in thresholds if each["per_hour"] <= RARE_PER_HOUR
            and each["hours"] * RARE_PER_HOUR >= 1]
    if not kept:
        return None
    best = min(kept, key=lambda each: (each["missed"], each["false_alarms"]))
    return {**best, "condition": condition, "shown": best["interval"][1] <= RARE_PER_HOUR}


def mlperf(words: list[dict[str, Any]], false_alarms: int) -> dict[str, Any] | None:
    """Whether the state carried keeps to at most `MLPERF` misses and false alarms.

    Parameters
    ----------
    words : list of dict
        What was missed and mistaken among words, by condition and state.
    false_alarms : int
        In what is no word.

    Returns
    -------
    dict or None
        ``held`` in every condition; of the worst one ``condition``, ``said``, ``missed`` and
        ``false_alarms``, those among the words with those besides.  None if no more words were
        said than may be missed.
    """
    each = [{"condition": one["condition"], "said": one["said"], "missed": one["missed"],
             "false_alarms": one["false_alarms"] + false_alarms}
            for one in words if one["state"] == "carried"]
    if max(one["said"] for one in each) <= MLPERF:
        return None
    worst = max(each, key=lambda one: max(one["missed"], one["false_alarms"]))
    return {"held": max(worst["missed"], worst["false_alarms"]) <= MLPERF, **worst}
