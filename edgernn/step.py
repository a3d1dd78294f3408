"""One step of a recurrent model, its memory in plain sight."""

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.encode import Encoder, encoder
from edgernn.errors import BackendError, FeatureError, ModelError
from edgernn.graph import Graph, Tensor
from edgernn.interpreter import Runtime, open_runtime
from edgernn.native import Memory, NativeRuntime
from edgernn.quant import FeatureQuantizer, QType, dequantize, quantize
from edgernn.spec import PART, ModelSpec, TokenSpec

Codes = NDArray[Any]
REAL = "float32"
FLOAT32 = np.dtype(REAL)


class StepModel:
    """A streamed model: `step` a frame, `hold` a missing one, `reset` at the start.

    The state is explicit: it lives here, not in the runtime, so it can be saved,
    restored and forked.  Not for several threads at once.

    Attributes
    ----------
    spec : ModelSpec
        Labels, frontend, detector, origin.
    graph : Graph
        The tensors and ops.
    runtime : Runtime
        What runs them.
    """

    def __init__(self, spec: ModelSpec, graph: Graph, runtime: Runtime,
                 memory: Memory | None = None) -> None:
        """Join checked parts; most callers want `open`.

        `memory`, of one stream, is where the backend `c` keeps the state, in place of arrays
        of the model's own.
        """
        self.spec, self.graph, self.runtime = spec, graph, runtime
        self.encode: Encoder
        """Frontend rows, shape (n, width), to codes that `step` takes row by row."""
        x, scores = graph.tensor(spec.input), graph.tensor(spec.output)
        self.encode = encoder(spec.frontend, None if x.dtype == REAL else x.qtype)
        self._width = prod(x.shape)
        self._shape = (self._width,)
        self._dtype = np.dtype(x.dtype)
        self._quantize: Callable[[NDArray[Any]], Codes | None]
        self._tokens = 0
        if isinstance(spec.frontend, TokenSpec):
            self._tokens = spec.frontend.numbers
            self._quantize = self._known
        elif x.dtype == REAL:
            self._quantize = _finite
        else:
            self._quantize = FeatureQuantizer(x.qtype, self._width)
        # Of frames that are codes as they come; tokens and reals are always looked at first.
        self._ready = None if self._tokens or x.dtype == REAL else self._dtype
        # Only models from elsewhere take a frame in other dimensions.
        self._frame_shape = None if len(x.shape) == 2 else x.shape
        self._order = _Order(graph, spec)
        # Looked up at every step, so kept flat.
        self._x, self._at, self._carried = (self._order.x, self._order.scores,
                                            self._order.carried)
        self._moved = self._order.moved
        self._invoke = runtime.invoke
        self._native: Callable[[NDArray[Any]], bool] | None = None
        if isinstance(runtime, NativeRuntime):
            memory = memory or runtime.memory(1)
            self._native = runtime.streams(memory).step
        else:
            memory = Memory.empty(graph, spec, 1)
            self._real_scores: Callable[..., Any] = (
                _copied if scores.dtype == REAL else _score_table(scores.qtype).take)
        self._states, self._outputs = memory.inputs, memory.outputs
        self._scores = memory.scores[0]
        self._scores_row = memory.scores if self._native else memory.scores.reshape(scores.shape)
        self.reset()

    @classmethod
    def open(cls, path: str | Path, backend: str = "auto",
             states: Mapping[str, str] | None = None) -> "StepModel":
        """Open a .tflite written by `edgernn quantize`, or a model from elsewhere.

        Parameters
        ----------
        path : path
            A .tflite, or the .json manifest of one for microWakeWord.
        backend : str
            auto, c, litert, litert-builtin, tflite-runtime, tflm or emulator.
        states : mapping, optional
            Of a model from elsewhere: the output that each state's input is given next, by name,
            where `edgernn.foreign` could not find out.

        Raises
        ------
        ModelError
            If the file is damaged, has lost its edgernn.json, or its parts do not fit; or if it
            comes from elsewhere and cannot be understood without more being said.
        BackendError
            If the runtime is missing, refuses the model, or does not carry its state.
        """
        return cls.load(bundle.read(Path(path), states), backend)

    @classmethod
    def load(cls, parts: bundle.Bundle, backend: str = "auto") -> "StepModel":
        """The main part of a file that was read, or one of its others; see `open`."""
        step_graph = parts.graph
        check(parts.spec, step_graph, parts.foreign)
        model = cls(parts.spec, step_graph,
                    open_runtime(backend, parts.flatbuffer, step_graph, parts.spec))
        prove_state_is_carried(model)
        return model

    @property
    def labels(self) -> tuple[str, ...]:
        """What each score means."""
        return self.spec.labels

    @property
    def width(self) -> int:
        """Features of one frame."""
        return self._width

    def step(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Take one frame and return its scores.

        Parameters
        ----------
        features : array, shape (width,)
            float32 features in the frontend's real units, or codes of the model's own
            integer type as `encode` gives them; of a model of text, int32 tokens.

        Returns
        -------
        float32 array, shape (labels,)
            One score per label, 0 to 1.  Overwritten by the next step: copy it to keep it.

        Raises
        ------
        FeatureError
            If the width or the type is another, a feature is NaN or infinite, or a token is
            0 or unknown.  The state is then as it was.
        """
        if self._native is not None:
            # Features or codes to scores and next states, unless the frame needs a second look.
            if not self._native(features):
                self._native(np.ascontiguousarray(self.accept(features)[0]))
            return self._scores
        states = self._states
        states[self._x] = self.accept(features)
        self._outputs = outputs = self._invoke(states)
        self._real_scores(outputs[self._at], None, self._scores_row, "wrap")
        for source, target in self._carried:
            states[target] = outputs[source]
        for source, target, move in self._moved:
            states[target] = move(outputs[source])
        return self._scores

    def accept(self, features: NDArray[Any]) -> Codes:
        """The frame as the model's own integers, shape (1, width) or that of its input.

        `step` begins with this.

        Raises
        ------
        FeatureError
            See `step`.
        """
        if type(features) is not np.ndarray or features.shape != self._shape or (
                features.dtype is not FLOAT32 and features.dtype is not self._dtype):
            features = self._frame(features)
        codes = features[None] if features.dtype is self._ready else self._quantize(features)
        if codes is None:
            raise _not_finite(features)
        return codes if self._frame_shape is None else codes.reshape(self._frame_shape)

    @property
    def codes(self) -> Codes:
        """The last step's output as the model gave it, shape (1, width): for another part.

        Before the first step it stands for zeros, as what `hold` gives.
        """
        return self._outputs[self._at].copy()

    def set_context(self, name: str, codes: Codes) -> None:
        """Set what the model looks at besides its frames, until the next `reset`.

        Parameters
        ----------
        name : str
            A key of ``spec.context``, such as memory, keys or mask.
        codes : array
            Of the tensor's own type, shape without the batch.

        Raises
        ------
        ModelError
            If the model has no such context, or it has another type or shape.
        """
        if name not in self.spec.context:
            raise ModelError(f"this model has no context {name!r}; it has "
                             f"{', '.join(self.spec.context) or 'none'}. Set one of those")
        tensor = self.graph.tensor(self.spec.context[name])
        if codes.dtype != tensor.dtype or (1, *codes.shape) != tensor.shape:
            raise ModelError(f"the context {name!r} is {codes.dtype}{list(codes.shape)}; this "
                             f"model needs {tensor.dtype}{list(tensor.shape[1:])}. Give what the "
                             "model's other parts give")
        self._put(self._states, self._order.inputs.index(tensor), codes[None])

    def hold(self) -> NDArray[np.float32]:
        """Let a masked or missing frame pass: the state stays, the last scores are repeated.

        As Keras does with a masked frame; before the first step they are zeros.
        """
        return self._scores

    def reset(self) -> None:
        """Forget everything."""
        for i, tensor in enumerate(self._order.inputs):
            self._put(self._states, i, self.graph.begin(tensor))
        self._put(self._outputs, self._at, self.graph.begin(self.graph.tensor(self.spec.output)))
        self._scores[:] = 0

    def state(self) -> dict[str, Codes]:
        """A copy of all that the next step depends on, by tensor name; for `restore`."""
        saved = {t.name: s.copy() for t, s in zip(self._order.inputs, self._states, strict=True)
                 if t.name != self.spec.input}
        return saved | {self.spec.output: self._scores.copy()}

    def restore(self, state: Mapping[str, Codes]) -> None:
        """Go on from what `state` returned, of this model or a fork of it.

        Raises
        ------
        ModelError
            If a state is missing or of another type or shape; nothing is then changed.
        """
        current = self.state()
        for name, value in current.items():
            found = state.get(name)
            if found is None or found.shape != value.shape or found.dtype != value.dtype:
                what = "missing" if found is None else f"{found.dtype}{list(found.shape)}"
                raise ModelError(f"the saved state {name!r} is {what}; this model needs "
                                 f"{value.dtype}{list(value.shape)}. Restore a state of this model")
        for i, tensor in enumerate(self._order.inputs):
            if tensor.name != self.spec.input:
                self._put(self._states, i, state[tensor.name])
        self._scores[:] = state[self.spec.output]

    def fork(self) -> "StepModel":
        """Another stream over the same runtime, begun from reset, with a state of its own."""
        return StepModel(self.spec, self.graph, self.runtime)

    def _put(self, arrays: list[Codes], at: int, codes: Codes) -> None:
        """Set one of `_states` or `_outputs`: in place where the kernels of backend c look.

        Of an interpreter both lists may hold the same array, which then stays as it is.
        """
        if self._native is not None:
            np.copyto(arrays[at], codes)
        else:
            arrays[at] = codes.copy()

    def _known(self, tokens: NDArray[Any]) -> Codes:
        """Tokens as the model takes them; an interpreter may not check what it looks up."""
        if tokens.dtype is not self._dtype:
            raise FeatureError(f"the frame is {tokens!r:.60}; {self._width} whole numbers were "
                               "needed. Give one row of the frontend's tokens")
        if not tokens[0] or (tokens < 0).any() or (tokens >= self._tokens).any():
            raise FeatureError(f"the frame has the tokens {tokens.tolist()}; this model knows 1 to "
                               f"{self._tokens - 1}. Leave padding (0) out with hold()")
        return tokens[None]

    def _frame(self, features: Any) -> NDArray[Any]:
        """An array of the right width and type out of a list or other floats, or an error."""
        if isinstance(features, np.ndarray) and features.dtype.kind in "iu" and (
                features.dtype != self._dtype):
            raise FeatureError(f"the frame is of {features.dtype}; the codes of this model are "
                               f"{self._dtype}. Give those (StepModel.encode makes them), or "
                               "float32 features")
        try:
            array = np.asarray(features)
            array = array.astype(self._dtype if array.dtype == self._dtype else FLOAT32)
        except (TypeError, ValueError) as problem:
            raise FeatureError(f"the frame is {features!r:.60}; {self._width} numbers were needed. "
                               "Give one row of features") from problem
        if array.shape != (self._width,):
            raise FeatureError(f"the frame has shape {array.shape}; ({self._width},) was needed. "
                               "Give one row of the frontend this model was trained with "
                               "(edgernn info shows it)")
        return array


class _Order:
    """Where in the graph's lists of inputs and outputs everything is."""

    def __init__(self, graph: Graph, spec: ModelSpec) -> None:
        self.inputs = [graph.tensors[i] for i in graph.inputs]
        ins = [t.name for t in self.inputs]
        outs = [graph.tensors[i].name for i in graph.outputs]
        self.x, self.scores = ins.index(spec.input), outs.index(spec.output)
        self.carried, self.moved = [], []
        for pair in spec.states:
            before, after = graph.tensor(pair.input), graph.tensor(pair.output)
            source, target = outs.index(pair.output), ins.index(pair.input)
            if _type(before) == _type(after):
                self.carried.append((source, target))
            else:
                self.moved.append((source, target, _mover(after.qtype, before.qtype)))


def _mover(written: QType, read: QType) -> Callable[[Codes], Codes]:
    """From codes of one scale to codes of another.

    Converters calibrate a state's two ends apart, so their scales differ by a few percent;
    copying bytes would rescale the memory at every step.
    """
    codes = np.arange(written.low, written.high + 1)
    moved = quantize(dequantize(codes, written), read)
    table = np.empty(len(codes), read.dtype)
    table[codes] = moved  # those of negative codes at the end, where they wrap to
    return lambda values: table.take(values, mode="wrap")


def check(spec: ModelSpec, graph: Graph, foreign: bool = False) -> None:
    """Whether edgernn.json and the graph speak of the same model.

    States of a `foreign` one may be of another scale where they are written than where they
    are read, and its frames and scores of more types.

    Raises
    ------
    ModelError
        With what differs.
    """
    ins = {graph.tensors[i].name for i in graph.inputs}
    outs = {graph.tensors[i].name for i in graph.outputs}
    for name, where, kind in ((spec.input, ins, "input"), (spec.output, outs, "output"),
                              *((p.input, ins, "input") for p in spec.states),
                              *((p.output, outs, "output") for p in spec.states),
                              *((name, ins, "input") for name in spec.context.values())):
        if name not in where:
            raise ModelError(f"edgernn.json names the {kind} {name!r}, which the model does not "
                             f"have; it has {', '.join(sorted(where))}. {bundle.REMEDY}")
    explained = 1 + len(spec.states) + len(spec.context)
    if len(ins) != explained or len(graph.inputs) != len(ins):
        raise ModelError(f"the model has the inputs {', '.join(sorted(ins))}, of which edgernn.json"
                         f" explains only {explained}. {bundle.REMEDY}")
    for pair in spec.states:
        before, after = graph.tensor(pair.input), graph.tensor(pair.output)
        if _type(before) != _type(after) and not (foreign and movable(before, after)):
            raise ModelError(
                f"the state {pair.input!r} is {_type(before)}, but its next value {pair.output!r} "
                f"is {_type(after)}; they must be equal, since the bytes are copied. "
                f"{bundle.REMEDY}")
    _check_widths(spec, graph, foreign)


def movable(before: Tensor, after: Tensor) -> bool:
    """Whether what is written can be read again, if by another scale."""
    return (before.shape, before.dtype) == (after.shape, after.dtype) and (
        before.dtype in ("int8", "uint8", "int16")
        and len(before.scales) == len(after.scales) == 1)


def _check_widths(spec: ModelSpec, graph: Graph, foreign: bool) -> None:
    x, scores = graph.tensor(spec.input), graph.tensor(spec.output)
    tokens = isinstance(spec.frontend, TokenSpec)
    for tensor in (x, scores):
        dtypes = ["int32"] if tokens and tensor is x else ["int8", "int16"]
        if foreign:
            dtypes += ["uint8", REAL]
        rank = 2 if not foreign else len(tensor.shape)
        if tensor.shape[:1] != (1,) or len(tensor.shape) != rank or tensor.dtype not in dtypes:
            raise ModelError(f"the tensor {tensor.name!r} is {_type(tensor)}; "
                             f"{' or '.join(dtypes)} of shape [1, n] was needed. {bundle.REMEDY}")
    # What a part gives are no scores of labels, but another part's input.
    inner = spec.task == PART or spec.parts
    width = prod(scores.shape)
    labels = width if inner else len(spec.labels)
    for what, found, needed in (("labels", width, labels),
                                ("frontend features", prod(x.shape), spec.frontend.width)):
        if found != needed:
            raise ModelError(f"edgernn.json has {needed} {what}, but the model has {found}. "
                             f"{bundle.REMEDY}")
    if isinstance(spec.frontend, TokenSpec):
        _check_table(spec.frontend.numbers, graph, x)


def _check_table(numbers: int, graph: Graph, x: Tensor) -> None:
    """Every token has a row, since an interpreter may read beyond the table."""
    for op in graph.ops:
        if x in (graph.tensors[i] for i in op.inputs):
            table = graph.tensors[op.inputs[0]]
            if op.name != "GATHER" or table.shape[0] < numbers:
                raise ModelError(f"edgernn.json has {numbers} tokens, but {op.name} looks them "
                                 f"up in {table.name!r} of shape {table.shape}. {bundle.REMEDY}")


def _type(tensor: Tensor) -> str:
    scale = ", ".join(f"{s:.9g}" for s in tensor.scales)
    zero = ", ".join(map(str, tensor.zero_points))
    return f"{tensor.dtype}{list(tensor.shape)} scale {scale} zero point {zero}"


def prove_state_is_carried(model: StepModel) -> None:
    """Three steps that fail on a runtime which forgets its state, or keeps one of its own.

    Raises
    ------
    BackendError
        If the same frame and state do not give the same answer twice, or if the third
        step is the same with the state of the second and with none.
    """
    if not model.spec.states:
        return
    stream = model.fork()
    frames = _any_frames(model)

    def after(state: dict[str, Codes], frame: Codes) -> dict[str, Codes]:
        stream.restore(state)
        stream.step(frame)
        return stream.state()

    empty = stream.state()
    first = after(empty, frames[0])
    second = after(first, frames[1])
    third = after(second, frames[2])
    without = after(empty, frames[2])
    if not _equal(after(first, frames[1]), second):
        raise BackendError(f"{model.runtime.name} gave two answers to the same frame and state: it "
                           "keeps a memory of its own. Use another: --backend litert")
    if _equal(without, third):
        raise BackendError(f"{model.runtime.name} gave the same answer with and without a state: "
                           "it does not read it. Use another: --backend litert")


def _any_frames(model: StepModel) -> Codes:
    x, shape = model.graph.tensor(model.spec.input), (3, model.width)
    # Values that look random, by Knuth's multiplier; numpy.random itself would take 5 MB.
    mixed = np.arange(1, 1 + 3 * model.width, dtype=np.int64) * 2654435761 % 2**32 >> 7
    if x.dtype == REAL:
        return (mixed % 401 / 100 - 2).astype(x.dtype).reshape(shape)
    low, high = (1, model._tokens - 1) if model._tokens else (x.qtype.low, x.qtype.high)
    return (low + mixed % (high + 1 - low)).astype(x.dtype).reshape(shape)


def _equal(a: dict[str, Codes], b: dict[str, Codes]) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in a)


def _score_table(q: QType) -> NDArray[np.float32]:
    """The real score of every code, those of negative codes at the end, where they wrap to."""
    codes = np.arange(q.low, q.high + 1)
    table = np.empty(len(codes), np.float32)
    table[codes] = (codes - q.zero_point) * q.scale
    return table


def _copied(reals: Codes, axis: None, out: NDArray[np.float32], mode: str) -> None:
    """As `_score_table(...).take`, of scores that are reals already."""
    np.copyto(out, reals)


def _finite(features: NDArray[np.float32]) -> Codes | None:
    return features[None] if np.isfinite(features).all() else None


def _not_finite(features: NDArray[Any]) -> FeatureError:
    at = int(np.flatnonzero(~np.isfinite(features))[0])
    return FeatureError(f"feature {at} is {features[at]}; finite numbers were needed. Leave the "
                        "frame out with hold(), or repair it before it comes here")
