"""What carrying a state for hours does to a wake word model, and what resetting it does.

    python tools/measure_drift.py [--data shared/data] [--hours 6] [--model kws.tflite]

Hours of a room: noises at levels that wander, people reading now and then, and the wake words of
the validation speakers at 10 dB SNR, 12 times a minute.  One pass, in which a model for each
policy hears the same frames: the state carried all along, reset on silence, two states that take
turns, and, to compare with, a state that is reset two seconds before every word.  A word counts
as heard if its label is detected from its beginning to 0.5 s after its end.

Prints a table: missed words (with a 95 % interval, Wilson's) in the first and the last quarter of
the time, false alarms, and how many frames' best label was that of the fresh state.
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from materials import NOISES, RATE, Clip, clips, read
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgernn import cost
from edgernn.cli.models import BUNDLED
from edgernn.detect import Detector
from edgernn.drift import carrier
from edgernn.frontend.logmel import LogMel
from edgernn.spec import DetectorSpec, DriftSpec
from edgernn.step import StepModel
from edgernn.train.intervals import wilson_interval

PROJECT = Path(__file__).resolve().parent.parent
SLOT_S = 5.0
"""A word, or none, every so often."""
AFTER_S = 0.5
SNR_DB = 10.0
POLICIES = {
    "never reset": DriftSpec(),
    "reset on silence of 1 s": DriftSpec("silence"),
    "two states, 60 s each, 3 s overlap": DriftSpec("overlap"),
    "two states, 10 s each, 2 s overlap": DriftSpec("overlap", period_s=10, overlap_s=2),
}
FRESH = "reset 2 s before every word"


@dataclass
class Heard:
    """What one policy came to."""

    hits: list[bool] = field(default_factory=list)
    alarms: int = 0
    same: int = 0


def room(rng: np.random.Generator, noises: list[NDArray], talk: list[NDArray], words: list[Clip]
         ) -> tuple[NDArray[np.int16], Clip | None, float, float]:
    """Five seconds: the sound, which word is in it, and its begin and end in seconds."""
    n = int(SLOT_S * RATE)
    noise = noises[rng.integers(len(noises))]
    at = rng.integers(len(noise) - n)
    sound = noise[at:at + n] * np.float32(10 ** (rng.uniform(-30, 0) / 20))
    if rng.random() < 0.2:
        speech = talk[rng.integers(len(talk))]
        begin = rng.integers(max(1, len(speech) - n))
        piece = speech[begin:begin + n]
        sound[:len(piece)] += piece * np.float32(10 ** (rng.uniform(-20, 0) / 20))
        return _int16(sound), None, 0.0, 0.0
    clip = words[rng.integers(len(words))]
    word = clip.samples[clip.start:clip.end]
    begin = int((2.0 + rng.uniform(0, 1)) * RATE)
    end = begin + len(word)
    level = float(np.sqrt(np.mean(np.square(sound[begin:end]))) + 1)
    gain = 10 ** (SNR_DB / 20) * level / float(np.sqrt(np.mean(np.square(word))) + 1e-9)
    start = max(0, begin - clip.start)
    piece = clip.samples[clip.start - (begin - start):][:n - start]
    sound[start:start + len(piece)] += piece * np.float32(gain)
    return _int16(sound), clip, begin / RATE, end / RATE


def _int16(sound: NDArray) -> NDArray[np.int16]:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def interval(missed: int, count: int) -> str:
    """A share with Wilson's 95 % interval."""
    low, high = wilson_interval(missed, count)
    return f"{missed / count:.1%} ({low:.1%} to {high:.1%})"


def main() -> None:
    """Listen, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data")
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    chosen = parser.parse_args()
    noises = [read(chosen.data / "background_noise" / f"{name}.wav") for name in NOISES]
    noises = [noise[len(noise) // 2:] for noise in noises]  # the first halves were trained on
    talk = [read(path) for path in sorted((chosen.data / "negative_speech").rglob("*.wav"))]
    words = clips(chosen.data, "validation")
    model = StepModel.open(chosen.model)
    found = listen_to(model, chosen.hours, noises, talk, words)
    slots = len(found[FRESH].hits)
    print(f"{chosen.hours:g} hours, {slots} words at {SNR_DB:g} dB SNR; {cost.machine()}\n\n"
          "| state | missed | first quarter | last quarter | false alarms per hour | frames with "
          "the fresh state's label |\n|---|---|---|---|---|---|")
    steps = int(chosen.hours * 3600 / 0.02)
    for name, heard in found.items():
        missed, quarter = ~np.array(heard.hits), slots // 4
        print(f"| {name} | {interval(int(missed.sum()), slots)} | {missed[:quarter].mean():.1%} | "
              f"{missed[-quarter:].mean():.1%} | {heard.alarms / chosen.hours:.1f} | "
              f"{heard.same / steps:.2%} |")


def listen_to(model: StepModel, hours: float, noises: list[NDArray], talk: list[NDArray],
              words: list[Clip]) -> dict[str, Heard]:
    """All policies over the same frames."""
    rng = np.random.default_rng(0)
    spec = model.spec.detector or DetectorSpec({})
    carried = {name: carrier(model.fork(), drift, 0.02) for name, drift in POLICIES.items()}
    carried[FRESH] = model.fork()
    detectors = {name: Detector(spec, model.labels, 20.0) for name in carried}
    found = {name: Heard() for name in carried}
    frontend = LogMel(model.spec.frontend)
    for _ in range(int(hours * 3600 / SLOT_S)):
        sound, clip, begin, end = room(rng, noises, talk, words)
        if clip is not None:  # the slot's first two seconds are before the word
            carried[FRESH].reset()
        codes = model.encode(frontend.push(sound))
        slot: dict[str, list[tuple[str, float]]] = {name: [] for name in carried}
        best = np.empty((len(carried), len(codes)), int)
        for i, (name, one) in enumerate(carried.items()):
            for step, frame in enumerate(codes):
                scores = one.step(frame)
                best[i, step] = scores.argmax()
                fired = detectors[name].push(scores, 0.02 * step)
                if fired:
                    slot[name].append((fired.label, fired.time_s))
        for i, (name, fires) in enumerate(slot.items()):
            right = [label for label, at in fires if clip is not None and label == clip.label
                     and begin <= at <= end + AFTER_S]
            if clip is not None:
                found[name].hits.append(bool(right))
            found[name].alarms += len(fires) - len(right)
            found[name].same += int((best[i] == best[-1]).sum())
    return found


if __name__ == "__main__":
    main()
