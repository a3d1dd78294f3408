"""Jobs give the same wherever they are computed, once, whoever is lost on the way."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgernn.errors import ConfigError, DataError, OutputError
from edgernn.train.negatives import alarms, streams
from edgernn.train.spread import HERE, Spread
from tests.sounds import wandering

MODEL = Path(__file__).resolve().parents[2] / "edgernn" / "models" / "voice.tflite"


def square(x, log):
    """A job that tells where it ran."""
    with open(log, "a") as file:
        print(x, os.getpid(), file=file)
    return {"square": x * x}


def fatal_once(x, folder):
    """A job whose worker is killed the first time."""
    mark = Path(folder) / f"{x}"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"square": x * x}


def fatal(folder):
    """A job that no worker survives."""
    os.kill(os.getpid(), signal.SIGKILL)


def refusing(x):
    """A job that says what is wrong."""
    raise DataError(f"{x} is not good; another one was needed")


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                                  silence_logs="CRITICAL") as cluster:
        yield cluster.scheduler_address


def test_results_come_in_the_order_of_jobs_and_are_told_as_they_are_done(tmp_path):
    heard, each = [], []
    found = HERE.run(square, [(i, str(tmp_path / "log")) for i in range(4)],
                     lambda *counts: heard.append(counts), lambda i, result: each.append(i))
    assert [one["square"] for one in found] == [0, 1, 4, 9]
    assert heard == [(i, 4) for i in range(5)]
    assert each == [0, 1, 2, 3]


def test_what_is_kept_is_not_computed_again_unless_its_file_changed(tmp_path):
    log, kept = tmp_path / "log", tmp_path / "kept"
    data = tmp_path / "data"
    data.write_text("one")
    jobs = [(2, str(log)), (3, str(log))]
    Spread(kept=kept).run(square, jobs[:1])
    assert Spread(kept=kept).run(square, jobs) == [{"square": 4}, {"square": 9}]
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["2", "3"]
    for file in kept.iterdir():
        file.write_text('{"square":')  # as after a disk that was full: another program's doing
    assert Spread(kept=kept).run(square, jobs) == [{"square": 4}, {"square": 9}]
    from edgernn.train.spread import _key

    before = _key(square, (data,))
    os.utime(data, ns=(1, 1))
    assert _key(square, (data,)) != before


@pytest.mark.slow
def test_workers_give_what_one_process_gives(cluster, tmp_path):
    jobs = [(i, str(tmp_path / "log")) for i in range(20)]
    assert Spread(cluster).run(square, jobs) == HERE.run(square, jobs)
    places = {line.split()[1] for line in (tmp_path / "log").read_text().splitlines()}
    assert len(places - {str(os.getpid())}) == 2


@pytest.mark.slow
def test_a_lost_worker_loses_nothing(cluster, tmp_path):
    heard = []
    found = Spread(cluster, tmp_path / "kept").run(
        fatal_once, [(i, str(tmp_path)) for i in range(3)], lambda *counts: heard.append(counts))
    assert [one["square"] for one in found] == [0, 1, 4]
    assert heard[-1] == (3, 3)


@pytest.mark.slow
def test_a_job_that_no_worker_survives_is_an_error_not_an_endless_loop(cluster, tmp_path):
    with pytest.raises(OutputError, match="lost one worker after the other"):
        Spread(cluster, tmp_path / "kept").run(fatal, [(str(tmp_path),)])


@pytest.mark.slow
def test_what_a_job_says_is_wrong_is_said_here(cluster):
    with pytest.raises(DataError, match="7 is not good; another one was needed"):
        Spread(cluster).run(refusing, [(7,)])


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_named():
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    with pytest.raises(ConfigError, match=r"tcp://127.0.0.1:9 .*dask scheduler"):
        Spread("tcp://127.0.0.1:9").run(refusing, [(1,)])


@pytest.fixture
def hours(tmp_path):
    """Recordings of some seconds, one of them broken, in folders."""
    folder = tmp_path / "negatives"
    folder.mkdir()
    for i in range(5):
        soundfile.write(folder / f"{i}.wav", wandering(4.0, seed=i), 16000)
    (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


def test_streams_go_on_until_they_are_long_enough(hours):
    assert [[path.name for path in stream] for stream in streams([hours], seconds=7.0)] == [
        ["0.wav", "1.wav"], ["2.wav", "3.wav"], ["4.wav", "broken.wav"]]
    assert len(streams([hours], seconds=3600.0)) == 1
    with pytest.raises(DataError, match="no wav or flac"):
        streams([hours / "nothing"], seconds=7.0)


@pytest.mark.slow
def test_false_alarms_are_the_same_on_workers_and_after_a_restart(cluster, hours, tmp_path,
                                                                  monkeypatch):
    monkeypatch.setattr("edgernn.train.negatives.STREAM_S", 7.0)
    said = []
    thresholds = (0.05, 0.3, 0.6)
    here = alarms(MODEL, ("speech",), [hours], thresholds, tell=said.append)
    there = alarms(MODEL, ("speech",), [hours], thresholds, spread=Spread(cluster, tmp_path / "k"))
    again = alarms(MODEL, ("speech",), [hours], thresholds, spread=Spread(kept=tmp_path / "k"))
    assert here == there == again
    assert here.own.seconds == 20.0
    assert here.at[0].false_alarms > 0
    assert "broken.wav" in said[0]
    assert len(list((tmp_path / "k").iterdir())) == 3


@pytest.mark.slow
def test_a_grid_on_workers_is_the_grid_of_one_machine_and_survives_a_lost_worker(
        cluster, tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    import threading

    import psutil

    from edgernn.train.compare import Material, Point, compare
    from edgernn.train.config import TrainConfig
    from tests.cli.test_train import npz

    data = npz(tmp_path / "data.npz")
    config = TrainConfig(epochs=3, patience=3, units=4)
    points = [Point("gru", 4), Point("simple_rnn", 4)]
    here = compare(Material((data,)), tmp_path / "here", points, config, "int8x16", 1,
                   lambda point, line: None)
    killed = []

    def kill():
        """The worker of the first training that is under way."""
        while not killed:
            for process in psutil.process_iter(["cmdline"]):
                line = process.info["cmdline"] or []
                if str(tmp_path / "there") in " ".join(line) and "train" in line:
                    killed.append(process.pid)
                    process.parent().send_signal(signal.SIGKILL)
                    break
            time.sleep(0.02)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    told = []
    there = compare(Material((data,)), tmp_path / "there", points, config, "int8x16", 1,
                    lambda point, line: told.append(point.name), scheduler=cluster)
    thread.join(timeout=5)
    assert killed
    assert sorted(told) == ["gru-4", "simple_rnn-4"]
    for a, b in zip(here, there, strict=True):
        ours = {"model": "", "bytes": 0}  # the file names the command that made it
        assert {**a, **ours} == {**b, **ours}
    for point in points:
        a, b = (np.load(tmp_path / where / point.name / "run" / "weights.npz")
                for where in ("here", "there"))
        assert all(np.array_equal(a[name], b[name]) for name in a.files)
