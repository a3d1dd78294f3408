"""Attention over another part's outputs (Bahdanau et al. 2015, arXiv 1409.0473; Luong et al.
2015, arXiv 1508.04025, whose "global" variant and last equation this is).

    s_i = h . m_i                                 dot
    s_i = v . tanh(h Q + k_i),  k_i = m_i K + b   additive; the keys k are computed once
    c   = sum softmax(s + mask)_i m_i             mask: 0, or very low where i is padding
    y   = tanh(h W_h + c W_c + b)

m, k and mask are contexts: the device sets them before the first step (`StepModel.set_context`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.errors import ConfigError, QuantizeError
from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import Context
from edgernn.train.blocks.ops import TANH_LIMIT, Ops, Precision, Weights
from edgernn.train.blocks.plain import Plain

SCORES = ("dot", "additive")


class Attention(Plain):
    """See the module's equations; `Layer.activation` is how it scores."""

    kind = "attention"
    elementwise = True

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`: of the Keras layers mix, query and attention, in this order."""
        if layer.activation not in SCORES:
            raise QuantizeError(f"an attention layer scores by {layer.activation!r}; a step can "
                                f"do {' and '.join(SCORES)}. Train with --attention dot")
        additive = ("query", "scale") if layer.activation == "additive" else ()
        return ("kernel", "bias", *additive)

    def contexts(self, layer: Layer, inputs: int) -> dict[str, Context]:
        """See `Block.contexts`."""
        found = {"memory": Context((layer.positions, layer.memory)),
                 "mask": Context((1, layer.positions), "mask")}
        if layer.activation == "additive":
            found["keys"] = Context((layer.positions, layer.keys), "export")
        return found

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`."""
        return "gates"

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`: Keras joins [h; c] before the kernel."""
        own, rest = np.split(np.asarray(weights["kernel"]), [-layer.memory])
        found = {"own": own, "context": rest, "bias": weights["bias"]}
        if layer.activation == "additive":
            found |= {"query": weights["query"], "scale": weights["scale"][:, None]}
        return found

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        if layer.activation == "additive":
            query = ops.reshape("query_row", ops.dense("query", x, w["query"]), (1, layer.keys))
            match = ops.tanh("match", ops.add("match_pre", states["keys"], query, TANH_LIMIT))
            column = ops.dense("score_column", match, w["scale"])
            scores = ops.reshape("score", column, (1, layer.positions))
        else:
            row = ops.reshape("row", x, (1, layer.memory))
            scores = ops.matmul("score", row, states["memory"], transpose_b=True)
        share = ops.softmax("share", ops.mask("masked", scores, states["mask"]))
        context = ops.reshape("context_row", ops.matmul("context", share, states["memory"]),
                              (layer.memory,))
        y = ops.add("mix_pre", ops.dense("mix_h", x, w["own"], w["bias"]),
                    ops.dense("mix_c", context, w["context"]), TANH_LIMIT)
        return ops.tanh("mix", y), {}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """Not one Keras layer but several, over two inputs: see `transduction.build`."""
        raise ConfigError("attention looks at an encoder's outputs, and a stack of layers has "
                          "none. Train with --task transduce")


BLOCK = Attention()
