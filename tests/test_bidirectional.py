"""A frame's label from both sides: what Keras says, in chunks that wait a bounded time."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import bundle
from edgernn.bidirectional import Bidirectional
from edgernn.bidirectional_stream import BidirectionalListener
from edgernn.errors import FeatureError, ModelError
from edgernn.frames import Frame
from edgernn.frontend import make_frontend
from edgernn.interpreter import available
from edgernn.spec import LogMelSpec, TokenSpec
from edgernn.step import StepModel
from edgernn.stream import listen
from edgernn.train import bidirection
from edgernn.train import parts as parts_of
from edgernn.train.architecture import Layer
from edgernn.train.bidirection import Bidirection
from edgernn.train.config import TrainConfig
from edgernn.train.models import BACKWARD
from edgernn.train.profile import PROFILES, get_profile
from tests import networks, oracle

pytestmark = pytest.mark.slow

CELLS = {"gru": Layer("gru", 8), "lstm": Layer("lstm", 8), "simple_rnn": Layer("simple_rnn", 8)}
TOKENS = TokenSpec(tuple("abcdef"))


def described(cell="gru", front=(), chunk=3, ahead=2, **options):
    """A network with random weights."""
    shape = networks.architecture(*front, CELLS[cell], **options)
    shape = dataclasses.replace(shape, layers=bidirection.stack(shape.layers), task="label",
                                chunk=chunk, ahead=ahead)
    one, two = (networks.arrays(shape.layers, shape.features, seed) for seed in (0, 1))
    at = len(front)
    both = one | {f"{at}/{BACKWARD}{key.split('/')[1]}": value for key, value in two.items()
                  if key.startswith(f"{at}/")}
    # The head sees both halves.
    both[f"{at + 1}/kernel"] = np.concatenate([one[f"{at + 1}/kernel"], two[f"{at + 1}/kernel"]])
    return shape, both


def model_file(profile="int8x16", **options):
    shape, arrays = described(**options)
    parts = parts_of.build(bidirection.describe(shape, arrays))
    rows = networks.sequences(shape.features)
    if isinstance(shape.frontend, TokenSpec):
        rng = np.random.default_rng(0)
        rows = [rng.integers(1, 8, (9, 1)).astype(np.int32) for _ in range(20)]
    ranges = bidirection.calibrate(parts, rows, shape.chunk, shape.ahead)
    return parts_of.emit_parts(parts, ranges, get_profile(profile), "label")


@pytest.fixture(scope="module")
def parsed():
    return bundle.parse(parts_of.join(model_file()[0]))


ROWS = networks.sequences(10, count=12, longest=20)


@pytest.mark.parametrize("cell", CELLS)
def test_a_whole_sequence_as_one_chunk_is_keras_bidirectional(cell):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train import models
    from edgernn.train.batches import PADDING

    shape, arrays = described(cell, front=(Layer("dense", 7, "relu"),))
    model = models.build(TrainConfig(task="label"), 10, shape.layers)
    for name, index in ((layer.name, int(layer.name[-1])) for layer in model.layers
                        if layer.name[-1].isdigit() and layer.get_weights()):
        model.get_layer(name).set_weights([v for k, v in sorted(
            arrays.items(), key=lambda item: list(
                models.arrays(model, shape.layers)).index(item[0])) if k.startswith(f"{index}/")])
    padded = np.full((len(ROWS), 20, 10), PADDING, np.float32)
    for target, row in zip(padded, ROWS, strict=True):
        target[:len(row)] = row
    keras = np.array(model(padded, training=False))
    parts = parts_of.on_floats(parts_of.build(bidirection.describe(shape, arrays)))
    for row, wanted in zip(Bidirection(parts).run(ROWS), keras, strict=True):
        np.testing.assert_allclose(row, wanted[:len(row)], atol=1e-5)


@pytest.mark.parametrize(("chunk", "ahead"), [(0, 0), (1, 0), (3, 2), (5, 9), (50, 50)])
@pytest.mark.parametrize("profile", PROFILES)
def test_the_device_gives_what_was_measured(profile, chunk, ahead):
    files, emulated = model_file(profile)
    whole = bundle.parse(parts_of.join(files))
    batch = Bidirection(emulated, chunk, ahead)
    rows = [emulated["forward"].encode(row) for row in ROWS]
    q = emulated["head"].graph.tensor("scores").qtype
    for backend in ("emulator", *({"c", "tflm"} & set(available()))):
        device = Bidirectional(whole, backend, chunk, ahead)
        for row, wanted in zip(rows, batch.run(rows), strict=True):
            np.testing.assert_array_equal(
                device.run(row), ((wanted.astype(int) - q.zero_point) * q.scale).astype("f4"))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 7), max_size=8), st.integers(0, 4), st.integers(0, 4))
def test_how_frames_are_pushed_never_changes_what_comes_out(parsed, cuts, chunk, ahead):
    device = Bidirectional(parsed, "emulator", chunk, ahead)
    rows = np.concatenate(ROWS)[:30]
    wanted = device.run(rows)
    assert len(wanted) == 30
    found = [device.push(part) for part in np.split(rows, np.cumsum(cuts)[np.cumsum(cuts) < 30])]
    np.testing.assert_array_equal(np.concatenate([*found, device.flush()]), wanted)


def test_no_frame_waits_longer_than_chunk_and_look_ahead(parsed):
    device = Bidirectional(parsed, "emulator")
    assert (device.chunk, device.ahead) == (3, 2)
    answered = 0
    for pushed, row in enumerate(np.concatenate(ROWS)[:40], 1):
        answered += len(device.push(row[None]))
        assert pushed - answered <= 3 - 1 + 2


def test_what_lies_beyond_the_look_ahead_changes_nothing(parsed):
    device = Bidirectional(parsed, "emulator")
    rows = np.concatenate(ROWS)[:30].copy()
    before = device.run(rows)
    rows[10:] += 1
    np.testing.assert_array_equal(device.run(rows)[:6], before[:6])  # 0..5 see up to 7
    assert (device.run(rows)[9] != before[9]).any()


def test_latency_is_stated_in_milliseconds():
    whole = bundle.parse(parts_of.join(model_file(frontend=LogMelSpec())[0]))
    assert Bidirectional(whole, "emulator").latency_ms == (3 - 1 + 2) * 20
    assert Bidirectional(whole, "emulator", chunk=0).latency_ms is None


def test_a_bad_frame_is_refused_and_none_of_its_push_taken(parsed):
    device = Bidirectional(parsed, "emulator")
    rows = ROWS[0][:2].copy()
    device.push(rows)
    bad = rows.copy()
    bad[1, 0] = np.nan
    with pytest.raises(FeatureError):
        device.push(bad)
    np.testing.assert_array_equal(device.flush(), device.run(rows))


def test_a_model_without_those_parts_says_what_to_do(parsed):
    alone = dataclasses.replace(parsed, parts={})
    with pytest.raises(ModelError, match="--bidirectional"):
        Bidirectional(alone, "emulator")


def test_parts_of_two_models_do_not_go_together(parsed):
    other = bundle.parse(parts_of.join(model_file("int16x8")[0]))
    mixed = dataclasses.replace(parsed, parts={**parsed.parts, "head": other.parts["head"]})
    with pytest.raises(ModelError, match="must be equal"):
        Bidirectional(mixed, "emulator")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("cell", CELLS)
def test_ten_thousand_steps_of_every_part_are_equal_to_tflm(cell, profile):
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for x86-64 alone")
    files, emulated = model_file(profile, cell=cell)
    rng = np.random.default_rng(0)
    for name, model in emulated.items():
        x = model.graph.tensor("x")
        frames = rng.integers(x.qtype.low, x.qtype.high + 1, (10_000, x.shape[1]))
        assert oracle.differing(files[name][0], model, files[name][1].states,
                                {"x": frames.astype(x.dtype)}) == 0, name


def test_a_stack_that_cannot_be_read_from_both_ends_is_named():
    from edgernn.errors import ConfigError

    with pytest.raises(ConfigError, match="gru, gru, dense"):
        bidirection.stack((Layer("gru", 4), Layer("gru", 4), Layer("dense", 2, "softmax")))


def test_a_part_alone_is_a_step_model(parsed):
    assert StepModel.load(parsed.part("backward"), "emulator").step(ROWS[0][0]).shape == (8,)


def audio_model(tmp_path, **options):
    path = tmp_path / "both.tflite"
    path.write_bytes(parts_of.join(model_file(frontend=LogMelSpec(), **options)[0]))
    return path


def heard(model, samples, cuts):
    """Scores and their times, of samples pushed in pieces."""
    found = []
    listener = BidirectionalListener(
        model, on_scores=lambda scores, at: found.append((at, *map(float, scores))))
    model.reset()
    pieces = [Frame(piece, 0.0) for piece in np.split(samples, cuts)]
    return [(d.label, d.time_s) for d in listen(pieces, listener)], found


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, 8000), max_size=6))
def test_a_stream_answers_every_frame_with_its_own_time_however_audio_is_cut(
        tmp_path_factory, cuts):
    model = Bidirectional.open(audio_model(tmp_path_factory.mktemp("both")), "emulator")
    samples = np.random.default_rng(0).normal(0, 2000, 8000).astype(np.int16)
    detections, scores = heard(model, samples, sorted(cuts))
    rows = make_frontend(model.spec.frontend).whole(samples)
    wanted = model.run(model.encode(rows))
    assert [at for at, *_ in scores] == [(480 + 320 * i) / 16000 for i in range(len(rows))]
    np.testing.assert_array_equal([row for _, *row in scores], wanted)
    assert (detections, scores) == heard(model, samples, [])


def test_a_gap_ends_the_sequence_and_time_goes_on(tmp_path):
    model = Bidirectional.open(audio_model(tmp_path), "emulator")
    samples = np.random.default_rng(0).normal(0, 2000, 3200).astype(np.int16)
    found = []
    listener = BidirectionalListener(
        model, on_scores=lambda row, at: found.append((at, row.copy())))
    list(listen([Frame(samples, 0.0), Frame(samples, 0.3, 1600)], listener))
    alone = model.run(model.encode(make_frontend(model.spec.frontend).whole(samples)))
    np.testing.assert_array_equal([row for _, row in found], np.concatenate([alone, alone]))
    assert found[len(alone)][0] == (3200 + 1600 + 480) / 16000
    assert listener.summary.resets == 1
