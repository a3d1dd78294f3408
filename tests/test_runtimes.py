"""What every runtime computes, against the emulator."""

import numpy as np
import pytest

from edgernn import bundle, interpreter, tflite
from edgernn.divergence import compare
from tests import networks

BACKENDS = list(interpreter.available())


def frames(read, steps):
    x = read.tensor("x")
    walk = np.cumsum(np.random.default_rng(0).normal(0, 0.05, (steps, x.shape[1])), axis=0)
    return np.clip(np.sin(walk) * x.qtype.high, x.qtype.low, x.qtype.high).astype(x.dtype)


def test_an_interpreter_is_installed():
    assert BACKENDS


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", [*networks.CELLS, *networks.STACKS])
@pytest.mark.parametrize("profile", [pytest.param("int8", marks=pytest.mark.slow), "int8x16",
                                     pytest.param("int16x8", marks=pytest.mark.slow)])
def test_a_runtime_is_as_close_to_the_emulator_as_is_said(model_files, backend, cell, profile):
    if cell in networks.NORMALIZED and backend == "tflite-runtime":
        pytest.skip("its RSQRT knows no int16")
    name = cell if profile == "int8x16" else f"{cell}-{profile}"
    whole = bundle.read(model_files[name])
    read = tflite.read(whole.flatbuffer)
    runtime = interpreter.open_runtime(backend, whole.flatbuffer, read, whole.spec)
    found = compare(read, whole.spec.states, runtime, frames(read, 400))
    if backend in ("c", "tflm"):
        assert (found.differing, found.drift) == (0, 0.0)
    # A step or three of an int8; of an int16, where LiteRT computes sigmoids in another way,
    # what one int8 step before it makes of it.
    compared = [whole.spec.output, *(pair.output for pair in whole.spec.states)]
    narrow = all(read.tensor(name).dtype == "int8" for name in compared)
    assert found.largest <= (8 if narrow else 1024)
    assert found.drift < 0.05
