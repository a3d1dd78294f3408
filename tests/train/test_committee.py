"""Several networks in one step."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgernn.cli.quantize import command
from edgernn.errors import ModelError, QuantizeError
from edgernn.step import StepModel
from edgernn.train.architecture import Layer
from edgernn.train.committee import Committee
from edgernn.train.quantize import quantize_run
from edgernn.train.reference import FloatModel
from tests import networks
from tests.train.test_quantize import write_run


def scores(network, rows):
    """Float scores of a stream."""
    model = FloatModel(network)
    states, found = model.initial(1), []
    for row in rows:
        one, states = model.step(row[None], states)
        found.append(one[0])
    return np.array(found)


def members():
    return [networks.network(Layer("gru", 8), seed=1),
            networks.network(Layer("dense", 6, "relu"), Layer("lstm", 8), seed=2),
            networks.network(Layer("gru", 8), Layer("gru", 4), seed=3)]


def test_its_scores_are_the_geometric_mean_of_its_members():
    rows = np.random.default_rng(0).normal(size=(50, 10)).astype(np.float32)
    apart = np.mean([np.log(scores(each, rows)) for each in members()], axis=0)
    wanted = np.exp(apart) / np.exp(apart).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores(Committee.of(members()), rows), wanted, rtol=1e-4, atol=1e-6)


def test_a_committee_of_one_is_that_network():
    one = members()[0]
    assert Committee.of([one]) is one


def test_members_keep_states_of_their_own_though_their_layers_are_alike():
    assert list(Committee.of(members()).states) == [
        "m1_gru0_h", "m2_lstm1_h", "m2_lstm1_c", "m3_gru0_h", "m3_gru1_h"]


@pytest.mark.parametrize(("changes", "what"), [
    ({"labels": ("a", "b", "c", "d")}, "labels"), ({"task": "spot"}, "task")])
def test_networks_that_answer_different_questions_are_refused(changes, what):
    first, other, _ = members()
    other = dataclasses.replace(other, architecture=dataclasses.replace(
        other.architecture, **changes))
    with pytest.raises(QuantizeError, match=f"run 2 has the {what}"):
        Committee.of([first, other])


def test_numbers_are_not_averaged():
    number = networks.network(Layer("gru", 8), labels=1, head="number", task="regress")
    with pytest.raises(QuantizeError, match="ends in number"):
        Committee.of([number, number])


@pytest.mark.slow
def test_quantize_takes_several_runs_and_every_interpreter_steps_them_alike(tmp_path):
    runs = [write_run(tmp_path / name, *layers) for name, layers in (
        ("one", (Layer("gru", 12),)), ("two", (Layer("dense", 6, "relu"), Layer("gru", 12))))]
    out = tmp_path / "both.tflite"
    found = CliRunner().invoke(command, [*map(str, runs), "--out", str(out)])
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout.splitlines()[-1])
    alone = quantize_run(runs[0], tmp_path / "one.tflite")
    assert told["state_bytes"] == 2 * alone.state_bytes
    ours, theirs = (StepModel.open(out, backend) for backend in ("emulator", "c"))
    for row in np.random.default_rng(0).normal(size=(60, 10)).astype(np.float32):
        np.testing.assert_array_equal(ours.step(row), theirs.step(row))


def test_a_keras_model_among_several_runs_is_refused(tmp_path):
    run = write_run(tmp_path / "one")
    keras = tmp_path / "model.keras"
    keras.write_bytes(b"")
    found = CliRunner().invoke(
        command, [str(keras), str(run), "--out", str(tmp_path / "m.tflite")])
    assert found.exit_code == 2
    assert "can be averaged" in found.output


def test_a_run_of_several_parts_is_refused_by_its_name(tmp_path):
    one, parts = write_run(tmp_path / "one"), tmp_path / "parts"
    for name in ("forward", "backward"):
        write_run(parts / name)
    with pytest.raises(ModelError, match=r"parts is a run of several parts .*one was needed"):
        quantize_run(one, tmp_path / "m.tflite", others=[parts])
