"""Models from elsewhere: .tflite files without an edgernn.json.

Their states are inputs and outputs (`edgernn.foreign.pairs`) or variables in the graph
(`edgernn.foreign.variables`); what they listen to and for is in a manifest, if they have one
(`edgernn.foreign.manifest`).  What is found out becomes an ordinary `ModelSpec`, so that all that
runs ours runs them too.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgernn import bundle, tflite
from edgernn.foreign import manifest
from edgernn.foreign.pairs import Ends, find_pairs
from edgernn.foreign.variables import Lifted, lift
from edgernn.graph import Graph, Tensor
from edgernn.spec import ModelSpec, StandardizeSpec

OURS = "edgernn step"
"""What every model of ours says of itself: one without its edgernn.json has lost it."""
PROBABILITIES = {("int8", 1 / 256, -128), ("uint8", 1 / 256, 0), ("int16", 1 / 32768, 0)}
"""Types of a SOFTMAX or LOGISTIC, fixed by TensorFlow Lite's quantization specification."""


def is_foreign(path: Path, data: bytes) -> bool:
    """Whether a file without an edgernn.json is a model from elsewhere, or the manifest of one.

    A model of ours that lost its edgernn.json is none: it must not run by guesses.
    """
    if path.suffix == ".json" or manifest.beside(path):
        return True
    return data[4:8] == b"TFL3" and tflite.description(data) != OURS


def read(path: Path, data: bytes, states: Mapping[str, str]) -> bundle.Bundle:
    """Find out what a model from elsewhere is.

    Parameters
    ----------
    path : path
        A .tflite, or the manifest of one.
    data : bytes
        What is in it.
    states : mapping
        Names of states as inputs, and of the outputs that are their next values, of those that
        `find_pairs` cannot tell.

    Raises
    ------
    ModelError
        If the manifest or the model cannot be understood or used.
    """
    described = path if path.suffix == ".json" else manifest.beside(path)
    told = manifest.read(described) if described else None
    if told and path == described:
        path = told.model
        data = manifest.model_bytes(told)
    lifted = lift(data)
    graph = tflite.read(lifted.flatbuffer)
    ends = find_pairs(graph, tflite.signature(lifted.flatbuffer), states, lifted.states)
    spec = _spec(graph, ends, lifted, hashlib.sha256(data).hexdigest())
    if told:
        spec = manifest.applied(told, spec, graph)
    return bundle.Bundle(path, lifted.flatbuffer, spec, foreign=True, begins=lifted.begins)


def _spec(graph: Graph, ends: Ends, lifted: Lifted, sha256: str) -> ModelSpec:
    """What can be said of a model without a manifest: frames are rows of its own features."""
    x, scores = graph.tensor(ends.input), graph.tensor(ends.output)
    width, count = (int(np.prod(tensor.shape)) for tensor in (x, scores))
    held = len(lifted.states)
    origin = {"states": f"{held} variables, which are inputs and outputs here"} if held else {}
    return ModelSpec(
        labels=tuple(f"score{i}" for i in range(count)),
        frontend=StandardizeSpec((0.0,) * width, (1.0,) * width), states=ends.states,
        model_sha256=sha256, input=ends.input, output=ends.output, profile=_profile(graph),
        task="label" if _kind(scores) in PROBABILITIES else "regress", provenance=origin)


def _kind(tensor: Tensor) -> tuple[str, float, int] | None:
    if len(tensor.scales) != 1:
        return None
    return tensor.dtype, float(np.float32(tensor.scales[0])), tensor.zero_points[0]


def _profile(graph: Graph) -> str:
    """Types of what is computed, in a word."""
    types = {t.dtype for t in graph.tensors if t.data is None and t.dtype in ("int8", "int16")}
    return {frozenset({"int8"}): "int8", frozenset({"int16"}): "int16x8"}.get(
        frozenset(types), "int8x16" if types else REAL)


REAL = "float32"
