"""Many streams by one call: each gives the bytes that it would give alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import interpreter, step
from edgernn.batch import BatchStep
from edgernn.errors import BackendError, FeatureError
from edgernn.step import StepModel
from tests import networks

pytestmark = pytest.mark.skipif("c" not in interpreter.available(),
                                reason="edgernn was installed without a compiler")

SEVERAL = 19
"""Streams: more than a block of the compiled module, and not a multiple of what kernels take."""
NAMES = [f"{name}{profile}" for name in (*networks.CELLS, *networks.STACKS)
         for profile in ("", "-int8", "-int16x8")]


def frames(steps, streams, width, seed=0):
    return np.random.default_rng(seed).normal(size=(steps, streams, width)).astype(np.float32)


def assert_equal(batch, alone, scores):
    for stream, single, row in zip(batch, alone, scores, strict=True):
        np.testing.assert_array_equal(row, single.hold())
        np.testing.assert_array_equal(stream.codes, single.codes)
        assert step._equal(stream.state(), single.state())


@pytest.mark.parametrize("name", NAMES)
def test_every_stream_gives_what_it_would_give_alone_whichever_are_held(model_files, name):
    model = StepModel.open(model_files[name], "c")
    batch, alone = BatchStep(model, SEVERAL), [model.fork() for _ in range(SEVERAL)]
    rows = frames(12, SEVERAL, model.width)
    rng = np.random.default_rng(1)
    for t, row in enumerate(rows):
        # All of them, none, and some.
        held = rng.random(SEVERAL) < (0, 1, 0.3, 0.9)[t % 4]
        scores = batch.step(row, held if t % 4 else None)
        for single, frame, holds in zip(alone, row, held, strict=True):
            if not holds:
                single.step(frame)
        assert_equal(batch, alone, scores)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.data())
def test_any_masks_and_any_resets_leave_the_streams_apart(model_files, streams, data):
    model = StepModel.open(model_files["gru-int8"], "c")
    batch, alone = BatchStep(model, streams), [model.fork() for _ in range(streams)]
    masks = data.draw(st.lists(st.lists(st.booleans(), min_size=streams, max_size=streams),
                               min_size=1, max_size=6))
    for t, mask in enumerate(masks):
        row = frames(1, streams, model.width, seed=t)[0]
        scores = batch.step(row, np.array(mask))
        for single, frame, holds in zip(alone, row, mask, strict=True):
            if not holds:
                single.step(frame)
        assert_equal(batch, alone, scores)
        forgotten = data.draw(st.integers(0, streams - 1))
        batch[forgotten].reset()
        alone[forgotten].reset()


def test_a_stream_of_a_batch_is_a_step_model(model_files):
    model = StepModel.open(model_files["lstm"], "c")
    batch, row = BatchStep(model, 3), frames(1, 3, model.width)[0]
    batch.step(row)
    saved = batch[1].state()
    batch[1].step(row[0])
    batch[2].restore(saved)
    alone = model.fork()
    alone.step(row[1])
    assert step._equal(batch[2].state(), alone.state())
    alone.step(row[0])
    assert step._equal(batch[1].state(), alone.state())
    batch.reset()
    assert all(step._equal(stream.state(), model.fork().state()) for stream in batch)


def test_rows_of_held_streams_are_not_looked_at(model_files):
    model = StepModel.open(model_files["gru"], "c")
    batch, row = BatchStep(model, 2), frames(1, 2, model.width)[0]
    row[1] = np.nan
    batch.step(row, np.array([False, True]))
    alone = model.fork()
    alone.step(row[0])
    assert_equal(batch, [alone, model.fork()], [alone.hold(), model.fork().hold()])


def test_a_bad_frame_of_one_stream_is_refused_and_changes_none(model_files):
    model = StepModel.open(model_files["gru"], "c")
    batch = BatchStep(model, 3)
    batch.step(frames(1, 3, model.width)[0])
    before = [stream.state() for stream in batch]
    bad = frames(1, 3, model.width)[0]
    bad[1, 2] = np.inf
    with pytest.raises(FeatureError, match="stream 1: feature 2"):
        batch.step(bad)
    with pytest.raises(FeatureError, match="a row for every stream"):
        batch.step(bad[:2])
    with pytest.raises(FeatureError, match="held is"):
        batch.step(bad, [0, 1, 0])
    assert all(map(step._equal, [stream.state() for stream in batch], before))


def test_codes_doubles_and_strided_frames_are_taken(model_files):
    model = StepModel.open(model_files["gru-int8"], "c")
    row = frames(1, 5, model.width)[0]
    expected = BatchStep(model, 5).step(row).copy()
    for same in (model.encode(row), row.astype(float), np.asfortranarray(row), row.tolist()):
        np.testing.assert_array_equal(BatchStep(model, 5).step(same), expected)


def test_other_backends_are_refused_with_what_to_do(model_files):
    with pytest.raises(BackendError, match=r"StepModel\.open"):
        BatchStep(StepModel.open(model_files["gru"], "emulator"), 2)
