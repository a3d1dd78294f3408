"""What quantizing a run cost, and where the model comes from."""

import datetime
import hashlib
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgernn import __version__
from edgernn.train.emulated import EmulatedModel
from edgernn.train.measure import Metric

Progress = Callable[[str, int], Callable[[int], None]]
"""Given what begins and how many frames it will do, returns what to tell of each step."""


@dataclass(frozen=True)
class TensorError:
    """How far one tensor of the integer step is from the float step's."""

    name: str
    rms: float
    """Root mean square of the difference, in the tensor's real units."""
    relative: float
    """The same as a share of the float tensor's own root mean square."""


@dataclass(frozen=True)
class Report:
    """What quantizing cost."""

    path: Path
    bytes: int
    """Size of the file."""
    ops: Counter[str]
    state_bytes: int
    """What a stream keeps from step to step."""
    split: str
    """Which sequences were measured: test, validation, train or calibration."""
    sequences: int
    metric: Metric
    """What was measured."""
    floats: dict[str, float]
    """Of the float step, as `reset` and `carry`; empty where nobody knows what is right."""
    integers: dict[str, float]
    """Of the integer step."""
    worst: list[TensorError]
    """The tensors farthest from their float values, worst first."""
    warnings: list[str] = field(default_factory=list)
    """What calibration found that accuracy may not show: states that grow when carried."""

    @classmethod
    def of(cls, models: Iterable[EmulatedModel], worst: Sequence[TensorError] = (), **known: Any
           ) -> "Report":
        """With ops and states counted over all parts of the model; `known` is the rest."""
        every = list(models)
        states = [one for model in every for one in model.initial(1).values()]
        return cls(ops=Counter(op.name for model in every for op in model.graph.ops),
                   state_bytes=sum(state.nbytes for state in states), worst=list(worst), **known)


def metrics(split: str, profile: str, floats: Mapping[str, float], integers: Mapping[str, float]
            ) -> dict[str, float]:
    """What was measured, as a model keeps it: `test_int8_carry`."""
    return {f"{split}_{kind}_{name}": round(value, 5)
            for kind, values in (("float", floats), (profile, integers))
            for name, value in values.items()}


def provenance(weights: Sequence[Path], command: str) -> dict[str, str]:
    """Origin of a model; SOURCE_DATE_EPOCH, if set, is its date, so that it can be remade."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = (datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc) if epoch
           else datetime.datetime.now(datetime.timezone.utc))
    return {"edgernn": __version__, "python": platform.python_version(),
            "created": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "command": command,
            "weights_sha256": weights_sha256(weights)}


def weights_sha256(weights: Sequence[Path]) -> str:
    """What a model keeps of the files that its weights are from, to know them by."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()
