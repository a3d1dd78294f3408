"""What integers do to states, against what quantizing measures."""

import pytest

from edgernn.errors import QuantizeError
from edgernn.frontend import make_frontend
from edgernn.train import emulated
from edgernn.train.architecture import Layer
from edgernn.train.calibrate import calibrate
from edgernn.train.diagnose import diagnose
from edgernn.train.emit import emit
from edgernn.train.emulated import EmulatedModel
from edgernn.train.network import Network
from edgernn.train.profile import get_profile
from edgernn.train.quantize import tensor_errors
from edgernn.train.sequences import calibration_rows, load_sequences
from tests.train.diagnose.runs import GRU, LSTM, examined, write_run


def test_the_dead_zone_of_int8_is_measured(tmp_path):
    def edit(arrays):
        arrays["0/bias"][:, :8] += 4  # z near 1: the state moves a little each frame

    narrow, wide = examined(tmp_path, GRU, edit=edit).streams.trials
    assert (narrow.profile, narrow.states[0].dtype) == ("int8", "int8")
    assert narrow.states[0].lost > 0.9
    assert wide.states[0].lost < 0.1
    assert narrow.states[0].relative > 5 * wide.states[0].relative


@pytest.mark.parametrize("layers", [(GRU,), (Layer("layer_norm", 10), LSTM, GRU)])
def test_errors_are_those_that_quantizing_reports(tmp_path, layers):
    run = write_run(tmp_path / "run", *layers, longest=200)
    found = diagnose(run, sequences=1)
    network = Network.load(run)
    every = load_sequences(run, network.architecture.features)
    rows = next(one for one in every.of_split("test") if len(one) == found.frames)
    features = make_frontend(network.architecture.frontend).features
    ranges = calibrate(network, [features(one) for one in calibration_rows(every)])
    for trial in found.streams.trials:
        data, pairs = emit(network, ranges, get_profile(trial.profile))
        emulated = EmulatedModel(data, pairs, network.architecture.frontend)
        errors = {error.name: error for error in tensor_errors(network, emulated, [rows], features)}
        for state in trial.states:
            wanted = errors[f"{state.name}_out"]
            assert state.rms == pytest.approx(wanted.rms, rel=1e-4)  # float32 sums
            assert state.relative == pytest.approx(wanted.relative, rel=1e-4)


def test_a_profile_that_cannot_be_made_is_a_finding(tmp_path, monkeypatch):
    def refuse(network, ranges, profile):
        if profile.name == "int8":
            raise QuantizeError("int8 has no such thing. Take int8x16")
        return emit(network, ranges, profile)

    monkeypatch.setattr(emulated, "emit", refuse)
    found = examined(tmp_path, GRU)
    assert [trial.profile for trial in found.streams.trials] == ["int8x16"]
    assert "no such thing" in found.findings[-1].text
