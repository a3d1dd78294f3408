"""Write a network as an integer step.

The converter of TensorFlow calibrates the two ends of a state apart, cannot mix
int8 and int16, and crashes on int8 recurrent layers; so the FlatBuffer is written
directly.  The state's two ends have one type by construction: carrying it is a
copy of bytes.
"""

from typing import Any

from edgernn.quant import QType
from edgernn.spec import LogMelSpec, PartsSpec, StatePair, TokenSpec
from edgernn.train.blocks.block import Context, State
from edgernn.train.calibrate import Ranges
from edgernn.train.flatbuffer import GraphWriter
from edgernn.train.intops import Calls, IntOps
from edgernn.train.network import Network
from edgernn.train.profile import TANH, Profile, power_of_two, symmetric

LOGMEL_INPUT = {"int8": QType("int8", 1 / 32), "int16": QType("int16", 1 / 1024)}
"""Log-mel codes are 1/1024 each; 1/32 is a shift away (`quant.shift_codes`)."""
TOKEN = QType("int32", 1.0)
"""A token is its own number."""


def emit(network: Network, ranges: Ranges, profile: Profile,
         per_channel: bool = True) -> tuple[bytes, tuple[StatePair, ...]]:
    """Write the step of a network.

    Parameters
    ----------
    network : Network
    ranges : dict
        From `calibrate`.
    profile : Profile
    per_channel : bool
        One weight scale per output unit rather than per matrix: more accurate, and
        8 bytes a unit larger: a scale of its weights and one of its bias.

    Returns
    -------
    bytes
        A FlatBuffer with the inputs `x`, every state and every context, the outputs
        `scores` and every state.
    tuple of StatePair
        Which output to feed back to which input.
    """
    architecture = network.architecture
    writer = GraphWriter("edgernn step")
    x_type = _input_type(network, profile, ranges)
    states = {name: x_type if state.of_input and name.startswith(network.first) else
              _state_type(name, state, profile, ranges)
              for name, state in network.states.items()}
    ops = IntOps(writer, profile, ranges, states, per_channel)
    x = ops.value("x", x_type, (architecture.features,))
    before = {name: ops.value(f"{name}_in", states[name], state.shape)
              for name, state in network.states.items()}
    contexts = {name: ops.value(name, _context_type(name, context, profile, ranges),
                                 context.shape)
                for name, context in network.contexts.items()}
    scores, after = network.step(ops, x, before | contexts)
    ends = [scores.index, *(after[name].index for name in before)]
    for op, inputs, outputs, options in _scheduled(_needed(ops.calls, ends)):
        writer.op(op, inputs, outputs, **options)
    data = writer.finish([v.index for v in (x, *before.values(), *contexts.values())], ends)
    return data, tuple(StatePair(before[n].name, after[n].name) for n in before)


def _state_type(name: str, state: State, profile: Profile, ranges: Ranges) -> QType:
    if state.kind == "unit":
        return TANH[profile.state]
    if state.kind == "ring":
        return symmetric(*ranges[f"{name}_out"], profile.matmul)
    return power_of_two(*ranges[f"{name}_out"])


def _context_type(name: str, context: Context, profile: Profile, ranges: Ranges) -> QType:
    """As the part that makes it has it; a mask takes any score to the bottom of the sum's type."""
    if context.kind == "mask":
        low, high = ranges[f"{name}ed"]
        return symmetric(0.0, high - low, profile.gates)
    if context.kind == "export":
        return symmetric(*ranges[name], profile.matmul)
    return TANH[profile.matmul]


def _input_type(network: Network, profile: Profile, ranges: Ranges) -> QType:
    if isinstance(network.architecture.frontend, TokenSpec):
        return TOKEN
    if isinstance(network.architecture.frontend, LogMelSpec):
        return LOGMEL_INPUT[profile.matmul]
    if isinstance(network.architecture.frontend, PartsSpec):
        return TANH[profile.matmul]
    return symmetric(*ranges["x"], profile.matmul)


def _needed(calls: Calls, ends: list[int]) -> Calls:
    """Calls without those whose result nothing uses: values are widened before it is known."""
    used, kept = set(ends), []
    for call in reversed(calls):
        if used & set(call[2]):
            used.update(call[1])
            kept.append(call)
    return kept[::-1]


def _scheduled(calls: Calls) -> list[Any]:
    """Calls in an order that keeps matmuls together.

    XNNPACK takes over runs of matmuls, and every change between it and the other
    kernels costs time; so a matmul goes first as soon as its input is there.
    """
    made = {index for _, _, outputs, _ in calls for index in outputs}
    waiting, ordered, ready = list(calls), [], set()
    while waiting:
        able = [call for call in waiting
                if all(i not in made or i in ready for i in call[1])]
        call = next((c for c in able if c[0] == "FULLY_CONNECTED"), able[0])
        waiting.remove(call)
        ordered.append(call)
        ready.update(call[2])
    return ordered
