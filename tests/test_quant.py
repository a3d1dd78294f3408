"""Rounding, which is done here and nowhere else."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgernn.quant import (
    FeatureQuantizer,
    QType,
    dequantize,
    quantize,
    quantize_features,
    shift_codes,
)

TYPES = [QType("int8", 0.03), QType("int8", 0.03, -40), QType("int16", 0.0007),
         QType("int8", 1 / 32), QType("int8", 1 / 16, -40), QType("int8", 1 / 16, 7),
         QType("int8", 0.03, -127), QType("int16", 1 / 1024)]


@pytest.mark.parametrize("q", TYPES)
@given(arrays(np.float32, 9, elements=st.floats(-100, 100, width=32)))
def test_the_fast_quantizer_equals_the_plain_one(q, real):
    np.testing.assert_array_equal(FeatureQuantizer(q, 9)(real)[0], quantize_features(real, q))


@pytest.mark.parametrize("q", TYPES)
def test_every_code_survives_a_round_trip(q):
    codes = np.arange(q.low, q.high + 1).astype(q.dtype)
    np.testing.assert_array_equal(quantize(dequantize(codes, q), q), codes)


@pytest.mark.parametrize("q", TYPES)
def test_the_fast_quantizer_saturates_what_is_huge_but_finite(q):
    real = np.array([3e38, -3e38, 1e30], np.float32)
    with np.errstate(over="ignore"):
        assert FeatureQuantizer(q, 3)(real).tolist() == [[q.high, q.low, q.high]]


@pytest.mark.parametrize("q", TYPES)
def test_the_fast_quantizer_rounds_ties_as_the_plain_one(q):
    real = ((np.arange(-400, 400) + 0.5) * q.scale).astype(np.float32)
    np.testing.assert_array_equal(FeatureQuantizer(q, 800)(real)[0], quantize_features(real, q))


@pytest.mark.parametrize("q", TYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_fast_quantizer_refuses_what_is_not_finite(q, bad):
    real = np.zeros(5, np.float32)
    real[3] = bad
    assert FeatureQuantizer(q, 5)(real) is None


@given(arrays(np.int16, 20), st.integers(0, 8))
def test_a_shift_is_a_division_rounded_up_at_ties(codes, shift):
    expected = np.floor((codes.astype(float) - 4096) / 2**shift + 0.5)
    found = shift_codes(codes, 4096, shift, 0, "int16")
    np.testing.assert_array_equal(found, np.clip(expected, -32768, 32767))


@pytest.mark.parametrize("q", TYPES)
def test_reals_become_the_codes_that_python_rounds_them_to(q):
    real = ((np.arange(-300, 300) + 0.5) * q.scale).astype(np.float32)  # near ties, or on them
    expected = [min(max(round(float(r) / q.scale) + q.zero_point, q.low), q.high) for r in real]
    found = quantize(real, q)
    assert (found.tolist(), found.dtype) == (expected, q.dtype)


@pytest.mark.parametrize("q", TYPES)
def test_reals_beyond_the_codes_saturate(q):
    assert quantize([1e9, -1e9], q).tolist() == [q.high, q.low]


@pytest.mark.parametrize("q", TYPES)
def test_features_in_double_precision_become_the_codes_of_single_precision(q):
    real = (np.arange(-300, 300) + 0.5) * q.scale * (1 + 1e-12)  # in float32 it may be the tie
    found = quantize_features(real, q)
    np.testing.assert_array_equal(found, quantize_features(real.astype(np.float32), q))
    assert found.dtype == q.dtype


def test_what_codes_stand_for_has_single_precision():
    assert dequantize([1, 2], TYPES[0]).dtype == np.float32


@pytest.mark.parametrize(("zero_point", "expected"), [(0, [-128, -3, 0, 3, 127]),
                                                      (-5, [-128, -8, -5, -2, 127]),
                                                      (9, [-128, 6, 9, 12, 127])])
def test_shifted_codes_are_moved_to_the_zero_point_and_saturate(zero_point, expected):
    codes = np.array([-32768, -96, 0, 96, 32767], np.int16)
    found = shift_codes(codes, 0, 5, zero_point, "int8")
    assert (found.tolist(), found.dtype) == (expected, np.int8)


@pytest.mark.parametrize("q", TYPES)
def test_the_fast_quantizer_allocates_nothing_of_a_frames_size(q):
    width = 100_000
    fast, real = FeatureQuantizer(q, width), np.ones(width, np.float32)
    tracemalloc.start()
    try:
        fast(real)
        assert tracemalloc.get_traced_memory()[1] < width
    finally:
        tracemalloc.stop()
