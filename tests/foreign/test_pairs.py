"""Models whose states are inputs and outputs, and that do not say which."""

import subprocess
import sys

import numpy as np
import pytest

from edgernn import bundle
from edgernn.errors import ModelError
from edgernn.step import StepModel
from edgernn.train.architecture import Layer
from tests import models, networks
from tests.foreign.elsewhere import stripped

BACKEND = "emulator"  # knows nothing of where a model comes from
NETWORKS = {name: (layer,) for name, layer in networks.CELLS.items()} | {
    "two": (Layer("dense", 12), Layer("gru", 16), Layer("lstm", 8)),
    "twins": (Layer("gru", 12), Layer("gru", 12)),
    "rings": (Layer("conv1d", 16, "relu", kernel=5), Layer("depthwise", 16, "relu", kernel=3),
              Layer("gru", 16, residual=True))}


def steps(model, count=30):
    rng = np.random.default_rng(0)
    return np.array([model.step(rng.normal(0, 1, model.width).astype(np.float32)).copy()
                     for _ in range(count)])


@pytest.mark.parametrize("network", NETWORKS)
def test_pairs_that_names_tell_are_those_of_edgernn_json(network, tmp_path):
    path = models.write_model(tmp_path / "m.tflite", *NETWORKS[network], profile="int8")
    spec = bundle.read(stripped(path)).spec
    told = bundle.read(path).spec
    assert set(spec.states) == set(told.states)
    assert (spec.input, spec.output) == (told.input, told.output)
    np.testing.assert_array_equal(steps(StepModel.open(stripped(path), BACKEND)),
                                  steps(StepModel.open(path, BACKEND)))


def scrambled(name):
    """A name that says nothing."""
    return f"t{sum(name.encode()) * 7919 % 100_003}"


@pytest.mark.parametrize("network", ["gru", "lstm", "rings"])
def test_pairs_are_found_by_shape_and_scale_where_names_tell_nothing(network, tmp_path):
    path = models.write_model(tmp_path / "m.tflite", *NETWORKS[network], profile="int8")
    model = StepModel.open(stripped(path, scrambled), BACKEND)
    told = bundle.read(path).spec
    assert {(pair.input, pair.output) for pair in model.spec.states} == {
        (scrambled(pair.input), scrambled(pair.output)) for pair in told.states}
    np.testing.assert_array_equal(steps(model), steps(StepModel.open(path, BACKEND)))


def test_two_states_of_one_type_without_names_are_an_error_that_lists_them(tmp_path):
    path = models.write_model(tmp_path / "m.tflite", *NETWORKS["twins"], profile="int8")
    nameless, told = stripped(path, scrambled), bundle.read(path).spec
    states = {scrambled(pair.input): scrambled(pair.output) for pair in told.states}
    with pytest.raises(ModelError, match=r"cannot be told.*--state") as error:
        bundle.read(nameless)
    assert all(repr(name) in str(error.value) for pair in states.items() for name in pair)
    np.testing.assert_array_equal(steps(StepModel.open(nameless, BACKEND, states)),
                                  steps(StepModel.open(path, BACKEND)))
    # One that was told leaves no choice about the other.
    first = dict([next(iter(states.items()))])
    np.testing.assert_array_equal(steps(StepModel.open(nameless, BACKEND, first)),
                                  steps(StepModel.open(path, BACKEND)))


def test_the_command_line_takes_pairs(tmp_path):
    path = models.write_model(tmp_path / "m.tflite", *NETWORKS["twins"], profile="int8")
    nameless = stripped(path, scrambled)
    words = [f"--state={scrambled(f'gru{i}_h_in')}={scrambled(f'gru{i}_h_out')}" for i in range(2)]
    rows = "\n".join(",".join(["0.5"] * 10) for _ in range(4))

    def run(*more, model=nameless):
        return subprocess.run(
            [sys.executable, "-m", "edgernn", "stream", "--model", str(model), "--input", "-",
             "--scores", "--backend", BACKEND, *more],
            input=rows, capture_output=True, text=True, check=False)

    assert "--state" in run().stderr
    assert len(run(*words).stdout.splitlines()) >= 4
    assert "IN=OUT" in run("--state", "nothing").stderr
    assert "Leave --state out" in run(*words, model=path).stderr


@pytest.mark.parametrize(("states", "found"), [
    ({"nobody": "gru0_h_out"}, "the input 'nobody'.*'gru0_h_in'"),
    ({"gru0_h_in": "nobody"}, "the output 'nobody'.*'gru0_h_out'"),
    ({"x": "gru0_h_out"}, "one shape and one type were needed")])
def test_a_pair_that_cannot_be_is_refused(states, found, tmp_path):
    path = stripped(models.write_model(tmp_path / "m.tflite", profile="int8"))
    with pytest.raises(ModelError, match=found):
        bundle.read(path, states)


def test_a_model_of_ours_that_lost_its_json_does_not_run_by_guesses(tmp_path):
    path = models.write_model(tmp_path / "m.tflite")
    path.write_bytes(bundle.split(path.read_bytes())[0])
    with pytest.raises(ModelError, match=r"no readable edgernn\.json"):
        bundle.read(path)


def test_a_model_from_elsewhere_is_not_exported(tmp_path):
    path = stripped(models.write_model(tmp_path / "m.tflite", profile="int8"))
    done = subprocess.run([sys.executable, "-m", "edgernn", "export", path, "--target", "c",
                           "--out", tmp_path / "out"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "from elsewhere" in done.stderr
