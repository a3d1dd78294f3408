"""Several networks in one step: each hears every frame, and their opinions are averaged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgernn.errors import QuantizeError
from edgernn.train.blocks import Context, Ops, State
from edgernn.train.network import Network

HEAD = "softmax"


@dataclass(frozen=True)
class Committee(Network):
    """Networks that were trained apart; the answer is the softmax of the mean of their logits.

    That is the geometric mean of their scores, made one again in sum.  What one of them alone
    mistakes for a word the others vote down, so a committee of small networks has fewer false
    alarms than one network of their size together (Hansen and Salamon 1990, "Neural network
    ensembles").
    """

    members: tuple[Network, ...] = ()

    @classmethod
    def of(cls, networks: Sequence[Network]) -> Network:
        """Of networks that answer the same question about the same input; of one, itself.

        Raises
        ------
        QuantizeError
            If they do not, or do not answer by a softmax.
        """
        first = networks[0].architecture
        if len(networks) == 1:
            return networks[0]
        for place, network in enumerate(networks, 1):
            own = network.architecture
            if own.layers[-1].activation != HEAD:
                raise QuantizeError(f"run {place} ends in {own.layers[-1].activation or 'linear'}; "
                                    f"scores of a {HEAD} can be averaged. Quantize it alone")
            for what in ("frontend", "labels", "task"):
                if getattr(own, what) != getattr(first, what):
                    raise QuantizeError(
                        f"run {place} has the {what} {_short(getattr(own, what))}, run 1 "
                        f"{_short(getattr(first, what))}; runs that answer the same question about "
                        "the same input were needed. Train them with the same --task and frontend")
        return cls(first, (), members=tuple(
            Network(network.architecture, network.weights, f"m{place}_")
            for place, network in enumerate(networks, 1)))

    @property
    def states(self) -> dict[str, State]:
        """Those of all members."""
        return {name: state for each in self.members for name, state in each.states.items()}

    @property
    def contexts(self) -> dict[str, Context]:
        """Those of all members."""
        return {name: context for each in self.members for name, context in each.contexts.items()}

    @property
    def first(self) -> tuple[str, ...]:
        """See `Network.first`."""
        return tuple(stem for each in self.members for stem in each.first)

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """See `Network.step`."""
        new: dict[str, Any] = {}
        total = None
        for each in self.members:
            y, after = each.through(ops, x, states, len(each.weights) - 1)
            new |= after
            ops.enter(each.stem, "gates")
            # A share of the weights costs nothing; a division of the sum would be an op.
            share = 1 / len(self.members)
            logits = ops.dense("logits", y, each.weights[-1]["kernel"] * share,
                               each.weights[-1]["bias"] * share)
            total = logits if total is None else ops.add("sum", total, logits)
        ops.enter("", "gates")
        return ops.softmax("scores", total), new


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) < 80 else text[:77] + "..."
