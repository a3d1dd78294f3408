"""Sensor rows, standardized."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.errors import ConfigError, FeatureError
from edgernn.frontend import LogMel, Standardize, make_frontend
from edgernn.frontend.standardize import fit
from edgernn.spec import LogMelSpec, StandardizeSpec

ROWS = np.random.default_rng(0).normal([20, -3, 1e6], [0.5, 7, 10], (500, 3))


def test_rows_it_was_fitted_on_get_mean_0_and_deviation_1():
    features = Standardize(fit(ROWS)).push(ROWS)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)  # float32 sums
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e9, 1e-9])
def test_a_column_that_never_changes_becomes_0(constant):
    rows = np.column_stack([ROWS, np.full(len(ROWS), constant)])
    spec = fit(rows, ("a", "b", "c", "d"), 50.0)
    assert spec.std[3] == 1
    assert (spec.columns, spec.rate_hz) == (("a", "b", "c", "d"), 50.0)
    np.testing.assert_allclose(Standardize(spec).push(rows)[:, 3], 0, atol=1e-6)


@given(cuts=st.lists(st.integers(0, 40), max_size=10))
def test_features_do_not_depend_on_how_rows_are_chunked(cuts):
    rows, frontend = ROWS[:sum(cuts)], Standardize(fit(ROWS))
    parts = [frontend.push(part) for part in np.split(rows, np.cumsum(cuts)[:-1])] if cuts else []
    np.testing.assert_array_equal(np.concatenate([*parts, frontend.flush()]), frontend.whole(rows))


@pytest.mark.parametrize("rows", [np.zeros((4, 2)), np.zeros(3), np.zeros((1, 3, 1))])
def test_rows_of_another_width_are_refused(rows):
    with pytest.raises(FeatureError, match=r"\(n, 3\) is needed \(x, y, z\)"):
        Standardize(fit(ROWS, ("x", "y", "z"))).push(rows)


@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(3),
                                  np.array([[1.0], [np.nan]]), np.array([[np.inf]])])
def test_statistics_of_nothing_or_of_nan_are_refused(rows):
    with pytest.raises(ConfigError):
        fit(rows)


@pytest.mark.parametrize("spec", [
    StandardizeSpec((), ()), StandardizeSpec((0.0,), (1.0, 1.0)), StandardizeSpec((0.0,), (0.0,)),
    StandardizeSpec((float("nan"),), (1.0,)), StandardizeSpec((0.0,), (1.0,), ("a", "b"))])
def test_a_spec_that_makes_no_sense_is_refused(spec):
    with pytest.raises(ConfigError, match="edgernn train"):
        Standardize(spec)


def test_make_frontend_follows_the_spec():
    assert isinstance(make_frontend(LogMelSpec()), LogMel)
    assert isinstance(make_frontend(fit(ROWS)), Standardize)
