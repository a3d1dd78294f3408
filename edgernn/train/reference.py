"""The trained network on numpy floats: what the integer step is measured against."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.train.architecture import Architecture
from edgernn.train.blocks.ops import Array, Precision
from edgernn.train.network import Network
from edgernn.train.stepper import States, drive


class FloatOps:
    """`Ops` on float32 arrays of shape (batch, units)."""

    def __init__(self) -> None:
        self.prefix = ""

    def enter(self, prefix: str, precision: Precision) -> None:
        """See `Ops.enter`; floats are exact enough everywhere."""
        self.prefix = prefix

    def keep(self, name: str, value: Array) -> Array:
        """Called with every result; a subclass may look at it."""
        return value

    def dense(
        self, name: str, x: Array, kernel: Array, bias: Array | None = None, relu: bool = False,
        exact: bool = False, export: bool = False,
    ) -> Array:
        """See `Ops.dense`."""
        y = x @ kernel if bias is None else x @ kernel + bias
        return self.keep(name, np.maximum(y, 0) if relu else y)

    def gather(self, name: str, ids: Array, table: Array) -> Array:
        """See `Ops.gather`."""
        return self.keep(name, table[ids.astype(np.int64)].reshape(len(ids), -1))

    def push(self, name: str, ring: Array, row: Array, axis: int = 1) -> tuple[Array, Array]:
        """See `Ops.push`."""
        lowest = row.reshape(len(row), *ring.shape[1:axis], 1, *ring.shape[axis + 1:])
        window = np.concatenate([ring, lowest], axis=axis)
        after = window[(slice(None),) * axis + (slice(1, None),)]
        self.keep(f"{name}_out", after)
        return self.keep(f"{name}_window", window), after

    def depthwise(self, name: str, window: Array, kernel: Array, bias: Array, relu: bool = False
                  ) -> Array:
        """See `Ops.depthwise`."""
        y = (window[:, :, 0] * kernel).sum(axis=1) + bias
        return self.keep(name, np.maximum(y, 0) if relu else y)

    def matmul(self, name: str, a: Array, b: Array, transpose_b: bool = False) -> Array:
        """See `Ops.matmul`."""
        return self.keep(name, a @ (b.swapaxes(-1, -2) if transpose_b else b))

    def reshape(self, name: str, x: Array, shape: tuple[int, ...]) -> Array:
        """See `Ops.reshape`."""
        return self.keep(name, x.reshape(len(x), *shape))

    def mask(self, name: str, scores: Array, bias: Array) -> Array:
        """See `Ops.mask`."""
        return self.keep(name, scores + bias)

    def export(self, name: str, x: Array) -> Array:
        """See `Ops.export`."""
        return self.keep(name, x)

    def add(self, name: str, a: Array, b: Array, limit: float = np.inf, relu: bool = False
            ) -> Array:
        """See `Ops.add`."""
        return self.keep(name, np.maximum(a + b, 0) if relu else a + b)

    def plus(self, name: str, x: Array, constant: Array, limit: float = np.inf) -> Array:
        """See `Ops.plus`."""
        return self.keep(name, x + constant)

    def sub(self, name: str, a: Array, b: Array) -> Array:
        """See `Ops.sub`."""
        return self.keep(name, a - b)

    def mul(self, name: str, a: Array, b: Array) -> Array:
        """See `Ops.mul`."""
        return self.keep(name, a * b)

    def times(self, name: str, x: Array, constant: Array) -> Array:
        """See `Ops.times`."""
        return self.keep(name, x * constant)

    def sigmoid(self, name: str, x: Array) -> Array:
        """See `Ops.sigmoid`."""
        # By tanh, which does not overflow where exp(-x) would.
        return self.keep(name, np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5))

    def tanh(self, name: str, x: Array) -> Array:
        """See `Ops.tanh`."""
        return self.keep(name, np.tanh(x))

    def mean(self, name: str, x: Array, offset: float = 0.0) -> Array:
        """See `Ops.mean`."""
        return self.keep(name, x.mean(axis=1, keepdims=True) + np.float32(offset))

    def rsqrt(self, name: str, x: Array) -> Array:
        """See `Ops.rsqrt`."""
        return self.keep(name, np.float32(1) / np.sqrt(x))

    def softmax(self, name: str, x: Array) -> Array:
        """See `Ops.softmax`."""
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return self.keep(name, e / e.sum(axis=-1, keepdims=True))

    def blend(self, name: str, z: Array, a: Array, b: Array) -> Array:
        """See `Ops.blend`."""
        return self.keep(name, z * a + (1 - z) * b)


class TraceOps(FloatOps):
    """Float arithmetic that keeps every result of a frame, and which are sigmoids and tanhs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Array] = {}
        """The last frame's results by tensor name."""
        self.kinds: dict[str, str] = {}
        """`sigmoid` or `tanh`, by tensor name, of those that are one."""

    def keep(self, name: str, value: Array) -> Array:
        """Remember a result."""
        self.seen[self.prefix + name] = value
        return value

    def sigmoid(self, name: str, x: Array) -> Array:
        """See `Ops.sigmoid`."""
        self.kinds[self.prefix + name] = "sigmoid"
        return super().sigmoid(name, x)

    def tanh(self, name: str, x: Array) -> Array:
        """See `Ops.tanh`."""
        self.kinds[self.prefix + name] = "tanh"
        return super().tanh(name, x)


class FloatModel:
    """A network to be stepped on floats, many streams at a time."""

    def __init__(self, network: Network, ops: FloatOps | None = None) -> None:
        self.network = network
        self._ops = ops or FloatOps()

    @classmethod
    def build(cls, architecture: Architecture, arrays: Mapping[str, Array]) -> "FloatModel":
        """From an architecture and Keras's arrays, as in weights.npz."""
        return cls(Network.build(architecture, arrays))

    def initial(self, streams: int) -> States:
        """Zeros: see `Stepper.initial`."""
        return {name: np.zeros((streams, *state.shape), np.float32)
                for name, state in self.network.states.items()}

    def step(self, x: Array, states: States) -> tuple[Array, States]:
        """See `Stepper.step`; x has shape (streams, features)."""
        return self.network.step(self._ops, x, states)

    def run(self, x: Array, lengths: Any) -> Array:
        """Scores of padded sequences, as Keras computes them with a mask.

        Parameters
        ----------
        x : float32 array, shape (batch, frames, features)
        lengths : int array, shape (batch,)
            Frames beyond a sequence's length are masked.

        Returns
        -------
        float32 array, shape (batch, frames, labels)
            A masked frame repeats the output before it.
        """
        scores = np.zeros((*x.shape[:2], len(self.network.architecture.labels)), np.float32)
        rows = drive(self, [row[:n] for row, n in zip(x, lengths, strict=True)])
        for out, values in zip(scores, rows, strict=True):
            out[: len(values)] = values
            out[len(values):] = values[-1] if len(values) else 0
        return scores
