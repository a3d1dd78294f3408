"""What a model is, beyond what its tensors already say.

These frozen dataclasses are the contents of `edgernn.json`, which travels inside
the .tflite (see `edgernn.bundle`).  Shapes, types and scales are in the tensors
and are not said again here.  Unknown keys, and formats newer than `FORMAT`, are
errors: an old reader must not half-understand a new model.
"""

import dataclasses
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union

from edgernn.errors import ModelError

FORMAT = 4
"""Version of the layout of edgernn.json that this code writes; it reads all up to it."""

LABEL = re.compile(r"\w([\w .+'-]*[\w+'-])?")
"""A label: it becomes a name of files and folders, so no space or dot ends it."""

TASKS = {
    "classify": "a sequence has one label, read on its last frame",
    "spot": "labels pass by in an endless stream; the first one means nothing was said",
    "label": "every frame has a label",
    "regress": "every frame has a number",
    "next": "every frame is predicted from those before it",
    "transduce": "a sequence becomes another, of another length",
}
"""What a model can be asked, by name."""
PART = "part"
"""The task of a part whose output is no answer, but another part's input."""


@dataclass(frozen=True)
class LogMelSpec:
    """Audio frontend: integer log-mel energies (`edgernn.frontend.logmel`)."""

    sample_rate_hz: int = 16000
    """Samples per second, 8000 to 48000."""
    window_ms: int = 30
    """Length of the Hann window, milliseconds."""
    hop_ms: int = 20
    """Distance between frames, milliseconds; one step of the model per hop."""
    mels: int = 40
    """Features per frame."""
    low_hz: int = 60
    """Lower edge of the lowest mel filter, hertz."""
    high_hz: int = 7600
    """Upper edge of the highest mel filter, hertz; at most half the sample rate."""
    kind: str = "logmel"

    @property
    def width(self) -> int:
        """Features of a frame."""
        return self.mels


@dataclass(frozen=True)
class MicrofrontendSpec(LogMelSpec):
    """The audio frontend of TensorFlow Lite Micro, as ESPHome's micro_wake_word sets it up.

    It hears in another way than `LogMelSpec`, in rows of the same kind
    (`edgernn.frontend.microfrontend`); nothing of it can be chosen.
    """

    hop_ms: int = 10
    low_hz: int = 125
    high_hz: int = 7500
    kind: str = "microfrontend"


ROW_MS = 10
"""Milliseconds from row to row of TensorFlow Lite Micro's frontend."""


@dataclass(frozen=True)
class WakeWordSpec(MicrofrontendSpec):
    """The same frontend as models of microWakeWord take it (`edgernn.foreign.manifest`).

    A step takes all rows since the last one, and features are quantized by the scale of the
    model's own input, as pymicro-wakeword does.
    """

    hop_ms: int = 3 * ROW_MS
    kind: str = "microwakeword"

    @property
    def stride(self) -> int:
        """Rows that a step takes, side by side, the oldest first."""
        return self.hop_ms // ROW_MS

    @property
    def width(self) -> int:
        """Features of a frame."""
        return self.mels * self.stride


@dataclass(frozen=True)
class StandardizeSpec:
    """Sensor frontend: (row - mean) / std, column by column."""

    mean: tuple[float, ...]
    """Mean of each column over the training set, in the sensor's own units."""
    std: tuple[float, ...]
    """Standard deviation of each column, in the sensor's own units; never 0."""
    columns: tuple[str, ...] = ()
    """Names of the columns, or empty when the data had none."""
    rate_hz: float = 0.0
    """Rows per second; 0 when the data did not say."""
    kind: str = "standardize"

    @property
    def width(self) -> int:
        """Features of a frame."""
        return len(self.mean)


PADDING, UNKNOWN, FIRST = 0, 1, 2
"""Tokens that are none of the vocabulary's, and the first that is."""


@dataclass(frozen=True)
class TokenSpec:
    """Text frontend: tokens are numbers, and a frame is one of them or a few.

    0 is padding and is held, never stepped; 1 is what the vocabulary lacks; from 2 on they
    are the vocabulary's.
    """

    vocabulary: tuple[str, ...]
    """Known tokens, in the order of their numbers from 2."""
    unit: str = "character"
    """What a token is: a `character`, or a `word` between spaces."""
    ngrams: int = 1
    """Tokens a frame: the n-th is the run of n units that ends there, by `buckets`."""
    buckets: int = 0
    """Numbers that runs of two or more units share by their CRC-32; one such table per n."""
    kind: str = "tokens"

    @property
    def width(self) -> int:
        """Tokens of a frame."""
        return self.ngrams

    @property
    def numbers(self) -> int:
        """Numbers there are, 0 among them: rows of an embedding."""
        return FIRST + len(self.vocabulary) + (self.ngrams - 1) * self.buckets


@dataclass(frozen=True)
class PartsSpec:
    """What comes in are outputs of other parts of the model, side by side, as codes."""

    width: int
    """Values per frame."""
    kind: str = "parts"


FrontendSpec = Union[  # noqa: UP007 - typing.get_args reads it
    LogMelSpec, MicrofrontendSpec, WakeWordSpec, StandardizeSpec, TokenSpec, PartsSpec]


@dataclass(frozen=True)
class StatePair:
    """One state tensor: feed the bytes of `output` back as `input`."""

    input: str
    output: str


@dataclass(frozen=True)
class WatchSpec:
    """How one label's scores become detections."""

    threshold: float
    smoothing_ms: int
    hysteresis: float
    refractory_ms: int


@dataclass(frozen=True)
class DetectorSpec:
    """How scores become detections (`edgernn.detect`).

    What follows the thresholds is one number for all labels, or one by label; labels that are
    left out have the number that is written here.
    """

    thresholds: Mapping[str, float]
    """Smoothed score, 0 to 1, at which a label fires; labels left out never do."""
    smoothing_ms: int | Mapping[str, int] = 100
    """Length of the moving average over scores, milliseconds."""
    hysteresis: float | Mapping[str, float] = 0.1
    """How far below its threshold a score must fall before it may fire again."""
    refractory_ms: int | Mapping[str, int] = 1000
    """Milliseconds to stay silent after a detection."""

    @classmethod
    def of(cls, watches: Mapping[str, WatchSpec]) -> "DetectorSpec":
        """The detector that has these, by label; what all share is one number."""
        def told(name: str) -> Any:
            values = {label: getattr(watch, name) for label, watch in watches.items()}
            return values if len(set(values.values())) > 1 else next(iter(values.values()))

        return cls({label: watch.threshold for label, watch in watches.items()},
                   *(told(name) for name in SHAREABLE)) if watches else cls({})

    def watch(self, label: str) -> WatchSpec:
        """What one label is detected by; one that never fires has an infinite threshold."""
        found = {}
        for name, usual in SHAREABLE.items():
            value = getattr(self, name)
            found[name] = value.get(label, usual) if isinstance(value, Mapping) else value
        return WatchSpec(self.thresholds.get(label, math.inf), **found)


SHAREABLE: dict[str, Any] = {
    each.name: each.default for each in dataclasses.fields(DetectorSpec)[1:]}
"""What labels may share, and what a label has of which nothing is said."""


DRIFT_POLICIES = {
    "never": "the state is carried for as long as the stream lasts",
    "silence": "it is reset when it has been quiet for a while",
    "overlap": "two states take turns, the next one listening before it answers",
}
"""What may be done about the drift of a state, by name."""


@dataclass(frozen=True)
class DriftSpec:
    """When the state of an endless stream begins anew (`edgernn.drift`)."""

    policy: str = "never"
    """One of `DRIFT_POLICIES`."""
    silence_ms: int = 1000
    """Milliseconds of silence after which `silence` resets."""
    quiet_db: float = 6.0
    """What counts as silence: decibels above the quietest of late, at most."""
    period_s: float = 60.0
    """Seconds for which each state of `overlap` answers."""
    overlap_s: float = 3.0
    """Seconds for which the next one listens before."""


@dataclass(frozen=True)
class ModelSpec:
    """Everything in edgernn.json."""

    labels: tuple[str, ...]
    """What each score means, in the order of the output tensor."""
    frontend: FrontendSpec
    states: tuple[StatePair, ...]
    model_sha256: str
    """SHA-256 of the FlatBuffer, hexadecimal: damage is found before it is run."""
    input: str = "x"
    """Name of the tensor that takes one frame of features."""
    output: str = "scores"
    """Name of the tensor that gives one score per label."""
    profile: str = "int8x16"
    """How it was quantized: int8, int8x16 or int16x8."""
    task: str = "spot"
    """One of `TASKS`; models of format 1 did not say."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Names of the tensors that are set once before the first step, by what they are:
    memory, keys and mask of an attention."""
    longest: int = 0
    """Tokens that it takes or gives at most; 0: any number."""
    chunk: int = 0
    """With a part that reads backward: frames that are answered together; 0: the whole
    sequence."""
    ahead: int = 0
    """Frames that the last of a chunk sees beyond itself."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the other models in this file, by their names: `decoder` is the member
    ``decoder.tflite`` of the archive, a whole model file itself."""
    detector: DetectorSpec | None = None
    drift: DriftSpec = DriftSpec()
    """What keeps the state of an endless stream from drifting; until format 3, nothing did."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Where the model comes from: versions, command, date, data and licences."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Measured accuracies, such as `int8_carry`, 0 to 1."""
    format: int = FORMAT


def to_json(spec: ModelSpec) -> str:
    """Write a spec as JSON, two spaces to a level, keys in the order of the fields."""
    return json.dumps(dataclasses.asdict(spec), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str | bytes, where: str = "edgernn.json") -> ModelSpec:
    """Read what `to_json` wrote.

    Raises
    ------
    ModelError
        If it is not JSON, is of a newer format, has a key this version does not
        know, lacks one it needs, or holds a value of another type.  `where` is
        what the message calls it.
    """
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ModelError(f"{where} is not JSON ({problem}). "
                         "Make the model again: edgernn quantize") from problem
    found = tree.get("format") if isinstance(tree, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise ModelError(f"{where} has format {found}; this edgernn reads up to {FORMAT}. "
                         "Update it: pip install --upgrade edgernn")
    spec: ModelSpec = decode(ModelSpec, tree, where)
    return spec


T = TypeVar("T")


def decode(kind: Any, tree: Any, where: str) -> Any:
    """Turn plain JSON values into the dataclass or type `kind`, strictly.

    `where` names the place in the document for the error message.
    """
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(kind, tree, where)
    if origin is tuple:
        if not isinstance(tree, list):
            raise _mismatch(where, "a list", tree)
        item = typing.get_args(kind)[0]
        return tuple(decode(item, value, f"{where}[{i}]") for i, value in enumerate(tree))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(tree, dict):
            raise _mismatch(where, "an object", tree)
        item = typing.get_args(kind)[1]
        return {key: decode(item, value, f"{where}.{key}") for key, value in tree.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, tree, where)
    if kind is float and isinstance(tree, int) and not isinstance(tree, bool):
        try:
            return float(tree)
        except OverflowError as problem:  # JSON's integers have no end
            raise _mismatch(where, "a number below 1.8e308", tree) from problem
    # bool is an int to Python, but `true` is no number to a reader of JSON.
    if not isinstance(tree, kind) or (isinstance(tree, bool) and kind is not bool):
        raise _mismatch(where, kind.__name__, tree)
    return tree


def _decode_union(union: Any, tree: Any, where: str) -> Any:
    options = [option for option in typing.get_args(union) if option is not type(None)]
    if tree is None and len(options) < len(typing.get_args(union)):
        return None
    if len(options) == 1:
        return decode(options[0], tree, where)
    if options[0] in (int, float):  # one for all, or one by name
        return decode(options[isinstance(tree, dict)], tree, where)
    if not isinstance(tree, dict):
        raise _mismatch(where, "an object", tree)
    known = {option.kind: option for option in options}
    kind = tree.get("kind")
    if not isinstance(kind, str) or kind not in known:
        raise _mismatch(f"{where}.kind", f"one of {', '.join(known)}", kind)
    return decode(known[kind], tree, where)


def _decode_dataclass(kind: Any, tree: Any, where: str) -> Any:
    if not isinstance(tree, dict):
        raise _mismatch(where, "an object", tree)
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(tree) - set(hints))
    if unknown:
        raise ModelError(f"{where} has the unknown key {unknown[0]!r}; this edgernn knows "
                         f"{', '.join(hints)}. Update it: pip install --upgrade edgernn")
    values = {key: decode(hints[key], value, f"{where}.{key}") for key, value in tree.items()}
    try:
        return kind(**values)
    except TypeError as problem:
        raise ModelError(f"{where} lacks a key: {problem}. "
                         "Make the model again: edgernn quantize") from problem


def _mismatch(where: str, needed: str, found: Any) -> ModelError:
    return ModelError(f"{where} is {found!r:.60}; {needed} was needed. "
                      "Make the model again: edgernn quantize")
