"""Which targets run a model, op by op: why not, what to change, and who says so."""

from collections.abc import Sequence

from edgernn.graph import Graph
from edgernn.lint.edgetpu import EDGETPU
from edgernn.lint.esphome import ESPHOME
from edgernn.lint.litert import LITERT
from edgernn.lint.rules import REFUSED, RUNS, SLOWLY, Target, Verdict, judge
from edgernn.lint.tflm import CMSIS_NN, TFLM

__all__ = ["REFUSED", "RUNS", "SLOWLY", "TARGETS", "Target", "Verdict", "lint"]

TARGETS: dict[str, Target] = {target.name: target
                              for target in (TFLM, CMSIS_NN, ESPHOME, EDGETPU, LITERT)}


def lint(graph: Graph, targets: Sequence[str] = tuple(TARGETS)) -> list[Verdict]:
    """What each target says of each op.

    Parameters
    ----------
    graph : Graph
    targets : sequence of str
        Names of `TARGETS`.
    """
    return [judge(TARGETS[name], graph, number) for name in targets
            for number in range(len(graph.ops))]
