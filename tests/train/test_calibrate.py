"""Ranges hold what was seen, and no more than matters."""

import numpy as np
import pytest

from edgernn.errors import QuantizeError
from edgernn.train.architecture import Layer
from edgernn.train.calibrate import RangeOps, calibrate
from edgernn.train.network import Network
from tests import networks


def test_every_value_of_the_step_gets_a_range_with_zero_inside():
    network = networks.network(networks.CELLS["gru"])
    ranges = calibrate(network, networks.sequences())
    assert {"x", "gru0_z_x", "gru0_new", "gru0_h_out", "logits", "scores"} <= set(ranges)
    assert all(low <= 0 <= high for low, high in ranges.values())


def test_a_sum_beyond_its_limit_does_not_widen_the_range():
    ops = RangeOps()
    ops.enter("cell_", "gates")
    big = ops.keep("a", np.array([[100.0, -3.0]], np.float32))
    small = ops.keep("b", np.array([[1.0, -2.0]], np.float32))
    ops.add("sum", big, small, limit=8.0)
    ranges = ops.clipped()
    assert ranges["cell_sum"] == (-5.0, 8.0)
    assert ranges["cell_a"] == (-3.0, 10.0)  # 8 plus the largest of b
    assert ranges["cell_b"] == (-2.0, 1.0)


def test_the_state_is_carried_while_calibrating():
    network = networks.network(networks.CELLS["lstm"])
    rows = networks.sequences(count=64, longest=5)
    short = calibrate(network, rows)["lstm0_c_out"]
    alone = calibrate(network, rows[:1])["lstm0_c_out"]
    assert max(map(abs, short)) > max(map(abs, alone))


def relu_counter(gain):
    """A network whose state is multiplied by `gain` each frame, and a little added."""
    shape = networks.architecture(Layer("simple_rnn", 3, "relu"), features=2)
    arrays = networks.arrays(shape.layers, shape.features)
    arrays |= {"0/kernel": np.zeros((2, 3), np.float32), "0/bias": np.full(3, 0.1, np.float32),
               "0/recurrent_kernel": gain * np.eye(3, dtype=np.float32)}
    return Network.build(shape, arrays)


def test_a_state_that_grows_when_carried_is_told():
    told = []
    rows = networks.sequences(2, count=64, longest=9)
    calibrate(relu_counter(1.0), rows, warn=told.append)
    assert len(told) == 1
    assert "simple_rnn0_h" in told[0]
    told.clear()
    calibrate(relu_counter(0.5), rows, warn=told.append)
    assert not told


def test_a_state_that_explodes_when_carried_is_refused_with_the_nearest_that_does_not():
    rows = networks.sequences(2, count=640, longest=9)
    with pytest.raises(QuantizeError, match=r"simple_rnn0_.*carried over.*gru.*tanh"):
        calibrate(relu_counter(3.0), rows)


def test_what_a_constant_is_added_to_keeps_its_own_range():
    ops = RangeOps()
    ops.enter("cell_", "gates")
    x = ops.keep("x", np.array([[100.0, -3.0]], np.float32))
    ops.plus("sum", x, np.array([1.0, 2.0], np.float32), limit=8.0)
    assert ops.clipped() == {"cell_x": (-3.0, 100.0), "cell_sum": (-1.0, 8.0)}
