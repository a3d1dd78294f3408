"""TensorFlow Lite Micro, and CMSIS-NN under it."""

from edgernn.graph import Graph, Op
from edgernn.lint.rules import Rule, Target, pairs, same

KERNELS = "tensorflow/lite/micro/kernels"
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")
"""CalculateActivationRangeQuantized knows these; TANH is ignored or refused."""

MATMUL = pairs(("float32", "float32", "float32"), ("int8", "int8", "int8"),
               ("int16", "int8", "int16"))
ELEMENTWISE = pairs(("float32", "float32", "float32"), ("int8", "int8", "int8"),
                    ("int16", "int16", "int16"), ("int32", "int32", "int32"))
REALS = same("float32", "int8", "int16")
QUANTIZED = ("int8", "int16")


def _one_scale(graph: Graph, op: Op) -> str:
    """A CONCATENATION of int8 copies bytes, so that its scales must be one."""
    tensors = [graph.tensors[i] for i in (*op.inputs, *op.outputs)]
    if tensors[-1].dtype == "int8" and len({(t.scales, t.zero_points) for t in tensors}) > 1:
        return "its inputs and its output have different scales, and it copies their bytes"
    return ""


def _zero_points(graph: Graph, op: Op) -> str:
    for i in (*op.inputs, *op.outputs):
        tensor = graph.tensors[i]
        if tensor.dtype == "int16" and any(tensor.zero_points):
            return f"an int16 tensor with the zero point {tensor.zero_points[0]}; 0 is needed"
    return ""


def _tflm(name: str, **options: object) -> Rule:
    return Rule(source=f"{KERNELS}/{name}.cc", **options)  # type: ignore[arg-type]


TYPED: dict[str, Rule] = {
    "FULLY_CONNECTED": _tflm("fully_connected", types=MATMUL, inputs=2, activations=ACTIVATIONS,
                             check=_zero_points),
    "CONV_2D": _tflm("conv", types=MATMUL, inputs=2, activations=ACTIVATIONS, check=_zero_points),
    "DEPTHWISE_CONV_2D": _tflm("depthwise_conv", types=MATMUL, inputs=2, activations=ACTIVATIONS,
                               check=_zero_points),
    "BATCH_MATMUL": _tflm("batch_matmul", inputs=2, check=_zero_points, types=pairs(
        ("float32",) * 3, ("int8",) * 3, ("int16",) * 3)),
    "ADD": _tflm("add", types=ELEMENTWISE, inputs=2, activations=ACTIVATIONS),
    "SUB": _tflm("sub", types=ELEMENTWISE, inputs=2, activations=ACTIVATIONS),
    "MUL": _tflm("mul", types=ELEMENTWISE, inputs=2, activations=ACTIVATIONS, check=_zero_points),
    "LOGISTIC": _tflm("logistic", types=REALS, check=_zero_points),
    "TANH": _tflm("tanh", types=REALS, check=_zero_points),
    "SOFTMAX": _tflm("softmax", types=REALS),
    "RSQRT": _tflm("elementwise", types=REALS, check=_zero_points),
    "QUANTIZE": _tflm("quantize_common", types=pairs(
        *((a, b) for a in ("float32", "int8", "int16", "int32") for b in QUANTIZED
          if (a, b) != ("int32", "float32")),
        ("int8", "uint8"), ("uint8", "int8"), ("int8", "int32"), ("int16", "int32"))),
    "DEQUANTIZE": _tflm("dequantize", types=pairs(("int8", "float32"), ("int16", "float32"),
                                                  ("uint8", "float32"))),
    "CAST": _tflm("cast", types=pairs(*(
        (a, b) for a in ("int8", "int16", "int32", "uint32", "float32", "bool")
        for b in ("int8", "int16", "int32", "uint32", "float32")))),
    "GATHER": _tflm("gather", inputs=2, types=pairs(("float32", "int32", "float32"),
                                                    ("int8", "int32", "int8"))),
    "CONCATENATION": _tflm("concatenation", activations=("NONE",), check=_one_scale,
                           types=same("float32", "int8", "int16", "int32", "int64", "bool")),
    "STRIDED_SLICE": _tflm("strided_slice", types=same("float32", *QUANTIZED, "int32", "bool")),
    "SPLIT": _tflm("split"),
    "SPLIT_V": _tflm("split_v", types=same("float32", *QUANTIZED, "int32")),
    "PACK": _tflm("pack", types=same("float32", *QUANTIZED, "int32", "int64")),
    "PAD": _tflm("pad", types=same("float32", *QUANTIZED, "int32")),
    "MEAN": _tflm("reduce_common", types=REALS),
    "AVERAGE_POOL_2D": _tflm("pooling", types=REALS, activations=ACTIVATIONS),
    "MAX_POOL_2D": _tflm("pooling", types=REALS, activations=ACTIVATIONS),
    "RESHAPE": _tflm("reshape_common"),
}
"""Those whose types were read in the kernels."""

UNTYPED = ("RELU", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
RESOLVER = "tensorflow/lite/micro/micro_mutable_op_resolver.h"
REMEDY = ("Make the model again with `edgernn quantize`, which emits nothing else; or change the "
          "layer")

TFLM = Target(
    "tflm", "TensorFlow Lite Micro", RESOLVER,
    {**TYPED, **{name: Rule(source=RESOLVER) for name in UNTYPED}}, REMEDY)

_8, _16 = ("int8",), ("int16",)
ACCELERATED = {
    "FULLY_CONNECTED": pairs(_8 * 3, ("int16", "int8", "int16")),
    "CONV_2D": pairs(_8 * 3, ("int16", "int8", "int16")),
    "DEPTHWISE_CONV_2D": pairs(_8 * 3, ("int16", "int8", "int16")),
    "BATCH_MATMUL": pairs(_8 * 3, _16 * 3),
    "ADD": pairs(_8 * 3, _16 * 3),
    "MUL": pairs(_8 * 3, _16 * 3),
    "SOFTMAX": same(*QUANTIZED),
    "PAD": same(*QUANTIZED),
    "AVERAGE_POOL_2D": same(*QUANTIZED),
    "MAX_POOL_2D": same(*QUANTIZED),
}
"""Kernels in tensorflow/lite/micro/kernels/cmsis_nn; all other ops run TFLM's own."""


def _accelerated(name: str, rule: Rule) -> Rule:
    known = ACCELERATED.get(name)
    source = f"{KERNELS}/cmsis_nn" if known else rule.source
    return Rule(rule.types, rule.inputs, rule.activations, known or frozenset(), rule.check, source)


CMSIS_NN = Target(
    "cmsis-nn", "TensorFlow Lite Micro with CMSIS-NN", RESOLVER,
    {name: _accelerated(name, rule) for name, rule in TFLM.rules.items()}, REMEDY)
