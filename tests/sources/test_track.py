"""One line of time for samples of any rate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.sources.track import Track

BLOCK, RATE = 320, 16000
HZ = [16000, 48000, 44100, 8000]


def noise(count, seed=0):
    return np.random.default_rng(seed).normal(0, 4000, count).astype(np.float32)


def run(track, *pieces):
    """Frames of (missing, samples), to the end."""
    frames = [frame for missing, samples in pieces for frame in track.push(samples, missing)]
    return frames + list(track.flush())


def begun(from_hz):
    track = Track(RATE, BLOCK)
    track.begin(from_hz)
    return track


def joined(frames):
    return np.concatenate([frame.samples for frame in frames])


@pytest.mark.parametrize("from_hz", HZ)
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 12000), max_size=30))
def test_how_samples_are_cut_never_changes_the_output(from_hz, cuts):
    samples = noise(12000)
    whole = run(begun(from_hz), (0, samples))
    pieces = run(begun(from_hz), *((0, part) for part in np.split(samples, sorted(cuts))))
    assert [frame.time_s for frame in pieces] == [frame.time_s for frame in whole]
    assert np.array_equal(joined(pieces), joined(whole))
    assert len(joined(whole)) == round(12000 * RATE / from_hz)


@pytest.mark.parametrize("from_hz", HZ)
def test_a_click_is_dated_when_it_was_heard(from_hz):
    samples = np.zeros(2 * from_hz, np.float32)
    samples[from_hz] = 20000
    frames = run(begun(from_hz), *((0, part) for part in np.split(samples, 100)))
    loudest = max(frames, key=lambda frame: np.abs(frame.samples).max())
    at = loudest.time_s + np.argmax(np.abs(loudest.samples)) / RATE
    assert at == pytest.approx(1.0, abs=1 / RATE)


@pytest.mark.parametrize("from_hz", HZ)
def test_after_a_gap_nothing_of_before_is_heard(from_hz):
    loud, soft = noise(9001), noise(9000, 1) / 100
    frames = run(begun(from_hz), (0, loud), (from_hz, soft))
    before, after = run(begun(from_hz), (0, loud)), run(begun(from_hz), (0, soft))
    assert np.array_equal(joined(frames), np.concatenate((joined(before), joined(after))))
    assert [i for i, frame in enumerate(frames) if frame.gap] == [len(before)]


@pytest.mark.parametrize("from_hz", HZ)
def test_times_count_every_sample_however_many_gaps_there_are(from_hz):
    pieces = [(missing, noise(997)) for missing in [0, 1, 5000, 1, 2, 3, 77777] * 20]
    came, expected = 0, []
    for missing, samples in pieces:
        came += missing
        if missing:
            expected.append(came / from_hz)
        came += len(samples)
    found = [frame.time_s for frame in run(begun(from_hz), *pieces) if frame.gap]
    assert found == pytest.approx(expected, abs=1 / RATE)


def test_the_frames_add_up_to_every_sample():
    track = begun(44100)
    frames = run(track, (0, noise(5000)), (1, noise(3000)), (12345, noise(44100)))
    at = 0
    for frame in frames:
        at += frame.gap
        assert frame.time_s == at / RATE
        at += len(frame.samples)


def test_a_device_of_another_rate_goes_on_after_its_gap():
    track = begun(48000)
    first = run(track, (0, noise(48000)))
    track.begin(44100, gap=4 * RATE)
    second = run(track, (0, noise(44100)))
    assert (second[0].gap, second[0].time_s) == (4 * RATE, 5.0)
    assert len(joined(first)) == len(joined(second)) == RATE


def test_what_is_beyond_16_bits_saturates_and_is_counted():
    track = begun(RATE)
    frames = run(track, (0, np.array([32766.6, 32767.4, 32768, -32768.4, -40000], np.float32)))
    assert joined(frames).tolist() == [32767, 32767, 32767, -32768, -32768]
    assert track.saturated == 2
