"""Words at known times: what is missed of them, clean, in noise and in speech, carried and reset.

Each condition and state is a stream of its own, whose pauses and places in the noise follow from
the seed alone; so each can be heard on another machine.  Clips are named by their paths and read
one by one as they are heard; what comes back are outcomes, one for each threshold that is tried.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgernn import bundle
from edgernn.errors import DataError
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.step import StepModel
from edgernn.train.dataset import AudioSet, Samples
from edgernn.train.evaluation import (
    Outcome,
    Piece,
    Track,
    at_threshold,
    compare,
    detect,
    hear,
    laid,
    of_words,
)
from edgernn.train.readers.audio import read_sounds, sound, sound_files, usable
from edgernn.train.spotting import LATE_S
from edgernn.train.spread import HERE, Spread, must_be_there

IN_SPEECH, OVER_SPEECH = "in speech", "over speech"
"""Conditions in which words come at random times in other speech: it is cut off, or goes on."""
TALKS = 10
"""Recordings of speech for each word, at most."""


@dataclass(frozen=True)
class Words:
    """Clips, and how they are laid into a stream."""

    clips: tuple[tuple[str, Path], ...]
    """Label and recording of each."""
    seed: int
    noise: tuple[Path, ...] = ()
    """Recordings of it; none: clean."""
    snrs_db: tuple[float, ...] = (0.0,)
    """Of the word over the noise: drawn for each from the lowest to the highest."""
    speech: tuple[Path, ...] = ()
    """Recordings that go on between the words, cut off by them; none: pauses."""
    over: bool = False
    """The speech goes on under the words, which are over it at their SNR."""

    @classmethod
    def of(cls, data: AudioSet, labels: Sequence[str], split: str, seed: int) -> "Words":
        """The clean words of a data set; errors as of `of_words`."""
        return cls(tuple((recording.label, recording.path.absolute())
                         for recording, _ in of_words(data, labels, split)), seed)

    def conditions(self, noise: Sequence[Path], snrs_db: Sequence[float],
                   speech: Sequence[Path] = ()) -> dict[str, "Words"]:
        """By name: clean, in and over speech if there is any, in noise, the loudest last.

        Raises
        ------
        DataError
            If noise was given, and there is none.
        """
        # One by one: a kept result is known by what each file held, which a folder does not tell.
        where = tuple(path.absolute() for path in sound_files(noise) if path.is_file())
        if noise and not where:
            raise DataError(f"{', '.join(map(str, noise))} has no wav or flac; recordings of noise "
                            "were needed. Name their folder")
        found = {"clean": self}
        talk = [path.absolute() for path in sound_files(speech)]
        if talk:
            # A few for each word are enough, and all of thousands of hours would be too many.
            order = np.random.default_rng(self.seed).permutation(len(talk))
            chosen = tuple(talk[i] for i in order[:TALKS * len(self.clips)])
            spoken = replace(self, snrs_db=tuple(snrs_db), speech=chosen)
            found[OVER_SPEECH] = replace(spoken, over=True)
            found[IN_SPEECH] = replace(spoken, noise=where)
        return found | {f"{snr:g} dB": replace(self, noise=where, snrs_db=(snr,))
                        for snr in sorted(snrs_db, reverse=True) if where}


@dataclass(frozen=True)
class Tried:
    """What came of one condition and state."""

    own: Outcome
    """With the thresholds of the model."""
    at: tuple[Outcome, ...]
    """With one threshold for all labels, for each that was tried."""


def outcomes(
    model: Path, labels: Sequence[str], conditions: dict[str, Words], states: Sequence[str],
    thresholds: Sequence[float], backend: str = "auto", spread: Spread = HERE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[tuple[str, str], Tried]:
    """Hear every condition with every state.

    Parameters
    ----------
    model : Path
        A .tflite that detects words in audio.
    labels : sequence of str
        Those of its labels that are listened for.
    conditions : dict of Words
    states : sequence of str
        ``carried``: the state goes on from word to word; ``reset``: it begins anew with each.
    thresholds : sequence of float
        Tried one after the other, for all labels.
    backend : str
    spread : Spread
        Where they are heard.
    progress : callable
        Told streams done, and how many there are.

    Returns
    -------
    dict
        By condition and state, in their order.
    """
    keys = [(condition, state) for condition in conditions for state in states]
    jobs = [(model.absolute(), list(labels), conditions[condition], state, list(thresholds),
             backend) for condition, state in keys]
    return {key: Tried(_outcome(found["own"]), tuple(map(_outcome, found["at"])))
            for key, found in zip(keys, spread.run(judged, jobs, progress), strict=True)}


def judged(model: Path, labels: Sequence[str], words: Words, state: str,
           thresholds: Sequence[float], backend: str) -> dict[str, Any]:
    """One stream's job: its outcome with the model's own and with other thresholds."""
    must_be_there([model, *words.noise, *words.speech])
    step = StepModel.load(bundle.read(model), backend)
    frontend, detector = step.spec.frontend, step.spec.detector
    assert isinstance(frontend, LogMelSpec), "it hears audio"
    assert detector is not None, "it detects words"
    spec = replace(detector, thresholds={label: detector.thresholds[label] for label in labels})
    track = heard(step, words, frontend.sample_rate_hz, state)

    def outcome(spec: DetectorSpec) -> dict[str, Any]:
        return vars(compare(track, detect(track, spec, step.labels, float(frontend.hop_ms))))

    return {"own": outcome(spec),
            "at": [outcome(at_threshold(spec, threshold)) for threshold in thresholds]}


def heard(step: StepModel, words: Words, rate_hz: int, state: str) -> Track:
    """What a model makes of a stream of words.

    Raises
    ------
    DataError
        If a recording is not there, or cannot be used.
    """
    sounds = read_sounds(words.noise, rate_hz)
    talk = _Talk(words.speech, rate_hz).take if words.speech else None
    pieces = laid(_clips(words.clips, rate_hz), rate_hz,
                  np.concatenate(sounds) if sounds else None, words.snrs_db,
                  np.random.default_rng(words.seed), talk, words.over)
    carry = state == "carried"
    return hear(step, _heard_out(pieces, rate_hz, talk or _silence, carry), carry)


def _heard_out(pieces: Iterable[Piece], rate_hz: int, more: Callable[[int], Samples], carry: bool
               ) -> Iterator[Piece]:
    """Pieces that go on behind a word at their end, as long as the word may yet be told.

    Where the state is carried, that is while the next piece is heard, and only the last has none;
    where it begins anew, what was not told by then would never be.
    """
    for samples, words in pieces:
        end = round((max(word.end_s for word in words) + LATE_S) * rate_hz)
        yield (samples if carry else
               np.concatenate([samples, more(max(0, end - len(samples)))])), words
    if carry:
        yield more(round(LATE_S * rate_hz)), ()


def _silence(count: int) -> Samples:
    return np.zeros(count, np.int16)


class _Talk:
    """Recordings one after the other, and again from the first: some minutes in memory."""

    def __init__(self, paths: Sequence[Path], rate_hz: int) -> None:
        self._recordings = self._endless(paths, rate_hz)
        self._left: Samples = np.zeros(0, np.int16)

    def take(self, count: int) -> Samples:
        """So many samples, on from where the last ones ended."""
        parts = [_silence(0)]
        while count > 0:
            if not len(self._left):
                self._left = next(self._recordings)
            parts.append(self._left[:count])
            self._left = self._left[count:]
            count -= len(parts[-1])
        return np.concatenate(parts)

    @staticmethod
    def _endless(paths: Sequence[Path], rate_hz: int) -> Iterator[Samples]:
        while True:
            heard = False
            for path in paths:
                found = sound(path, rate_hz)
                if not isinstance(found, str):  # the others are told of where all are heard
                    heard = True
                    yield from found
            if not heard:
                raise DataError(f"none of {len(paths)} recordings in --negatives can be used "
                                f"({path} is {found}); recordings of speech were needed. Convert "
                                "them to wav or flac")


def _clips(clips: Sequence[tuple[str, Path]], rate_hz: int) -> Iterator[tuple[str, Samples]]:
    """One recording after the other, so that one is in memory."""
    for label, path in clips:
        must_be_there([path])
        found = usable(path, rate_hz)
        if isinstance(found, str):
            raise DataError(f"{path} is {found}, and was a usable recording before; it was needed. "
                            "Leave the data alone meanwhile, and start again")
        yield label, found


def _outcome(tree: dict[str, Any]) -> Outcome:
    """From JSON."""
    return Outcome(tuple(tree["found"]), Counter(tree["missed_by"]), tuple(tree["delays_s"]),
                   tree["doubles"], tree["false_alarms"], tree["seconds"])
