"""Who gets a project for TensorFlow Lite Micro, and what the runtime of each can compute."""

from collections.abc import Iterator
from dataclasses import dataclass

from edgernn.errors import ModelError
from edgernn.graph import Graph, Op
from firmware_export.tflm.ops import described

OLD_LACKS = frozenset({"BATCH_MATMUL", "RSQRT"})
REDUCED = "Quantize it with one scale: edgernn quantize --weights per-tensor"


@dataclass(frozen=True)
class Target:
    """A way to build for TensorFlow Lite Micro."""

    name: str
    """As ``--target`` calls it."""
    runtime: str
    """What it links with."""
    lacks: frozenset[str] = frozenset()
    """Ops that this runtime has no kernel for."""
    one_scale: frozenset[str] = frozenset()
    """Types of input whose matrices may have only one scale."""
    suffix: str = ".cc"
    """Of C++ files."""
    include: str = ""
    """Header that brings the runtime in, where a folder on the include path does not."""


TARGETS = {target.name: target for target in (
    Target("tflm", "TensorFlow Lite Micro of 2025-03-17 or later"),
    # Seen in Arduino_TensorFlowLite 2.4.0, whose TensorFlow Lite Micro is of the same age: no
    # BATCH_MATMUL, no RSQRT of int16, and of scales per row of FULLY_CONNECTED it takes the first
    # and says nothing.  Old builders of sketches know no .cc.
    Target("arduino", "the library Chirale_TensorFLowLite 2.0.0",
           OLD_LACKS, frozenset({"int8", "int16"}), ".cpp",
           "Chirale_TensorFlowLite.h"),
    # ESP-NN's FULLY_CONNECTED looks up a row's scale for int8 alone, and says nothing.
    Target("esp-idf", "the component espressif/esp-tflite-micro 1.3.8 or later",
           one_scale=frozenset({"int16"})),
    Target("platformio", "the library spaziochirale/Chirale_TensorFLowLite 2.0.0",
           OLD_LACKS, frozenset({"int8", "int16"}), ".cpp",
           "Chirale_TensorFlowLite.h"),
    Target("zephyr", "Zephyr's module tflite-micro, of Zephyr 4.1 or later"),
)}
"""By name."""


def check(target: Target, graph: Graph) -> None:
    """A model can run in the runtime of a target.

    Raises
    ------
    ModelError
        With the op that it lacks, the layer of it, and what would work.
    """
    for op, what, remedy in _beyond(target, graph):
        raise ModelError(f"{described(graph, op)}{what}; {target.runtime}, which --target "
                         f"{target.name} links with, has no kernel for it. {remedy}, or export it "
                         "for another target: --target tflm, --target c")


def _beyond(target: Target, graph: Graph) -> Iterator[tuple[Op, str, str]]:
    for op in graph.ops:
        if op.name in target.lacks:
            yield op, "", ("Choose other layers (BATCH_MATMUL is attention's, RSQRT a "
                           "LayerNorm's)")
        if op.name == "FULLY_CONNECTED":
            x, weights = (graph.tensors[i] for i in op.inputs[:2])
            if len(weights.scales) > 1 and x.dtype in target.one_scale:
                yield op, f", from {x.dtype} with a scale for each row of its matrix", REDUCED
