"""Augmented audio is what its name says, measured on the samples themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.frontend.logmel import CODE_HIGH, LogMel
from edgernn.spec import LogMelSpec
from edgernn.train import augment
from edgernn.train.config import TrainConfig

RATE = 16000


def tone(hz, seconds=1.0, level=3000):
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)
            ).astype(np.float32)


def pitch(samples):
    return np.argmax(np.abs(np.fft.rfft(samples))) * RATE / len(samples)


@pytest.mark.parametrize("factor", [0.8, 0.913, 1.0, 1.25])
def test_speed_shortens_and_raises_the_pitch_by_the_same_factor(factor):
    faster = augment.at_speed(tone(440), factor)
    assert len(faster) == pytest.approx(RATE / factor, abs=2)
    assert pitch(faster) == pytest.approx(440 * factor, abs=2)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_noise_is_as_far_below_the_speech_as_asked(snr):
    speech = tone(440)
    config = TrainConfig(noisy=1.0, snr_db=(snr, snr))
    mixed = augment.noised(speech, augment.rms(speech), (), config, np.random.default_rng(0))
    added = mixed - speech
    assert 20 * np.log10(augment.rms(speech) / augment.rms(added)) == pytest.approx(snr, abs=0.1)


def test_gain_and_shift_are_within_their_ranges():
    config = TrainConfig(gain_db=(-6, -6), shift_ms=50, speed=(1, 1))
    for seed in range(20):
        heard = augment.varied(tone(440), config, np.random.default_rng(seed))
        lead = np.flatnonzero(heard)[0] - 1  # a sine begins with 0
        tail = len(heard) - RATE - lead
        assert 0 <= lead <= 0.05 * RATE
        assert 0 <= tail <= 0.05 * RATE
        clip = heard[lead:lead + RATE]
        np.testing.assert_allclose(clip, tone(440) * 10 ** (-6 / 20), rtol=1e-5)


def test_a_trailing_clip_begins_as_it_was_and_ends_so_many_decibels_down():
    for seed in range(10):
        factors = augment.trailing(RATE, 20, np.random.default_rng(seed))
        np.testing.assert_array_equal(factors[:RATE // 2], 1)
        assert 20 * np.log10(factors[-1]) == pytest.approx(-20, abs=0.1)
        assert (np.diff(factors) <= 0).all()


def test_noise_comes_from_the_recordings_given():
    background = np.arange(-1000, 1000, dtype=np.int16)
    rng = np.random.default_rng(0)
    pieces = [augment.cut((background,), 100, rng) for _ in range(10)]
    assert all((np.diff(piece) == 1).all() for piece in pieces)
    assert len({piece[0] for piece in pieces}) > 5


def test_a_short_background_is_repeated():
    piece = augment.cut((np.array([1, 2, 3], np.int16),), 7, np.random.default_rng(0))
    assert piece.tolist() == [1, 2, 3, 1, 2, 3, 1]


@given(st.integers(0, 100))
def test_coloured_noise_has_rms_1_and_the_length_asked(seed):
    rng = np.random.default_rng(seed)
    length = int(rng.integers(200, 3000))
    noise = augment.coloured(length, rng)
    assert len(noise) == length
    assert augment.rms(noise) == pytest.approx(1, rel=1e-4)


def test_a_filter_on_the_codes_is_a_filter_on_the_samples():
    """A louder recording is one constant added to all codes: 6 dB is 6 * CODES_PER_DB."""
    frontend = LogMel(LogMelSpec())
    noise = augment.coloured(RATE, np.random.default_rng(0)) * 1000
    quiet = frontend.whole(augment.saturated(noise)).astype(int)
    loud = frontend.whole(augment.saturated(noise * augment.decibels(6))).astype(int)
    # The mean: single codes are rounded, and so were the samples.
    assert (loud - quiet).mean() == pytest.approx(6 * augment.CODES_PER_DB, abs=2)


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(1, 200), st.integers(2, 40))
def test_codes_stay_codes_and_the_original_is_untouched(seed, frames, mels):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, CODE_HIGH + 1, (frames, mels)).astype(np.int16)
    kept = codes.copy()
    config = TrainConfig(warp=0.1, equalize_db=10, mask_mels=8, mask_frames=10)
    for changed in (augment.revoiced(codes, config, rng), augment.blotted(codes, config, rng)):
        assert changed.shape == codes.shape
        assert changed.dtype == np.int16
        assert changed.min() >= 0
        assert changed.max() <= CODE_HIGH
    np.testing.assert_array_equal(codes, kept)


def test_all_switched_off_changes_nothing():
    config = TrainConfig(warp=0, equalize_db=0, tilt_db=0, mask_mels=0, mask_frames=0, noisy=0,
                         gain_db=(0, 0), speed=(1, 1), shift_ms=0)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, CODE_HIGH, (70, 40)).astype(np.int16)
    np.testing.assert_array_equal(
        augment.blotted(augment.revoiced(codes, config, rng), config, rng), codes)
    np.testing.assert_array_equal(
        augment.noised(augment.varied(tone(300), config, rng), 1.0, (), config, rng), tone(300))
