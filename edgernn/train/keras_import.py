"""A Keras model made by hand becomes an `Architecture` and its arrays, or is refused by name.

What leaves no trace in a step is left out: Dropout, noise, Masking (a masked frame is held),
`stateful`, `unroll`.  Scalings by constants go into the matrix beside them, and those before the
first layer into the frontend.  All else is as Keras computes it, or an error.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgernn.errors import QuantizeError
from edgernn.spec import DetectorSpec, StandardizeSpec, TokenSpec
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.blocks.dense import ACTIVATIONS
from edgernn.train.blocks.ops import Array
from edgernn.train.keras_graph import Link, chain, refuse
from edgernn.train.keras_step import Step

TRACELESS = {"Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
             "ActivityRegularization", "Identity"}
"""Layers that do nothing once a model is trained."""

NEAREST = {
    "Bidirectional": ("reads the sequence from its end too, which a stream has not got yet",
                      "Use the recurrent layer in it alone, and train that"),
    "RNN": ("is a loop around cells", "Use GRU, LSTM or SimpleRNN, which are such loops"),
    "Flatten": ("makes one row of all frames", "Use a recurrent layer with return_sequences=False"),
    "Concatenate": ("joins branches", "Use Add, of a layer's output and that layer's input"),
    "Embedding": ("is not on the input", "Give it the tokens"),
    "LeakyReLU": ("is an activation that no step has", "Use ReLU"),
} | dict.fromkeys(
    ("GlobalAveragePooling1D", "GlobalMaxPooling1D", "MaxPooling1D", "AveragePooling1D"),
    ("is over frames that a step sees one at a time",
     "Use a recurrent layer with return_sequences=False, whose last state sums them up"),
) | dict.fromkeys(
    ("SeparableConv1D", "DepthwiseConv1D", "Conv1DTranspose", "ConvLSTM1D"),
    ("is over frames to come or has no matrix of its own in a step",
     "Use Conv1D(..., padding='causal'), or a Dense on each frame"),
) | dict.fromkeys(
    ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"),
    ("looks at all frames at once", "Use a GRU or LSTM, whose state is what a step remembers"),
) | dict.fromkeys(("PReLU", "ELU"), ("is an activation that no step has", "Use ReLU"))
"""Of layers that a step cannot do, the reason and what comes nearest."""

KNOWN = ("Dense, causal Conv1D, GRU, LSTM, SimpleRNN, Embedding, LayerNormalization, "
         "BatchNormalization, Normalization, Rescaling, Activation, ReLU, Softmax, "
         "TimeDistributed, Masking and Dropout are known")


@dataclass(frozen=True)
class Imported:
    """A Keras model in the terms of a step."""

    architecture: Architecture
    arrays: dict[str, Array]
    """As in weights.npz."""
    mask: float | None
    """Value all over a masked frame; None if no frame is ever masked."""

    def with_columns(self, columns: tuple[str, ...], rate_hz: float) -> "Imported":
        """The same, whose sensor frontend knows its columns' names and rate."""
        frontend = self.architecture.frontend
        if not isinstance(frontend, StandardizeSpec):
            return self
        named = replace(frontend, columns=columns, rate_hz=rate_hz)
        return replace(self, architecture=replace(self.architecture, frontend=named))


def convert(model: Any, labels: tuple[str, ...] = (), vocabulary: tuple[str, ...] = ()
            ) -> Imported:
    """Turn a loaded Keras model into layers and arrays.

    Parameters
    ----------
    model : keras.Model
        From `edgernn.train.keras_file.load`.
    labels : tuple of str
        Names of its outputs, in their order; class_0, class_1, ... if empty.
    vocabulary : tuple of str
        Of a model that begins with an Embedding, its tokens from number 2.

    Raises
    ------
    QuantizeError
        If a layer or an option of one is not what a step does, by its name, or `labels` or
        `vocabulary` are not as many as the model has.
    """
    links = chain(model)
    step = Step(*_input(links[0].layer, links[1:]), links[0].layer)
    for link in links[1:]:
        _append(step, link)
    step.finish()
    last = step.layers[-1]
    labels = labels or (("value",) if last.activation == "number" else
                        tuple(f"class_{i}" for i in range(last.units)))
    if len(labels) != last.units:
        raise refuse(step.names[-1], f"gives {last.units} scores, and {len(labels)} labels were "
                     "named", f"name {last.units}, in the order of its outputs")
    regress = last.activation == "number"
    architecture = Architecture(
        step.features, labels, _frontend(step, vocabulary), tuple(step.layers),
        None if regress else DetectorSpec(dict.fromkeys(labels, 0.5)),
        "regress" if regress else "classify")
    arrays = {f"{i}/{name}": value for i, own in enumerate(step.arrays)
              for name, value in own.items()}
    return Imported(architecture, arrays, step.mask)


def _input(layer: Any, after: tuple[Link, ...]) -> tuple[int, bool]:
    """Features of a frame, and whether they are tokens."""
    shape, dtype = layer.batch_shape, layer.dtype
    embedded = any(type(link.layer).__name__ == "Embedding" for link in after[:1])
    if embedded and len(shape) == 2:
        return 1, True
    if len(shape) != 3 or not shape[2]:
        raise refuse(layer, f"has the shape {tuple(shape)}", "(batch, frames, features) is what a "
                     "stream of frames has. Use keras.Input((None, features))")
    if dtype != "float32":
        raise refuse(layer, f"has the type {dtype}", "float32 was needed, or whole numbers that "
                     "go to an Embedding. Use keras.Input(..., dtype='float32')")
    return int(shape[2]), False


def _frontend(step: Step, vocabulary: tuple[str, ...]) -> StandardizeSpec | TokenSpec:
    if not step.tokens:
        scale, shift = step.first
        return StandardizeSpec(tuple((-shift / scale + 0.0).tolist()), tuple((1 / scale).tolist()))
    rows = step.layers[0].vocabulary
    if len(vocabulary) + 2 != rows:
        raise refuse(step.names[0], f"has {rows} rows, and {len(vocabulary)} tokens were named",
                     f"row 0 is padding, 1 an unknown token, so {rows - 2} are needed. Give a "
                     "file of them, one a line in the order of their rows: --vocabulary")
    unit = "character" if all(len(token) == 1 for token in vocabulary) else "word"
    return TokenSpec(vocabulary, unit)


def _append(step: Step, link: Link) -> None:
    """Go on with one more layer, or an error that says why a step cannot."""
    if link.branch is not None:
        _residual(step, link.layer, link.branch)
    else:
        _layer(step, link.layer)
    step.before = link.layer


def _layer(step: Step, layer: Any) -> None:
    kind = type(layer).__name__
    policy = getattr(getattr(layer, "dtype_policy", None), "name", "float32")
    if policy != "float32":
        raise refuse(layer, f"computes in {policy}", "a step is made of float32 layers. Save "
                     "the model with the dtype policy float32")
    if kind in TRACELESS:
        return
    if kind == "TimeDistributed":
        _per_frame(step, layer)
    elif kind in HANDLERS:
        HANDLERS[kind](step, layer)
    else:
        raise _unknown(layer)


def _unknown(layer: Any) -> QuantizeError:
    reason, remedy = NEAREST.get(type(layer).__name__, ("is no layer that a step has", KNOWN))
    return refuse(layer, reason, f"a step cannot do that. {remedy}")


def _per_frame(step: Step, wrapper: Any) -> None:
    """What TimeDistributed does to a frame is what the layer in it does to a step."""
    if type(wrapper.layer).__name__ in ("GRU", "LSTM", "SimpleRNN", "Embedding", "Masking"):
        raise refuse(wrapper, f"has a {type(wrapper.layer).__name__} for each frame", "a step "
                     "has one along the frames. Leave TimeDistributed away")
    links = chain(wrapper.layer)[1:] if hasattr(wrapper.layer, "layers") else \
        [Link(wrapper.layer)]
    rank, step.rank = step.rank, step.rank - 1
    for link in links:
        _append(step, link)
    step.rank = rank


def _residual(step: Step, add: Any, links: tuple[Link, ...]) -> None:
    """Go on with the sum of the output so far and one layer of it."""
    step.settle()
    side = Step(step.width, False, step.before, branch=True)
    side.rank = step.rank
    for link in links:
        _append(side, link)
    if side.width != step.width or side.rank != step.rank:
        raise refuse(add, "adds values of other widths or frames", "a step adds a layer's "
                     f"output to its input, value by value. Give the layer {step.width} units "
                     "and return_sequences=True")
    if len(side.layers) != 1 or side.pending or side.layers[0].kind == "layer_norm":
        kinds = ", ".join(type(layer).__name__ for layer in side.names) or "none"
        raise refuse(add, f"adds a branch of {len(side.layers)} layers ({kinds})", "a step "
                     "adds one layer's output to that layer's input. Put an Add around each "
                     "layer, and a norm after the Add")
    step.layers.append(replace(side.layers[0], residual=True))
    step.arrays += side.arrays
    step.names += side.names


def _recurrent(kind: str, step: Step, layer: Any) -> None:
    """GRU, LSTM and SimpleRNN as the blocks have them, or an error that names the option."""
    def needs(option: str, found: Any, needed: Any, why: str) -> None:
        if found != needed:
            raise refuse(layer, f"has {option}={found!r}", f"{why}. Use {option}={needed!r}")

    relu = kind == "simple_rnn" and _name(layer.activation) == "relu"
    if not relu:
        needs("activation", _name(layer.activation), "tanh",
              "only tanh keeps the state in [-1, 1], which its integers need")
    if kind != "simple_rnn":
        needs("recurrent_activation", _name(layer.recurrent_activation), "sigmoid",
              "a step's gates are sigmoids, and others need training anew")
    needs("go_backwards", layer.go_backwards, False, "a stream begins at its beginning")
    needs("zero_output_for_mask", layer.zero_output_for_mask, False,
          "a step that is held goes on giving its last output, where this gives zeros (the state "
          "is the same, and so are the weights)")
    cell, units = layer.cell, int(layer.units)
    after = kind != "gru" or bool(layer.reset_after)
    arrays = {"kernel": cell.kernel, "recurrent_kernel": cell.recurrent_kernel, "bias": cell.bias}
    if cell.bias is None:
        width = int(cell.kernel.shape[1])
        arrays["bias"] = np.zeros((2, width) if kind == "gru" and after else width)
    step.add(layer, Layer(kind, units, "relu" if relu else "", after), arrays)
    if not layer.return_sequences:
        step.rank = 2  # the score on the last frame: a step has that on every frame


def _dense(step: Step, layer: Any) -> None:
    activation, units = _name(layer.activation), int(layer.units)
    _known_activation(layer, activation)
    # `kernel` has LoRA's part in it, which `get_weights` has apart.
    step.add(layer, Layer("dense", units, activation), {
        "kernel": layer.kernel, "bias": np.zeros(units) if layer.bias is None else layer.bias})


def _conv1d(step: Step, layer: Any) -> None:
    """A causal convolution, which a step does over a ring of past frames."""
    for option, needed in (("padding", "causal"), ("strides", (1,)), ("dilation_rate", (1,)),
                           ("groups", 1), ("data_format", "channels_last")):
        found = getattr(layer, option)
        if found != needed and (option, layer.kernel_size) != ("padding", (1,)):
            raise refuse(layer, f"has {option}={found!r}", "a step has the frames up to the "
                         f"present one, one at a time. Use {option}={needed!r}")
    activation, units, frames = _name(layer.activation), int(layer.filters), layer.kernel_size[0]
    _known_activation(layer, activation)
    if step.mask is not None:
        raise refuse(layer, "comes after a mask, which Keras's convolutions take away", "a step is "
                     "held on masked frames all the way. Leave the Masking out, and give "
                     "sequences at their own lengths")
    arrays = {"kernel": layer.kernel, "bias": np.zeros(units) if layer.bias is None else layer.bias}
    if frames == 1:
        arrays["kernel"] = np.asarray(layer.kernel)[0]
        step.add(layer, Layer("dense", units, activation), arrays)
        return
    # What a scaling adds would be missing from the zeros before the first frame.
    step.settle()
    step.add(layer, Layer("conv1d", units, activation, kernel=int(frames)), arrays)


def _activation(step: Step, layer: Any) -> None:
    kind = type(layer).__name__
    name = _name(layer.activation) if kind == "Activation" else kind.lower()
    if kind == "ReLU" and (layer.max_value is not None or layer.negative_slope or layer.threshold):
        raise refuse(layer, "has a max_value, negative_slope or threshold", "a step's ReLU is "
                     "max(x, 0). Use ReLU() without them")
    if name == "softmax":
        _over_units(step, layer, getattr(layer, "axis", -1))
    _known_activation(layer, name)
    step.activate(layer, name)


def _known_activation(layer: Any, name: str) -> None:
    if name not in (*ACTIVATIONS, "softmax", "sigmoid"):
        nearest = "relu" if "elu" in name or name in ("swish", "silu", "mish") else "tanh"
        raise refuse(layer, f"has the activation {name}", f"{', '.join(ACTIVATIONS)} can be in a "
                     f"step, and at its end softmax and sigmoid; {nearest} comes nearest. Train "
                     "with that")


def _embedding(step: Step, layer: Any) -> None:
    if step.layers or not step.tokens:
        raise _unknown(layer)
    if not layer.mask_zero:
        raise refuse(layer, "has mask_zero=False", "token 0 is padding in a step, and held. Count "
                     "tokens from 1 and use mask_zero=True")
    step.mask = 0.0
    units = int(layer.output_dim)
    step.add(layer, Layer("embedding", units, vocabulary=int(layer.input_dim)),
             {"table": layer.embeddings})


def _layer_norm(step: Step, layer: Any) -> None:
    _over_units(step, layer, layer.axis)
    if getattr(layer, "rms_scaling", False):
        raise refuse(layer, "has rms_scaling=True", "a step's norm takes the mean off, too. Use "
                     "rms_scaling=False")
    step.settle()
    width = step.width
    step.add(layer, Layer("layer_norm", width, epsilon=float(layer.epsilon)), {
        "gamma": np.ones(width) if layer.gamma is None else layer.gamma,
        "beta": np.zeros(width) if layer.beta is None else layer.beta})


def _batch_norm(step: Step, layer: Any) -> None:
    """As it is once trained: a scaling by constants."""
    _over_units(step, layer, layer.axis)
    mean, variance = (np.asarray(v, np.float64) for v in
                      (layer.moving_mean, layer.moving_variance))
    gamma = 1.0 if layer.gamma is None else np.asarray(layer.gamma, np.float64)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    step.scale(scale, (0.0 if layer.beta is None else np.asarray(layer.beta)) - mean * scale)


def _normalization(step: Step, layer: Any) -> None:
    if layer.axis != ():
        _over_units(step, layer, layer.axis)
    if layer.invert:
        raise refuse(layer, "has invert=True", "a step's norms divide. Use a Rescaling")
    mean, variance = (np.broadcast_to(np.asarray(v, np.float64).ravel(), step.width) for v in
                      (layer.mean, layer.variance))
    # Keras divides by at least its epsilon.
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    step.scale(1 / deviation, -mean / deviation)


def _rescaling(step: Step, layer: Any) -> None:
    scale, offset = (np.broadcast_to(np.asarray(v, np.float64).ravel(), step.width) for v in
                     (layer.scale, layer.offset))
    step.scale(scale, offset)


def _masking(step: Step, layer: Any) -> None:
    if step.layers or step.branch or step.tokens or np.any(step.first[0] != 1) or (
            np.any(step.first[1] != 0)):
        raise refuse(layer, "is not on the input", "a step is held before a frame goes in, by the "
                     "frame alone. Put it after the Input")
    step.mask = float(layer.mask_value)


def _over_units(step: Step, layer: Any, axis: Any) -> None:
    """Refuse an axis that is not the last."""
    axes = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
    if axes not in ((-1,), (step.rank - 1,)):
        raise refuse(layer, f"is over axis {axis}", "a step has the values of one frame. Use "
                     "axis=-1")


def _name(activation: Any) -> str:
    return str(getattr(activation, "__name__", type(activation).__name__))


HANDLERS: dict[str, Callable[[Step, Any], None]] = {
    "Dense": _dense, "Embedding": _embedding, "LayerNormalization": _layer_norm,
    "BatchNormalization": _batch_norm, "Normalization": _normalization, "Rescaling": _rescaling,
    "Masking": _masking, "Conv1D": _conv1d,
    "GRU": lambda step, layer: _recurrent("gru", step, layer),
    "LSTM": lambda step, layer: _recurrent("lstm", step, layer),
    "SimpleRNN": lambda step, layer: _recurrent("simple_rnn", step, layer),
} | dict.fromkeys(("Activation", "ReLU", "Softmax", "Relu", "Tanh", "Sigmoid"), _activation)
"""What each kind of Keras layer is in a step, by its class."""
