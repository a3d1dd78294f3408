"""Recordings of every kind, and things that are none."""

import contextlib
import sys

import numpy as np
import pytest

from edgernn.errors import SourceError
from edgernn.sources import WavSource
from edgernn.sources.wav import HEADER_BYTES, ResampledWav, check_whole

soundfile = pytest.importorskip("soundfile", reason='pip install "edgernn[audio]"')
SAMPLES = np.random.default_rng(0).integers(-32768, 32768, 16123).astype(np.int16)


def heard(path, rate_hz=16000, block=320):
    with WavSource(path, rate_hz, block) as source:
        frames = list(source)
    assert all(len(frame.samples) == block for frame in frames[:-1])
    assert all(frame.gap == 0 for frame in frames)
    np.testing.assert_allclose([frame.time_s for frame in frames],
                               np.arange(len(frames)) * block / rate_hz)
    return np.concatenate([frame.samples for frame in frames])


@pytest.mark.parametrize(("suffix", "subtype"), [
    ("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "PCM_32"), ("wav", "FLOAT"), ("wav", "DOUBLE"),
    ("flac", "PCM_16"), ("flac", "PCM_24"), ("aiff", "PCM_16"), ("w64", "PCM_16")])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_lossless_format_gives_the_samples_it_was_made_of(
        tmp_path, suffix, subtype, channels):
    path = tmp_path / f"a.{suffix}"
    # Integers into floats are written as they are, so those are scaled here.
    content = SAMPLES / 32768 if subtype in ("FLOAT", "DOUBLE") else SAMPLES
    soundfile.write(path, np.column_stack([content] * channels), 16000, subtype)
    got = heard(path)
    assert got.dtype == np.int16
    np.testing.assert_array_equal(got, SAMPLES)


@pytest.mark.parametrize("block", [1, 319, 16000, 16001, 50000])
def test_any_size_of_block_gives_the_same_samples(tmp_path, block):
    soundfile.write(tmp_path / "a.wav", SAMPLES[:4000], 16000)
    np.testing.assert_array_equal(heard(tmp_path / "a.wav", block=block), SAMPLES[:4000])


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([[1000, 3000], [-5, -8]], np.int16), 16000)
    assert heard(tmp_path / "a.wav").tolist() == [2000, -6]  # -6.5, halves to even


def test_floats_beyond_one_saturate(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([2.0, -2.0, 0.5]), 16000, "FLOAT")
    assert heard(tmp_path / "a.wav").tolist() == [32767, -32768, 16384]


def test_a_recording_of_the_wanted_rate_is_not_touched_by_resampling(tmp_path):
    soundfile.write(tmp_path / "a.wav", SAMPLES, 16000)
    with ResampledWav(tmp_path / "a.wav", 16000, 320) as source:
        np.testing.assert_array_equal(
            np.concatenate([frame.samples for frame in source]), SAMPLES)


def test_a_recording_of_another_rate_lasts_as_long(tmp_path):
    soundfile.write(tmp_path / "a.wav", SAMPLES, 44100)
    with ResampledWav(tmp_path / "a.wav", 16000, 320) as source:
        frames = list(source)
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(len(frames)) * 0.02)
    count = sum(len(frame.samples) for frame in frames)
    assert count == pytest.approx(len(SAMPLES) * 16000 / 44100, abs=1)


def test_shared_formats_are_heard(shared_data):
    folder = shared_data / "format_samples"
    paths = sorted(folder.rglob("*.wav"))
    assert paths
    for path in paths:
        want, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
        got = heard(path, rate_hz)
        # Half a step of rounding; one at +1.0, which int16 does not have.
        np.testing.assert_allclose(got / 32768, want.mean(axis=1), atol=1 / 32768)


def test_the_shared_broken_flac_is_one_clear_error(shared_data):
    path = shared_data / "format_samples" / "broken" / "truncated_126.flac"
    with pytest.raises(SourceError, match=r"truncated_126.flac is damaged after .* of 1.94 s"):
        heard(path)


def test_another_rate_says_how_to_convert(tmp_path):
    soundfile.write(tmp_path / "a.wav", SAMPLES, 44100)
    with pytest.raises(SourceError, match=r"44100 Hz but kws.tflite was trained at 16000 Hz. "
                                          r"Convert it: sox .*a.wav -r 16000 out.wav"):
        WavSource(tmp_path / "a.wav", 16000, 320, needed_by="kws.tflite")


@pytest.mark.parametrize(("content", "message"), [
    (None, "cannot be opened .No such file"),
    (b"", "is empty, 0 bytes"),
    (b"hello, this is no recording at all" * 9, "cannot be read as audio"),
    (b"RIFF\x24\0\0\0WAVE", "cannot be read as audio"),
])
def test_what_is_no_recording_is_one_clear_error(tmp_path, content, message):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        WavSource(path, 16000, 320)


def test_a_folder_and_a_name_with_nul_are_refused(tmp_path):
    with pytest.raises(SourceError, match=r"is not a file but a folder; .* Name one in it"):
        WavSource(tmp_path, 16000, 320)
    with pytest.raises(SourceError, match="cannot be opened"):
        WavSource("a\0.wav", 16000, 320)


def test_a_wav_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", SAMPLES[:0], 16000)
    with pytest.raises(SourceError, match="holds no samples"):
        WavSource(tmp_path / "a.wav", 16000, 320)


def test_a_wav_cut_short_anywhere_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES, 16000)
    whole = path.read_bytes()
    for keep in [1, 11, 12, 30, 43, 44, 45, 1000, len(whole) - 1]:
        path.write_bytes(whole[:keep])
        with pytest.raises(SourceError, match=r"cut short|cannot be read|no samples"):
            heard(path)


@pytest.mark.parametrize("source", [WavSource, ResampledWav])
def test_a_flac_that_does_not_say_how_long_it_is_is_refused(tmp_path, source):
    path = tmp_path / "a.flac"
    soundfile.write(path, SAMPLES, 16000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # 36 bits in which 0 is no length
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(SourceError, match="does not say how long it is"):
        source(path, 16000, 320)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_written_to_a_pipe_has_no_length_and_is_heard(tmp_path, length):
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES, 16000)
    content = bytearray(path.read_bytes())
    content[40:44] = length.to_bytes(4, "little")
    path.write_bytes(content)
    np.testing.assert_array_equal(heard(path), SAMPLES)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_damage_of_any_kind_is_a_source_error_or_harmless(tmp_path, suffix):
    path, rng = tmp_path / f"a.{suffix}", np.random.default_rng(0)
    soundfile.write(path, SAMPLES[:4000], 16000)
    content = path.read_bytes()
    for trial in range(200):
        damaged = bytearray(content[:rng.integers(len(content))] if trial % 5 == 0 else content)
        for at in rng.integers(0, min(100, len(damaged)) or 1, 3 if damaged else 0):
            damaged[at] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with contextlib.suppress(SourceError):
            heard(path)


def test_nan_in_a_recording_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan]), 16000, "FLOAT")
    with pytest.raises(SourceError, match="holds nan for a sample"):
        heard(tmp_path / "a.wav")


def test_without_soundfile_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(SourceError, match=r'pip install "edgernn\[audio\]"'):
        WavSource(tmp_path / "a.wav", 16000, 320)


@pytest.mark.parametrize(("kind", "endian"), [("RF64", None), ("WAV", "BIG"), ("WAVEX", None)])
def test_a_wav_of_another_kind_that_is_cut_short_is_refused_too(tmp_path, kind, endian):
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES, 16000, subtype="PCM_16", format=kind, endian=endian)
    check_whole(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SourceError, match="cut short"):
        check_whole(path)


@pytest.mark.parametrize("counted", [36, HEADER_BYTES])
def test_a_header_that_counts_itself_as_audio_is_tolerated_if_asked(tmp_path, counted):
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES, 16000, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = (int.from_bytes(content[40:44], "little") + counted).to_bytes(4, "little")
    path.write_bytes(content)
    check_whole(path, HEADER_BYTES)
    with pytest.raises(SourceError, match="cut short"):
        check_whole(path, counted - 1)
