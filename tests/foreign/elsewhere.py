"""Models as if they came from elsewhere."""

from pathlib import Path

import pytest

from edgernn import bundle
from edgernn.foreign import OURS


def repacked(flatbuffer, change):
    """The FlatBuffer after `change` was called on its object tree."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer))
    change(model)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def stripped(path: Path, names=None) -> Path:
    """One of our models without its edgernn.json and its origin, in a file beside it.

    `names`: called with every tensor's name, gives another; signatures are then dropped.
    """
    def change(model):
        model.description = b"somebody's"
        if names:
            model.signatureDefs = None
            for tensor in model.subgraphs[0].tensors:
                tensor.name = names(tensor.name.decode()).encode()

    flatbuffer, _ = bundle.split(path.read_bytes())
    assert OURS.encode() in flatbuffer
    other = path.with_name("elsewhere.tflite")
    other.write_bytes(repacked(flatbuffer, change))
    return other
