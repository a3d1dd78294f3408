"""What becomes of a state that is never reset: over hours, and after a disturbance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.spec import DetectorSpec
from edgernn.step import StepModel
from edgernn.stream import Listener
from edgernn.train.evaluation import Piece, Track, hear

DISTURBED_S = 1.0
"""Length of a burst of white noise at full scale, and of the silence it is compared with."""
SAME = 0.02
"""Scores that differ by no more than this have recovered."""
AFTER_S = 10.0
"""How long is listened after a disturbance: so much sound there has to be."""
PLACES = 20
"""Of the sounds, at most."""


def agreement(carried: Track, reset: Track, parts: int = 4) -> list[dict[str, float]]:
    """How often a carried state says what a reset one says, over the length of a stream.

    Parameters
    ----------
    carried, reset : Track
        Of the same pieces; `reset` began anew with each.
    parts : int
        Of the stream: a state that drifts agrees less in the last than in the first.

    Returns
    -------
    list of dict
        ``hours`` from the beginning to the part's end, ``agree``, the share of its frames on
        which the label with the highest score is the same, and ``rms`` of the scores' difference.
    """
    found = []
    for part in np.array_split(np.arange(len(carried.scores)), parts):
        a, b = carried.scores[part], reset.scores[part]
        found.append({"hours": round(float(carried.times_s[part[-1]]) / 3600, 4),
                      "agree": round(float(np.mean(a.argmax(axis=1) == b.argmax(axis=1))), 5),
                      "rms": round(float(np.sqrt(np.mean((a - b) ** 2))), 6)})
    return found


def streamed(model: StepModel, pieces: Sequence[Piece], hours: float, rng: np.random.Generator
             ) -> tuple[Track, Track]:
    """Pieces in random order, for so many hours, heard with the state carried and reset."""
    lengths = np.array([len(samples) for samples, _ in pieces])
    rate = Listener(model.fork(), DetectorSpec({})).rate_hz
    order: list[int] = []
    while sum(lengths[order]) < hours * 3600 * rate:
        order += rng.permutation(len(pieces)).tolist()
    end = int(np.searchsorted(np.cumsum(lengths[order]), hours * 3600 * rate)) + 1
    chosen = [pieces[i] for i in order[:end]]
    return hear(model, chosen, True), hear(model, chosen, False)


def recovery(model: StepModel, sounds: Sequence[NDArray[np.int16]], rng: np.random.Generator
             ) -> dict[str, Any]:
    """Seconds after a burst of noise until every score is what it is after silence instead.

    Returns
    -------
    dict
        ``places`` that were tried, none twice, ``p50_s``, ``p90_s`` and ``never``: those whose
        scores still differed by more than `SAME` after `AFTER_S`.
    """
    rate = Listener(model.fork(), DetectorSpec({})).rate_hz
    burst = np.clip(rng.normal(0, 16000, int(DISTURBED_S * rate)), -32768, 32767).astype(np.int16)
    length = int(AFTER_S * rate)
    together = np.concatenate(sounds)
    places = rng.permutation(len(together) // length)[:PLACES]
    times, never = [], 0
    for place in places:
        after = together[place * length:(place + 1) * length]
        tracks = [hear(model, [(np.concatenate([before, after]), ())])
                  for before in (burst, np.zeros_like(burst))]
        begin = int(np.searchsorted(tracks[0].times_s, DISTURBED_S))
        apart = np.flatnonzero(np.abs(tracks[0].scores - tracks[1].scores).max(axis=1) > SAME)
        last = float(tracks[0].times_s[apart[-1]]) if len(apart) and apart[-1] >= begin else 0.0
        if len(apart) and apart[-1] == len(tracks[0].scores) - 1:
            never += 1
        times.append(max(0.0, last - DISTURBED_S))
    p50, p90 = np.percentile(times, (50, 90))
    return {"places": len(places), "p50_s": round(float(p50), 3), "p90_s": round(float(p90), 3),
            "never": never}

