"""Hours in which nobody says a word: what a model takes for one.

They are heard as streams of an hour or more, recording after recording with the state carried,
each stream begun from reset.  Streams need nothing of each other, so thousands of hours can be
heard on many machines; what comes back are counts, one for each threshold that is tried, or the
scores of the moments at which a detector could wake.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgernn import bundle
from edgernn.detect import ONE
from edgernn.errors import DataError
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.step import StepModel
from edgernn.train.dataset import Skipped, Tell, refuse_or_tell
from edgernn.train.evaluation import Outcome, Piece, Track, at_threshold, compare, detect, hear
from edgernn.train.readers.audio import length_s, sound, sound_files
from edgernn.train.spread import HERE, Spread, must_be_there
from edgernn.train.waking import Quiet, waking

STREAM_S = 3600.0
"""A stream goes on until it is so long, then the recording after begins another one."""


@dataclass(frozen=True)
class Alarms:
    """What was taken for a word."""

    own: Outcome
    """With the thresholds of the model."""
    at: tuple[Outcome, ...]
    """With one threshold for all labels, for each that was tried."""


def streams(given: Sequence[Path], seconds: float) -> list[tuple[Path, ...]]:
    """The recordings in files and folders, in their order, as streams of so long or longer; what
    is a name without a file is in none.

    Raises
    ------
    DataError
        If there are none.
    """
    found: list[tuple[Path, ...]] = []
    stream: list[Path] = []
    long = 0.0
    for path in filter(Path.is_file, sound_files(given)):
        stream.append(path.absolute())
        long += length_s(path)
        if long >= seconds:
            found.append(tuple(stream))
            stream, long = [], 0.0
    if stream:
        found.append(tuple(stream))
    if given and not found:
        raise DataError(f"{', '.join(map(str, given))} has no wav or flac; recordings of sound "
                        "were needed. Name their folder")
    return found


def alarms(
    model: Path, labels: Sequence[str], given: Sequence[Path], thresholds: Sequence[float],
    backend: str = "auto", spread: Spread = HERE, tell: Tell = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Alarms:
    """Hear all recordings, and count what the model takes for one of its labels.

    Parameters
    ----------
    model : Path
        A .tflite that detects words in audio.
    labels : sequence of str
        Those of its labels that are listened for.
    given : sequence of Path
        Recordings, or folders of them.
    thresholds : sequence of float
        Tried one after the other, for all labels.
    backend : str
    spread : Spread
        Where streams are heard.
    tell, progress : callable
        Told what is left out and why; streams done, and how many there are.

    Raises
    ------
    DataError
        If no recording can be used.
    """
    jobs = [(model.absolute(), list(labels), list(stream), list(thresholds), backend)
            for stream in streams(given, STREAM_S)]
    counts = spread.run(heard, jobs, progress)
    seconds = _seconds(given, counts, tell)

    def together(wrong: list[int]) -> Outcome:
        return Outcome((), Counter(), (), 0, sum(wrong), seconds)

    return Alarms(together([count["own"] for count in counts]),
                  tuple(together([count["at"][i] for count in counts])
                        for i in range(len(thresholds))))


def wakings(
    model: Path, labels: Sequence[str], given: Sequence[Path], quiet: Quiet,
    backend: str = "auto", spread: Spread = HERE, tell: Tell = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Track:
    """Hear all recordings, and keep the scores of what a detector could wake at.

    Parameters and errors are those of `alarms`; `quiet` says what a detector sleeps through.
    """
    jobs = [(model.absolute(), list(labels), list(stream), *vars(quiet).values(), backend)
            for stream in streams(given, STREAM_S)]
    found = spread.run(woken, jobs, progress)
    seconds = _seconds(given, found, tell)
    # Rows of several labels, of which a stream may have none.
    scores = [np.array(each["parts"], np.float32).reshape(-1, each["labels"]) / np.float32(ONE)
              for each in found]
    begins = np.cumsum([0, *map(len, scores)])[:-1]
    return Track(np.concatenate(scores),
                 np.concatenate([np.array(each["times_s"], np.float64) for each in found]), (),
                 frozenset(begins.tolist()), seconds)


def heard(model: Path, labels: Sequence[str], stream: Sequence[Path],
          thresholds: Sequence[float], backend: str) -> dict[str, Any]:
    """One stream's job: seconds heard, and false alarms with the model's and other thresholds."""
    step, track, skipped = _hear(model, stream, backend)
    frontend, detector = step.spec.frontend, step.spec.detector
    assert isinstance(frontend, LogMelSpec), "it hears audio"
    assert detector is not None, "it detects words"
    spec = replace(detector, thresholds={label: detector.thresholds[label] for label in labels})

    def wrong(spec: DetectorSpec) -> int:
        return compare(track, detect(track, spec, step.labels, float(frontend.hop_ms))).false_alarms

    return {"seconds": track.seconds, "own": wrong(spec), "skipped": skipped,
            "at": [wrong(at_threshold(spec, threshold)) for threshold in thresholds]}


def woken(model: Path, labels: Sequence[str], stream: Sequence[Path], lowest: float,
          averaged: int, paused: int, backend: str) -> dict[str, Any]:
    """Another job: seconds heard, and scores, 1.0 being 32768, of what could wake a detector."""
    step, track, skipped = _hear(model, stream, backend)
    found = waking(track, [step.labels.index(label) for label in labels],
                   Quiet(lowest, averaged, paused))
    return {"seconds": track.seconds, "skipped": skipped, "labels": len(step.labels),
            "parts": (found.scores * ONE).astype(int).ravel().tolist(),
            "times_s": found.times_s.tolist()}


def _hear(model: Path, stream: Sequence[Path], backend: str
          ) -> tuple[StepModel, Track, list[tuple[str, str]]]:
    """A model, what it makes of a stream, and what of that is no recording, and why."""
    must_be_there([model, *stream])
    step = StepModel.load(bundle.read(model), backend)
    assert isinstance(step.spec.frontend, LogMelSpec), "it hears audio"
    skipped: list[tuple[str, str]] = []
    track = hear(step, _pieces(stream, step.spec.frontend.sample_rate_hz, skipped))
    return step, track, skipped


def _seconds(given: Sequence[Path], found: Sequence[dict[str, Any]], tell: Tell) -> float:
    """How long all jobs heard; what they left out is told, and an error if that is all."""
    skipped = [Skipped(path, "missing") for path in sound_files(given) if not path.is_file()]
    skipped += [Skipped(Path(path), why) for each in found for path, why in each["skipped"]]
    refuse_or_tell(skipped, False, tell)
    seconds: float = sum(each["seconds"] for each in found)
    if not seconds:
        raise DataError(f"none of the recordings in {', '.join(map(str, given))} can be used"
                        f"{f' ({skipped[0].path} is {skipped[0].reason})' if skipped else ''}; "
                        "some were needed. Name another folder")
    return seconds


def _pieces(stream: Sequence[Path], rate_hz: int, skipped: list[tuple[str, str]]
            ) -> Iterator[Piece]:
    """One recording after the other, some minutes of one in memory."""
    for path in stream:
        found = sound(path, rate_hz)
        if isinstance(found, str):
            skipped.append((str(path), found))
        else:
            yield from ((block, ()) for block in found)
