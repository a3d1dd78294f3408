"""What a second worker is worth: features, false alarms and training, one against two.

    python tools/bench_scale.py --speech ../shared/data/negative_speech [--hours 2] [--repeats 5]

Makes hours of audio out of the recordings it is given, then extracts features and listens for
false alarms on one and on two Dask workers, and trains as one and as two processes of
`--strategy multiworker` on loopback.  One and two workers take turns.  Prints JSON lines, results
compared; every time is that of the work itself, starting the workers not counted.
"""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile

from edgernn.cli.models import BUNDLED
from edgernn.spec import LogMelSpec
from edgernn.train.features import extract, plain
from edgernn.train.negatives import heard
from edgernn.train.readers.audio import sound_files, usable
from edgernn.train.spread import HERE, Spread

COUNTS = (1, 2)
"""Of workers."""
STREAM_S = 600
"""Of a recording: there must be more of them than workers."""


@click.command(context_settings={"show_default": True})
@click.option("--speech", type=click.Path(exists=True, path_type=Path),
              default="../shared/data/negative_speech", help="Recordings to make hours of.")
@click.option("--hours", default=2.0)
@click.option("--epochs", default=3, help="Of the training.")
@click.option("--repeats", default=5, help="Turns of one and two workers.")
def main(speech: Path, hours: float, epochs: int, repeats: int) -> None:
    """Measure, and say whether one and two workers gave the same."""
    import distributed

    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        paths = made(speech, Path(place) / "audio", hours)
        spreads = {workers: Spread(stack.enter_context(distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None)).scheduler_address)
            for workers in COUNTS}
        for workers, spread in spreads.items():  # warm
            spread.run(heard, [(BUNDLED, ["alexa"], paths[:1], [], "auto")] * workers)
        took: dict[tuple[str, int], list[float]] = {}
        results: dict[str, list[Any]] = {}
        for turn in range(repeats):
            # In turns, so that what else the machine does is shared by both.
            for workers, spread in spreads.items():
                for name, work, jobs in both(paths, Path(place) / f"cache{workers}-{turn}"):
                    began = time.monotonic()
                    found = spread.run(work, jobs)
                    took.setdefault((name, workers), []).append(time.monotonic() - began)
                    results.setdefault(name, []).append(found)
        core_s: dict[str, list[float]] = {}
        for turn in range(repeats):
            for name, work, jobs in both(paths, Path(place) / f"cache-{turn}"):
                # What one core is busy for, whoever else wants it.
                began = time.process_time()
                results[name].append(HERE.run(work, jobs))
                core_s.setdefault(name, []).append(time.process_time() - began)
        for name, seconds in core_s.items():
            print(json.dumps({"work": name, "core_s": round(min(seconds), 2)}), flush=True)
        for (name, workers), seconds in took.items():
            told(name, workers, seconds, hours)
        stack.close()
        epochs_s: dict[int, list[float]] = {}
        for turn in range(repeats):
            for workers in COUNTS:
                epochs_s.setdefault(workers, []).append(
                    train(Path(place), workers, epochs, f"run{workers}-{turn}"))
        for workers, seconds in epochs_s.items():
            told("training, an epoch", workers, seconds)
        print(json.dumps({f"{name} are the same": all(one == found[0] for one in found)
                          for name, found in results.items()} | {"load": os.getloadavg()}))


def both(paths: list[Path], cache: Path) -> list[tuple[str, Callable[..., Any], list[Any]]]:
    """Name, work and jobs of what is measured on Dask."""
    return [("features", extract, [([path], plain(LogMelSpec()), cache) for path in paths]),
            ("false alarms", heard, [(BUNDLED, ["computer", "alexa"], [path], [0.3, 0.5], "auto")
                                     for path in paths])]


def told(what: str, workers: int, seconds: list[float], hours: float = 0.0) -> None:
    """One line: the best, which other work disturbed least, the median, and all."""
    rate = {"hours_of_audio_per_second": round(hours / min(seconds), 4)} if hours else {}
    print(json.dumps({"work": what, "workers": workers, "best_s": round(min(seconds), 2),
                      "median_s": round(statistics.median(seconds), 2),
                      "all_s": [round(each, 2) for each in seconds], **rate}), flush=True)


def made(speech: Path, folder: Path, hours: float) -> list[Path]:
    """Recordings of `STREAM_S`, cut out of what there is, over and over, at random places."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    talk = np.concatenate([found for path in sound_files([speech])
                           if not isinstance(found := usable(path, 16000), str)])
    paths = []
    for i in range(int(hours * 3600 / STREAM_S)):
        start = int(rng.integers(len(talk)))
        path = folder / f"{i:04}.wav"
        soundfile.write(path, np.resize(np.roll(talk, -start), STREAM_S * 16000), 16000)
        paths.append(path)
    return paths


def train(place: Path, workers: int, epochs: int, name: str) -> float:
    """Seconds of an epoch, alone or as two workers, after the first, which traces."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(150, 250, 600)
    rows = rng.normal(size=(int(lengths.sum()), 40)).astype(np.float32)
    labels = np.array(["a", "b"])[rng.integers(2, size=600)]
    np.savez(place / "data.npz", rows=rows, lengths=lengths, labels=labels)
    ports, out = [_port() for _ in range(workers)], place / name
    running = [subprocess.Popen(
        [sys.executable, "-m", "edgernn", "train", str(place / "data.npz"), "--out", str(out),
         "--epochs", str(epochs), "--patience", str(epochs), "--batch", "64", "--units", "128",
         "--no-early-stopping", *(["--strategy", "multiworker"] if workers > 1 else [])],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
             "TF_CONFIG": json.dumps({
                 "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
                 "task": {"type": "worker", "index": index}})}) for index in range(workers)]
    if any([process.wait() for process in running]):
        sys.exit("a training failed")
    seconds = [float(line.rsplit(",", 1)[1])
               for line in (out / "history.csv").read_text().splitlines()[1:]]
    return (seconds[-1] - seconds[0]) / (epochs - 1)


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


if __name__ == "__main__":
    main()
