"""Silence and clipping: told once, and again when they end."""

import numpy as np
import pytest

from edgernn.sources.levels import Levels, at_full_scale, dbfs, one_channel

RATE, BLOCK = 16000, 320


@pytest.fixture
def said():
    return []


def hear(levels, samples):
    for block in np.split(np.asarray(samples, np.int16), len(samples) // BLOCK):
        levels.push(one_channel(block[:, None], None), at_full_scale(block[:, None], None))


def constant(value, seconds):
    return np.full(round(seconds * RATE), value)


@pytest.mark.parametrize("quiet", [0, 2])
def test_silence_is_told_once_and_again_when_it_ends(said, quiet):
    levels = Levels(RATE, said.append)
    hear(levels, constant(quiet, 9.9))
    assert said == []
    hear(levels, constant(quiet, 20.1))
    assert len(said) == 1
    assert said[0].startswith("is silent: nothing above -84 dBFS for 10 s")
    hear(levels, constant(50, 1))
    assert said[1:] == ["is heard again, after 30.0 s of silence"]
    hear(levels, constant(quiet, 11))
    assert len(said) == 3
    assert (levels.silences, round(levels.heard_silence_s)) == (2, 41)


def test_a_microphone_in_a_quiet_room_is_not_silent(said):
    rng = np.random.default_rng(0)
    hear(Levels(RATE, said.append), np.rint(rng.normal(0, 1.5, 20 * RATE)))
    assert said == []


def test_pauses_are_not_silence(said):
    levels = Levels(RATE, said.append)
    for _ in range(10):
        hear(levels, np.concatenate((constant(0, 8), constant(100, 1))))
    assert said == []


def test_silence_of_0_seconds_is_never_told(said):
    hear(Levels(RATE, said.append, silent_s=0), constant(0, 30))
    assert said == []


def test_clipping_is_told_once_and_again_when_it_ends(said):
    loud = np.clip(np.rint(50000 * np.sin(np.arange(3 * RATE) / 5)), -32768, 32767)
    levels = Levels(RATE, said.append)
    hear(levels, loud)
    assert len(said) == 1
    assert said[0].startswith("clips: ")
    hear(levels, np.concatenate((constant(100, 3), loud, constant(100, 4))))
    assert len(said) == 1
    hear(levels, constant(100, 2))
    assert said[1:] == ["clips no more"]
    assert levels.clipped == 2 * np.isin(loud, (-32768, 32767)).sum()
    assert levels.clippings == 1


def test_a_peak_now_and_then_is_not_clipping(said):
    samples = constant(1000, 20)
    samples[::4000] = 32767
    levels = Levels(RATE, said.append)
    hear(levels, samples)
    assert said == []
    assert levels.clipped == 80


def test_only_the_channel_that_is_heard_can_clip():
    block = np.array([[32767, 5], [-32768, 6], [32766, -32768]], np.int16)
    assert [at_full_scale(block, channel) for channel in (None, 1, 2)] == [3, 2, 1]


def test_a_device_that_comes_back_is_watched_anew(said):
    levels = Levels(RATE, said.append)
    hear(levels, constant(0, 9))
    levels.restart(RATE)
    hear(levels, constant(0, 9))
    assert said == []


def test_decibels_are_of_full_scale():
    assert [round(dbfs(value), 2) for value in (32768, 16384, 0)] == [0, -6.02, float("-inf")]
