"""Thresholds put into a model's file."""

import dataclasses
import os

import pytest

from edgernn import bundle, thresholds
from edgernn.cli.models import BUNDLED
from edgernn.errors import ModelError, OutputError
from edgernn.spec import FORMAT


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "kws.tflite"
    path.write_bytes(BUNDLED.read_bytes())
    return path, bundle.read(path)


def test_thresholds_are_stored_and_nothing_else_is_changed(model):
    path, before = model
    thresholds.store(path, {"alexa": 0.75}, before.spec.model_sha256)
    after = bundle.read(path)
    assert after.spec.detector.thresholds == {**before.spec.detector.thresholds, "alexa": 0.75}
    assert after.flatbuffer == before.flatbuffer
    detector = dataclasses.replace(after.spec.detector, thresholds={})
    # An older reader would not know all that is written now: the file says so.
    assert dataclasses.replace(after.spec, detector=detector) == dataclasses.replace(
        before.spec, format=FORMAT, detector=dataclasses.replace(before.spec.detector,
                                                                 thresholds={}))


def test_another_model_in_the_file_is_left_alone(model):
    path, _ = model
    before = path.read_bytes()
    with pytest.raises(ModelError, match="another model than the one that runs"):
        thresholds.store(path, {"alexa": 0.75}, "0" * 64)
    assert path.read_bytes() == before


def test_what_is_no_model_is_left_alone(tmp_path):
    path = tmp_path / "kws.json"
    path.write_text('{"type": "micro"}')
    with pytest.raises(ModelError, match="not a TensorFlow Lite model"):
        thresholds.store(path, {}, "")
    assert path.read_text() == '{"type": "micro"}'
    with pytest.raises(ModelError, match="cannot be read"):
        thresholds.store(tmp_path / "none", {}, "")


def test_a_write_that_fails_leaves_the_file_as_it_was(model, monkeypatch):
    path, before = model
    data = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        thresholds.store(path, {"alexa": 0.75}, before.spec.model_sha256)
    assert path.read_bytes() == data
    assert [each.name for each in path.parent.iterdir()] == [path.name]
