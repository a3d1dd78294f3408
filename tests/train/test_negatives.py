"""Hours in which nobody says a word, read a minute at a time."""

import numpy as np
import pytest
import soundfile
import soxr

from edgernn.cli.models import BUNDLED
from edgernn.errors import DataError
from edgernn.sources.source import to_int16
from edgernn.step import StepModel
from edgernn.train.endurance import recovery
from edgernn.train.evaluation import hear
from edgernn.train.negatives import _pieces, alarms
from edgernn.train.readers import audio
from tests.sounds import RATE, wandering


@pytest.fixture
def seconds_not_minutes(monkeypatch):
    monkeypatch.setattr(audio, "BLOCK_S", 1)


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (RATE, 2), (44100, 2), (8000, 1)])
def test_a_recording_in_blocks_is_the_whole_of_it_resampled_at_once(rate, channels, tmp_path,
                                                                    seconds_not_minutes):
    samples = np.stack([wandering(3.7, seed) for seed in range(channels)], axis=1)
    soundfile.write(tmp_path / "long.flac", samples, rate)
    real = soundfile.read(tmp_path / "long.flac", always_2d=True)[0]
    whole = to_int16(real if rate == RATE else soxr.resample(real, rate, RATE), "")
    read = list(audio.blocks(tmp_path / "long.flac", RATE))
    assert max(map(len, read)) <= 1.1 * RATE
    assert len(read) >= 3
    np.testing.assert_array_equal(np.concatenate(read), whole)
    np.testing.assert_array_equal(audio.usable(tmp_path / "long.flac", RATE), whole)


def test_hours_are_in_memory_a_block_at_a_time_and_are_heard_as_one(tmp_path,
                                                                    seconds_not_minutes):
    samples = wandering(4.5)
    soundfile.write(tmp_path / "long.wav", samples, RATE)
    skipped = []
    pieces = list(_pieces([tmp_path / "long.wav"], RATE, skipped))
    assert [len(piece) for piece, _ in pieces] == [RATE] * 4 + [RATE // 2]
    model = StepModel.open(BUNDLED)
    np.testing.assert_array_equal(hear(model, pieces).scores, hear(model, [(samples, ())]).scores)


def test_of_a_recording_that_breaks_off_nothing_is_heard(tmp_path, seconds_not_minutes):
    soundfile.write(tmp_path / "whole.flac", wandering(4.5), RATE)
    broken = tmp_path / "broken.flac"
    broken.write_bytes((tmp_path / "whole.flac").read_bytes()[:40_000])
    skipped = []
    assert list(_pieces([broken], RATE, skipped)) == []
    assert skipped[0][0] == str(broken)
    with pytest.raises(DataError, match=r"broken.flac is broken"):
        alarms(BUNDLED, ("alexa",), [broken], ())


@pytest.mark.parametrize(("seconds", "places"), [(35.0, 3), (10.0, 1)])
def test_recovery_is_tried_at_no_place_twice(seconds, places):
    found = recovery(StepModel.open(BUNDLED), [wandering(seconds)], np.random.default_rng(0))
    assert found["places"] == places


@pytest.mark.parametrize("kept", [1, 10])
def test_a_long_recording_is_not_kept_but_read_again(kept, tmp_path, monkeypatch,
                                                     seconds_not_minutes):
    monkeypatch.setattr(audio, "KEPT_BLOCKS", kept)
    soundfile.write(tmp_path / "long.wav", wandering(4.5), RATE)
    found = audio.sound(tmp_path / "long.wav", RATE)
    assert isinstance(found, list) == (kept == 10)
    np.testing.assert_array_equal(np.concatenate(list(found)), wandering(4.5))
