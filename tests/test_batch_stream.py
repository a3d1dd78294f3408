"""Many streams of audio at once, against each by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import interpreter
from edgernn.batch_stream import BatchListener
from edgernn.cli.models import BUNDLED
from edgernn.errors import BackendError, ModelError
from edgernn.frames import Frame
from edgernn.sources.wav import WavSource
from edgernn.spec import DetectorSpec
from edgernn.step import StepModel
from edgernn.stream import Listener

pytestmark = pytest.mark.skipif("c" not in interpreter.available(),
                                reason="edgernn was installed without a compiler")
EAGER = DetectorSpec({"computer": 0.05, "alexa": 0.05}, smoothing_ms=40, hysteresis=0.02,
                     refractory_ms=100)
"""Fires often, so that there is something to compare."""


@pytest.fixture(scope="module")
def model():
    return StepModel.open(BUNDLED, "c")


@pytest.fixture(scope="module")
def spoken():
    pytest.importorskip("soundfile")
    with WavSource(BUNDLED.with_name("demo.wav"), 16000, 16000) as source:
        return np.concatenate([frame.samples for frame in source])


def alone(model, pieces):
    """What `Listener` detects in (samples, gap before them), told by label, score and time."""
    listener, found, done = Listener(model.fork(), EAGER), [], 0
    for samples, gap in pieces:
        done += gap
        found += listener.push(Frame(samples, done / 16000, gap))
        done += len(samples)
    return found


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 160, 320, 700, 4000]))
def test_every_stream_detects_what_it_would_by_itself(model, spoken, seed, cut):
    rng, streams = np.random.default_rng(seed), 3
    sound = [np.roll(spoken, -int(rng.integers(len(spoken))))[:320 * 40 if cut == 1 else 64000]
             for _ in range(streams)]
    together = BatchListener(model, streams, EAGER)
    pieces, at, found = [[] for _ in range(streams)], np.zeros(streams, int), [[], [], []]
    while (at + cut <= len(sound[0])).all():
        late = rng.random(streams) < 0.2
        gaps = np.where((rng.random(streams) < 0.002) & ~late,
                        rng.choice([100, 3000, 20000], streams), 0)
        for i in np.flatnonzero(gaps):
            for stream, detection in together.lose(int(i), int(gaps[i])):
                found[stream].append(detection)
        piece = np.stack([row[a:a + cut] for row, a in zip(sound, at, strict=True)])
        for stream, detection in together.push(piece, late if late.any() else None):
            found[stream].append(detection)
        for i in np.flatnonzero(~late):
            pieces[i].append((piece[i], int(gaps[i])))
        at += cut * ~late
    assert found == [alone(model, row) for row in pieces]
    assert cut == 1 or any(found)


def test_a_stream_that_was_reset_begins_at_time_zero(model, spoken):
    together = BatchListener(model, 2, EAGER)
    blocks = [spoken[i:i + 320] for i in range(0, 32000, 320)]
    first = [found for block in blocks for found in together.push(np.stack([block, block]))]
    together.reset(1)
    again = [found for block in blocks for found in together.push(np.stack([block, block]))]
    assert [found for stream, found in again if stream == 1] == [
        found for stream, found in first if stream == 1]
    assert first


def test_what_cannot_be_listened_to_says_so(model, model_files):
    with pytest.raises(BackendError, match="backend c"):
        BatchListener(StepModel.open(BUNDLED, "emulator"), 2)
    with pytest.raises(ModelError, match="log-mel"):
        BatchListener.open(model_files["gru"], 2)
    listener = BatchListener(model, 2)
    for shape, dtype in (((3, 320), np.int16), ((2, 320), np.float32), ((320,), np.int16)):
        with pytest.raises(ValueError, match="samples"):
            listener.push(np.zeros(shape, dtype))
