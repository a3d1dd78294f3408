"""The manifest of a wake word for microWakeWord: what its .json says beside its .tflite.

Version 2, as ESPHome's micro_wake_word and the package pymicro-wakeword read it:
https://esphome.io/components/micro_wake_word
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

from edgernn.detect import ONE
from edgernn.errors import ModelError
from edgernn.graph import Graph, Tensor
from edgernn.spec import ROW_MS, DetectorSpec, MicrofrontendSpec, ModelSpec, WakeWordSpec

KIND, VERSION = "micro", 2
REMEDY = "Give a manifest of version 2 as ESPHome's micro_wake_word has it"
PER_CODE = ONE // 256
"""A detector's units per code of a score whose scale is 1/256."""


@dataclass(frozen=True)
class Manifest:
    """A wake word, described."""

    path: Path
    model: Path
    wake_word: str
    probability_cutoff: float
    """The mean of the last scores must be above this, 0 to 1."""
    sliding_window_size: int
    """How many scores that is."""
    origin: Mapping[str, str]
    """Author, website, languages."""


def beside(path: Path) -> Path | None:
    """The manifest ``NAME.json`` beside ``NAME.tflite``, if there is one that names it."""
    other = path.with_suffix(".json")
    if path.suffix != ".tflite" or not other.is_file():
        return None
    try:
        tree = json.loads(other.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    is_one = isinstance(tree, dict) and tree.get("type") == KIND
    return other if is_one and tree.get("model") == path.name else None


def read(path: Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    ModelError
        If it is none, is of another version, or lacks something.
    """
    try:
        tree = json.loads(path.read_bytes())
    except OSError as problem:
        raise ModelError(f"{path} cannot be read: {problem.strerror}. {REMEDY}") from problem
    except (ValueError, RecursionError) as problem:
        raise ModelError(f"{path} is not JSON ({problem}). {REMEDY}") from problem
    if not isinstance(tree, dict) or tree.get("type") != KIND:
        kind = tree.get("type") if isinstance(tree, dict) else tree
        raise ModelError(f"{path} describes {kind!r:.60}; the type {KIND!r} was needed. {REMEDY}")
    if tree.get("version") != VERSION:
        raise ModelError(f"{path} is of version {tree.get('version')!r:.20}; {VERSION} was needed. "
                         f"{REMEDY}")
    get = _Reader(path, tree)
    micro = _Reader(path, get("micro", dict))
    cutoff, window = micro("probability_cutoff", float), micro("sliding_window_size", int)
    step_ms = micro("feature_step_size", int)
    if not 0 < cutoff < 1 or not 0 < window <= PER_CODE or step_ms != ROW_MS:
        raise ModelError(
            f"{path} has probability_cutoff {cutoff:g}, sliding_window_size {window} and "
            f"feature_step_size {step_ms}; above 0 and below 1, 1 to {PER_CODE}, and {ROW_MS} "
            f"were needed. {REMEDY}")
    origin = {key: tree[key] for key in ("author", "website") if isinstance(tree.get(key), str)}
    if isinstance(tree.get("trained_languages"), list):
        origin["languages"] = ", ".join(map(str, tree["trained_languages"]))
    return Manifest(path, path.parent / Path(get("model", str)).name, get("wake_word", str),
                    cutoff, window, origin)


def model_bytes(manifest: Manifest) -> bytes:
    """The model that a manifest names, which is a file beside it.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    try:
        return manifest.model.read_bytes()
    except OSError as problem:
        raise ModelError(f"{manifest.path} names the model {manifest.model.name!r}, which cannot "
                         f"be read: {problem.strerror}. Put it beside the manifest") from problem


def applied(manifest: Manifest, spec: ModelSpec, graph: Graph) -> ModelSpec:
    """What a model is, with what its manifest says of it.

    Raises
    ------
    ModelError
        If the model does not take rows of the frontend, or gives more than one score.
    """
    x, scores = graph.tensor(spec.input), graph.tensor(spec.output)
    mels = MicrofrontendSpec().mels
    if x.shape[-1:] != (mels,) or len(x.shape) != 3 or x.shape[0] != 1 or len(spec.labels) != 1:
        raise ModelError(f"the model of {manifest.path} takes {list(x.shape)} and gives "
                         f"{list(scores.shape)}; [1, rows, {mels}] and one score were needed. "
                         f"{REMEDY}")
    frontend = WakeWordSpec(hop_ms=ROW_MS * x.shape[1])
    window = manifest.sliding_window_size
    detector = DetectorSpec(
        {manifest.wake_word: threshold(manifest.probability_cutoff, window, scores)},
        smoothing_ms=window * frontend.hop_ms)
    return dataclasses.replace(
        spec, labels=(manifest.wake_word,), frontend=frontend, task="label", detector=detector,
        provenance={"manifest": manifest.path.name, **manifest.origin, **spec.provenance})


def threshold(cutoff: float, window: int, scores: Tensor) -> float:
    """The threshold that fires at the very scores whose mean is above a cutoff.

    A manifest's rule is ``mean > cutoff``, in floats; a detector's is ``sum >= window *
    round(32768 * threshold)``, in integers.  Of scores in steps of 1/256, whose sums are whole,
    there is a threshold that parts those above from those not above.

    Raises
    ------
    ModelError
        If the scores have other steps.
    """
    if scores.dtype not in ("int8", "uint8") or scores.scales != (1 / 256,):
        raise ModelError(f"the model's score is {scores.dtype} with the scales {scores.scales}; "
                         f"8 bits and 1/256 were needed. {REMEDY}")
    below = floor(Fraction(cutoff) * 256 * window)
    while (below + 1) / (256 * window) <= cutoff:
        below += 1
    while below / (256 * window) > cutoff:
        below -= 1
    # Above PER_CODE * below, so that sum does not fire; up to PER_CODE * (below + 1), which does.
    lowest = floor(Fraction(PER_CODE * below, window)) + 1
    highest = floor(Fraction(PER_CODE * (below + 1), window))
    return min(max(round(ONE * cutoff), lowest), highest) / ONE


class _Reader:
    """The values of an object, by key and type."""

    def __init__(self, path: Path, tree: Mapping[str, Any]) -> None:
        self._path, self._tree = path, tree

    def __call__(self, key: str, kind: type) -> Any:
        value = self._tree.get(key)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ModelError(f"{self._path} has {key} {value!r:.60}; a {kind.__name__} was "
                             f"needed. {REMEDY}")
        return value
