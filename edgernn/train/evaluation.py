"""A finished model in continuous audio: what it misses, what it takes for a word, how late it is.

The int8 step, with its own frontend and detector, hears endless streams: words at known times,
clean, in noise and in speech, and everything else.  Scores are kept, so that any threshold can be
tried afterwards without hearing it all again.
"""

import bisect
import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import Detection
from edgernn.errors import DataError
from edgernn.frames import Frame
from edgernn.spec import DetectorSpec
from edgernn.step import StepModel
from edgernn.stream import Listener
from edgernn.train.dataset import AudioSet, Recording, Samples
from edgernn.train.intervals import poisson_interval, wilson_interval
from edgernn.train.replay import replay
from edgernn.train.spotting import LATE_S, Said, mix
from edgernn.train.words import find_word

PAUSE_S = (1.0, 3.0)
"""Seconds between one word and the next, drawn anew each time."""
BETWEEN_S = (2.0, 8.0)
"""Seconds of speech before a word that comes in the middle of it."""
BEFORE_S, AFTER_S = 1.0, 1.5
"""Seconds of noise alone around a word in noise."""
LONGEST_WORD_S = 5.0

Piece = tuple[NDArray[np.int16], tuple[Said, ...]]
"""Audio, and what is said in it, in seconds from its beginning."""


@dataclass(frozen=True)
class Track:
    """What a model made of a stream."""

    scores: NDArray[np.float32]
    """Shape (steps, labels)."""
    times_s: NDArray[np.float64]
    """End of every step's frame."""
    said: tuple[Said, ...]
    """In the order of their beginnings, in seconds of the stream."""
    begins: frozenset[int]
    """Steps before which state and detector began anew; none where they were carried."""
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """Detections compared with what was said."""

    found: tuple[bool, ...]
    """Whether each word was detected, in the order of `Track.said`."""
    missed_by: Counter[str]
    """By label."""
    delays_s: tuple[float, ...]
    """From the end of a word to its detection; below 0 where it was told before its end."""
    doubles: int
    """Second detections of one word: no false alarms, but no good either."""
    false_alarms: int
    seconds: float

    @property
    def said(self) -> int:
        """Words."""
        return len(self.found)

    @property
    def missed(self) -> int:
        """Words that were not detected."""
        return self.found.count(False)

    def miss_interval(self) -> tuple[float, float]:
        """Shares of words missed between which the truth lies, 95 % (Wilson)."""
        return wilson_interval(self.missed, self.said)

    def alarms_interval(self) -> tuple[float, float]:
        """False alarms per hour between which the truth lies, 95 % (Poisson, exact)."""
        hours = self.seconds / 3600
        low, high = poisson_interval(self.false_alarms)
        return (low / hours, high / hours) if hours else (0.0, float("inf"))


def of_words(data: AudioSet, labels: Sequence[str], split: str
             ) -> list[tuple[Recording, Samples]]:
    """The recordings of those labels in a split, with their samples.

    Raises
    ------
    DataError
        If there are none.
    """
    found = [(recording, clip)
             for recording, clip in zip(data.recordings, data.samples, strict=True)
             if recording.label in labels and split in ("all", recording.split)]
    if not found:
        raise DataError(f"no recording of the split {split!r} is of {', '.join(labels)}, which the "
                        "model listens for; some were needed. Choose another --split, or name the "
                        "folders by the model's labels")
    return found


def laid(clips: Iterable[tuple[str, Samples]], rate_hz: int, noise: NDArray[Any] | None,
         snrs_db: tuple[float, ...], rng: np.random.Generator,
         between: Callable[[int], Samples] | None = None, over: bool = False) -> Iterator[Piece]:
    """Clips, one after the other: where nothing else is said, or at random times in speech.

    Parameters
    ----------
    clips : iterable of (str, int16 array)
        Label and samples of each.
    rate_hz : int
    noise : array, shape (m,), or None
        Laid under all of it, at an SNR over the word; None: clean.
    snrs_db : tuple of float
        The SNR is drawn from the lowest to the highest of these, for each word.
    rng : numpy.random.Generator
    between : callable
        Gives so many samples of speech, which a word cuts off; without, words have pauses.
    over : bool
        The speech goes on under the word and behind it, and is its noise.
    """
    for label, clip in clips:
        word = find_word(clip, rate_hz)
        pause = int(rng.uniform(*PAUSE_S) * rate_hz)
        lead, tail = int(BEFORE_S * rate_hz), int(AFTER_S * rate_hz)
        if between and over:
            lead = int(rng.uniform(*BETWEEN_S) * rate_hz)
            noise = between(lead + len(clip) + tail)
        elif between:
            speech = between(int(rng.uniform(*BETWEEN_S) * rate_hz))
            clip = np.concatenate([speech, clip])
            word = (len(speech) + word[0], len(speech) + word[1])
            pause = lead = tail = 0
            noise = noise if noise is None else np.resize(noise, max(len(noise), len(clip)))
        if noise is None:
            samples = np.concatenate([np.zeros(pause, np.int16), clip])
            begin, end = pause + word[0], pause + word[1]
        else:
            if len(noise) < (needed := lead + len(clip) + tail):
                raise DataError(f"there are {len(noise) / rate_hz:.1f} s of noise; "
                                f"{needed / rate_hz:.1f} s were needed, for a clip of "
                                f"{len(clip) / rate_hz:.1f} s with noise around it. Give longer "
                                "recordings, or more of them")
            snr_db = snrs_db[0] if len(snrs_db) == 1 else rng.uniform(min(snrs_db), max(snrs_db))
            samples, (begin, end) = mix(clip, word, noise, snr_db, rng, lead, tail)
        yield samples, (Said(label, begin / rate_hz, end / rate_hz),)


def words_in(data: AudioSet, labels: Sequence[str], split: str, noise: NDArray[Any] | None,
             snr_db: float, rng: np.random.Generator) -> Iterator[Piece]:
    """The words of a data set, `laid`; errors as of `of_words`."""
    clips = ((recording.label, clip) for recording, clip in of_words(data, labels, split))
    return laid(clips, data.sample_rate_hz, noise, (snr_db,), rng)


def hear(model: StepModel, pieces: Iterable[Piece], carry: bool = True) -> Track:
    """Drive a model over pieces of audio, one after the other as one stream.

    Parameters
    ----------
    model : StepModel
    pieces : iterable of Piece
    carry : bool
        Whether the state goes on from piece to piece, or begins anew with each.
    """
    rows: list[tuple[NDArray[np.float32], float]] = []
    scores = [np.empty((0, len(model.labels)), np.float32)]
    times = [np.empty(0)]
    said: list[Said] = []
    begins: set[int] = set()
    listener = Listener(model.fork(), DetectorSpec({}),
                        lambda row, time_s: rows.append((row.copy(), time_s)))
    heard = steps = 0
    for samples, words in pieces:
        begin_s = heard / listener.rate_hz
        if not carry:
            listener.carrier.reset()
            begins.add(steps)
        for _ in listener.push(Frame(samples, begin_s)):
            pass
        said += [Said(word.label, word.start_s + begin_s, word.end_s + begin_s) for word in words]
        heard += len(samples)
        if rows:  # packed piece by piece: a row by itself takes many times its numbers
            scores.append(np.array([row for row, _ in rows], np.float32))
            times.append(np.array([time_s for _, time_s in rows]))
            steps += len(rows)
            rows.clear()
    return Track(np.concatenate(scores), np.concatenate(times), tuple(said), frozenset(begins),
                 heard / listener.rate_hz)


def detect(track: Track, spec: DetectorSpec, labels: tuple[str, ...], step_ms: float
           ) -> list[Detection]:
    """What a detector makes of scores that were kept."""
    edges = [0, *sorted(track.begins - {0}), len(track.scores)]
    return [found for first, last in itertools.pairwise(edges)
            for found in replay(spec, labels, step_ms, track.scores[first:last],
                                track.times_s[first:last])]


def compare(track: Track, found: Sequence[Detection]) -> Outcome:
    """Whose each detection is.

    It belongs to a word of its label that began before it and ended at most `LATE_S` before
    it: to the first such that has none yet; one more for a word that has one is a double.
    """
    begins = [word.start_s for word in track.said]
    first: dict[int, float] = {}
    doubles = wrong = 0
    for detection in found:
        last = bisect.bisect_right(begins, detection.time_s)
        earliest = bisect.bisect_left(begins, detection.time_s - LONGEST_WORD_S - LATE_S)
        own = [i for i in range(earliest, last) if track.said[i].label == detection.label
               and detection.time_s <= track.said[i].end_s + LATE_S]
        free = [i for i in own if i not in first]
        if free:
            first[free[0]] = detection.time_s - track.said[free[0]].end_s
        elif own:
            doubles += 1
        else:
            wrong += 1
    missed = Counter(word.label for i, word in enumerate(track.said) if i not in first)
    return Outcome(tuple(i in first for i in range(len(track.said))), missed,
                   tuple(first.values()), doubles, wrong, track.seconds)


def at_threshold(spec: DetectorSpec, threshold: float) -> DetectorSpec:
    """The same detector with one threshold for all its labels."""
    return dataclasses.replace(spec, thresholds=dict.fromkeys(spec.thresholds, threshold))
