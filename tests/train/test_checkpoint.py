"""A run that was killed goes on, and ends where it would have."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgernn.errors import OutputError
from edgernn.train.checkpoint import Checkpoint
from edgernn.train.config import TrainConfig, make
from edgernn.train.folder import Unfinished, making
from tests import transducers
from tests.train.test_fit import audio_set, sensor_set

PROJECT = Path(__file__).resolve().parents[2]
# Dropout and noise have seeds, the average and the best weights a memory, and this stops early.
SENSOR = {"units": 6, "epochs": 6, "patience": 3, "average": 0.9, "dropout": 0.3,
          "input_noise": 0.2, "cell": "lstm", "recurrent_dropout": 0.2, "tbptt": 8, "carry": 0.5,
          "class_weights": ["balanced"]}
SPOT = {"task": "spot", "units": 6, "epochs": 4, "scenes": 12, "mels": 20, "batch": 4,
        "checkpoint_epochs": 2}

KILLED = """
import json, os, signal, sys
from pathlib import Path
from edgernn.train.config import make
from edgernn.train.fit import fit
from edgernn.train.loop import Loop
from tests.train import test_fit

data, settings, out, last = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
update, left = Loop.update, [int(last)]

def fatal(self, *arguments):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(self, *arguments)

Loop.update = fatal
fit(make(settings), getattr(test_fit, data)(), out)
"""


def killed(data, settings, out, update):
    """Train in a process that gets SIGKILL before the update of this number."""
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, data.__name__, json.dumps(settings), str(out), str(update)],
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, cwd=PROJECT, capture_output=True,
        text=True, timeout=300, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("data", "settings", "update"), [
    (sensor_set, SENSOR, 18),  # of five or so an epoch
    (audio_set, SPOT, 11),  # of three an epoch; the checkpoint is two epochs old
    (audio_set, {**SPOT, "pool": 15}, 11),  # whose scenes are made again
])
def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(
        tmp_path, data, settings, update):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train.fit import fit

    whole, out = tmp_path / "whole", tmp_path / "run"
    fit(make(settings), data(), whole)
    killed(data, settings, out, update)
    assert not out.exists()
    begun = []
    fit(make(settings), data(), out, lambda epoch: begun.append(epoch.epoch))
    assert begun[0] > 1  # it did not begin again
    assert (out / "weights.npz").read_bytes() == (whole / "weights.npz").read_bytes()
    ended, expected = (json.loads((path / "metrics.json").read_text()) for path in (out, whole))
    assert ended == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "whole"]


@pytest.mark.slow
def test_only_the_same_run_goes_on(tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train.fit import fit

    config = make({"units": 6, "epochs": 2})
    out, data = tmp_path / "run", sensor_set()

    def stop(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(config, data, out, stop)
    assert [p.name for p in tmp_path.iterdir()] == [".run.partial"]
    with pytest.raises(OutputError, match=r"setting units was 6, and now it is 7.*rm -r"):
        fit(replace(config, units=7), data, out)
    other = sensor_set(count=88)
    with pytest.raises(OutputError, match="data was"):
        fit(config, other, out)
    assert Unfinished.of(out).checkpoint.exists()  # a refusal destroys nothing
    fit(replace(config, units=7), other, out, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
def test_a_bidirectional_run_that_was_stopped_goes_on_too(tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train.bidirection import fit

    def tagged():
        found = sensor_set()
        own = found.sequences
        return replace(found, sequences=replace(
            own, targets=np.repeat(own.labels, own.lengths)))

    config = make({"units": 6, "epochs": 4, "task": "label", "bidirectional": True,
                   "dropout": 0.3, "average": 0.9})
    begun = []

    def stop(epoch):
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    fit(config, tagged(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(config, tagged(), tmp_path / "run", stop)
    fit(config, tagged(), tmp_path / "run", lambda epoch: begun.append(epoch.epoch))
    assert begun == [2, 3, 4]  # told of the last one before; it did not begin again
    for part in ("forward", "backward", "head"):
        ended, expected = (tmp_path / name / part / "weights.npz" for name in ("run", "whole"))
        assert ended.read_bytes() == expected.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "whole"]


KILLED_PAIRS = """
import os, signal, sys
from pathlib import Path
from edgernn.train.pair_loop import PairLoop
from edgernn.train.transduction import fit
from tests.train import test_checkpoint
from tests import transducers

update, left = PairLoop.update, [int(sys.argv[2])]

def fatal(self, chosen):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(self, chosen)

PairLoop.update = fatal
fit(test_checkpoint.pairs_config(), transducers.data(), Path(sys.argv[1]))
"""


def pairs_config():
    return replace(transducers.config(), epochs=4, batch=8, dropout=0.2, average=0.9)


@pytest.mark.slow
def test_an_encoder_and_decoder_that_were_killed_end_with_the_same_weights(tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train.transduction import fit

    fit(pairs_config(), transducers.data(), tmp_path / "whole")
    batches = -(-len(transducers.data().of_split("train")) // 8)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED_PAIRS, str(tmp_path / "run"), str(2 * batches + 3)],
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, cwd=PROJECT, capture_output=True,
        text=True, timeout=300, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not (tmp_path / "run").exists()
    begun = []
    fit(pairs_config(), transducers.data(), tmp_path / "run",
        lambda epoch: begun.append(epoch.epoch))
    assert begun == [2, 3, 4]
    for part in ("encoder", "decoder"):
        ended, expected = (tmp_path / name / part / "weights.npz" for name in ("run", "whole"))
        assert ended.read_bytes() == expected.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "whole"]


def checkpoint():
    return Checkpoint({"data": "a"}, {"rng": {"state": 2**127}, "best_key": [0.1, -1e-9]},
                      {"average": [np.arange(6.0).reshape(2, 3), np.float32(7)]})


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    checkpoint().save(tmp_path / "c.npz")
    found = Checkpoint.load(tmp_path / "c.npz", {"data": "a"})
    assert found.state == checkpoint().state
    arrays = found.like("average", checkpoint().arrays["average"])
    np.testing.assert_array_equal(arrays[0], np.arange(6).reshape(2, 3))
    with pytest.raises(OutputError, match=r"\(2, 3\)"):
        found.like("average", [np.zeros((3, 2))])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not much of a zip", b"[]"])
def test_a_damaged_checkpoint_says_what_to_do(tmp_path, content):
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(OutputError, match="--overwrite"):
        Checkpoint.load(tmp_path / "c.npz", {})


def test_a_checkpoint_cut_short_says_what_to_do(tmp_path):
    checkpoint().save(tmp_path / "c.npz")
    (tmp_path / "c.npz").write_bytes((tmp_path / "c.npz").read_bytes()[:-100])
    with pytest.raises(OutputError, match="--overwrite"):
        Checkpoint.load(tmp_path / "c.npz", {"data": "a"})


def test_two_processes_do_not_train_the_same_run(tmp_path):
    with (making(tmp_path / "run", False),
          pytest.raises(OutputError, match="in use"), making(tmp_path / "run", False)):
        pass
    assert (tmp_path / "run").is_dir()


def test_every_setting_but_the_checkpoints_own_tells_runs_apart():
    from edgernn.train.checkpoint import NO_MATTER

    assert set(NO_MATTER) < set(vars(TrainConfig()))
