"""Raw audio of any kind to what a model hears."""

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.errors import SourceError
from edgernn.serve.convert import Converter, PcmFormat
from edgernn.sources.source import to_int16

RATE = 16000
SOUND = np.random.default_rng(1).integers(-2**31, 2**31, (4000, 2), np.int64).astype("<i4")


def pcm(samples, width):
    """The upper bytes of 32-bit samples."""
    return samples.copy().view(np.uint8).reshape(*samples.shape, 4)[..., 4 - width:].tobytes()


def converted(form, data, cuts=()):
    converter = Converter(form, RATE)
    frame = form.width * form.channels
    edges = [0, *sorted(cut * frame for cut in cuts), len(data)]
    parts = [converter.push(data[a:b]) for a, b in itertools.pairwise(edges)]
    return np.concatenate([*parts, converter.flush()])


@pytest.mark.parametrize(("width", "subtype"), [(2, "PCM_16"), (3, "PCM_24"), (4, "PCM_32")])
def test_raw_audio_is_heard_as_libsndfile_reads_a_wav_of_it(width, subtype, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    data = pcm(SOUND, width)
    path = tmp_path / "sound.wav"
    soundfile.write(path, SOUND, RATE, subtype)  # which keeps the upper bytes
    want = to_int16(soundfile.read(path, dtype="float64")[0], "wav")
    assert np.array_equal(converted(PcmFormat(RATE, width, 2), data), want)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_widths_mean_what_the_wyoming_package_takes_them_for(width):
    audio = pytest.importorskip("wyoming.audio")
    data = pcm(SOUND[:, :1], width)
    chunk = audio.AudioChunkConverter(RATE, 2, 1).convert(audio.AudioChunk(RATE, width, 1, data))
    theirs = np.frombuffer(chunk.audio, "<i2").astype(int)
    # It cuts the lower bits off, we round.
    assert np.abs(converted(PcmFormat(RATE, width, 1), data) - theirs).max() <= (width > 2)


@given(cuts=st.lists(st.integers(0, len(SOUND)), max_size=8),
       rate=st.sampled_from([8000, 16000, 22050, 44100, 48000]))
def test_the_cuts_between_pieces_never_show(cuts, rate):
    pytest.importorskip("soxr")
    form = PcmFormat(rate, 4, 2)
    data = pcm(SOUND, 4)
    assert np.array_equal(converted(form, data, cuts), converted(form, data))


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_another_rate_gives_the_sound_of_one_resampling_of_the_whole(rate):
    soxr = pytest.importorskip("soxr")
    quiet = SOUND // 4  # so that no overshoot saturates
    want = to_int16(soxr.resample(quiet.mean(axis=1) / 2**31, rate, RATE, quality="HQ"), "all")
    found = converted(PcmFormat(rate, 4, 2), pcm(quiet, 4), range(0, 4000, 160))
    # Neither later nor earlier, and no sample more; their roundings differ.
    assert len(found) == len(want)
    assert np.abs(found.astype(int) - want).max() <= 1


def test_without_soxr_another_rate_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(SourceError, match=r"44100 Hz .* 16000 Hz.*edgernn\[audio\]"):
        Converter(PcmFormat(44100, 2, 1), RATE)
    assert len(Converter(PcmFormat(RATE, 2, 1), RATE).push(bytes(20))) == 10


@pytest.mark.parametrize(("form", "what"), [
    ((0, 2, 1), "rate 0"), ((16000.0, 2, 1), "rate 16000.0"), ((RATE, 5, 1), "width 5"),
    ((RATE, True, 1), "width True"), ((RATE, 2, 0), "channels 0"), ((RATE, 2, None), "None"),
    ((10**30, 2, 1), "rate 1000"), (("16000", 2, 1), "'16000'"),
])
def test_numbers_that_make_no_sense_are_named(form, what):
    with pytest.raises(SourceError, match=what):
        PcmFormat(*form)


def test_half_a_sample_is_an_error_and_nothing_of_it_is_heard():
    converter = Converter(PcmFormat(RATE, 2, 2), RATE)
    with pytest.raises(SourceError, match="has 6 bytes; a multiple of 4"):
        converter.push(bytes(6))
    assert len(converter.push(bytes(8))) == 2
