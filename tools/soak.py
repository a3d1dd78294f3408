"""A day of audio in a few minutes, with everything going wrong that does on a device.

    python tools/soak.py [--hours 24] [--seed 0] [--model kws.tflite]

Words of the demo recording at random times and levels, in noise, are heard twice by a process of
its own: once undisturbed, and once with faults:

- gaps, as overflows leave them, and longer ones, as an unplugged microphone does;
- silence (zeros), and clipping;
- a sink that blocks, and one that fails, for a while;
- the wall clock jumping by hours, both ways; the process stopped and continued (SIGSTOP);
- sensor rows with NaN, words and missing columns, in a stream of rows beside.

Then it must hold, or this says what did not and exits with 1:

- every word detected undisturbed, and not within `NEAR_S` of a fault, is detected again, and
  nothing else is;
- samples given and lost add up to all samples, seconds of the summary to the same, every
  detection is either in a sink or counted as dropped, every bad row is counted;
- resident memory at the end is that after the first tenth, within `ROOM_MB`.
"""

import argparse
import bisect
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgernn.cli.models import BUNDLED
from edgernn.cost.streams import resident_mb
from edgernn.detect import Detection
from edgernn.errors import OutputError
from edgernn.frames import Frame
from edgernn.sinks.queued import Queued
from edgernn.sources.rows import RowSource
from edgernn.sources.source import Source
from edgernn.step import StepModel
from edgernn.stream import Listener, listen

RATE, HOP = 16000, 320
MINUTE = 60 * RATE
WORDS_A_MINUTE, FAULTS_AN_HOUR = 5, 12
NEAR_S = 4.0
"""Seconds around a fault in which a detection may be missed or new: what the model remembers."""
ROOM_MB = 3.0
FAULTS = ("gap", "unplugged", "silence", "clipping", "sink blocks", "sink fails", "clock jumps")


@dataclass
class Fault:
    """Something that goes wrong, in samples from the beginning."""

    kind: str
    begin: int
    length: int


@dataclass
class Found:
    """What a run came to."""

    detections: list[tuple[str, float]] = field(default_factory=list)
    taken: int = 0
    dropped: int = 0
    given: int = 0
    lost: int = 0
    heard_s: float = 0.0
    missing_s: float = 0.0
    megabytes: list[float] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)


def minute(number: int, words: list[NDArray[np.float64]], seed: int) -> NDArray[np.int16]:
    """A minute of noise with words in it; always the same of a number and a seed."""
    rng = np.random.default_rng((seed, number))
    sound = rng.normal(0, 10 ** rng.uniform(0.5, 1.5), MINUTE)
    for slot in range(WORDS_A_MINUTE):
        word = words[rng.integers(len(words))]
        at = int((slot + rng.uniform(0.1, 0.6)) * MINUTE / WORDS_A_MINUTE)
        sound[at:at + len(word)] += word * 10 ** (rng.uniform(-10, 3) / 20)
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def demo_words() -> list[NDArray[np.float64]]:
    """The two words of the demo recording."""
    import soundfile

    samples, _ = soundfile.read(BUNDLED.with_name("demo.wav"), dtype="int16")
    pieces = [samples[int(begin * RATE):int(end * RATE)] for begin, end in ((0.8, 2.0), (4.8, 6.0))]
    fade = np.minimum(1, np.minimum(np.arange(1, 19201), np.arange(19200, 0, -1)) / 1600)
    return [piece.astype(np.float64) * fade for piece in pieces]


def make_faults(minutes: int, seed: int) -> list[Fault]:
    """Where what goes wrong: every kind in turn, so that none is left out."""
    rng = np.random.default_rng((seed, 1 << 40))
    count = max(len(FAULTS), FAULTS_AN_HOUR * minutes // 60)
    spread = minutes * MINUTE / count
    lengths = {"gap": (1, RATE), "unplugged": (5 * RATE, 40 * RATE), "silence": (RATE, 20 * RATE),
               "clipping": (RATE, 10 * RATE), "sink blocks": (RATE, 30 * RATE),
               "sink fails": (RATE, 30 * RATE), "clock jumps": (1, 2)}
    return [Fault(kind, int((i + rng.uniform(0, 0.4)) * spread),
                  int(rng.integers(*lengths[kind])))
            for i in range(count) for kind in [FAULTS[i % len(FAULTS)]]]


class Disturbed(Source):
    """The minutes as frames of a hop, with those faults that are of the sound."""

    live = True

    def __init__(self, minutes: int, faults: list[Fault], seed: int) -> None:
        super().__init__(RATE, HOP)
        self.minutes, self.seed, self.words = minutes, seed, demo_words()
        self.faults = sorted((fault for fault in faults if fault.kind in FAULTS[:4]),
                             key=lambda fault: fault.begin)
        self.given, self.lost = 0, 0

    def __iter__(self) -> Iterator[Frame]:
        at, gap, faults = 0, 0, list(self.faults)
        for number in range(self.minutes):
            sound = minute(number, self.words, self.seed)
            for begin in range(0, MINUTE, HOP):
                hop = sound[begin:begin + HOP]
                while faults and at >= faults[0].begin + faults[0].length:
                    faults.pop(0)
                if faults and at + HOP > faults[0].begin:
                    hop, lost = _spoiled(hop, faults[0])
                    gap += lost
                    self.lost += lost
                if len(hop):
                    self.given += len(hop)
                    yield Frame(hop, (at + HOP - len(hop)) / RATE, gap)
                    gap = 0
                at += HOP

    def close(self) -> None:
        """Nothing is open."""


def _spoiled(hop: NDArray[np.int16], fault: Fault) -> tuple[NDArray[np.int16], int]:
    """What is left of a hop, and samples that are lost before it."""
    if fault.kind == "silence":
        return np.zeros_like(hop), 0
    if fault.kind == "clipping":
        return np.clip(hop.astype(np.int32) * 200, -32768, 32767).astype(np.int16), 0
    lost = min(len(hop), max(1, fault.length))
    return hop[lost:], lost


class Sink:
    """Takes detections, unless a fault says that it blocks or fails."""

    def __init__(self) -> None:
        self.taken, self.fault = 0, ""

    def detection(self, found: Detection) -> None:
        """Count it; or wait; or fail."""
        while self.fault == "sink blocks":
            time.sleep(0.001)
        if self.fault == "sink fails":
            raise OutputError("the broker is gone")
        self.taken += 1

    def scores(self, scores: Any, time_s: float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Let go."""
        self.fault = ""


def run(model_path: Path, minutes: int, faults: list[Fault], seed: int) -> Found:
    """Hear it all; in this process."""
    found, sink = Found(), Sink()
    queued = Queued(sink, "sink", waiting=4)
    listener = Listener(StepModel.open(model_path))
    source = Disturbed(minutes, faults, seed)
    others = [fault for fault in faults if fault.kind not in FAULTS[:4]]
    tenth, wall = max(1, minutes * MINUTE // HOP // 10), time.time

    def told(frames: Source) -> Iterator[Frame]:
        for number, frame in enumerate(frames):
            at = number * HOP
            now = [fault for fault in others if fault.begin <= at < fault.begin + fault.length]
            sink.fault = now[0].kind if now and now[0].kind.startswith("sink") else ""
            while others and others[0].begin + others[0].length <= at:
                if others.pop(0).kind == "clock jumps":
                    jump = float(np.random.default_rng(at).uniform(-1e5, 1e5))
                    time.time = lambda jump=jump: wall() + jump
            if number % tenth == tenth - 1:
                found.megabytes.append(round(resident_mb(), 2))
            yield frame

    for each in listen(told(source), listener):
        found.detections.append((each.label, round(each.time_s, 3)))
        queued.detection(each)
    sink.fault = ""
    queued.drain()
    queued.close()
    found.taken, found.dropped = sink.taken, queued.dropped
    found.given, found.lost = source.given, source.lost
    found.heard_s, found.missing_s = listener.summary.heard_s, listener.summary.missing_s
    found.rows = sensor_rows(minutes, seed) if faults else {}
    return found


def sensor_rows(minutes: int, seed: int) -> dict[str, int]:
    """Rows of a sensor of which one in a hundred is bad: how many were, and were held."""
    rng = np.random.default_rng(seed)
    bad = ("nan,0", "0", "0,0,0", "oops,0", "1e999,0", "")
    spoiled = rng.random(60 * minutes) < 0.01
    lines = [bad[rng.integers(len(bad) - 1)] if wrong else "0.5,-0.25" for wrong in spoiled]
    source = RowSource(iter([f"{line}\n" for line in lines]), 2, 1.0, "sensor")
    good = lost = 0
    for frame in source:
        good, lost = good + len(frame.samples), lost + frame.gap
    trailing = next((i for i, wrong in enumerate(spoiled[::-1]) if not wrong), len(spoiled))
    return {"rows": len(lines), "good": good, "held": lost, "bad": int(spoiled.sum()),
            "bad at the end": trailing}


def problems(calm: Found, disturbed: Found, faults: list[Fault], minutes: int) -> list[str]:
    """What does not hold."""
    said = []
    spans = sorted((fault.begin / RATE - NEAR_S, (fault.begin + fault.length) / RATE + NEAR_S)
                   for fault in faults if fault.kind in FAULTS[:4])

    def near(time_s: float) -> bool:
        last = bisect.bisect_right([begin for begin, _ in spans], time_s) - 1
        return any(begin <= time_s <= end for begin, end in spans[max(0, last - 1):last + 1])

    for what, some, all_of in (("missed", calm, disturbed), ("new", disturbed, calm)):
        kept = {(label, round(time_s * 50)) for label, time_s in all_of.detections}
        wrong = [(label, time_s) for label, time_s in some.detections if not near(time_s)
                 and not any((label, round(time_s * 50) + off) in kept for off in range(-10, 11))]
        if wrong:
            said.append(f"{len(wrong)} {what} far from any fault, such as {wrong[:3]}")
    total = minutes * MINUTE
    for name, each in (("undisturbed", calm), ("disturbed", disturbed)):
        if each.given + each.lost != total or round(each.heard_s * RATE) > total or (
                total - round(each.heard_s * RATE) > 60 * RATE):
            said.append(f"{name}: {each.given} given and {each.lost} lost samples are not {total}")
        if abs(each.missing_s * RATE - each.lost) > 60 * RATE:
            said.append(f"{name}: {each.missing_s} s missing in the summary, {each.lost} lost")
        if each.taken + each.dropped != len(each.detections):
            said.append(f"{name}: {each.taken} taken and {each.dropped} dropped detections are not "
                        f"{len(each.detections)}")
        if each.megabytes and each.megabytes[-1] > each.megabytes[0] + ROOM_MB:
            said.append(f"{name}: resident memory grew: {each.megabytes} MB")
    rows = disturbed.rows
    if rows["good"] + rows["bad"] != rows["rows"] or (
            rows["held"] != rows["bad"] - rows["bad at the end"]):
        said.append(f"rows do not add up: {rows}")
    return said


def in_a_process(arguments: list[str], stops: bool) -> Found:
    """Run it apart; stop and continue it now and then."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryFile("w+") as answer:  # a pipe would fill, and wait for its reader
        # Minutes of sound are given back to the system at once: what grows then is edgernn.
        child = subprocess.Popen([sys.executable, __file__, "--child", *arguments], stdout=answer,
                                 env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"})
        while stops and child.poll() is None:
            time.sleep(rng.uniform(0.5, 3))
            if child.poll() is None:
                child.send_signal(signal.SIGSTOP)
                time.sleep(rng.uniform(0.05, 1))
                child.send_signal(signal.SIGCONT)
        if child.wait():
            sys.exit(f"the process ended with {child.returncode}")
        answer.seek(0)
        return Found(**json.load(answer))


def main() -> None:
    """Print what held, or exit with 1."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0, help="of audio (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--child", choices=("calm", "disturbed"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    minutes = max(1, round(60 * chosen.hours))
    faults = make_faults(minutes, chosen.seed)
    if chosen.child:
        found = run(chosen.model, minutes, faults if chosen.child == "disturbed" else [],
                    chosen.seed)
        print(json.dumps(found.__dict__))
        return
    begin = time.monotonic()
    shared = ["--hours", str(chosen.hours), "--seed", str(chosen.seed), "--model",
              str(chosen.model)]
    calm = in_a_process(["calm", *shared], stops=False)
    disturbed = in_a_process(["disturbed", *shared], stops=True)
    said = problems(calm, disturbed, faults, minutes)
    kinds = {kind: sum(fault.kind == kind for fault in faults) for kind in FAULTS}
    print(f"{minutes / 60:g} hours of audio heard twice in {time.monotonic() - begin:.0f} s; "
          f"faults: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}; stopped and "
          "continued all along\n"
          f"detections: {len(calm.detections)} undisturbed, {len(disturbed.detections)} disturbed, "
          f"{disturbed.dropped} of these dropped by a sink and counted\n"
          f"samples: {disturbed.given} given + {disturbed.lost} lost = {minutes * MINUTE}\n"
          f"rows: {disturbed.rows}\n"
          f"resident: {disturbed.megabytes[0]} MB after a tenth, {disturbed.megabytes[-1]} MB at "
          "the end")
    for each in said:
        print(f"does not hold: {each}")
    sys.exit(1 if said else 0)


if __name__ == "__main__":
    main()
