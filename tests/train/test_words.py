import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.train.words import find_word

RATE = 16000


def clip(rng, before, word, after, loud=3000.0, hiss=10.0):
    samples = rng.standard_normal(before + word + after) * hiss
    samples[before:before + word] += rng.standard_normal(word) * loud
    return samples.astype(np.int16)


@settings(max_examples=50, deadline=None)
@given(before=st.integers(4000, 24000), word=st.integers(5000, 15000),
       after=st.integers(4000, 24000), seed=st.integers(0, 999))
def test_a_word_in_hiss_is_found_to_three_hundredths_of_a_second(before, word, after, seed):
    start, end = find_word(clip(np.random.default_rng(seed), before, word, after), RATE)
    assert start == pytest.approx(before, abs=480)
    assert end == pytest.approx(before + word, abs=480)


def test_a_pause_inside_a_word_does_not_end_it():
    rng = np.random.default_rng(1)
    samples = clip(rng, 8000, 9600, 8000)
    samples[12000:13600] //= 300  # 100 ms, as before a t
    start, end = find_word(samples, RATE)
    assert start == pytest.approx(8000, abs=480)
    assert end == pytest.approx(17600, abs=480)


def test_a_click_long_before_the_word_is_no_word():
    samples = clip(np.random.default_rng(2), 16000, 9600, 8000)
    samples[1600:1760] = 20000
    start, _ = find_word(samples, RATE)
    assert start == pytest.approx(16000, abs=480)


def test_bounds_do_not_depend_on_how_loud_it_was_recorded():
    samples = clip(np.random.default_rng(3), 8000, 9600, 8000)
    assert find_word(samples.astype(np.float32) * 4) == find_word(samples.astype(np.float32))


@pytest.mark.parametrize("n", [1600, 3200, 16000])
def test_silence_and_steady_noise_still_give_a_span_inside_the_clip(n):
    for samples in (np.zeros(n, np.int16),
                    (np.random.default_rng(0).standard_normal(n) * 500).astype(np.int16)):
        start, end = find_word(samples, RATE)
        assert 0 <= start < end <= n
