"""The ops of a model as TensorFlow Lite Micro's resolver names them."""

import re

from edgernn.errors import ModelError
from edgernn.graph import Graph, Op

ADDERS = {
    "ADD": "AddAdd", "BATCH_MATMUL": "AddBatchMatMul", "CAST": "AddCast",
    "CONCATENATION": "AddConcatenation", "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "FULLY_CONNECTED": "AddFullyConnected", "GATHER": "AddGather", "LOGISTIC": "AddLogistic",
    "MUL": "AddMul", "QUANTIZE": "AddQuantize", "RESHAPE": "AddReshape", "RSQRT": "AddRsqrt",
    "SOFTMAX": "AddSoftmax", "STRIDED_SLICE": "AddStridedSlice", "SUB": "AddSub",
    "TANH": "AddTanh"}
"""Methods of MicroMutableOpResolver, by the op that each one adds.

These are the ops that edgernn emits: for others there is no emulator, so no proof to ship.
"""


def adders(graph: Graph) -> list[str]:
    """The methods that add exactly the ops of a graph.

    Raises
    ------
    ModelError
        If an op is none that edgernn emits.
    """
    for op in graph.ops:
        if op.name not in ADDERS:
            raise ModelError(f"{described(graph, op)}; the export knows "
                             f"{', '.join(sorted(ADDERS))}. Make the model with edgernn quantize, "
                             "which emits no other")
    return [ADDERS[name] for name in sorted({op.name for op in graph.ops})]


def described(graph: Graph, op: Op) -> str:
    """An op and where it came from, for an error: tensors' names begin with their layer's."""
    made = graph.tensors[op.outputs[0]].name
    # A layer's name is its kind and its number: ln_gru0_z is of ln_gru0.
    layer = re.match(r"[a-z]\w*?\d+(?=_)", made)
    of = f" of the layer {layer[0]!r}" if layer else ""
    return f"the model has the op {op.name}, which makes {made!r}{of}"
