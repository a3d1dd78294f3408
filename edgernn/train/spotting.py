"""How well wake words are found in endless audio: misses, and false alarms per hour.

A clip's accuracy flatters a wake-word model: in use it hears hours of other
things, with its state full of them, and one threshold serves both.  Here clips are
put into noise at a known SNR, the step is driven over everything as a stream, the
model's own detector listens, and detections are compared with what was said.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import Detection
from edgernn.errors import DataError
from edgernn.spec import DetectorSpec
from edgernn.train.intervals import poisson_bound
from edgernn.train.replay import replay
from edgernn.train.stepper import Stepper, drive

LATE_S = 0.9
"""A detection this long after a word's end still counts as its own."""
LANES = 16
"""Endless streams heard at once; each is as long as all passages over so many."""


@dataclass(frozen=True)
class Said:
    """One wake word in a passage."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Passage:
    """A stretch of audio, and the wake words said in it."""

    rows: NDArray[Any]
    """Shape (frames, width): what the frontend's `push` returns."""
    said: tuple[Said, ...] = ()
    """Empty: every detection is a false alarm."""
    kind: str = ""
    """Whatever it is to be told apart by: the noise, the speaker."""


@dataclass(frozen=True)
class Spotting:
    """Detections compared with what was said."""

    said: Mapping[str, int]
    """Times each label was said."""
    missed: Mapping[str, int]
    """Times it was said and not detected."""
    false_alarms: int
    """Detections of what was not said then."""
    seconds: float
    """Audio heard."""

    @property
    def miss_rate(self) -> float:
        """Share of all words missed, 0 to 1; NaN if none was said."""
        said = sum(self.said.values())
        return sum(self.missed.values()) / said if said else math.nan

    @property
    def false_alarms_per_hour(self) -> float:
        """Rate found."""
        return self.false_alarms * 3600 / self.seconds if self.seconds else math.nan

    @property
    def false_alarms_per_hour_below(self) -> float:
        """Upper end of the rates that the finding leaves possible, with 95 % confidence."""
        return poisson_bound(self.false_alarms) * 3600 / self.seconds if self.seconds else math.inf


def mix(
    clip: NDArray[Any], word: tuple[int, int], noise: NDArray[Any], snr_db: float,
    rng: np.random.Generator, lead: int = 16000, tail: int = 12800,
) -> tuple[NDArray[np.int16], tuple[int, int]]:
    """Put a clip into noise.

    Parameters
    ----------
    clip : array, shape (n,)
        Mono, in int16 units.
    word : (int, int)
        First sample of the word and the one after its last (`words.find_word`).
    noise : array, shape (m,)
        At least lead + n + tail long; where it begins is drawn from `rng`.
    snr_db : float
        rms of the word itself over rms of the noise laid under the clip.  (The rms of
        the whole clip, pauses included, would make the noise 3 to 6 dB weaker.)
    lead, tail : int
        Samples of noise alone before and after the clip.

    Returns
    -------
    int16 array, shape (lead + n + tail,), and where in it the word is
        Turned down as a whole if it would clip.

    Raises
    ------
    DataError
        If the noise is too short.
    """
    length = lead + len(clip) + tail
    if len(noise) < length:
        raise DataError(f"The noise has {len(noise)} samples; {length} were needed. "
                        "Give a longer recording.")
    start = int(rng.integers(len(noise) - length + 1))
    under = np.asarray(noise[start:start + length], np.float64)
    power = np.mean(np.square(np.asarray(clip[word[0]:word[1]], np.float64)))
    mixed = under * np.sqrt(power / max(np.mean(under ** 2), 1e-9)) * 10 ** (-snr_db / 20)
    mixed[lead:lead + len(clip)] += clip
    mixed *= min(1.0, 32000 / max(float(np.abs(mixed).max()), 1.0))
    return np.rint(mixed).astype(np.int16), (lead + word[0], lead + word[1])


Encode = Callable[[NDArray[Any]], NDArray[Any]]


def listen(
    stepper: Stepper, encode: Encode, passages: Sequence[Passage], carry: bool,
    progress: Callable[[int], None] = lambda frames: None,
) -> list[NDArray[np.float32]]:
    """Scores of every frame of every passage, (frames, labels) each.

    Parameters
    ----------
    stepper : Stepper
    encode : callable
        From frontend rows to what the stepper takes.
    passages : sequence of Passage
    carry : bool
        Passages follow one another on `LANES` endless streams, or each begins from reset.
    progress : callable
        Told how many frames each step did.
    """
    lanes = _lanes(len(passages), carry)
    streams = [np.concatenate([encode(passages[i].rows) for i in lane]) for lane in lanes]
    scores: list[NDArray[np.float32]] = []
    for lane, rows in zip(lanes, drive(stepper, streams, progress), strict=True):
        scores += np.split(rows, np.cumsum([len(passages[i].rows) for i in lane])[:-1])
    return scores


def _lanes(count: int, carry: bool) -> list[NDArray[np.int64]]:
    """Indices of the passages of each stream, in order."""
    lanes = np.array_split(np.arange(count), min(LANES, count) if carry else count)
    return list(lanes)


def compare(
    passages: Sequence[Passage], scores: Sequence[NDArray[np.float32]], spec: DetectorSpec,
    labels: tuple[str, ...], carry: bool, hop_s: float = 0.02, window_s: float = 0.03,
) -> Spotting:
    """Count misses and false alarms.

    Parameters
    ----------
    passages, scores : sequences of the same length
        Scores are what `listen` gave.
    spec, labels : DetectorSpec, tuple of str
        As stored in the model.
    carry : bool
        As given to `listen`: the detector too goes on from passage to passage, or not.
    hop_s, window_s : float
        Seconds between frames, and in one.
    """
    said: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    false_alarms, frames = 0, 0
    for lane in _lanes(len(passages), carry):
        begins = np.cumsum([0, *(len(scores[i]) for i in lane)])
        heard = replay(spec, labels, hop_s * 1000, np.concatenate([scores[i] for i in lane]),
                       np.arange(begins[-1]) * hop_s)
        whose = np.searchsorted(begins[1:] * hop_s, [d.time_s + hop_s / 2 for d in heard])
        for place, i in enumerate(lane):
            own = [dataclasses.replace(d, time_s=d.time_s - begins[place] * hop_s + window_s)
                   for d, whom in zip(heard, whose, strict=True) if whom == place]
            unheard, wrong = match(passages[i].said, own)
            said.update(word.label for word in passages[i].said)
            missed.update(word.label for word in unheard)
            false_alarms += len(wrong)
        frames += int(begins[-1])
    return Spotting(said, missed, false_alarms, frames * hop_s)


def match(
    said: Sequence[Said], found: Sequence[Detection]
) -> tuple[list[Said], list[Detection]]:
    """Words that no detection belongs to, and detections that belong to no word.

    A detection belongs to a word of its label that began before it and ended at most
    `LATE_S` before it; to the first such that has none yet.
    """
    unheard, wrong = list(said), []
    for detection in found:
        own = [word for word in unheard if word.label == detection.label
               and word.start_s <= detection.time_s <= word.end_s + LATE_S]
        if own:
            unheard.remove(own[0])
        else:
            wrong.append(detection)
    return unheard, wrong
