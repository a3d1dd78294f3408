"""Sensor rows, centred and scaled by what the training set was like."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgernn.errors import ConfigError, FeatureError
from edgernn.spec import StandardizeSpec


def fit(rows: ArrayLike, columns: tuple[str, ...] = (), rate_hz: float = 0.0) -> StandardizeSpec:
    """Measure mean and standard deviation of each column.

    Parameters
    ----------
    rows : float array, shape (n, F)
        All rows of the training set, padding left out.  n >= 1.
    columns, rate_hz
        As in `StandardizeSpec`.

    Returns
    -------
    StandardizeSpec
        A column that never changes has std 1: it says nothing, and becomes 0.

    Raises
    ------
    ConfigError
        If there are no rows or columns, or a value is not finite.
    """
    table = np.asarray(rows, np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise ConfigError(f"Statistics were asked of an array of shape {table.shape}; rows by "
                          "columns are needed, one or more of each. Is the training set empty?")
    bad = np.argwhere(~np.isfinite(table))
    if bad.size:
        row, column = bad[0]
        raise ConfigError(f"Row {row}, column {column} is {table[row, column]}; statistics need "
                          "finite numbers. Drop or fill the missing values.")
    mean, std = table.mean(axis=0), table.std(axis=0)
    # Rounding leaves a constant column a spread of some 1e-17 of its size, not 0.
    constant = std <= 1e-12 * np.abs(table).max(axis=0)
    std[constant] = 1.0
    return StandardizeSpec(tuple(mean.tolist()), tuple(std.tolist()), tuple(columns), rate_hz)


class Standardize:
    """(row - mean) / std, column by column; one row of features per row pushed.

    Parameters
    ----------
    spec : StandardizeSpec

    Raises
    ------
    ConfigError
        If the spec has no columns, lengths that differ, or a std that is not above 0.
    """

    hop = 1
    window = 1

    def __init__(self, spec: StandardizeSpec) -> None:
        mean, std = np.asarray(spec.mean, np.float64), np.asarray(spec.std, np.float64)
        if mean.size == 0 or mean.size != std.size or len(spec.columns) not in (0, mean.size):
            raise ConfigError(f"The frontend has {mean.size} means, {std.size} deviations and "
                              f"{len(spec.columns)} column names; one each per column is needed. "
                              "Measure them again: edgernn train")
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise ConfigError("The frontend has a mean that is not finite, or a deviation that is "
                              "not above 0. Measure them again: edgernn train")
        self.spec = spec
        self.width = int(mean.size)
        self._mean, self._std = mean, std

    def reset(self) -> None:
        """Nothing is remembered between rows."""

    def push(self, rows: ArrayLike) -> NDArray[np.float32]:
        """Standardize rows.

        Parameters
        ----------
        rows : number array, shape (n, F)
            In the sensor's own units.  Any n, including 0.

        Returns
        -------
        float32 array, shape (n, F)

        Raises
        ------
        FeatureError
            If a row is not F wide.
        """
        table = np.asarray(rows, np.float64)
        if table.ndim != 2 or table.shape[1] != self.width:
            raise FeatureError(f"Rows of shape {table.shape} came in; (n, {self.width}) is needed"
                               f"{self._named()}. Send the columns the model was trained with.")
        return ((table - self._mean) / self._std).astype(np.float32)

    def flush(self) -> NDArray[np.float32]:
        """End the stream: no row is ever held back, so none comes out.  Shape (0, F)."""
        return np.empty((0, self.width), np.float32)

    def whole(self, rows: ArrayLike) -> NDArray[np.float32]:
        """The same as `push`."""
        return self.push(rows)

    def features(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Standardized rows are the features."""
        return rows

    def _named(self) -> str:
        return f" ({', '.join(self.spec.columns)})" if self.spec.columns else ""
