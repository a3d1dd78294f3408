"""Models of TensorFlow's own converter, beside LiteRT driven by hand."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgernn import bundle
from edgernn.step import StepModel

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
pytest.importorskip("tensorflow", reason="needs TensorFlow")
pytestmark = pytest.mark.slow
CONVERT = Path(__file__).with_name("convert.py")
ROWS = np.random.default_rng(7).normal(0, 1, (60, 10)).astype(np.float32)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The file of a kind; its converter may end the process, so it has one of its own."""
    folder, made = tmp_path_factory.mktemp("converted"), {}

    def get(kind):
        if kind not in made:
            made[kind] = folder / f"{kind}.tflite"
            done = subprocess.run([sys.executable, str(CONVERT), str(made[kind]), kind],
                                  capture_output=True, text=True, check=False)
            assert made[kind].exists(), done.stderr[-2000:]
        return made[kind]
    return get


def real(codes, details):
    scale, zero = details["quantization"]
    return (codes.astype(np.float64) - zero) * scale if scale else codes


def code(reals, details):
    scale, zero = details["quantization"]
    if not scale:
        return reals.astype(np.float32)
    return np.clip(np.rint(reals / scale) + zero, -128, 127).astype(np.int8)


def by_hand(path, state):
    """Scores of `ROWS`, the state dequantized and quantized again at every step."""
    interpreter = litert.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
    # A vector of features, of labels; whatever else there is, is the state.
    x = next(d for d in ins if tuple(d["shape"]) == (1, 10))
    y = next(d for d in outs if tuple(d["shape"]) == (1, 4))
    h, after = ([d for d in some if d is not x and d is not y] for some in (ins, outs))
    held, made = state, []
    for row in ROWS:
        interpreter.set_tensor(x["index"], code(row[None], x))
        if h:
            interpreter.set_tensor(h[0]["index"], code(held, h[0]))
        interpreter.invoke()
        made.append(real(interpreter.get_tensor(y["index"]), y)[0])
        if h:
            held = real(interpreter.get_tensor(after[0]["index"]), after[0])
    return np.array(made, np.float32)


@pytest.mark.parametrize(("kind", "state"), [
    ("explicit", np.zeros((1, 16))), ("stacked", np.zeros((2, 1, 16))),
    ("float", np.zeros((1, 16)))])
def test_a_state_between_scales_is_moved_as_by_hand(converted, kind, state):
    model = StepModel.open(converted(kind), "litert")
    got = np.array([model.step(row).copy() for row in ROWS])
    np.testing.assert_array_equal(got, by_hand(converted(kind), state))
    assert np.ptp(got) > 0.1


def test_a_variable_begins_with_its_first_value_and_goes_on(converted):
    path = converted("variable")
    model = StepModel.open(path, "litert")
    begins = bundle.read(path).begins
    assert [len(np.unique(first)) for first in begins.values()] == [1]
    want = by_hand(path, None)
    for _ in range(2):
        np.testing.assert_array_equal([model.step(row).copy() for row in ROWS], want)
        model.reset()


def test_scales_of_the_two_ends_do_differ(converted):
    whole = bundle.read(converted("explicit"))
    pair, = whole.spec.states
    assert whole.graph.tensor(pair.input).scales != whole.graph.tensor(pair.output).scales
    assert whole.spec.labels == ("score0", "score1", "score2", "score3")
