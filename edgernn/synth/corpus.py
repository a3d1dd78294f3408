"""A folder of synthesized recordings that `edgernn train` takes as it is."""

import csv
import dataclasses
import io
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import files
from edgernn.errors import DataError, OutputError
from edgernn.recording.clips import write_wav
from edgernn.synth import folder, rooms
from edgernn.synth.espeak import Espeak, the_espeak
from edgernn.synth.plan import Recipe, Wish, recipes

COLUMNS = ("path", "label", "speaker", "split", "accent", "text")
QUIET = 0.02
"""Of the peak: what is quieter at the ends is cut off."""
PEAK_DBFS = (-20.0, -3.0)
MARGIN_S = 0.02
"""Left before and after what is said."""
MOST_PROCESSES = 2
JOB = 50
"""Recordings that a process is given at a time."""
SETTINGS = "synth.json"
GROWS = ("count", "others")
"""What may be larger when a folder is gone on with."""

README = """\
# Spoken by espeak-ng

{command}

made the recordings in this folder: {phrases} recordings of {names} and {others} of other things
(label `_other_`: confusable phrases and everyday sentences), 16-bit mono at {rate} Hz. Nobody
was recorded. `index.csv` has path, label, speaker, split, accent and text of each; a speaker is a
variant of espeak-ng, and no variant is in two splits.

    edgernn train {folder} --task spot --keywords "{keywords}" --out run

espeak-ng is free software under the GPL-3.0, and so is the package espeakng-loader that carries
it. The licence is that of the program. The audio that it spoke is its user's own, and so is a
model trained on it.
"""


def make(wish: Wish, out: Path, command: str = "edgernn synth", processes: int = MOST_PROCESSES,
         progress: Callable[[int, int], None] = lambda done, total: None) -> dict[str, Any]:
    """Speak what is wished into the folder `out`; what is there from an earlier run is kept.

    Parameters
    ----------
    wish : Wish
    out : Path
        Gets audio/*/*.wav, README.md, synth.json and, once all is there, index.csv.
    command : str
        What the README says made it.
    processes : int
        1 or 2.  Nothing that is made depends on it.
    progress : callable
        Told how many recordings are there, of how many.

    Returns
    -------
    dict
        Counts, for a line of JSON.

    Raises
    ------
    DataError
        If espeak-ng is missing or cannot say this.
    OutputError
        If `out` holds anything else, or there is no room.
    """
    if wish.rooms:
        rooms.load()
    planned = recipes(wish, the_espeak())
    folder.begin(out, dataclasses.asdict(wish), SETTINGS, GROWS)
    try:
        for place in {(out / each.path).parent for each in planned}:
            place.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputError(f"{out} cannot be written: {problem.strerror or problem}. Choose "
                          "another place, or make room there") from problem
    missing = [each for each in planned if not (out / each.path).exists()]
    done = len(planned) - len(missing)
    progress(done, len(planned))
    jobs = [missing[i:i + JOB] for i in range(0, len(missing), JOB)]
    for count in _speak_all(jobs, out, wish.rate_hz, min(processes, MOST_PROCESSES)):
        done += count
        progress(done, len(planned))
    files.write(out / "README.md", _readme(wish, out, command).encode())
    files.write(out / "index.csv", _index(planned).encode())
    return {"data": str(out), "recordings": len(planned), "made": len(missing),
            "splits": {name: sum(each.split == name for each in planned)
                       for name in ("train", "validation", "test")},
            "speakers": len({each.speaker for each in planned})}


def _readme(wish: Wish, out: Path, command: str) -> str:
    return README.format(
        command=f"    {command}", phrases=wish.count * len(wish.phrases), others=wish.others,
        names=", ".join(f'"{phrase}"' for phrase in wish.phrases), rate=wish.rate_hz,
        folder=out, keywords=",".join(wish.phrases))


def _index(planned: Sequence[Recipe]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(vars(each) for each in planned)
    return text.getvalue()


def _speak_all(jobs: list[list[Recipe]], out: Path, rate_hz: int, processes: int
               ) -> Iterator[int]:
    """How many recordings each job made, as they end."""
    if processes < 2 or len(jobs) < 2:
        voice = the_espeak()
        for job in jobs:
            yield _speak(voice, job, out, rate_hz)
        return
    # espeak-ng keeps global state: a process that was forked would share half of it.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _start)
    try:
        yield from pool.map(_job, jobs, [out] * len(jobs), [rate_hz] * len(jobs))
    except BrokenProcessPool as problem:
        raise DataError("a process that spoke was killed, perhaps for want of memory. Give the "
                        "same command again: it goes on; --processes 1 needs less") from problem
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    """In each process: end when nobody is left to speak for."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a process of the pool's"
    parent.join()
    os._exit(1)


def _job(job: list[Recipe], out: Path, rate_hz: int) -> int:
    return _speak(the_espeak(), job, out, rate_hz)


def _speak(voice: Espeak, job: Sequence[Recipe], out: Path, rate_hz: int) -> int:
    for recipe in job:
        write_wav(out / recipe.path, spoken(voice, recipe, rate_hz), rate_hz)
    return len(job)


def spoken(voice: Espeak, recipe: Recipe, rate_hz: int) -> NDArray[np.int16]:
    """One recording.

    Returns
    -------
    int16 array, shape (n,)
        Mono at `rate_hz`, the silence at its ends cut off, its peak somewhere in `PEAK_DBFS`.

    Raises
    ------
    DataError
        If soxr is missing, or espeak-ng says nothing to this text.
    """
    try:
        import soxr
    except ImportError as problem:
        raise DataError('soxr was not found, and was needed to resample. Install it: '
                        'pip install "edgernn[synth]"') from problem
    said = voice.say(recipe.text, f"{recipe.accent}+{recipe.speaker}", recipe.words_per_minute,
                     recipe.pitch, recipe.pitch_range, recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    samples = soxr.resample(said.samples.astype(np.float32), voice.sample_rate_hz, rate_hz)
    samples = _trimmed(samples, rate_hz)
    if len(samples) and recipe.room:
        samples = _trimmed(rooms.heard(samples, rooms.response(*recipe.room, rate_hz)), rate_hz)
    if not len(samples):
        raise DataError(f"espeak-ng says nothing to {recipe.text!r} as {recipe.accent}+"
                        f"{recipe.speaker}; words were needed. Write the phrase as it is spoken")
    peak = 32768 * 10 ** (rng.uniform(*PEAK_DBFS) / 20)
    return np.rint(samples * (peak / np.abs(samples).max())).astype(np.int16)


def _trimmed(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max(initial=0))
    if not len(loud):
        return samples[:0]
    margin = int(MARGIN_S * rate_hz)
    return samples[max(0, loud[0] - margin):loud[-1] + 1 + margin]
