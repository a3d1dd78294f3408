"""Wake words of pymicro-wakeword in edgernn and in that package, step for step.

    python tools/compare_wake_words.py FOLDER [--backend NAME]

FOLDER holds recordings, in any depth.  All are heard one after another, without a reset.
Needs: pip install "edgernn[device,audio,esphome]" pymicro-wakeword
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pymicro_wakeword as pymicro

from edgernn.frames import Frame
from edgernn.sources.wav import WavSource
from edgernn.step import StepModel
from edgernn.stream import Listener

MODELS = Path(pymicro.__file__).parent / "models"


def package(path: Path, recordings: list[Any]) -> tuple[list[int], list[int], float]:
    """Scores of every step in 1/256, steps at which it begins to fire, and seconds it took."""
    model, features = pymicro.MicroWakeWord.from_config(path), pymicro.MicroWakeWordFeatures()
    codes, begins, above = [], [], False
    begin = time.perf_counter()
    for samples in recordings:
        for row in features.process_streaming(samples.tobytes()):
            is_step = len(model._features) == model.stride - 1
            fires = bool(model.process_streaming(row))
            if is_step:
                if fires and not above:
                    begins.append(len(codes))
                above = fires
                codes.append(round(256 * model._probabilities[-1]))
    return codes, begins, time.perf_counter() - begin


def ours(path: Path, recordings: list[Any], backend: str) -> tuple[list[int], list[int], float]:
    """The same of edgernn; a detector that fires again only after a pause leaves some out."""
    codes: list[int] = []
    fired = []
    model = StepModel.open(path, backend)
    listener = Listener(model, on_scores=lambda scores, _: codes.append(round(256 * scores[0])))
    begin, at = time.perf_counter(), 0
    for samples in recordings:
        for found in listener.push(Frame(samples, at / 16000)):
            fired.append(round((found.time_s * 16000 - listener.frontend.window)
                               / listener.frontend.hop))
        at += len(samples)
    return codes, fired, time.perf_counter() - begin


def main() -> None:
    """Print a line a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backend", default="auto")
    given = parser.parse_args()
    recordings = [np.concatenate([frame.samples for frame in
                                  WavSource(str(path), 16000, 16000, "compare_wake_words")])
                  for path in sorted(given.folder.rglob("*.wav"))]
    print(f"{len(recordings)} recordings, {sum(map(len, recordings)) / 16000:.0f} s")
    print("| model | steps | scores that differ | largest difference | it begins to fire "
          "| edgernn fires, of these | us per 10 ms, edgernn | pymicro-wakeword |")
    print("|---|---|---|---|---|---|---|---|")
    for path in sorted(MODELS.glob("*.json")):
        want, begins, their_s = package(path, recordings)
        got, fired, our_s = ours(path, recordings, given.backend)
        if len(got) != len(want):
            raise SystemExit(f"{path.stem}: {len(got)} steps, {len(want)} in the package")
        apart = np.abs(np.array(got) - want)
        hops = sum(map(len, recordings)) / 160
        print(f"| {path.stem} | {len(want):,} | {np.count_nonzero(apart):,} | {apart.max()}/256 "
              f"| {len(begins)} times | {len(fired)}, {len(set(fired) & set(begins))} "
              f"| {1e6 * our_s / hops:.1f} | {1e6 * their_s / hops:.1f} |", flush=True)


if __name__ == "__main__":
    main()
