"""The stock component micro_wake_word of ESPHome."""

from edgernn.lint.rules import Target
from edgernn.lint.tflm import TFLM

STOCK = frozenset({
    "CALL_ONCE", "VAR_HANDLE", "RESHAPE", "READ_VARIABLE", "STRIDED_SLICE", "CONCATENATION",
    "ASSIGN_VARIABLE", "CONV_2D", "MUL", "ADD", "MEAN", "FULLY_CONNECTED", "LOGISTIC", "QUANTIZE",
    "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "PACK", "SPLIT_V"})
"""What StreamingModel::register_streaming_ops_ adds to its resolver."""

ESPHOME = Target(
    "esphome", "ESPHome's micro_wake_word",
    "esphome/components/micro_wake_word/streaming_model.cpp",
    {name: rule for name, rule in TFLM.rules.items() if name in STOCK},
    "Rewrite the model: edgernn export --target esphome does it for GRU, LSTM and SimpleRNN")
