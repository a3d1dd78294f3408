"""`edgernn train` from the outside."""

import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from edgernn.cli.main import main
from edgernn.cli.train import command
from edgernn.train.config import TrainConfig
from edgernn.train.sequences import Sequences


def npz(path, count=60):
    """Rising and falling sequences, as `edgernn train` reads them."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    rows = [rng.normal(0, 0.3, (8, 2)) + np.outer(np.arange(8), [1 - 2 * label, 0])
            for label in labels]
    text = np.array(["falls", "rises"])[labels]
    lengths = np.full(count, 8)
    np.savez(path, rows=np.concatenate(rows).astype(np.float32), lengths=lengths, labels=text)
    return path


def test_help_names_every_setting_with_its_default():
    text = CliRunner().invoke(command, ["--help"]).output
    for name in vars(TrainConfig()):
        assert f"--{name.replace('_', '-')}" in text
    assert text.count("[default:") >= len(vars(TrainConfig()))


@pytest.mark.slow
def test_one_json_line_on_stdout_and_a_run_folder_with_the_flags(tmp_path, capfd):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    data = npz(tmp_path / "data.npz")
    (tmp_path / "c.yaml").write_text("units: 8\nepochs: 2\n")
    with pytest.raises(SystemExit) as ended:
        main(["train", str(data), "--out", str(tmp_path / "run"), "--config",
              str(tmp_path / "c.yaml"), "--units", "6"])
    assert ended.value.code == 0
    metrics = json.loads(capfd.readouterr().out)
    assert metrics["run"] == str(tmp_path / "run")
    assert 0 <= metrics["test_float_carry"] <= 1
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (written["units"], written["epochs"]) == (6, 2)
    assert len(Sequences.load(tmp_path / "run" / "sequences.npz")) == 60


def test_a_file_left_out_is_named_on_one_line_as_it_is_called(tmp_path, capfd):
    broken = [tmp_path / label / f"[b]{'long' * 30}{i}.wav" for label in ("yes", "no")
              for i in range(3)]
    for path in broken:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"RIFF")
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path), "--out", str(tmp_path / "run")])
    said = capfd.readouterr().err
    assert all(f"skipped {path}: broken: " in said for path in broken)


def test_a_relu_state_is_warned_of_before_anything_is_read(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path / "nowhere"), "--out", str(tmp_path / "run"), "--cell",
              "simple_rnn", "--activation", "relu"])
    caught = capsys.readouterr()
    for word in ("warning: a relu state has no bound", "tanh", "gru"):
        assert word in caught.err


@pytest.mark.parametrize(("arguments", "code", "named"), [
    (["nowhere", "--out", "run"], 1, "nowhere"),
    (["data.npz", "--out", "there"], 1, "there"),
    (["data.npz", "--out", "run", "--units", "0"], 1, "units"),
    (["data.npz", "--out", "run", "--config", "no.yaml"], 1, "no.yaml"),
    (["data.npz", "--out", "run", "--cell", "transformer"], 2, "--cell"),
    (["data.npz"], 2, "--out"),
])
def test_bad_use_is_one_clear_error(tmp_path, monkeypatch, capsys, arguments, code, named):
    monkeypatch.chdir(tmp_path)
    npz(tmp_path / "data.npz")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes").write_text("")
    with pytest.raises(SystemExit) as ended:
        main(["train", *arguments])
    caught = capsys.readouterr()
    assert ended.value.code == code
    assert named in caught.err
    assert not caught.out
    assert not (tmp_path / "run").exists()
