"""The frontend of ESPHome's wake words beside the C code that it wraps."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.errors import ConfigError, SourceError
from edgernn.frontend import make_frontend
from edgernn.frontend.microfrontend import Microfrontend
from edgernn.spec import LogMelSpec, MicrofrontendSpec, WakeWordSpec

pymicro_features = pytest.importorskip("pymicro_features", reason="needs the extra esphome")


def noise(count, loudness=3000, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(rng.normal(0, loudness, count)), -32768, 32767).astype(np.int16)


def esphome_int8(samples):
    """What micro_wake_word.cpp gives its models: 160 samples in, and 40 int8 out of each call."""
    frontend, rows = pymicro_features.MicroFrontend(), []
    for at in range(0, len(samples) - 159, 160):
        found = frontend.process_samples(samples[at:at + 160].tobytes()).features
        values = [round(feature / 0.0390625) for feature in found]
        row = [min(max((value * 256 + 666 // 2) // 666 - 128, -128), 127) for value in values]
        rows += [row] if row else []
    return np.array(rows).reshape(-1, 40)


@pytest.mark.parametrize("loudness", [0, 5, 3000, 30000])
def test_an_int8_model_hears_the_bytes_that_esphome_gives(loudness):
    from edgernn.encode import encoder
    from edgernn.quant import QType

    frontend = make_frontend(MicrofrontendSpec())
    samples = noise(16000, loudness)
    rows = encoder(frontend.spec, QType("int8", 1 / 32))(frontend.whole(samples))
    assert rows.dtype == np.int8
    np.testing.assert_array_equal(rows, esphome_int8(samples))
    assert loudness == 0 or len(np.unique(rows)) > 20


@given(st.lists(st.integers(0, 700), max_size=12))
@settings(max_examples=30, deadline=None)
def test_features_do_not_depend_on_how_audio_is_chunked(cuts):
    samples = noise(sum(cuts) + 1)
    frontend, at, rows = Microfrontend(MicrofrontendSpec()), 0, []
    for cut in [*cuts, 1]:
        rows.append(frontend.push(samples[at:at + cut]))
        at += cut
    rows.append(frontend.flush())
    whole = Microfrontend(MicrofrontendSpec()).whole(samples)
    np.testing.assert_array_equal(np.concatenate(rows), whole)


@pytest.mark.parametrize(("count", "rows"), [
    (0, 0), (159, 0), (160, 1), (479, 1), (480, 1), (639, 1), (640, 2), (16000, 98)])
def test_a_clip_has_as_many_rows_as_whole_windows_but_one_at_least(count, rows):
    assert Microfrontend(MicrofrontendSpec()).whole(noise(count)).shape == (rows, 40)


def test_reset_forgets_everything():
    frontend, samples = Microfrontend(MicrofrontendSpec()), noise(4000)
    first = frontend.push(samples)
    again = frontend.push(samples)
    assert not np.array_equal(first, again[-len(first):])  # it had learned the noise
    frontend.reset()
    np.testing.assert_array_equal(frontend.push(samples), first)


def test_hearing_a_whole_recording_leaves_a_stream_as_it_was():
    samples = noise(4000)
    frontend, other = (Microfrontend(MicrofrontendSpec()) for _ in range(2))
    for one in (frontend, other):
        one.push(samples[:2000])
    frontend.whole(noise(8000, seed=1))
    np.testing.assert_array_equal(frontend.push(samples[2000:]), other.push(samples[2000:]))


def test_it_hears_otherwise_than_the_logmel_does():
    samples = noise(16000)
    spec = LogMelSpec(hop_ms=10, low_hz=125, high_hz=7500)
    ours, theirs = (make_frontend(s).whole(samples) for s in (spec, MicrofrontendSpec()))
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).mean() > 200


@pytest.mark.parametrize("bad", [np.zeros(10), np.zeros((2, 400), np.int16), [1, 2]])
def test_samples_that_are_no_int16_are_refused(bad):
    with pytest.raises(SourceError, match="int16"):
        Microfrontend(MicrofrontendSpec()).push(bad)


def test_without_its_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymicro_features", None)
    with pytest.raises(SourceError, match=r"pip install \"edgernn\[esphome\]\""):
        Microfrontend(MicrofrontendSpec())


# ---- several rows a step ------------------------------------------------------------------


@given(st.lists(st.integers(0, 700), max_size=12), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_rows_side_by_side_do_not_depend_on_how_audio_is_chunked(cuts, stride):
    spec = WakeWordSpec(hop_ms=10 * stride)
    samples = noise(sum(cuts) + 1)
    frontend, at, rows = make_frontend(spec), 0, []
    for cut in [*cuts, 1]:
        rows.append(frontend.push(samples[at:at + cut]))
        at += cut
    whole = make_frontend(spec).whole(samples)
    np.testing.assert_array_equal(np.concatenate(rows), whole)
    single = make_frontend(WakeWordSpec(hop_ms=10)).whole(samples)
    np.testing.assert_array_equal(whole.reshape(-1, 40), single[:len(single) // stride * stride])


@pytest.mark.parametrize(("count", "steps"), [(799, 0), (800, 1), (1279, 1), (1280, 2)])
def test_a_step_ends_with_its_last_rows_window(count, steps):
    frontend = make_frontend(WakeWordSpec(hop_ms=30))
    assert frontend.push(noise(count)).shape == (steps, 120)
    assert (frontend.window, frontend.hop) == (800, 480)


def test_reset_forgets_rows_that_waited():
    frontend, samples = make_frontend(WakeWordSpec(hop_ms=30)), noise(4000)
    frontend.push(samples[:700])
    frontend.reset()
    np.testing.assert_array_equal(frontend.push(samples),
                                  make_frontend(WakeWordSpec(hop_ms=30)).push(samples))


@pytest.mark.parametrize("hop_ms", [0, 5, 25])
def test_a_step_of_half_a_row_is_refused(hop_ms):
    with pytest.raises(ConfigError, match="multiple of 10"):
        make_frontend(WakeWordSpec(hop_ms=hop_ms))
