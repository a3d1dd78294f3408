"""Gradients of whatever a step computes: numpy arrays that remember where they came from.

Reverse mode (Linnainmaa 1970), at the level of numpy rather than of `Ops`: a block or an
operation added later is differentiated without a rule of its own.  Four rules do:

- an elementwise ufunc, by the complex step f'(x) = Im f(x + ih) / h, exact to float64's
  rounding (Squire and Trapp 1998, doi 10.1137/S003614459631241X), but for the few whose slope
  is written down because training takes it millions of times;
- matmul;
- a function that only moves elements, by doing the same to their numbers;
- sums, means and maxima over an axis.

Anything else raises, and names what it was.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Back = Callable[[Real], Real]
"""From the gradient of a result to that of one of its operands."""

STEP = 1e-100
"""Imaginary; nothing is subtracted, so it cannot be too small while its products are normal."""
MOVES = frozenset({
    np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.squeeze, np.expand_dims,
    np.concatenate, np.stack, np.hstack, np.vstack, np.split, np.repeat, np.tile, np.roll,
    np.flip, np.take, np.take_along_axis, np.broadcast_to, np.atleast_1d, np.atleast_2d})
"""Functions that put elements elsewhere and change none."""

_numbers = itertools.count()


class Node(np.lib.mixins.NDArrayOperatorsMixin):
    """A float64 array and, for each array it was made of, how a gradient goes back to it.

    Parameters
    ----------
    value : float array, any shape
    origins : sequence of (Node, Back)
        Empty where differentiation ends.
    """

    def __init__(self, value: Any, origins: Sequence[tuple["Node", Back]] = ()) -> None:
        self.value: Real = np.asarray(value, np.float64)
        self.origins = tuple(origins)
        self.number = next(_numbers)
        """Higher than that of everything it was made of."""

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    T = property(lambda self: np.transpose(self))

    def __len__(self) -> int:
        return len(self.value)

    def __float__(self) -> float:
        """A single number as it is: a bound that an operation is told, with no gradient."""
        return float(self.value)

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TypeError("a value to be differentiated was turned into a plain numpy array, which "
                        "would lose its gradient. Write the operation with numpy functions that "
                        f"{__name__} knows")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options.get("out") is not None:
            raise TypeError(f"{ufunc.__name__}.{method} (out={options.get('out')}) has no gradient "
                            f"in {__name__}. Write it without, or add a rule there")
        return _matmul(*inputs) if ufunc is np.matmul else _elementwise(ufunc, *inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function in _REDUCED:
            return getattr(args[0], _REDUCED[function])(*args[1:], **options)
        if function not in MOVES:
            raise TypeError(f"numpy.{function.__name__} has no gradient in {__name__}. "
                            "Write it with functions that have, or add a rule there")
        return _moved(function, args, options)

    def __getitem__(self, key: Any) -> "Node":
        return _moved(lambda array: array[key], (self,), {})

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def astype(self, dtype: Any, **options: Any) -> "Node":
        """Itself: gradients are of float64."""
        return self

    def reshape(self, *shape: Any) -> "Node":
        """As `numpy.ndarray.reshape`."""
        return _moved(lambda array: array.reshape(*shape), (self,), {})

    def transpose(self, *axes: Any) -> "Node":
        """As `numpy.ndarray.transpose`."""
        return _moved(lambda array: array.transpose(*axes), (self,), {})

    def swapaxes(self, a: int, b: int) -> "Node":
        """As `numpy.ndarray.swapaxes`."""
        return _moved(lambda array: array.swapaxes(a, b), (self,), {})

    def sum(self, axis: Any = None, keepdims: bool = False) -> "Node":
        """As `numpy.sum`."""
        def back(g: Real) -> Real:
            return np.broadcast_to(_kept(g, self.value, axis, keepdims), self.shape)

        return Node(self.value.sum(axis=axis, keepdims=keepdims), [(self, back)])

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """As `numpy.mean`."""
        total = self.sum(axis, keepdims)
        return total * (total.size / self.size)

    def max(self, axis: Any = None, keepdims: bool = False) -> "Node":
        """As `numpy.max`; equal maxima share the gradient."""
        largest = self.value == self.value.max(axis=axis, keepdims=True)

        def back(g: Real) -> Real:
            shared: Real = largest / largest.sum(axis=axis, keepdims=True)
            return shared * _kept(g, self.value, axis, keepdims)

        return Node(self.value.max(axis=axis, keepdims=keepdims), [(self, back)])


_REDUCED = {np.sum: "sum", np.mean: "mean", np.max: "max", np.amax: "max"}


def gradients(outputs: Sequence[tuple[Any, Real]], wanted: Sequence[Any]) -> list[Real]:
    """Gradient at each of `wanted`.

    Parameters
    ----------
    outputs : sequence of (Node, array)
        Results, and the gradient of the loss at each but for what reaches it by way of the
        others.
    wanted : sequence of Node
        Any nodes: inputs, results or what lies between; 0 where nothing depends on one.

    Returns
    -------
    list of float64 arrays
        Each of its node's shape: the loss's whole gradient there.
    """
    found: dict[int, Real] = {}
    waiting: dict[int, Node] = {}

    def add(node: Node, g: Real) -> None:
        found[node.number] = found[node.number] + g if node.number in found else g
        waiting[node.number] = node

    for node, g in outputs:
        if isinstance(node, Node):
            add(node, np.asarray(g, np.float64))
    while waiting:
        # The newest first: all that was made of it has been done.
        node = waiting.pop(max(waiting))
        for origin, back in node.origins:
            add(origin, back(found[node.number]))
    return [found.get(node.number, np.zeros(node.shape)) for node in wanted]


def _elementwise(ufunc: np.ufunc, *inputs: Any) -> Any:
    """Apply a ufunc; the slope for each operand is taken when a gradient comes by."""
    plain = [_plain(one) for one in inputs]
    value = ufunc(*plain)
    if value.dtype == bool:
        return value  # flat wherever it has a slope

    def back_to(index: int) -> Back:
        def back(g: Real) -> Real:
            return _unbroadcast(g * _slope(ufunc, plain, index), np.shape(plain[index]))

        return back

    return Node(value, [(one, back_to(i)) for i, one in enumerate(inputs)
                        if isinstance(one, Node)])


_KNOWN: dict[np.ufunc, Callable[[Sequence[Any], int], Any]] = {
    np.add: lambda inputs, index: 1.0,
    np.subtract: lambda inputs, index: (1.0, -1.0)[index],
    np.multiply: lambda inputs, index: inputs[1 - index],
    np.tanh: lambda inputs, index: 1.0 - np.tanh(inputs[0])**2,
}
"""Slope at operand `index`, of the ufuncs that cells are mostly made of.  Needs no complex
division, and is the same to float64's rounding."""


def _slope(ufunc: np.ufunc, inputs: Sequence[Any], index: int) -> Any:
    """Partial derivative of a ufunc, by the complex step.

    numpy orders complex numbers by their real parts first, so `maximum` picks as it does for
    reals; at an exact tie with a constant it takes the operand's side.
    """
    if ufunc in _KNOWN:
        return _KNOWN[ufunc](inputs, index)
    if ufunc is np.absolute:  # not analytic: |x + ih| is real
        return np.sign(np.asarray(inputs[0], np.float64))
    stepped = [np.asarray(one, np.float64) for one in inputs]
    stepped[index] = stepped[index] + 1j * STEP  # type: ignore[assignment]
    try:
        slope: Real = ufunc(*stepped).imag / STEP
    except TypeError as problem:
        raise TypeError(f"numpy.{ufunc.__name__} has no gradient in {__name__}: it takes no "
                        "complex numbers. Add a rule there") from problem
    return slope


def _matmul(a: Any, b: Any) -> Node:
    """``a @ b``, of two dimensions or more."""
    left, right = np.asarray(_plain(a), np.float64), np.asarray(_plain(b), np.float64)

    def to_left(g: Real) -> Real:
        return _unbroadcast(g @ right.swapaxes(-1, -2), left.shape)

    def to_right(g: Real) -> Real:
        return _unbroadcast(left.swapaxes(-1, -2) @ g, right.shape)

    return Node(left @ right, [(one, back) for one, back in ((a, to_left), (b, to_right))
                               if isinstance(one, Node)])


def _moved(function: Callable[..., Any], args: Any, options: Any) -> Any:
    """Apply what only moves elements, by moving their numbers: where is each one now?"""
    nodes: list[Node] = []
    pool: list[Real] = []

    def numbered(value: Any) -> Any:
        if isinstance(value, Node) or (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
            start = sum(map(np.size, pool))
            pool.append(np.asarray(_plain(value), np.float64))
            nodes.append(value if isinstance(value, Node) else Node(value))
            return np.arange(start, start + pool[-1].size).reshape(pool[-1].shape)
        if isinstance(value, (list, tuple)):
            return type(value)(numbered(one) for one in value)
        return value

    where = function(*(numbered(one) for one in args), **options)
    flat = np.concatenate([one.ravel() for one in pool])
    starts = np.cumsum([0, *(one.size for one in pool)])

    def gathered(places: NDArray[np.int64]) -> Node:
        def back_to(index: int) -> Back:
            def back(g: Real) -> Real:
                sums = np.bincount(places.ravel(), g.ravel(), len(flat))
                own: Real = sums[starts[index]:starts[index + 1]].astype(np.float64)
                return own.reshape(pool[index].shape)

            return back

        return Node(flat[places], [(node, back_to(i)) for i, node in enumerate(nodes)])

    return [gathered(one) for one in where] if isinstance(where, list) else gathered(where)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Node) else value


def _kept(g: Real, whole: Real, axis: Any, keepdims: bool) -> Real:
    """Gradient of a reduction with the reduced axes there again, one long."""
    if keepdims:
        return g
    axes = range(whole.ndim) if axis is None else np.atleast_1d(axis) % whole.ndim
    return np.expand_dims(g, tuple(axes))


def _unbroadcast(g: Real, shape: tuple[int, ...]) -> Real:
    """Sum over what an operand of `shape` was repeated along."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=repeated, keepdims=True)
