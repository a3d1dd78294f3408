"""Jobs give the same wherever they are computed, once, whoever is lost on the way."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgernn.errors import ConfigError, DataError, OutputError
from edgernn.step import StepModel
from edgernn.train.evaluation import at_threshold, compare, detect
from edgernn.train.negatives import alarms, streams, wakings
from edgernn.train.spread import HERE, Spread
from edgernn.train.waking import Quiet
from tests.cli.test_cli import edgernn, fails
from tests.sounds import wandering

PROJECT = Path(__file__).resolve().parents[2]
BUNDLED = PROJECT / "edgernn" / "models" / "wakeword.tflite"
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


@pytest.mark.parametrize("content", [
    b"{}", b"[]", b"4", b'{"square": 5}', b'{"sum": "", "result": {"square": 5}}', b"\xff{"])
def test_a_file_that_is_no_result_is_computed_anew(tmp_path, content):
    jobs, kept = [(2, str(tmp_path / "log"))], Spread(kept=tmp_path / "kept")
    kept.run(square, jobs)
    [file] = (tmp_path / "kept").iterdir()
    file.write_bytes(content)
    assert kept.run(square, jobs) == [{"square": 4}]


def test_a_kept_result_that_was_changed_or_is_of_another_job_is_computed_anew(tmp_path):
    jobs, kept = [(i, str(tmp_path / "log")) for i in (2, 3)], Spread(kept=tmp_path / "kept")
    kept.run(square, jobs)
    first, second = (tmp_path / "kept").iterdir()
    first.write_bytes(first.read_bytes().replace(b'"square": ', b'"square": 1'))
    assert kept.run(square, jobs) == [{"square": 4}, {"square": 9}]
    first.write_bytes(second.read_bytes())
    assert kept.run(square, jobs) == [{"square": 4}, {"square": 9}]


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
    with pytest.raises(DataError, match="nothing is not there"):
        streams([hours / "nothing"], seconds=7.0)
    (hours / "empty").mkdir()
    with pytest.raises(DataError, match="no wav or flac"):
        streams([hours / "empty"], seconds=7.0)


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
def test_what_a_detector_could_wake_at_is_the_same_on_workers_and_after_a_restart(
        cluster, hours, tmp_path, monkeypatch):
    monkeypatch.setattr("edgernn.train.negatives.STREAM_S", 7.0)
    quiet = Quiet(0.04, 16, 100)
    here = wakings(MODEL, ("speech",), [hours], quiet)
    there = wakings(MODEL, ("speech",), [hours], quiet, spread=Spread(cluster, tmp_path / "k"))
    again = wakings(MODEL, ("speech",), [hours], quiet, spread=Spread(kept=tmp_path / "k"))
    for other in (there, again):
        np.testing.assert_array_equal(other.scores, here.scores)
        np.testing.assert_array_equal(other.times_s, here.times_s)
        assert (other.begins, other.seconds) == (here.begins, here.seconds)
    assert here.seconds == 20.0
    counted = alarms(MODEL, ("speech",), [hours], (0.05, 0.3, 0.6))
    step = StepModel.open(MODEL, "emulator")
    for threshold, outcome in zip((0.05, 0.3, 0.6), counted.at, strict=True):
        spec = at_threshold(step.spec.detector, threshold)
        found = compare(here, detect(here, spec, step.labels, step.spec.frontend.hop_ms))
        assert found.false_alarms == outcome.false_alarms


@pytest.mark.slow
def test_what_a_worker_does_not_see_is_an_error_and_no_result(hours, tmp_path):
    from edgernn.train.negatives import heard

    (hours / "3.wav").rename(hours / "gone.wav")
    with pytest.raises(DataError, match=r"3.wav is not there on .*at the same path"):
        HERE.run(heard, [(MODEL, ["speech"], [hours / "3.wav"], [0.5], "auto")])


def test_a_name_without_a_file_is_left_out_and_told(hours):
    (hours / "lost.wav").symlink_to(hours / "nowhere.wav")
    said = []
    assert alarms(MODEL, ("speech",), [hours], (), tell=said.append).own.seconds == 20.0
    assert any("lost.wav: missing" in line for line in said)


def older(x):
    """A job whose client has another edgernn, as its worker sees it."""
    from edgernn.train.spread import _worked

    return _worked("0.0.1", square, (x, os.devnull))


@pytest.mark.slow
def test_a_worker_with_another_edgernn_is_refused(cluster):
    with pytest.raises(ConfigError, match=r"has edgernn .*; 0.0.1 was needed"):
        Spread(cluster).run(older, [(3,)])


@pytest.fixture
def scheduler():
    """A scheduler of its own process, without workers: the process, its address."""
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = begun("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port,
                    "--no-dashboard")
    yield process, f"tcp://127.0.0.1:{port}"
    process.kill()
    process.wait(10)


def begun(module, *arguments, cwd="/"):
    """A process of Dask that runs somewhere else, and finds this edgernn."""
    return subprocess.Popen([sys.executable, "-m", module, *map(str, arguments)], cwd=cwd,
                            env={**os.environ, "PYTHONPATH": str(PROJECT)},
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def worker(address, folder):
    return begun("distributed.cli.dask_worker", address, "--nthreads", 1, "--no-dashboard",
                 "--local-directory", folder)


@pytest.mark.slow
def test_a_scheduler_without_workers_is_told_and_waited_for(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr("edgernn.train.spread.PATIENCE_S", 0.5)
    workers, said = [], []

    def tell(message):
        said.append(message)
        workers.append(worker(scheduler[1], tmp_path))

    try:
        spread = Spread(scheduler[1], tell=tell)
        assert spread.run(square, [(3, str(tmp_path / "log"))]) == [{"square": 9}]
    finally:
        for process in workers:
            process.terminate()
            process.wait(20)
    assert len(said) == 1
    assert "has no workers: waiting for one" in said[0]


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_told_and_what_was_done_is_kept(scheduler, tmp_path):
    process, address = scheduler
    working = worker(address, tmp_path / "space")
    log, kept = str(tmp_path / "log"), tmp_path / "kept"
    try:
        with pytest.raises(OutputError, match=r"went away.*the same command again"):
            Spread(address, kept).run(slow_after_one, [(i, log) for i in range(3)],
                                      each=lambda i, result: process.kill())
    finally:
        working.terminate()
        working.wait(20)
    assert len(list(kept.iterdir())) == 1


def slow_after_one(x, log):
    """A job that is done at once if it is the first."""
    if x:
        time.sleep(20)
    return square(x, log)


@pytest.mark.slow
def test_workers_that_lack_the_code_are_told_of(cluster, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def work(x):\n    return {}\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    with pytest.raises(ConfigError, match=r"lacks what a job needs .*only_here.*pip install"):
        Spread(cluster).run(only_here.work, [(1,)])


def test_a_cluster_of_our_own_is_for_many_jobs(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("edgernn.train.spread._installed", lambda: True)
    monkeypatch.setattr("edgernn.train.spread._client",
                        lambda distributed, scheduler: asked.append(scheduler) or 1 / 0)
    monkeypatch.setattr("edgernn.train.spread._import", lambda: None)
    jobs = [(i, str(tmp_path / "log")) for i in range(8)]
    assert len(Spread("auto").run(square, jobs[:7])) == 7
    with pytest.raises(ZeroDivisionError):
        Spread("auto").run(square, jobs)
    assert asked == ["local"]
    monkeypatch.setattr("edgernn.train.spread._installed", lambda: False)
    assert len(Spread("auto").run(square, jobs)) == 8


def test_a_folder_in_place_of_an_address_is_told(hours):
    done = edgernn("features", "--scheduler", hours, hours, "--cache", hours / "cache")
    fails(done, 2, "neither local, none nor an address")


def killing(address, folder, kept, counts, work):
    """What `work` gives while of two workers, begun elsewhere, one that is at a job is killed:
    once for each of `counts`, when so many results are kept.

    Each is a `dask worker`, whose nanny starts it again.
    """
    import distributed

    workers = [worker(address, folder / f"space{i}") for i in range(2)]
    killed = []

    def kill(client):
        while len(killed) < len(counts):
            busy = [name for name, jobs in client.processing().items() if jobs]
            if busy and len(list(kept.glob("*.json"))) >= counts[len(killed)]:
                pid = client.run(os.getpid, workers=busy[:1], on_error="ignore").get(busy[0])
                if pid and pid not in killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            time.sleep(0.005)

    try:
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            thread = threading.Thread(target=kill, args=(client,), daemon=True)
            thread.start()
            found = work()
            thread.join(timeout=5)
    finally:
        for process in workers:
            process.terminate()
        for process in workers:
            process.wait(20)
    assert len(killed) == len(counts)
    return found


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Words, noise and negatives of some minutes."""
    folder = tmp_path_factory.mktemp("speech")
    for label in ("computer", "alexa"):
        (folder / "words" / label).mkdir(parents=True)
        for i in range(30):
            soundfile.write(folder / "words" / label / f"{i}.wav",
                            wandering(1.0, seed=i + 100 * len(label)), 16000)
    for name, count, seconds in (("noise", 2, 20.0), ("negatives", 4, 200.0)):
        (folder / name).mkdir()
        for i in range(count):
            soundfile.write(folder / name / f"{i}.wav", wandering(seconds, seed=i), 16000)
    return folder


def evaluation(speech, *more):
    return edgernn("evaluate", BUNDLED, "--positives", speech / "words", "--noise",
                   speech / "noise", "--negatives", speech / "negatives", "--snr", "10,5",
                   "--split", "all", "--json", *more)


@pytest.mark.slow
def test_an_evaluation_survives_lost_workers_with_the_result_of_one_process(
        speech, scheduler, tmp_path):
    here = evaluation(speech, "--scheduler", "none")
    assert here.returncode == 0, here.stderr
    tree = json.loads(here.stdout)
    assert {(each["condition"], each["state"]) for each in tree["words"]} == {
        (condition, state) for condition in ("clean", "over speech", "in speech", "10 dB", "5 dB")
        for state in ("reset", "carried")}
    kept = tmp_path / "kept"
    there = killing(scheduler[1], tmp_path, kept, (1, 8), lambda: evaluation(
        speech, "--scheduler", scheduler[1], "--work", kept))
    assert there.returncode == 0, there.stderr
    assert there.stdout == here.stdout
    assert len(list(kept.glob("*.json"))) == 11  # each condition and state, and the negatives
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    next(iter(before)).unlink()
    again = evaluation(speech, "--work", kept, "--against", BUNDLED)
    assert {**json.loads(again.stdout), "against": None} == {**tree, "against": None}
    assert {path for path, time_ns in before.items() if path.stat().st_mtime_ns != time_ns} == {
        next(iter(before))}


@pytest.mark.slow
def test_words_on_a_local_cluster_are_those_of_one_process(speech):
    from edgernn.train.dataset import AudioSet
    from edgernn.train.positives import Words, outcomes
    from edgernn.train.readers import read

    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    labels = ("computer", "alexa")
    data = read(speech / "words")
    assert isinstance(data, AudioSet)
    conditions = Words.of(data, labels, "all", 0).conditions([speech / "noise"], [0.0])
    here, there = (outcomes(BUNDLED, labels, conditions, ("reset", "carried"), (0.1, 0.5),
                            spread=Spread(where)) for where in ("", "local"))
    assert here == there
    assert list(here) == [("clean", "reset"), ("clean", "carried"), ("0 dB", "reset"),
                          ("0 dB", "carried")]
    assert here["clean", "carried"].own.said == 60


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Recordings of three jobs."""
    folder = tmp_path_factory.mktemp("many")
    sound = wandering(1100.0)
    for i in range(110):
        soundfile.write(folder / f"{i:03}.wav", sound[160000 * i:160000 * (i + 1)], 16000)
    (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


def cached(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.npy")
            if not path.name.startswith(".")}  # of a worker that was killed while it wrote


@pytest.mark.slow
def test_features_survive_lost_workers_and_are_those_of_one_process(many, scheduler, tmp_path):
    here = edgernn("features", many, "--cache", tmp_path / "here", "--scheduler", "none")
    there = killing(scheduler[1], tmp_path, tmp_path / "there" / "jobs", (0, 1), lambda: edgernn(
        "features", many, "--cache", tmp_path / "there", "--scheduler", scheduler[1]))
    assert there.returncode == 0, there.stderr
    counts = [json.loads(done.stdout) for done in (here, there)]
    assert {**counts[0], "cache": ""} == {**counts[1], "cache": ""}
    assert counts[0]["recordings"] == 110
    assert b"broken.wav" in there.stderr
    assert cached(tmp_path / "here") == cached(tmp_path / "there")
    shutil.rmtree(next(path for path in (tmp_path / "there").iterdir() if path.name != "jobs"))
    again = edgernn("features", many, "--cache", tmp_path / "there")
    assert again.returncode == 0, again.stderr
    assert cached(tmp_path / "here") == cached(tmp_path / "there")


@pytest.mark.slow
def test_relative_paths_mean_the_same_to_workers_elsewhere(speech, scheduler, tmp_path,
                                                           monkeypatch):
    monkeypatch.chdir(speech)
    working = worker(scheduler[1], tmp_path)
    try:
        done = edgernn("evaluate", BUNDLED, "--positives", "words", "--negatives",
                       "negatives/0.wav", "--split", "all", "--json", "--scheduler", scheduler[1],
                       env={"PYTHONPATH": str(PROJECT)})
    finally:
        working.terminate()
        working.wait(20)
    assert done.returncode == 0, done.stderr
    assert round(json.loads(done.stdout)["negatives"]["hours"], 3) == 0.056


@pytest.mark.slow
def test_a_grid_on_workers_is_the_grid_of_one_machine_and_survives_a_lost_worker(
        cluster, tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
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
