"""What edgetpu_compiler makes of a model: one op of its own between the same ends."""

import flatbuffers

from edgernn.bundle import Bundle
from edgernn.coral import OP


def compiled_for_coral(whole: Bundle) -> bytes:
    """The FlatBuffer of a model with nothing but that op; it computes nothing here."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(whole.flatbuffer, 0)
    (main,) = model.subgraphs
    ends = [*main.inputs, *main.outputs]
    main.tensors = [main.tensors[i] for i in ends]
    for tensor in main.tensors:
        tensor.buffer = 0
    main.inputs = list(range(len(main.inputs)))
    main.outputs = list(range(len(main.inputs), len(ends)))
    op, code = schema.OperatorT(), schema.OperatorCodeT()
    op.inputs, op.outputs, op.opcodeIndex = main.inputs, main.outputs, 0
    code.deprecatedBuiltinCode = code.builtinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = OP.encode(), 1
    main.operators, model.operatorCodes = [op], [code]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
