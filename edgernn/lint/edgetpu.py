"""The Edge TPU of a Coral, by its documentation; none was at hand."""

from math import prod

from edgernn.graph import Graph, Op, Tensor
from edgernn.lint.rules import Rule, Target

PAGE = "coral.ai/docs/edgetpu/models-intro, Supported operations"


def _eight_bits(tensor: Tensor) -> str:
    """Only 8-bit tensors of fixed sizes, and constants of int32 beside them, as biases are."""
    if tensor.dtype not in ("int8", "uint8") and not (
            tensor.data is not None and tensor.dtype == "int32"):
        return f"a tensor of {tensor.dtype}; all must have 8 bits"
    if len(tensor.shape) > 3 and prod(tensor.shape[:-3]) > 1:
        return (f"a tensor of the shape {list(tensor.shape)}; only the innermost three dimensions "
                "may be above 1")
    return ""


def _one_row(graph: Graph, op: Op) -> str:
    shape = graph.tensors[op.outputs[0]].shape
    return "" if prod(shape[:-1]) == 1 else (
        f"its output is {list(shape)}; one dimension is what it gives")


_plain = Rule(activations=("NONE",))
_any = Rule()

EDGETPU = Target(
    "edgetpu", "the Edge TPU", PAGE,
    {**{name: _any for name in (
        "ADD", "SUB", "MUL", "CONV_2D", "DEPTHWISE_CONV_2D", "LOGISTIC", "TANH", "SOFTMAX",
        "RELU", "QUANTIZE", "RESHAPE", "PAD", "PACK", "MEAN", "RSQRT", "SPLIT", "STRIDED_SLICE")},
     **{name: _plain for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION")},
     "FULLY_CONNECTED": Rule(check=_one_row)},
    "Quantize it with edgernn quantize --target edgetpu, from a GRU or SimpleRNN with tanh",
    _eight_bits,
    "Read from coral.ai's table; no Edge TPU ran it, and its compiler may keep an op on the CPU "
    "for reasons that the table does not give.")
