"""LiteRT, the interpreter of desktops, phones and Pis; tflite-runtime before it but for RSQRT."""

from edgernn.lint.rules import Rule, Target, pairs, same
from edgernn.lint.tflm import TYPED

KERNELS = "tensorflow/lite/kernels"
WIDER: dict[str, Rule] = {
    "GATHER": Rule(inputs=1, types=same("float32", "int8", "int16", "int32", "int64", "uint8",
                                        "bool")),
    "CAST": Rule(),
    "SOFTMAX": Rule(types=same("float32", "int8", "int16", "uint8") | pairs(
        ("int8", "int16"))),
    "STRIDED_SLICE": Rule(types=same("float32", "int8", "int16", "int32", "int64", "uint8",
                                     "bool")),
    "CONCATENATION": Rule(types=same("float32", "int8", "int16", "int32", "int64", "uint8",
                                     "bool")),
    "QUANTIZE": Rule(types=(TYPED["QUANTIZE"].types or frozenset()) - pairs(
        ("int8", "int32"), ("int16", "int32"))),
    "RSQRT": Rule(types=same("float32", "int8", "int16")),
}
UNTYPED = ("RELU", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "SPLIT")

LITERT = Target(
    "litert", "LiteRT", f"{KERNELS}/register.cc",
    {**{name: Rule(rule.types, rule.inputs, rule.activations) for name, rule in TYPED.items()},
     **{name: Rule() for name in UNTYPED}, **WIDER},
    "Make the model again with `edgernn quantize`; or run it with --backend emulator")
