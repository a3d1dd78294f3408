"""A clip's label is what its listener would be told of it."""

import dataclasses

import numpy as np

from edgernn.spec import DetectorSpec, LogMelSpec, StandardizeSpec
from edgernn.train.architecture import Architecture
from edgernn.train.predictions import predictions


class Recorded:
    """A step whose scores are its input."""

    def initial(self, streams):
        """No state."""
        return {}

    def step(self, x, states):
        """The scores given."""
        return x, {}


TRAILING_OFF = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]], np.float32)
AUDIO = Architecture(2, ("a", "b"), LogMelSpec(hop_ms=20), (),
                     DetectorSpec({"a": 0.5, "b": 0.5}, smoothing_ms=100))


def test_an_audio_label_is_read_as_the_detector_smooths_it():
    assert predictions(AUDIO, Recorded(), [TRAILING_OFF], carry=False).tolist() == [0]
    sharp = dataclasses.replace(AUDIO, detector=DetectorSpec({"a": 0.5}, smoothing_ms=20))
    assert predictions(sharp, Recorded(), [TRAILING_OFF], carry=False).tolist() == [1]


def test_a_carried_label_is_smoothed_over_its_own_frames_only():
    clips = [TRAILING_OFF, np.array([[0.3, 0.7]], np.float32)]
    assert predictions(AUDIO, Recorded(), clips, carry=True).tolist() == [0, 1]


def test_sensor_rows_are_read_on_the_last_one():
    rows = dataclasses.replace(AUDIO, frontend=StandardizeSpec((0.0, 0.0), (1.0, 1.0)))
    assert predictions(rows, Recorded(), [TRAILING_OFF], carry=False).tolist() == [1]
