"""Ranges hold what was seen, and no more than matters."""

import numpy as np

from edgernn.train.calibrate import RangeOps, calibrate
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
