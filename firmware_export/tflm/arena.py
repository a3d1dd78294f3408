"""How many bytes TensorFlow Lite Micro needs for a model: measured, not guessed."""

import importlib.metadata
import re
import subprocess
import sys
from dataclasses import dataclass

from edgernn.errors import BackendError
from edgernn.graph import Graph
from edgernn.interpreter import PACKAGES

ALIGNED = 16
"""Bytes: allocations in an arena begin at multiples of it."""
GRAIN = 4 * ALIGNED
"""Bytes: as finely as an arena is measured."""
TRY_S = 120
"""A measurement that takes longer hangs."""

PROGRAM = """
import sys
from tflite_micro.python.tflite_micro import runtime
model, bytes_ = sys.stdin.buffer.read(), int(sys.argv[1])
interpreter = runtime.Interpreter.from_bytes(model, arena_size=bytes_ or None)
interpreter.invoke()
if not bytes_:
    interpreter.print_allocations()
"""


@dataclass(frozen=True)
class Arena:
    """Bytes of an arena."""

    used: int
    """The fewest with which tflite-micro runs the model on x86-64, to `GRAIN` bytes; 0 if it
    was not measured."""
    margin: int
    """For kernels that keep more than the reference kernels do; see `margin`."""
    runtime: str = ""
    """What measured it."""

    @property
    def bytes(self) -> int:
        """What the firmware sets aside."""
        return self.used + self.margin


def measure(flatbuffer: bytes, graph: Graph) -> Arena:
    """The arena of a model.

    x86-64 has pointers of 64 bits and a microcontroller of 32, so with the same kernels what
    is measured here is an upper bound there.

    Raises
    ------
    BackendError
        If tflite-micro is not installed, or does not run the model.
    """
    used, runtime = fewest(flatbuffer)
    return Arena(used, margin(graph, used), runtime)


def fewest(flatbuffer: bytes) -> tuple[int, str]:
    """`Arena.used` and `Arena.runtime` of a model; errors as of `measure`."""
    try:
        version = importlib.metadata.version(PACKAGES["tflm"])
    except importlib.metadata.PackageNotFoundError as problem:
        raise BackendError("the arena is measured with tflite-micro, which is not installed (it "
                           "has wheels for x86-64 alone). Install it: pip install tflite-micro; or "
                           "say how many bytes to set aside: --arena 30000") from problem
    done = _run(flatbuffer, 0)
    said = re.search(r"Arena allocation total (\d+) bytes", done.stderr)
    if done.returncode or not said:
        raise BackendError(f"tflite-micro does not run the model: {done.stderr.strip()[-300:]}. "
                           "Quantize it again: edgernn quantize")
    return _fewest(flatbuffer, int(said.group(1))), f"tflite-micro {version}"


def _fewest(flatbuffer: bytes, allocated: int) -> int:
    """The fewest bytes that are enough, to `GRAIN`.

    At least what is allocated in the end; what is borrowed in between comes on top.
    """
    low, high = allocated // GRAIN, 2 * allocated // GRAIN
    while _run(flatbuffer, high * GRAIN).returncode:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _run(flatbuffer, middle * GRAIN).returncode:
            low = middle
        else:
            high = middle
    return high * GRAIN


def _run(flatbuffer: bytes, bytes_: int) -> "subprocess.CompletedProcess[str]":
    """Once in a process of its own: in an arena too small TFLM may write beyond it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(bytes_)], input=flatbuffer,
                          capture_output=True, timeout=TRY_S, check=False)
    return subprocess.CompletedProcess(done.args, done.returncode,
                                       done.stdout.decode("utf-8", "replace"),
                                       done.stderr.decode("utf-8", "replace"))


def margin(graph: Graph, used: int) -> int:
    """Bytes that optimized kernels keep in the arena, and the reference kernels do not.

    CMSIS-NN for Helium keeps the sum of each row of a FULLY_CONNECTED (4 bytes an output); its
    DEPTHWISE_CONV_2D and ESP-NN's want a scratch of 2 bytes a tap and channel, on Helium 4 bytes
    for each of 124 channels at once.  A sixteenth of all is for versions to come.
    """
    kept = scratch = 0
    for op in graph.ops:
        shape = graph.tensors[op.inputs[1]].shape if len(op.inputs) > 1 else ()
        if op.name == "FULLY_CONNECTED":
            kept += 4 * shape[0] + ALIGNED
        if op.name == "DEPTHWISE_CONV_2D":
            taps, channels = shape[1], shape[3]
            scratch = max(scratch, taps * max(2 * channels, 4 * 124) + ALIGNED)
    return -(-(kept + scratch + used // 16) // GRAIN) * GRAIN
