"""What a second worker is worth: features, false alarms and training, one against two.

    python tools/bench_scale.py --speech ../shared/data/negative_speech [--hours 2]

Makes hours of audio out of the recordings it is given, then extracts features and listens for
false alarms on one and on two Dask workers, and trains as one and as two processes of
`--strategy multiworker` on loopback.  Prints JSON lines, results compared; every time is that of
the work itself, starting the workers not counted.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
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
from edgernn.train.spread import Spread

STREAM_S = 600
"""Of a recording: there must be more of them than workers."""


@click.command(context_settings={"show_default": True})
@click.option("--speech", type=click.Path(exists=True, path_type=Path),
              default="../shared/data/negative_speech", help="Recordings to make hours of.")
@click.option("--hours", default=2.0)
@click.option("--epochs", default=3, help="Of the training.")
def main(speech: Path, hours: float, epochs: int) -> None:
    """Measure, and say whether one and two workers gave the same."""
    import distributed

    with tempfile.TemporaryDirectory() as place:
        paths = made(speech, Path(place) / "audio", hours)
        results: dict[str, list[Any]] = {}
        for workers in (1, 2):
            with distributed.LocalCluster(n_workers=workers, threads_per_worker=1,
                                          dashboard_address=None) as cluster:
                spread = Spread(cluster.scheduler_address)
                spread.run(heard, [(BUNDLED, ["alexa"], paths[:1], [], "auto")] * workers)  # warm
                cache = Path(place) / f"cache{workers}"
                for name, work, jobs in (
                        ("features", extract, [([p], plain(LogMelSpec()), cache) for p in paths]),
                        ("false alarms", heard,
                         [(BUNDLED, ["computer", "alexa"], [p], [0.3, 0.5], "auto")
                          for p in paths])):
                    began = time.monotonic()
                    found = spread.run(work, jobs)
                    told(name, workers, time.monotonic() - began, hours)
                    results.setdefault(name, []).append(found)
        train(Path(place), epochs)
        print(json.dumps({f"{name} are the same": a == b for name, (a, b) in results.items()}))


def told(what: str, workers: int, seconds: float, hours: float) -> None:
    """One line."""
    print(json.dumps({"work": what, "workers": workers, "seconds": round(seconds, 2),
                      "hours_of_audio_per_second": round(hours / seconds, 4)}), flush=True)


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


def train(place: Path, epochs: int) -> None:
    """Seconds of an epoch, alone and as two workers, after the first, which traces."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(150, 250, 600)
    rows = rng.normal(size=(int(lengths.sum()), 40)).astype(np.float32)
    labels = np.array(["a", "b"])[rng.integers(2, size=600)]
    np.savez(place / "data.npz", rows=rows, lengths=lengths, labels=labels)
    for workers in (1, 2):
        ports = [_port() for _ in range(workers)]
        out = place / f"run{workers}"
        running = [subprocess.Popen(
            [sys.executable, "-m", "edgernn", "train", str(place / "data.npz"), "--out", str(out),
             "--epochs", str(epochs), "--patience", str(epochs), "--batch", "64", "--units", "128",
             "--no-early-stopping", *(["--strategy", "multiworker"] if workers > 1 else [])],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
                 "TF_CONFIG": json.dumps({
                     "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
                     "task": {"type": "worker", "index": index}})}) for index in range(workers)]
        if any(process.wait() for process in running):
            sys.exit("a training failed")
        seconds = [float(line.rsplit(",", 1)[1])
                   for line in (out / "history.csv").read_text().splitlines()[1:]]
        print(json.dumps({"work": "training, an epoch", "workers": workers,
                          "seconds": round((seconds[-1] - seconds[0]) / (epochs - 1), 2)}),
              flush=True)


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


if __name__ == "__main__":
    main()
