"""The integer log-mel against a float one, and against itself cut into pieces."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.errors import ConfigError, SourceError
from edgernn.frontend.logmel import LogMel
from edgernn.spec import LogMelSpec
from tests.frontend.integers import integer_codes
from tests.frontend.reference import float_codes

pytestmark = pytest.mark.usefixtures("compiled_or_numpy")
SPECS = [
    LogMelSpec(),
    LogMelSpec(sample_rate_hz=8000, window_ms=32, hop_ms=10, mels=20, low_hz=0, high_hz=4000),
    LogMelSpec(sample_rate_hz=48000, window_ms=25, hop_ms=25, mels=64, high_hz=20000),
    LogMelSpec(sample_rate_hz=44100, window_ms=80, hop_ms=20, mels=40),
    LogMelSpec(sample_rate_hz=8000, window_ms=4, hop_ms=1, mels=8, high_hz=3900),
]


def noise(count, loudness, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(rng.normal(0, loudness, count)), -32768, 32767).astype(np.int16)


def octaves_off(samples, spec=SPECS[0]):
    """Difference from the float reference where neither end saturates, in octaves."""
    frontend = LogMel(spec)
    want = float_codes(samples, spec.sample_rate_hz, frontend.window, frontend.hop, spec.mels,
                       spec.low_hz, spec.high_hz)
    got = frontend.whole(samples)
    assert got.shape == want.shape
    inside = (want > 0) & (want < 8191)
    assert inside.any()
    return np.abs(got - want)[inside] / 256


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.sample_rate_hz}/{spec.window_ms}")
@pytest.mark.parametrize("loudness", [3, 1000, 20000])
def test_noise_of_any_loudness_and_rate_is_heard_as_by_floats(spec, loudness):
    # Half a step of rounding is 0.002; mel weights of Q12 and 14 bit blocks give the rest.
    assert octaves_off(noise(60000, loudness), spec).max() < 0.02


def test_quiet_hiss_of_one_bit_is_heard_as_by_floats():
    assert octaves_off(noise(160000, 1)).max() < 0.005


def test_voices_are_heard_as_by_floats(shared_data):
    soundfile = pytest.importorskip("soundfile")
    folder = shared_data / "negative_speech" / "librispeech"
    off = np.concatenate([octaves_off(soundfile.read(path, dtype="int16")[0])
                          for path in sorted(folder.glob("*.wav"))[:15]])
    # As the module states: rare bands 70 dB under the loudest are off by more.
    assert np.sqrt(np.mean(off ** 2)) < 0.012
    assert np.quantile(off, 0.999) < 0.1


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.sample_rate_hz}/{spec.window_ms}")
@pytest.mark.parametrize("loudness", [0, 0.3, 40, 30000])
def test_every_bit_is_as_the_docstring_says_in_plain_integers(spec, loudness):
    frontend = LogMel(spec)
    samples = noise(frontend.window + 2 * frontend.hop, loudness)
    samples[::7] //= 3
    np.testing.assert_array_equal(frontend.whole(samples), integer_codes(samples, frontend))


@pytest.mark.parametrize("shape", ["square", "click", "constant", "lowest"])
def test_extremes_of_int16_do_not_overflow(shape):
    samples = np.zeros(4800, np.int16)
    if shape == "square":
        samples[:] = np.where(np.arange(4800) // 8 % 2, 32767, -32768)
    elif shape == "click":
        samples[1000] = -32768
    else:
        samples[:] = 32767 if shape == "constant" else -32768
    frontend = LogMel(SPECS[0])
    codes = frontend.whole(samples)
    np.testing.assert_array_equal(codes, integer_codes(samples, frontend))
    assert codes.min() >= 0
    assert codes.max() <= 8191


def test_digital_silence_is_code_zero():
    assert not LogMel(SPECS[0]).whole(np.zeros(16000, np.int16)).any()


@pytest.mark.parametrize("spec", SPECS[:4], ids=lambda spec: f"{spec.sample_rate_hz}")
def test_a_tone_has_the_same_code_at_every_rate_and_window(spec):
    seconds = np.arange(spec.sample_rate_hz) / spec.sample_rate_hz
    tone = np.rint(8000 * np.sin(2 * np.pi * 1000 * seconds)).astype(np.int16)
    codes = LogMel(spec).whole(tone)
    # |X| of a tone is amplitude * 240 / 2; its band also gathers the bins beside the peak,
    # more of them where bins are closer, hence the octave.
    assert abs(codes[5].max() / 256 + 12 - 2 * np.log2(8000 * 120)) < 1.2


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.one_of(st.integers(0, 3), st.integers(0, 1500)), max_size=40),
       spec=st.sampled_from(SPECS), seed=st.integers(0, 9))
def test_codes_do_not_depend_on_how_audio_is_chunked(cuts, spec, seed):
    samples = noise(sum(cuts), 500, seed)
    frontend, parts, at = LogMel(spec), [], 0
    for cut in cuts:
        parts.append(frontend.push(samples[at:at + cut]))
        at += cut
    parts.append(frontend.flush())
    streamed = np.concatenate(parts)
    whole = frontend.whole(samples)
    assert streamed.dtype == whole.dtype == np.int16
    np.testing.assert_array_equal(streamed, whole)


@pytest.mark.parametrize(("count", "rows"), [
    (0, 0), (1, 0), (319, 0), (320, 1), (479, 1), (480, 1), (799, 1), (800, 2), (16000, 49)])
def test_the_number_of_rows_follows_from_the_number_of_samples(count, rows):
    frontend = LogMel(SPECS[0])
    samples = noise(count, 500)
    assert len(frontend.whole(samples)) == rows
    assert len(frontend.push(samples)) + len(frontend.flush()) == rows


def test_the_first_row_comes_with_the_last_sample_of_the_first_window():
    frontend = LogMel(SPECS[0])
    samples = noise(480, 500)
    assert frontend.push(samples[:479]).shape == (0, 40)
    assert frontend.push(samples[479:]).shape == (1, 40)


def test_reset_and_flush_forget_everything():
    samples = noise(5000, 500)
    for forget in ("reset", "flush"):
        frontend = LogMel(SPECS[0])
        frontend.push(noise(777, 500, seed=1))
        getattr(frontend, forget)()
        np.testing.assert_array_equal(frontend.push(samples), LogMel(SPECS[0]).push(samples))
    assert LogMel(SPECS[0]).flush().shape == (0, 40)


def test_the_caller_may_reuse_its_buffer_and_stride_it():
    frontend, samples = LogMel(SPECS[0]), noise(6400, 500)
    buffer, parts = np.empty(640, np.int16), []
    for start in range(0, 6400, 320):
        buffer[::2] = samples[start:start + 320]
        parts.append(frontend.push(buffer[::2]))
        buffer[:] = -1
    np.testing.assert_array_equal(np.concatenate(parts), frontend.whole(samples))


@pytest.mark.parametrize("wrong", [
    np.zeros(10, np.float32), np.zeros(10, np.int32), np.zeros((2, 10), np.int16), [1, 2, 3]])
def test_anything_but_mono_int16_is_refused(wrong):
    for listen in (LogMel(SPECS[0]).push, LogMel(SPECS[0]).whole):
        with pytest.raises(SourceError, match="int16"):
            listen(wrong)


def test_features_lie_in_minus_four_to_four():
    features = LogMel(SPECS[0]).features(np.array([[0, 4096, 8191]], np.int16))
    assert features.dtype == np.float32
    assert features.tolist() == [[-4.0, 0.0, 4095 / 1024]]


@pytest.mark.parametrize(("change", "message"), [
    ({"sample_rate_hz": 7999}, "sample_rate_hz is 7999"),
    ({"sample_rate_hz": 96000}, "8000 to 48000"),
    ({"high_hz": 8001}, "half the sample rate"),
    ({"low_hz": 7600}, "must rise"),
    ({"mels": 7}, "mels is 7"),
    ({"mels": 129}, "8 to 128"),
    ({"mels": 128, "window_ms": 16, "hop_ms": 16}, "falls between two bins"),
    ({"hop_ms": 31}, "longer than window_ms"),
    ({"hop_ms": 0}, "hop_ms 0"),
    ({"window_ms": 300}, "32 to 4096"),
    ({"sample_rate_hz": 11025}, "whole number of samples"),
])
def test_a_spec_that_makes_no_sense_says_so(change, message):
    with pytest.raises(ConfigError, match=message):
        LogMel(dataclasses.replace(LogMelSpec(), **change))
