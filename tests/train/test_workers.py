"""Several workers learn what one learns; one that is lost costs no more than an epoch."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.errors import ConfigError
from edgernn.train.batches import Batch
from edgernn.train.config import TrainConfig
from edgernn.train.workers import Workers, refuse
from tests.cli.test_train import npz

PROJECT = Path(__file__).resolve().parents[2]
QUIET = ("--dropout", "0", "--input-noise", "0")
"""Nothing drawn for each replica: what is left is the order of additions."""


class Strategy:
    """So many replicas."""

    def __init__(self, count):
        self.num_replicas_in_sync = count


@given(st.integers(1, 9), st.integers(1, 5))
def test_rows_that_are_filled_in_count_nothing_and_all_others_stay(rows, replicas):
    rng = np.random.default_rng(rows)
    batch = Batch(rng.normal(size=(rows, 4, 2)), rng.integers(3, size=(rows, 4)),
                  np.ones((rows, 4), np.float32), np.full(rows, 4))
    filled = Workers(Strategy(replicas)).filled(batch)
    assert len(filled.lengths) % replicas == 0
    assert len(filled.lengths) - rows < replicas
    assert np.array_equal(filled.features[:rows], batch.features)
    assert filled.weights.sum() == batch.weights.sum()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cluster": {"worker": ["a:1"]}}', (
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'),
    '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}'])
def test_a_tf_config_that_says_nothing_is_explained(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=r"TF_CONFIG is.*such as"):
        Workers.start("multiworker")


def test_settings_that_carry_states_are_refused():
    with pytest.raises(ConfigError, match="tbptt is 8"):
        refuse(TrainConfig(tbptt=8))
    with pytest.raises(ConfigError, match="whole sequences"):
        refuse(TrainConfig(bidirectional=True))


def train(data, out, *more, index=None, ports=()):
    """`edgernn train` in a process of its own, one of several workers if `index` is given."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment.pop("TF_CONFIG", None)
    if index is not None:
        more = (*more, "--strategy", "multiworker")
        environment["TF_CONFIG"] = json.dumps({
            "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
            "task": {"type": "worker", "index": index}})
    return subprocess.Popen(
        [sys.executable, "-m", "edgernn", "train", str(data), "--out", str(out), "--units", "6",
         "--batch", "7", "--patience", "1000", *more],
        env=environment, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def free_ports(count):
    """Ports of this machine that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def ended(process):
    """Its exit code and what it said on stderr."""
    _, said = process.communicate(timeout=300)
    return process.returncode, said


def losses(run):
    with (run / "history.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def weights(run):
    with np.load(run / "weights.npz") as file:
        return {name: file[name] for name in file.files}


def pair(data, out, *more):
    """Two workers on loopback, both begun."""
    ports = free_ports(2)
    return [train(data, out, *more, index=index, ports=ports) for index in range(2)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    return npz(tmp_path_factory.mktemp("workers") / "data.npz")


@pytest.mark.slow
def test_two_workers_on_loopback_have_the_losses_and_weights_of_one(data, tmp_path):
    alone = train(data, tmp_path / "alone", *QUIET, "--epochs", "5")
    assert ended(alone)[0] == 0
    for process in pair(data, tmp_path / "both", *QUIET, "--epochs", "5"):
        code, said = ended(process)
        assert code == 0, said
    np.testing.assert_allclose(losses(tmp_path / "both"), losses(tmp_path / "alone"), rtol=1e-5)
    for name, value in weights(tmp_path / "alone").items():
        np.testing.assert_allclose(weights(tmp_path / "both")[name], value, atol=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "both"]


MIRRORED = """
import sys
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 3)
from edgernn.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_three_devices_of_one_machine_have_the_losses_of_one(data, tmp_path):
    assert ended(train(data, tmp_path / "alone", *QUIET, "--epochs", "3"))[0] == 0
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, "train", str(data), "--out", str(tmp_path / "three"),
         "--units", "6", "--batch", "7", "--patience", "1000", *QUIET, "--epochs", "3",
         "--strategy", "mirrored"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, cwd=PROJECT, capture_output=True,
        text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(losses(tmp_path / "three"), losses(tmp_path / "alone"), rtol=1e-5)


@pytest.mark.slow
def test_a_worker_that_was_killed_and_started_again_goes_on_from_the_checkpoint(data, tmp_path):
    settings = (*QUIET, "--epochs", "150")
    for process in pair(data, tmp_path / "whole", *settings):
        assert ended(process)[0] == 0
    out, kept = tmp_path / "run", tmp_path / ".run.partial" / "checkpoint.npz"
    chief, other = pair(data, out, *settings)
    deadline = time.monotonic() + 120
    while not kept.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    other.send_signal(signal.SIGKILL)
    assert ended(other)[0] == -signal.SIGKILL
    code, said = ended(chief)
    assert code == 1, said
    assert "another worker went away" in said
    assert "goes on from the last checkpoint" in said
    assert kept.exists()
    assert not out.exists()
    said = [ended(process) for process in pair(data, out, *settings)]
    assert [code for code, _ in said] == [0, 0], said
    assert "going on with" in said[0][1]
    assert losses(out) == losses(tmp_path / "whole")
    for name, value in weights(tmp_path / "whole").items():
        assert np.array_equal(weights(out)[name], value), name
