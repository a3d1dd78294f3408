"""Driving many streams at once changes nothing of any one of them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.train.reference import FloatModel
from edgernn.train.stepper import drive, last, peak, sequence_scores
from tests import networks

MODEL = FloatModel(networks.network(networks.CELLS["lstm"]))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_streams_driven_together_equal_each_alone(lengths):
    rng = np.random.default_rng(len(lengths))
    streams = [rng.normal(size=(n, 10)).astype(np.float32) for n in lengths]
    together = drive(MODEL, streams)
    for stream, scores in zip(streams, together, strict=True):
        alone = drive(MODEL, [stream])[0]
        assert len(scores) == len(stream)
        if len(stream):
            np.testing.assert_allclose(scores, alone, atol=1e-6)  # other BLAS blocking


def test_carried_scores_are_those_of_one_long_stream():
    sequences = networks.sequences(count=7)
    found = sequence_scores(MODEL, sequences, carry=True, lanes=1)
    order = np.random.default_rng(0).permutation(len(sequences))
    rows = drive(MODEL, [np.concatenate([sequences[i] for i in order])])[0]
    ends = np.cumsum([len(sequences[i]) for i in order])
    for i, end in zip(order, ends, strict=True):
        np.testing.assert_array_equal(found[i], rows[end - 1])


def test_reset_scores_do_not_depend_on_the_neighbours():
    sequences = networks.sequences(count=5)
    all_of_them = sequence_scores(MODEL, sequences, carry=False)
    without_first = sequence_scores(MODEL, sequences[1:], carry=False)
    np.testing.assert_allclose(all_of_them[1:], without_first, atol=1e-6)


def test_peak_and_last_summarize_a_sequence():
    rows = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    assert peak(rows).tolist() == [np.float32(0.9), np.float32(0.8)]
    assert last()(rows).tolist() == [np.float32(0.2), np.float32(0.8)]
    np.testing.assert_allclose(last(2)(rows), [0.55, 0.45])
    np.testing.assert_allclose(last(9)(rows), [0.55, 0.45])  # no more than there are
