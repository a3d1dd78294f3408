"""Truncated backpropagation and lessons that go on where others ended."""

from dataclasses import replace

import numpy as np
import pytest

from edgernn.errors import ConfigError
from edgernn.spec import StandardizeSpec
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.batches import Lesson, pad
from edgernn.train.carried import begun, pieces, updates
from edgernn.train.config import TrainConfig, make

FEATURES, LABELS = 3, ("falls", "rises")
BARE = {"units": 5, "dropout": 0, "input_noise": 0, "average": 0.0}
NETWORKS = {
    "gru": {},
    "lstm": {"cell": "lstm"},
    "simple_rnn": {"cell": "simple_rnn"},
    "fastgrnn": {"cell": "fastgrnn"},
    "ln_lstm": {"cell": "ln_lstm"},
    "three layers, dense": {"cell": "lstm", "layers": 3, "front": 4, "layer_norm": True},
}


def lessons(lengths=(11, 4, 7), every=True):
    rng = np.random.default_rng(0)
    made = []
    for length in lengths:
        weights = np.full(length, float(every), np.float32)
        weights[-1] = 1
        made.append(Lesson(rng.normal(size=(length, FEATURES)).astype(np.float32),
                           rng.integers(0, 2, length), weights))
    return made


class Repeats:
    """A teacher who gives the same lessons every epoch."""

    def __init__(self, given):
        self.given = given

    def lessons(self, rng):
        return self.given


def loop(given=(), **settings):
    """A training of these lessons that stops for nobody."""
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train import models
    from edgernn.train.loop import Loop
    from edgernn.train.material import Material

    config = make({**BARE, "early_stopping": False, **settings})
    frontend = StandardizeSpec((0.0,) * FEATURES, (1.0,) * FEATURES)
    stack = models.layers(config, len(LABELS), FEATURES)
    material = Material(LABELS, frontend, Repeats(list(given) or lessons()), None)
    return Loop(config, Architecture(FEATURES, LABELS, frontend, stack), material, None)


def by_layer(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def teach_the_same(*loops):
    """Give all the weights of the first."""
    for layer, weights in by_layer(loops[0].model).items():
        for other in loops[1:]:
            other.model.get_layer(layer).set_weights(weights)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_pieces_with_carried_state_sound_like_the_whole(name):
    plain, cut = loop(**NETWORKS[name]), loop(**NETWORKS[name], tbptt=3)
    teach_the_same(plain, cut)
    batch = pad(lessons())
    whole = plain.model(batch.features).numpy()
    states, parts = cut.begin(3, []), []
    for piece in pieces(batch, 3):
        scores, *states = (tensor.numpy() for tensor in cut.model([piece.features, *states]))
        parts.append(scores)
    for row, length in enumerate(batch.lengths):
        np.testing.assert_allclose(np.concatenate(parts, 1)[row, :length], whole[row, :length],
                                   atol=1e-6)  # float32 sums in another order


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_truncating_beyond_the_end_is_the_ordinary_gradient(name):
    plain, cut = loop(**NETWORKS[name]), loop(**NETWORKS[name], tbptt=11)
    teach_the_same(plain, cut)
    batch = pad(lessons())
    assert len(list(pieces(batch, 11))) == 1
    mean, _ = plain.update(batch, [])
    cut_mean, _ = cut.update(batch, cut.begin(3, []))
    assert cut_mean == pytest.approx(mean, abs=1e-6)
    # What Adam remembers of its first gradient is a tenth of it.
    for a, b in zip(plain.optimizer.variables, cut.optimizer.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


@pytest.mark.slow
def test_gradients_stop_at_a_cut_and_the_state_does_not():
    cut = loop(tbptt=4)
    batch = pad(lessons((8,), every=False))  # only the last frame counts
    first, second = pieces(batch, 4)
    before = by_layer(cut.model)
    _, states = cut.update(first, cut.begin(1, []))
    assert np.abs(states[0]).max() > 0
    for name, weights in by_layer(cut.model).items():  # nothing counted: no update
        for new, old in zip(weights, before[name], strict=True):
            np.testing.assert_array_equal(new, old)
    # The second piece alone, begun with that state, is all that the gradient sees.
    alone = loop(tbptt=4)
    teach_the_same(cut, alone)
    assert cut.update(second, states)[0] == alone.update(second, states)[0]
    reset = loop(tbptt=4)
    teach_the_same(alone, reset)
    assert reset.update(second, reset.begin(1, []))[0] != alone.update(second, states)[0]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"tbptt": 4}, {"carry": 0.5}, {"tbptt": 4, "carry": 0.5}])
def test_it_learns_that_way_too(settings):
    rng = np.random.default_rng(0)
    labels = np.arange(16) % 2
    given = [Lesson((rng.normal(0, 0.3, (9, 3)) + np.outer(np.arange(9), [2 * label - 1, 0, 0])
                     ).astype(np.float32) / 3, np.full(9, label), np.ones(9, np.float32))
             for label in labels]
    learning = loop(given, epochs=20, learning_rate=0.02, batch=4, **settings)
    losses = [learning.epoch().loss for _ in range(20)]
    assert losses[-1] < losses[0] / 2
    model = learning.finish()
    assert len(model.inputs) == 1  # what is written is an ordinary model
    for layer, weights in by_layer(model).items():
        np.testing.assert_array_equal(weights[0],
                                      learning.model.get_layer(layer).get_weights()[0])


@pytest.mark.slow
def test_what_training_cannot_carry_is_named():
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train import models

    stack = (Layer("conv1d", 4, kernel=3), Layer("gru", 4), Layer("dense", 2, "softmax"))
    with pytest.raises(ConfigError, match="conv1d keeps past rows"):
        models.build(TrainConfig(), FEATURES, stack, carried=True)


def test_pieces_are_the_batch_cut_in_time():
    batch = pad(lessons())
    cut = list(pieces(batch, 4))
    assert [piece.weights.shape[1] for piece in cut] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate([p.features for p in cut], 1), batch.features)
    np.testing.assert_array_equal(sum(p.lengths for p in cut), batch.lengths)
    assert [p.weights.shape for p in pieces(batch, 0)] == [batch.weights.shape]


def test_updates_are_counted_where_something_is_asked():
    assert updates(lessons(), 2, 0) == 2
    assert updates(lessons(), 2, 4) == 2 + 3  # of 4 and 7 frames together, then of 11
    assert updates(lessons(every=False), 2, 4) == 2 + 1


def test_a_carried_row_begins_as_one_other_row_ended():
    rng = np.random.default_rng(0)
    left = [np.arange(1, 5, dtype=np.float32)[:, None] * np.ones(n, np.float32) for n in (2, 3)]
    h, c = begun([2, 3], 200, left, 0.25, rng)
    np.testing.assert_array_equal(h[:, 0], c[:, 0])  # both states of the same row
    assert set(h[:, 0]) == {0, 1, 2, 3, 4}
    assert 30 < (h[:, 0] > 0).sum() < 70
    assert not any(state.any() for state in begun([2, 3], 9, [], 1.0, rng))


@pytest.mark.slow
def test_recurrent_dropout_is_of_training_alone():
    dropped = loop(recurrent_dropout=0.5, tbptt=100)
    plain = loop()
    teach_the_same(dropped, plain)
    batch = pad(lessons((6,)))
    begin = dropped.begin(1, [])
    np.testing.assert_allclose(dropped.model([batch.features, *begin])[0].numpy(),
                               plain.model(batch.features).numpy(), atol=1e-6)
    heard = [dropped.model([batch.features, *begin], training=True)[0].numpy() for _ in range(4)]
    assert any(np.abs(heard[0] - other).max() > 1e-4 for other in heard[1:])


@pytest.mark.slow
def test_recurrent_dropout_drops_the_same_units_on_every_frame():
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train import models
    from edgernn.train.carried import forgetful

    keras = models.import_keras()
    keras.utils.set_random_seed(0)
    rnn = forgetful(keras.layers.SimpleRNN(8, return_sequences=True, activation="linear"),
                    Layer("simple_rnn", 8), 0.5)
    rnn.build((1, 4, 8))
    rnn.set_weights([np.zeros((8, 8)), np.eye(8), np.ones(8)])
    state = rnn(np.ones((1, 4, 8), np.float32), training=True).numpy()[0]
    kept = state[1] > 1
    assert 0 < kept.sum() < 8
    for t in range(1, 4):  # what is kept counts double, so that the sum expected is the same
        np.testing.assert_allclose(state[t], np.where(kept, 2.0 ** (t + 1) - 1, 1))


def test_a_cell_without_recurrent_dropout_is_named():
    class Other:
        def get_config(self):
            return {"cell": "own"}

    from edgernn.train.carried import forgetful

    with pytest.raises(ConfigError, match="cell own_gru has none"):
        forgetful(Other(), Layer("own_gru", 8), 0.5)


@pytest.mark.slow
def test_a_gradient_is_never_longer_than_clipnorm():
    for clipnorm in (1.0, 0.01):
        clipped = loop(clipnorm=clipnorm)
        batch = pad(lessons())
        clipped.update(replace(batch, features=batch.features * 100), [])
        # Adam's momentum after one update is a tenth of the gradient.
        norms = [np.linalg.norm(v.numpy()) * 10 for v in clipped.optimizer.variables
                 if "momentum" in v.path]
        assert max(norms) <= clipnorm * 1.001
        if clipnorm == 0.01:
            assert max(norms) > 0.0099  # and it was longer before


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm", "simple_rnn"])
def test_recurrent_kernels_begin_orthogonal_and_forget_gates_open(cell):
    _, kernel, bias = loop(cell=cell).model.get_layer(f"{cell}0").get_weights()
    # Keras makes the gates' matrix orthogonal as a whole: its rows are.
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(5), atol=1e-5)
    expected = np.zeros(bias.shape, np.float32)
    if cell == "lstm":
        expected[5:10] = 1  # the forget gate's
    np.testing.assert_array_equal(bias, expected)


def test_settings_keep_their_limits():
    with pytest.raises(ConfigError, match="carry"):
        TrainConfig(carry=1.5)
    with pytest.raises(ConfigError, match="tbptt"):
        TrainConfig(tbptt=-1)
