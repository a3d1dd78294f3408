"""Gradients of plain numpy code, against derivatives known otherwise."""

import numpy as np
import pytest

from edgernn.train.diagnose.tape import Node, gradients

A = np.array([[0.5, -1.2, 0.3], [2.0, 0.1, -0.7]])
B = np.array([[1.5, 0.4, -2.0]])

FUNCTIONS = {
    "arithmetic that broadcasts": lambda a, b: a * b - a / (b * b + 3) + 2 * a,
    "elementwise functions": lambda a, b: np.tanh(a) + np.exp(b) * np.sqrt(a * a + 1),
    "matmul": lambda a, b: a @ np.swapaxes(b, 0, 1) @ b,
    "batched matmul": lambda a, b: np.stack([a, 2 * a]) @ b.reshape(3, 1),
    "relu": lambda a, b: np.maximum(a, 0) * np.minimum(b, 1) + np.abs(a),
    "softmax": lambda a, b: _softmax(a + b),
    "mean and sum": lambda a, b: a.mean(axis=1, keepdims=True) * b + np.sum(a * b) + a.max(axis=0),
    "a ring": lambda a, b: np.concatenate([a[1:], b, a[:1] * b], axis=0) * 2.0,
    "parts": lambda a, b: np.split(a, 3, axis=1)[1] * b + np.repeat(a, 2, axis=0)[1:3],
}


def _softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_equal_finite_differences(name):
    function = FUNCTIONS[name]
    a, b = Node(A), Node(B)
    result = function(a, b)
    seed = np.random.default_rng(0).normal(size=result.shape)
    for index, found in enumerate(gradients([(result, seed)], [a, b])):
        for place in np.ndindex(found.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [A.copy(), B.copy()]
                moved[index][place] += step
                sides.append((function(*moved) * seed).sum())
            # Differences of 1e-6 in float64 are right to some 1e-9.
            assert found[place] == pytest.approx((sides[0] - sides[1]) / 2e-6, abs=1e-7)


def test_a_value_used_twice_gets_both_gradients_at_every_node_on_the_way():
    x = Node([[3.0]])
    square = x * x
    found = gradients([(square * square, np.ones((1, 1))), (square, np.ones((1, 1)))],
                      [x, square])
    assert [float(g[0, 0]) for g in found] == [4 * 27 + 6, 2 * 9 + 1]


def test_what_nothing_depends_on_has_gradient_zero():
    x, other = Node(A), Node(B)
    assert not gradients([(x * 2, np.ones(A.shape))], [other])[0].any()


@pytest.mark.parametrize("function", [np.sort, np.cumsum, np.floor, np.add.accumulate, np.asarray])
def test_a_function_without_a_rule_is_refused_by_name(function):
    def differentiate():
        node = Node(A)  # a ufunc without a complex form says so when its slope is needed
        gradients([(function(node), np.ones(A.shape))], [node])

    with pytest.raises(TypeError, match="gradient"):
        differentiate()
