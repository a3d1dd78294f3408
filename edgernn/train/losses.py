"""What training makes small, by task."""

from typing import Any


def loss(keras: Any, task: str, tokens: bool, scale: float) -> Any:
    """A Keras loss, summed over frames by their weights.

    Parameters
    ----------
    task : str
        Cross-entropy where one label is right (also the next of many `tokens`), summed binary
        cross-entropy where the next frame has any number of ones, squared error of numbers.
    scale : float
        Standard deviation of the numbers, in which their error is counted.
    """
    class SquaredError(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            """Mean over numbers, shape (batch, frames)."""
            return keras.ops.mean(keras.ops.square((y_true - y_pred) / scale), axis=-1)

    class SummedBinary(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            """Negative log-likelihood of a whole frame, nats, shape (batch, frames)."""
            each = keras.ops.binary_crossentropy(y_true, y_pred)
            return keras.ops.sum(each, axis=-1)

    if task == "regress":
        return SquaredError(reduction="sum")
    if task == "next" and not tokens:
        return SummedBinary(reduction="sum")
    return keras.losses.SparseCategoricalCrossentropy(reduction="sum")
