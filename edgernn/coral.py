"""The backend `edgetpu`: a Coral, through the delegate of libedgetpu.

What its compiler makes is one op, `edgetpu-custom-op`, which nothing but a Coral runs; that
compiler drops edgernn.json, and `edgernn attach` puts it back.  Written after coral.ai's
documentation ("Run inference on the Edge TPU with Python"); no Coral was at hand.
"""

from functools import partial
from typing import Any

from edgernn.errors import BackendError
from edgernn.graph import Graph

LIBRARY = "libedgetpu.so.1"
OP = "edgetpu-custom-op"
COMPILE = ("edgetpu_compiler kws.tflite && edgernn attach kws_edgetpu.tflite --from kws.tflite "
           "(quantized with `edgernn quantize --target edgetpu`)")


def interpreter_type(graph: Graph) -> Any:
    """What makes an interpreter of a model that was compiled for the Edge TPU.

    Raises
    ------
    BackendError
        If the model was not compiled, the library is missing, or there is no Coral.
    ImportError
        If no interpreter is installed that takes delegates.
    """
    if not any(op.name == OP for op in graph.ops):
        raise BackendError(f"the model has {len(graph.ops)} ops and none for the Edge TPU: it was "
                           f"not compiled for it. Compile it: {COMPILE}")
    interpreter, load_delegate = _interpreter()
    try:
        delegate = load_delegate(LIBRARY)
    except OSError as problem:  # what the dynamic linker says
        raise BackendError(f"{LIBRARY} cannot be loaded ({problem}). Install it: add coral.ai's "
                           "Debian packages, then apt install libedgetpu1-std") from problem
    except ValueError as problem:  # the library, when it finds nothing
        said = " ".join(str(problem).split())
        raise BackendError(f"{LIBRARY} finds no Coral ({said}). Plug it in, into a USB 3 port; see "
                           "that `lsusb` shows 1a6e:089a or 18d1:9302, that you are in "
                           "the group plugdev, and that no other program has it"
                           ) from problem
    return partial(interpreter, experimental_delegates=[delegate])


def _interpreter() -> tuple[Any, Any]:
    """The interpreter and its `load_delegate`: LiteRT's, or tflite-runtime's."""
    try:
        from ai_edge_litert.interpreter import Interpreter, load_delegate
    except ImportError:
        from tflite_runtime.interpreter import Interpreter, load_delegate
    return Interpreter, load_delegate
