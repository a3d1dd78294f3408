"""Gates, units and states whose ills are known."""


import numpy as np
import pytest

from tests.train.diagnose.runs import GRU, LSTM, RNN, examined, scaled


def test_a_saturated_gate_is_found_and_named(tmp_path):
    def edit(arrays):
        arrays["0/bias"][:, :8] += 10  # z, of GRU

    found = examined(tmp_path, GRU, edit=edit)
    z, r, new = found.gates
    assert (z.name, z.kind, z.high) == ("gru0_z", "sigmoid", pytest.approx(1, abs=0.01))
    assert len(z.stuck) == 8
    assert r.low + r.high < 0.5
    assert new.kind == "tanh"
    assert any("gru0_z" in one.text and not one.ok for one in found.findings)


@pytest.mark.parametrize("layer", [GRU, LSTM, RNN])
def test_every_value_of_a_gate_is_counted_once(tmp_path, layer):
    found = examined(tmp_path, layer)
    assert found.gates
    for gate in found.gates:
        np.testing.assert_allclose(gate.histogram.sum(axis=1), 1)


def test_dead_and_unused_units_are_found(tmp_path):
    def edit(arrays):
        for name in ("kernel", "recurrent_kernel"):
            arrays[f"0/{name}"][:, 3] = 0
        arrays["0/bias"][3] = 0  # unit 3 is always 0
        arrays["0/recurrent_kernel"][5] = 0
        arrays["1/kernel"][5] = 0  # nothing reads unit 5

    found = examined(tmp_path, RNN, edit=edit)
    assert found.states[0].dead.tolist() == [3]
    assert found.unused["simple_rnn0_h"].tolist() == [5]
    assert any("1 of simple_rnn0_h never move" in one.text for one in found.findings)


def test_a_state_that_integrates_is_seen_to_drift_and_to_forget_nothing(tmp_path):
    def edit(arrays):
        scaled(1.0)(arrays)
        arrays["0/bias"] += 1e-5

    state = examined(tmp_path, RNN, edit=edit, count=40).states[0]
    assert state.drift > 1.5
    assert state.remembered > 1
    assert state.carried_rms > 1.5 * state.rms


def test_a_state_that_forgets_does_not_drift(tmp_path):
    state = examined(tmp_path, RNN, edit=scaled(0.5), count=40).states[0]
    assert state.drift < 1.5
    assert state.remembered < 0.05
