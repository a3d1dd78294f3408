"""Keras models made by hand against the steps made of them, masks and all."""

import numpy as np
import pytest

from edgernn.errors import QuantizeError
from edgernn.frontend import make_frontend
from edgernn.train import keras_file, models
from edgernn.train.calibrate import calibrate
from edgernn.train.emit import emit
from edgernn.train.emulated import EmulatedModel
from edgernn.train.keras_import import convert
from edgernn.train.network import Network
from edgernn.train.profile import PROFILES
from edgernn.train.reference import FloatModel
from edgernn.train.stepper import drive

keras = pytest.importorskip("keras", reason="the extra `train` is not installed")
pytestmark = pytest.mark.slow  # TensorFlow takes seconds to load

FEATURES, MASK = 5, -7.0
L = keras.layers


def sequential(*layers, features=FEATURES):
    return keras.Sequential([keras.Input((None, features)), L.Masking(MASK), *layers])


def gru(units=6, **options):
    return L.GRU(units, return_sequences=True, **options)


def scores(units=3, activation="softmax"):
    return L.Dense(units, activation=activation)


def functional(*stages, features=FEATURES):
    """A functional model; a stage is a layer, or a function from tensor to tensor."""
    given = keras.Input((None, features))
    x = L.Masking(MASK)(given)
    for stage in stages:
        x = stage(x)
    return keras.Model(given, x)


def around(layer):
    """A residual connection around a layer."""
    return lambda x: L.Add()([x, layer(x)])


def nested():
    inner = keras.Sequential([keras.Input((None, 6)), gru(), L.Dense(6, activation="relu")])
    return sequential(L.Dense(6), inner, scores())


MODELS = {
    "gru": lambda: sequential(gru(), scores()),
    "gru, reset before": lambda: sequential(gru(reset_after=False), scores()),
    "gru without bias": lambda: sequential(gru(use_bias=False), scores()),
    "gru, reset before, without bias":
        lambda: sequential(gru(reset_after=False, use_bias=False), scores()),
    "lstm": lambda: sequential(L.LSTM(6, return_sequences=True), scores()),
    "lstm without bias":
        lambda: sequential(L.LSTM(6, return_sequences=True, use_bias=False), scores()),
    "simple rnn": lambda: sequential(L.SimpleRNN(6, return_sequences=True), scores()),
    "simple rnn of relu": lambda: sequential(
        L.SimpleRNN(6, activation="relu", return_sequences=True), scores()),
    "convolutions": lambda: keras.Sequential([
        keras.Input((None, FEATURES)), L.BatchNormalization(), L.Conv1D(6, 3, padding="causal"),
        L.BatchNormalization(), L.ReLU(), L.BatchNormalization(),
        L.Conv1D(5, 2, padding="causal", activation="tanh", use_bias=False), L.Conv1D(6, 1),
        L.LayerNormalization(), L.Conv1D(6, 2, padding="causal"), gru(), scores()]),
    "the last frame alone": lambda: sequential(gru(), L.LSTM(4), scores()),
    "unrolled": lambda: keras.Sequential([
        keras.Input((9, FEATURES)), L.Masking(MASK), L.GRU(6, unroll=True), scores()]),
    "stateful": lambda: keras.Sequential([
        keras.Input(batch_shape=(4, None, FEATURES)), L.Masking(MASK),
        L.GRU(6, return_sequences=True, stateful=True), scores()]),
    "dense of every activation": lambda: sequential(
        L.Dense(7, activation="relu"), L.Dense(6, activation="tanh"), L.Dense(5, use_bias=False),
        gru(), L.TimeDistributed(L.Dense(6, activation="relu")), scores()),
    "activations apart": lambda: sequential(
        L.Dense(7), L.ReLU(), gru(), L.Activation("relu"), L.Dense(6), L.Activation("tanh"),
        L.Activation("linear"), L.Dense(3), L.Activation("softmax")),
    "sigmoid": lambda: sequential(gru(), scores(3, "sigmoid")),
    "sigmoid apart": lambda: sequential(gru(), L.Dense(1), L.Activation("sigmoid")),
    "a number": lambda: sequential(L.LSTM(6), L.Dense(1)),
    "regularized": lambda: sequential(
        L.GaussianNoise(0.1), L.SpatialDropout1D(0.2), gru(dropout=0.3, recurrent_dropout=0.1),
        L.Dropout(0.5), L.GaussianDropout(0.2), scores()),
    "layer norms": lambda: sequential(
        L.LayerNormalization(epsilon=1e-2), gru(), L.LayerNormalization(center=False), gru(),
        L.LayerNormalization(scale=False), L.LayerNormalization(), scores()),
    "a norm of the last frame": lambda: sequential(
        L.GRU(6), L.LayerNormalization(), L.Activation("tanh"), L.BatchNormalization(), scores()),
    "batch norms": lambda: sequential(
        L.BatchNormalization(), L.Dense(6), L.BatchNormalization(scale=False), L.ReLU(), gru(),
        L.BatchNormalization(center=False), gru(), L.BatchNormalization(),
        L.LayerNormalization(), scores()),
    "normalized": lambda: sequential(
        L.Normalization(mean=[3.0, 1, 4, 1, 5], variance=[9.0, 2, 6, 5, 3]), gru(), scores()),
    "rescaled": lambda: sequential(
        L.Rescaling(0.5, offset=-1), gru(), L.Rescaling(-2.0), scores()),
    "rescaled backwards": lambda: sequential(L.Rescaling(-0.5), L.LayerNormalization(), gru(),
                                             scores()),
    "functional": lambda: functional(L.Dense(6, activation="relu"), gru(), scores()),
    "functional, the last frame": lambda: functional(gru(), L.Dropout(0.1), L.LSTM(4), scores()),
    "residual": lambda: functional(
        L.Dense(6, activation="relu"), around(gru()), around(L.Dense(6, activation="tanh")),
        L.LayerNormalization(), around(L.LSTM(6, return_sequences=True)), scores()),
    "residual around the input": lambda: functional(around(gru(FEATURES)), scores()),
    "nested": nested,
    "twice the same layer": lambda: (lambda shared: functional(
        L.Dense(6), shared, shared, scores()))(gru()),
    "no mask": lambda: keras.Sequential([keras.Input((None, FEATURES)), gru(), scores()]),
    "tokens": lambda: keras.Sequential([
        keras.Input((None,), dtype="int32"), L.Embedding(9, 4, mask_zero=True), gru(), scores()]),
}


def randomized(model, seed=0):
    """The model with random weights also where Keras begins with 0 or 1."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = weight.numpy()
        if value.dtype.kind != "f":
            continue
        name = weight.path.split("/")[-1]
        if name in ("bias", "beta", "moving_mean"):
            weight.assign(rng.normal(0, 0.3, value.shape))
        elif name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, value.shape))
    return model


def punched(model):
    """A padded batch, and which of its frames are real: leading, middle, trailing and all masked.
    """
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, (4, 9, FEATURES)).astype(np.float32)
    real = np.ones((4, 9), bool)
    real[0, :2] = real[1, 3:5] = real[2, 6:] = real[3] = False
    if len(model.input_shape) == 2:
        return np.where(real, rng.integers(1, 9, (4, 9)), 0).astype(np.int32), real
    if not any(isinstance(layer, L.Masking) for layer in model.layers):
        real[:] = True
    return np.where(real[..., None], x, np.float32(MASK)), real


@pytest.fixture(scope="module", params=MODELS)
def saved(request, tmp_path_factory):
    """A model of each kind, and its files in both layouts."""
    keras.utils.set_random_seed(0)
    model = randomized(MODELS[request.param]())
    folder = tmp_path_factory.mktemp("keras")
    paths = [folder / "model.keras", folder / "model.h5"]
    for path in paths:
        model.save(path)
    return model, paths


@pytest.mark.parametrize("layout", [0, 1], ids=["keras", "h5"])
def test_the_step_gives_what_keras_gives_on_masked_batches(saved, layout):
    model, paths = saved
    x, real = punched(model)
    for layer in model.layers:
        if hasattr(layer, "reset_state"):  # stateful, and asked before
            layer.reset_state()
    expected = np.asarray(model(x, training=False))
    found = convert(keras_file.load(paths[layout]), vocabulary=tuple("abcdefg"))
    network = Network.build(found.architecture, found.arrays)
    frontend = make_frontend(found.architecture.frontend)
    rows = [x[i][real[i]].reshape(-1, found.architecture.features) for i in range(len(x))]
    rows = [one if x.dtype == np.int32 else frontend.whole(one) for one in rows]
    floats = drive(FloatModel(network), rows)
    for i, own in enumerate(floats):
        if len(own):  # of a sequence that is all masked, a stream says nothing
            wanted = expected[i][real[i]] if expected.ndim == 3 else expected[i][None]
            np.testing.assert_allclose(own[-len(wanted):], wanted, atol=1e-5)
    assert found.architecture.task == ("regress" if expected.shape[-1] == 1 and
                                       found.architecture.labels == ("value",) else "classify")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_integer_step_is_close_to_keras(saved, profile):
    model, paths = saved
    found = convert(keras_file.load(paths[0]), vocabulary=tuple("abcdefg"))
    network = Network.build(found.architecture, found.arrays)
    frontend = make_frontend(found.architecture.frontend)
    rng = np.random.default_rng(2)
    rows = [rng.integers(1, 9, (20, 1)).astype(np.int32) if len(model.input_shape) == 2 else
            frontend.whole(rng.normal(0, 1, (20, FEATURES))) for _ in range(10)]
    flatbuffer, pairs = emit(network, calibrate(network, rows), PROFILES[profile])
    emulated = EmulatedModel(flatbuffer, pairs, found.architecture.frontend)
    floats = np.concatenate(drive(FloatModel(network), rows))
    integers = np.concatenate(drive(emulated, [emulated.encode(one) for one in rows]))
    spread = max(1.0, float(np.abs(floats).max()))
    # A wrong tensor is off by tenths; 8-bit states and norms of six units by hundredths.
    assert np.sqrt(np.mean((floats - integers) ** 2)) < 0.06 * spread


def test_a_normalization_on_the_input_becomes_the_frontend():
    model = MODELS["normalized"]()
    found = convert(model)
    assert found.architecture.frontend.mean == pytest.approx((3, 1, 4, 1, 5))
    assert found.architecture.frontend.std == pytest.approx(np.sqrt([9, 2, 6, 5, 3]))
    assert [layer.kind for layer in found.architecture.layers] == ["gru", "dense"]


def test_batch_norms_and_activations_become_part_of_their_neighbours():
    model = sequential(L.Dense(6), L.BatchNormalization(), L.ReLU(), gru(), L.BatchNormalization(),
                       L.Dense(3), L.Softmax())
    assert [layer.kind for layer in convert(model).architecture.layers] == [
        "dense", "gru", "dense"]


def test_labels_are_as_many_as_the_scores():
    model = sequential(gru(), scores(3))
    assert convert(model).architecture.labels == ("class_0", "class_1", "class_2")
    assert convert(model, ("a", "b", "c")).architecture.labels == ("a", "b", "c")
    with pytest.raises(QuantizeError, match="3 scores, and 2 labels"):
        convert(model, ("a", "b"))


def two_inputs():
    a, b = keras.Input((None, 3), name="left"), keras.Input((None, 3), name="right")
    return keras.Model([a, b], scores()(L.Add()([a, b])))


def two_outputs():
    given = keras.Input((None, 3))
    x = gru(name="memory")(given)
    return keras.Model(given, [L.Dense(2, name="one")(x), L.Dense(3, name="other")(x)])


def state_given():
    given = keras.Input((None, 3))
    y, state = gru(return_state=True, name="first")(given)
    return keras.Model(given, scores()(gru(name="second")(y, initial_state=state)))


def state_out():
    given = keras.Input((None, 3))
    _, state = gru(return_state=True, name="first")(given)
    return keras.Model(given, scores()(state))


def two_branches():
    given = keras.Input((None, 3))
    return keras.Model(given, scores()(L.Add(name="sum")([gru()(given), gru()(given)])))


def long_branch():
    def branch(x):
        return L.Add(name="sum")([x, L.Dense(6)(gru()(x))])
    return functional(L.Dense(6), branch, scores())


def masked_by_hand():
    given = keras.Input((None, 3))
    mask = keras.ops.any(keras.ops.greater(given, 0), axis=-1)
    return keras.Model(given, scores()(gru(name="memory")(given, mask=mask)))


REFUSED = {
    "gru activation": (lambda: sequential(gru(activation="relu", name="x1"), scores()),
                       "GRU 'x1' has activation='relu'.*tanh"),
    "gru gate": (lambda: sequential(gru(recurrent_activation="hard_sigmoid", name="x1"), scores()),
                 "GRU 'x1' has recurrent_activation='hard_sigmoid'.*sigmoid"),
    "lstm activation": (lambda: sequential(L.LSTM(3, activation="softsign", name="x1"), scores()),
                        "LSTM 'x1' has activation='softsign'.*tanh"),
    "simple rnn": (lambda: sequential(L.SimpleRNN(3, activation="elu", name="x1"), scores()),
                   "SimpleRNN 'x1' has activation='elu'.*tanh"),
    "backwards": (lambda: sequential(gru(go_backwards=True, name="x1"), scores()),
                  "GRU 'x1' has go_backwards=True"),
    "zeros": (lambda: sequential(gru(zero_output_for_mask=True, name="x1"), scores()),
              "GRU 'x1' has zero_output_for_mask=True.*state is the same"),
    "bidirectional": (lambda: sequential(L.Bidirectional(gru(), name="x1"), scores()),
                      "Bidirectional 'x1' reads .* Use the recurrent layer in it"),
    "conv1d": (lambda: sequential(L.Conv1D(4, 3, name="x1"), scores()),
               "Conv1D 'x1' has padding='valid'.*padding='causal'"),
    "conv1d of every second": (
        lambda: sequential(L.Conv1D(4, 3, 2, padding="causal", name="x1"), scores()),
        r"Conv1D 'x1' has strides=\(2,\)"),
    "conv1d of masked frames": (
        lambda: sequential(L.Conv1D(4, 3, padding="causal", name="x1"), scores()),
        "Conv1D 'x1' comes after a mask.*Leave the Masking out"),
    "depthwise": (lambda: sequential(L.DepthwiseConv1D(3, name="x1"), scores()),
                  "DepthwiseConv1D 'x1' .*causal"),
    "pooling": (lambda: sequential(gru(), L.GlobalAveragePooling1D(name="x1"), scores()),
                "GlobalAveragePooling1D 'x1' .*return_sequences=False"),
    "flatten": (lambda: keras.Sequential([keras.Input((4, 3)), L.Flatten(name="x1"), scores()]),
                "Flatten 'x1' makes one row"),
    "rnn of cells": (lambda: sequential(L.RNN(L.GRUCell(4), name="x1"), scores()),
                     "RNN 'x1' .*Use GRU"),
    "attention": (lambda: functional(lambda x: L.Attention(name="x1")([x, x]), scores()),
                  "Attention 'x1' joins 2 branches"),
    "concatenate": (lambda: functional(lambda x: L.Concatenate(name="x1")([x, gru()(x)]),
                                       scores()), "Concatenate 'x1' joins 2 branches.*Add"),
    "dense activation": (lambda: sequential(L.Dense(4, "gelu", name="x1"), gru(), scores()),
                         "Dense 'x1' has the activation gelu.*relu comes nearest"),
    "sigmoid in the middle": (lambda: sequential(L.Dense(4, "sigmoid", name="x1"), gru(),
                                                 scores()),
                              "Dense 'x1' has the activation sigmoid in the middle"),
    "leaky": (lambda: sequential(L.LeakyReLU(name="x1"), scores()), "LeakyReLU 'x1'.*Use ReLU"),
    "relu 6": (lambda: sequential(L.ReLU(max_value=6, name="x1"), scores()), "ReLU 'x1'.*max"),
    "rms norm": (lambda: sequential(L.RMSNormalization(name="x1"), scores()),
                 "RMSNormalization 'x1' is no layer"),
    "norm over time": (lambda: keras.Sequential([
        keras.Input((4, 3)), L.LayerNormalization(axis=1, name="x1"), gru(), scores()]),
        "LayerNormalization 'x1' is over axis"),
    "late mask": (lambda: keras.Sequential([
        keras.Input((None, 3)), L.Dense(4), L.Masking(name="x1"), gru(), scores()]),
        "Masking 'x1' is not on the input"),
    "float16": (lambda: sequential(gru(dtype="mixed_float16", name="x1"), scores()),
                "GRU 'x1' computes in mixed_float16.*float32"),
    "logits": (lambda: sequential(gru(), L.Dense(3, name="x1")),
               "Dense 'x1' ends the model with 3 linear units.*Softmax"),
    "no dense": (lambda: sequential(gru(name="x1")), "GRU 'x1' is the last layer.*Dense"),
    "relu at the end": (lambda: sequential(gru(), L.Dense(3, "relu", name="x1")),
                        "Dense 'x1' ends the model with relu"),
    "no frames": (lambda: keras.Sequential([keras.Input((3,), name="x1"), scores()]),
                  r"InputLayer 'x1' has the shape \(None, 3\)"),
    "an image": (lambda: keras.Sequential([keras.Input((4, 4, 1), name="x1"),
                                           L.Conv2D(2, 3), scores()]), "InputLayer 'x1'"),
    "doubles": (lambda: keras.Sequential([keras.Input((4, 3), dtype="int32", name="x1"),
                                          gru(), scores()]), "InputLayer 'x1' has the type int32"),
    "real zero tokens": (lambda: keras.Sequential([
        keras.Input((None,), dtype="int32"), L.Embedding(9, 4, name="x1"), gru(), scores()]),
        "Embedding 'x1' has mask_zero=False"),
    "gru per frame": (lambda: keras.Sequential([
        keras.Input((None, 4, 3)), L.TimeDistributed(L.GRU(3), name="x1"), scores()]),
        "InputLayer"),
    "two inputs": (two_inputs, r"2 inputs \(left, right\)"),
    "two outputs": (two_outputs, r"2 outputs \(one, other\)"),
    "state given": (state_given, "GRU 'second' .*initial_state"),
    "state out": (state_out, "GRU 'first' gives its state"),
    "two branches": (two_branches, "Add 'sum' adds two branches"),
    "long branch": (long_branch, r"Add 'sum' adds a branch of 2 layers \(GRU, Dense\)"),
    "a mask made by hand": (masked_by_hand, "GRU 'memory' has a mask made by Greater"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_step_cannot_do_is_refused_by_the_layers_name(tmp_path, what):
    make, message = REFUSED[what]
    make().save(tmp_path / "model.keras")
    with pytest.raises(QuantizeError, match=message):
        convert(keras_file.load(tmp_path / "model.keras"))


def test_a_model_without_an_input_is_refused():
    with pytest.raises(QuantizeError, match=r"no Input.*keras.Input"):
        convert(keras.Sequential([gru(), scores()], name="bare"))


def test_the_vocabulary_is_as_long_as_the_embedding():
    with pytest.raises(QuantizeError, match=r"9 rows, and 2 tokens.*7 are needed"):
        convert(MODELS["tokens"](), vocabulary=("a", "b"))


def test_a_run_of_our_own_is_read_like_any_other(tmp_path):
    from edgernn.train.architecture import Layer
    from edgernn.train.config import make

    stack = (Layer("dense", 6, "linear"), Layer("layer_norm", 6), Layer("gru", 6, residual=True),
             Layer("dense", 3, "softmax"))
    models.build(make({}), 4, stack).save(tmp_path / "model.keras")
    found = convert(keras_file.load(tmp_path / "model.keras"))
    # The norm ends in a matrix of its own, since its output is also added.
    assert [layer.kind for layer in found.architecture.layers] == [
        "dense", "layer_norm", "dense", "gru", "dense"]
