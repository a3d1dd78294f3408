"""At which rate, and with how many channels, a microphone is opened, and what is heard."""

from types import SimpleNamespace

import numpy as np
import pytest

from edgernn.errors import SourceError
from edgernn.sources import Microphone
from tests.sources.test_microphone import (
    BLOCK,
    DEFAULT,
    RATE,
    USB,
    FakeStream,
    PortAudioError,
    sounddevice,
    take,
)

__all__ = ["sounddevice"]  # a fixture


def only(**accepted):
    """A PortAudio that refuses every rate, or number of channels, but one."""
    codes = {"samplerate": -9997, "channels": -9998}

    def open_stream(**options):
        for name, value in accepted.items():
            if options[name] != value:
                raise PortAudioError("Error opening InputStream: refused", codes[name])
        return FakeStream(**options)
    return open_stream


def opened(*arguments, **options):
    """The options of the stream of a microphone."""
    with Microphone(RATE, BLOCK, *arguments, **options):
        return FakeStream.last.options


def test_the_model_s_rate_is_asked_for_first(sounddevice):
    assert opened("PnP")["samplerate"] == RATE


@pytest.mark.parametrize("rate", [48000, 44100, 32000])
def test_a_device_that_has_not_the_model_s_rate_is_recorded_at_its_own(sounddevice, rate):
    sounddevice.InputStream = only(samplerate=rate)
    options = opened("PnP")
    assert options["samplerate"] == rate
    assert options["blocksize"] == round(BLOCK * rate / RATE)  # as long as before


def test_alsa_does_not_convert_where_no_sound_server_would(sounddevice):
    sounddevice.devices = [USB, DEFAULT]
    assert opened("default")["samplerate"] == 48000
    assert opened("PnP")["samplerate"] == RATE  # hardware converts nothing


def test_a_rate_that_is_asked_for_is_taken_or_refused(sounddevice):
    assert opened("PnP", capture_hz=44100)["samplerate"] == 44100
    sounddevice.InputStream = only(samplerate=RATE)
    with pytest.raises(SourceError, match="does not record at 44100 Hz"):
        opened("PnP", capture_hz=44100)


def test_both_rate_and_channels_are_those_that_the_device_has(sounddevice):
    sounddevice.InputStream = only(samplerate=48000, channels=2)
    assert opened("camera")["samplerate"] == 48000
    assert opened("camera")["channels"] == 2


def test_what_comes_at_another_rate_is_heard_at_the_model_s(sounddevice):
    """A tone keeps its frequency, its loudness, and where it begins."""
    with Microphone(RATE, BLOCK, capture_hz=48000) as mic:
        t = np.arange(48000) / 48000
        tone = np.rint(8000 * np.sin(2 * np.pi * 1000 * t) * (t >= 0.5)).astype(np.int16)
        frames = iter(mic)
        heard = []
        for i, block in enumerate(np.split(tone, 50)):
            hear(block[:, None])
            if i % 5 == 4:  # a resampler keeps some back
                heard += [next(frames) for _ in range(5 if heard else 2)]
    samples = np.concatenate([frame.samples for frame in heard]).astype(float)
    assert [frame.time_s for frame in heard] == [i * BLOCK / RATE for i in range(len(heard))]
    n = np.arange(len(samples)) / RATE
    assert np.abs(samples[:int(0.49 * RATE)]).max() < 50  # the filter's ringing
    inside = slice(int(0.52 * RATE), len(samples) - 1)
    expected = 8000 * np.sin(2 * np.pi * 1000 * n)
    assert np.abs(samples[inside] - expected[inside]).max() < 8  # a thousandth


def hear(samples):
    FakeStream.last.options["callback"](samples, len(samples), None,
                                        SimpleNamespace(input_overflow=False))


@pytest.mark.parametrize(("channel", "value"), [(None, 150), (1, 100), (2, 200)])
def test_one_channel_is_heard_or_the_mean_of_all(sounddevice, channel, value):
    sounddevice.InputStream = only(channels=2)
    with Microphone(RATE, BLOCK, "camera", channel=channel) as mic:
        hear(np.tile(np.array([[100, 200]], np.int16), (BLOCK, 1)))
        assert take(mic, 1)[0].samples.tolist() == [value] * BLOCK


def test_a_chosen_channel_is_never_a_mixture_of_several(sounddevice):
    assert opened("pulse", channel=1)["channels"] == 2
    assert opened("pulse", channel=3)["channels"] == 3
    assert opened("PnP", channel=1)["channels"] == 1


def test_a_channel_that_is_not_there_is_one_clear_error(sounddevice):
    with pytest.raises(SourceError, match="has 1 channels; --channel 2 is none of them"):
        opened("PnP", channel=2)


def test_a_gain_raises_the_sound_and_counts_what_it_saturates(sounddevice):
    with Microphone(RATE, BLOCK, gain_db=20) as mic:
        hear(np.concatenate([np.full(300, 100), np.full(20, -4000)]).astype(np.int16)[:, None])
        assert take(mic, 1)[0].samples.tolist() == [1000] * 300 + [-32768] * 20
        assert mic.counts["saturated"] == 20
        assert mic.counts["clipped"] == 0


