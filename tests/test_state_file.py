"""States kept in a file."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import state_file
from edgernn.errors import OutputError, StateError
from edgernn.frames import Frame
from edgernn.step import StepModel
from edgernn.stream import Listener
from tests.sounds import wandering


@pytest.fixture(scope="module")
def model(model_files):
    return StepModel.open(model_files["kws"])


def listeners(model, *names):
    return {name: Listener(model.fork()) for name in names}


def equal(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a)


def run(streams):
    for seed, listener in enumerate(streams.values()):
        list(listener.push(Frame(wandering(1.0, seed), 0.0)))


def test_streams_go_on_from_the_bytes_that_were_saved(model, tmp_path):
    path, first = tmp_path / "states", listeners(model, "kws at mic", "kws at /dev/x")
    run(first)
    state_file.save(path, first)
    again = listeners(model, "kws at mic", "kws at /dev/x")
    assert not equal(again["kws at mic"].carrier.state(), first["kws at mic"].carrier.state())
    assert 0 <= state_file.restore(path, again) < 60
    for name, listener in first.items():
        assert equal(listener.carrier.state(), again[name].carrier.state())


def test_without_a_file_streams_begin_anew(model, tmp_path):
    assert state_file.restore(tmp_path / "none", listeners(model, "a")) is None


def test_states_of_another_model_or_stream_are_refused(model, model_files, tmp_path):
    path, first = tmp_path / "states", listeners(model, "a")
    run(first)
    state_file.save(path, first)
    with pytest.raises(StateError, match="that of b was needed too"):
        state_file.restore(path, listeners(model, "a", "b"))
    other = dataclasses.replace(model.spec, model_sha256="0" * 64)
    with pytest.raises(StateError, match="another model"):
        state_file.restore(path, listeners(StepModel(other, model.graph, model.runtime), "a"))


def test_a_state_that_does_not_fit_leaves_all_streams_as_they_were(model, tmp_path):
    path, first = tmp_path / "states", listeners(model, "a", "b")
    run(first)
    states = {name: each.carrier.state() for name, each in first.items()}
    wrong = dict(states["b"])
    wrong[next(iter(wrong))] = np.zeros(3, np.int8)

    class Broken:
        def __init__(self, listener):
            self.model, self.carrier = listener.model, self

        def state(self):
            return wrong

    state_file.save(path, {"a": listeners(model, "a")["a"], "b": Broken(first["b"])})
    with pytest.raises(StateError, match="does not fit"):
        state_file.restore(path, first)
    assert all(equal(states[name], each.carrier.state()) for name, each in first.items())


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.sampled_from([None, *range(8)]))
def test_a_damaged_file_is_an_error_and_changes_nothing(model, tmp_path_factory, place, bit):
    path, first = tmp_path_factory.mktemp("damaged") / "states", listeners(model, "a")
    run(first)
    state_file.save(path, first)
    whole = bytearray(path.read_bytes())
    at = int(place * len(whole))
    if bit is None:
        del whole[at:]
    else:
        whole[at] ^= 1 << bit
    path.write_bytes(whole)
    fresh = listeners(model, "a")
    before = fresh["a"].carrier.state()
    try:
        state_file.restore(path, fresh)
    except StateError as problem:
        assert "Delete it to begin anew" in str(problem)  # noqa: PT017
        assert equal(before, fresh["a"].carrier.state())
    else:  # a bit of the archive that says nothing, such as a date
        assert equal(first["a"].carrier.state(), fresh["a"].carrier.state())


def test_it_is_an_archive_that_any_tool_reads(model, tmp_path):
    path, first = tmp_path / "states", listeners(model, "a")
    state_file.save(path, first)
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read("about.json"))
    assert about["streams"]["a"]["model_sha256"] == model.spec.model_sha256


def test_a_file_that_cannot_be_written_stays_as_it_was(model, tmp_path):
    with pytest.raises(OutputError):
        state_file.save(tmp_path / "no folder" / "states", listeners(model, "a"))


def test_a_compressed_member_is_refused(model, tmp_path):
    path, first = tmp_path / "states", listeners(model, "a")
    state_file.save(path, first)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(StateError, match="compressed"):
        state_file.restore(path, first)
