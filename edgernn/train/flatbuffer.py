"""Write a TensorFlow Lite FlatBuffer, tensor by tensor and op by op.

Follows the schema (tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3); the
bindings are those that ai-edge-litert carries.
"""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

# The lowest version of each op whose kernels take int8 and int16 as used here.
VERSIONS = {"FULLY_CONNECTED": 4, "ADD": 2, "SUB": 2, "MUL": 2, "LOGISTIC": 2, "TANH": 2,
            "SOFTMAX": 2, "QUANTIZE": 1, "CAST": 1, "RSQRT": 2, "GATHER": 2, "RESHAPE": 1,
            "BATCH_MATMUL": 4, "CONCATENATION": 2, "STRIDED_SLICE": 4, "DEPTHWISE_CONV_2D": 3,
            "CONV_2D": 4, "CALL_ONCE": 1, "VAR_HANDLE": 1, "READ_VARIABLE": 1, "ASSIGN_VARIABLE": 1}
OPTIONS = {"FULLY_CONNECTED": "FullyConnectedOptions", "ADD": "AddOptions", "SUB": "SubOptions",
           "MUL": "MulOptions", "SOFTMAX": "SoftmaxOptions", "QUANTIZE": "QuantizeOptions",
           "CAST": "CastOptions", "GATHER": "GatherOptions", "RESHAPE": "ReshapeOptions",
           "BATCH_MATMUL": "BatchMatMulOptions", "CONCATENATION": "ConcatenationOptions",
           "STRIDED_SLICE": "StridedSliceOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
           "CONV_2D": "Conv2DOptions", "CALL_ONCE": "CallOnceOptions",
           "VAR_HANDLE": "VarHandleOptions", "READ_VARIABLE": "ReadVariableOptions",
           "ASSIGN_VARIABLE": "AssignVariableOptions"}
FUSING = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Ops that may end in a RELU."""

ALIGNMENT = 16
"""Bytes: the schema's force_align of a buffer.  Firmware reads an int64 bias in place."""


COUNT_BYTES = 4
"""Of the number of elements, which a vector begins with."""


class _Buffer(schema.BufferT):
    """A buffer that starts at a multiple of `ALIGNMENT`, which the bindings forget."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 - the bindings' name
        if self.data is not None:
            builder.Prep(ALIGNMENT, len(self.data))
        offset: int = super().Pack(builder)
        return offset


class Builder(flatbuffers.Builder):
    """Writes a vector of numbers, or a text, once: what is equal to it later points to it.

    A step model is full of equal ones (shapes, scales, the zero points of every matrix of as many
    rows), a fifth of the file.  FlatBuffers allows it, and readers do not notice.
    """

    def __init__(self) -> None:
        super().__init__(1 << 16)
        self._written: dict[tuple[int, bytes], int] = {}
        self._begin = 0
        self._size: int | None = 0
        """Bytes of the vector being written; None if it points elsewhere, from where it stands."""
        self._alignment = 1

    def StartVector(self, size: int, count: int, alignment: int) -> int:  # noqa: N802 - as named
        self._begin, self._size, self._alignment = self.Offset(), size * count, alignment
        return int(super().StartVector(size, count, alignment))

    def CreateString(self, text: str) -> int:  # noqa: N802
        self._begin, self._size, self._alignment = self.Offset(), len(text.encode()) + 1, 1
        return int(super().CreateString(text))

    def PrependUOffsetTRelative(self, offset: int) -> None:  # noqa: N802
        self._size = None
        super().PrependUOffsetTRelative(offset)

    def EndVector(self) -> int:  # noqa: N802
        offset = int(super().EndVector())
        if self._size is None:
            return offset
        head = len(self.Bytes) - offset
        content = bytes(self.Bytes[head:head + COUNT_BYTES + self._size])
        before = self._written.setdefault((self._alignment, content), offset)
        if before != offset:
            self.head = len(self.Bytes) - self._begin
        return before


class GraphWriter:
    """One model of one subgraph, grown by `tensor` and `op` and closed by `finish`.

    Equal calls give equal bytes.
    """

    def __init__(self, description: str) -> None:
        self._codes: dict[str, int] = {}
        self._graph = schema.SubGraphT()
        self._graph.name, self._graph.tensors, self._graph.operators = "main", [], []
        self._model = schema.ModelT()
        self._model.version, self._model.description = 3, description
        # The schema wants buffer 0 empty: it is what tensors without data point to.
        self._model.buffers, self._model.operatorCodes = [schema.BufferT()], []
        self._model.subgraphs = [self._graph]

    def tensor(self, name: str, shape: Sequence[int], dtype: str, scales: Sequence[float] = (),
               zero_point: int = 0, data: NDArray[Any] | None = None, axis: int = 0) -> int:
        """Add a tensor and return its index.

        Parameters
        ----------
        name : str
        shape : ints
        dtype : str
            numpy name of the integer.
        scales : floats
            One, or one per index along `axis`: row of a weight matrix, entry of its bias.
        zero_point : int
            Of every scale.
        data : array
            Of a constant; cast to `dtype`.
        """
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, list(shape)
        tensor.type = getattr(schema.TensorType, dtype.upper())
        if scales:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(scales)
            tensor.quantization.zeroPoint = [zero_point] * len(scales)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            buffer = _Buffer()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def op(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        """Append an op, to run after all before it.

        Parameters
        ----------
        name : str
            One of `VERSIONS`.
        inputs, outputs : ints
            Tensor indices.
        **options
            `activation` of one of `FUSING` (NONE, RELU), `beta` of a SOFTMAX,
            `adj_y` of a BATCH_MATMUL, `axis` of a CONCATENATION (1), `subgraph` of a CALL_ONCE,
            `variable` (a name) of a VAR_HANDLE.
        """
        operator = schema.OperatorT()
        operator.opcodeIndex = self._opcode(name)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if name in OPTIONS:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, OPTIONS[name])
            operator.builtinOptions = chosen = getattr(schema, OPTIONS[name] + "T")()
            if name in FUSING:
                chosen.fusedActivationFunction = getattr(schema.ActivationFunctionType,
                                                         options.get("activation", "NONE"))
            if name == "SOFTMAX":
                chosen.beta = options.get("beta", 1.0)
            elif name == "CONCATENATION":
                chosen.axis = options.get("axis", 1)
            elif name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                chosen.padding, chosen.strideW, chosen.strideH = schema.Padding.VALID, 1, 1
                if name == "DEPTHWISE_CONV_2D":
                    chosen.depthMultiplier = 1
            elif name == "BATCH_MATMUL":
                chosen.adjY = options.get("adj_y", False)
            elif name == "CAST":
                chosen.inDataType = self._graph.tensors[inputs[0]].type
                chosen.outDataType = self._graph.tensors[outputs[0]].type
            elif name == "CALL_ONCE":
                chosen.initSubgraphIndex = options["subgraph"]
            elif name == "VAR_HANDLE":
                chosen.container, chosen.sharedName = "", options["variable"]
            elif name in ("ADD", "SUB"):
                # True, the schema's default, would claim scales that are powers of two.
                chosen.potScaleInt16 = False
        self._graph.operators.append(operator)

    def variables(
        self, begins: Sequence[tuple[str, Sequence[int], str, Sequence[float], int]]
    ) -> list[int]:
        """Variables that remember from run to run; to be called before any `op`.

        A second subgraph, which the first op of the main one runs once, sets them to their zero
        points.

        Parameters
        ----------
        begins : sequence of (name, shape, dtype, scales, zero_point)

        Returns
        -------
        list of int
            Their handles, for READ_VARIABLE and ASSIGN_VARIABLE.
        """
        main = self._graph
        self._graph = schema.SubGraphT()
        self._graph.name, self._graph.tensors, self._graph.operators = "begin", [], []
        self._graph.inputs, self._graph.outputs = [], []
        for name, shape, dtype, scales, zero in begins:
            value = self.tensor(f"{name}/begin", shape, dtype, scales, zero,
                                np.full(shape, zero, dtype))
            self.op("ASSIGN_VARIABLE", [self._handle(name), value], [])
        self._model.subgraphs.append(self._graph)
        self._graph = main
        if begins:
            self.op("CALL_ONCE", [], [], subgraph=1)
        return [self._handle(name) for name, *_ in begins]

    def _handle(self, name: str) -> int:
        handle = self.tensor(f"{name}/handle", (), "resource")
        self.op("VAR_HANDLE", [], [handle], variable=name)
        return handle

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The model, with one signature that names inputs and outputs by their tensors."""
        self._graph.inputs, self._graph.outputs = list(inputs), list(outputs)
        signature = schema.SignatureDefT()
        signature.signatureKey = "serving_default"
        signature.inputs, signature.outputs = self._maps(inputs), self._maps(outputs)
        self._model.signatureDefs = [signature]
        builder = Builder()
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _opcode(self, name: str) -> int:
        if name not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            # Readers from before 2020 look only here.
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = VERSIONS[name]
            self._codes[name] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(code)
        return self._codes[name]

    def _maps(self, indices: Sequence[int]) -> list[Any]:
        maps = []
        for index in indices:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = self._graph.tensors[index].name, index
            maps.append(entry)
        return maps
