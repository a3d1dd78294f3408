"""The shape of a trained network, without its weights: what `train` hands to `quantize`.

Layers are in the order of the data.  A recurrent layer returns a value for every
frame; the last layer is a Dense with softmax, so every frame has scores.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgernn.errors import ModelError
from edgernn.spec import DetectorSpec, FrontendSpec, decode

FORMAT = 1
"""Version of the layout of architecture.json."""


@dataclass(frozen=True)
class Layer:
    """One layer with weights (dropout and masking leave no trace in a step)."""

    kind: str
    """One of `edgernn.train.blocks.BLOCKS`."""
    units: int
    """Outputs per frame."""
    activation: str = ""
    """Of a dense layer: linear, relu or tanh; of the last: softmax, sigmoid or number; of a
    simple_rnn: tanh (also if empty) or relu."""
    reset_after: bool = True
    """GRU only: reset gate after the recurrent matmul (Keras 3 default, cuDNN) or before."""
    epsilon: float = 1e-3
    """LayerNorm only: added to the variance."""
    residual: bool = False
    """Whether its input is added to its output; they must be of one width."""
    kernel: int = 0
    """Convolutions only: frames that each output looks at, its own and those before it."""
    window: int = 0
    """Attention over the past only: frames that it looks at, the present one among them."""
    heads: int = 1
    """Transformer only: ways of looking at them at once."""
    vocabulary: int = 0
    """Embedding only: rows of its table, of which row 0 is padding's."""
    bidirectional: bool = False
    """Whether its frames are read from both ends, which takes a file of three parts."""
    positions: int = 0
    """Attention only: rows of the memory it looks at, the longest source."""
    memory: int = 0
    """Attention only: width of a row."""
    keys: int = 0
    """Attention only, if additive: width of a row's key."""


@dataclass(frozen=True)
class Architecture:
    """Contents of architecture.json in a run folder.

    weights.npz beside it holds, per layer index i, Keras's own arrays:
    ``i/kernel``, ``i/recurrent_kernel``, ``i/bias`` (gate order z r h in a GRU,
    i f c o in an LSTM), or ``i/gamma``, ``i/beta``.
    """

    features: int
    """Width of one frame."""
    labels: tuple[str, ...]
    frontend: FrontendSpec
    layers: tuple[Layer, ...]
    detector: DetectorSpec | None = None
    task: str = "classify"
    """What is asked: see `edgernn.spec.TASKS`."""
    longest: int = 0
    """Tokens that it takes or gives at most; 0: any number."""
    chunk: int = 0
    """Bidirectional only: frames that are answered together; 0: the whole sequence."""
    ahead: int = 0
    """Bidirectional only: frames that the last of a chunk sees beyond itself."""
    format: int = FORMAT

    def to_json(self) -> str:
        """As text, two spaces to a level."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, path: Path) -> "Architecture":
        """Read architecture.json.

        Raises
        ------
        ModelError
            If it is missing, is not JSON, or says something this version does not know.
        """
        try:
            tree: Any = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as problem:
            parts = sorted(part.parent.name for part in path.parent.glob("*/architecture.json"))
            # A part has none of its own; the folder of `edgernn new` has a whole run in it.
            runs = [part for part in parts if (path.parent / part / "config.yaml").exists()]
            if runs:
                raise ModelError(f"{path.parent} is no run folder, but {path.parent / runs[0]} is "
                                 "one. Name that") from problem
            if parts:
                raise ModelError(f"{path.parent} is a run of several parts ({', '.join(parts)}), "
                                 "each of them a network; a run of one was needed. Quantize it "
                                 "whole (edgernn quantize), or train one that reads in one "
                                 "direction") from problem
            raise ModelError(f"{path} is missing; a run folder written by `edgernn train` "
                             "was needed. Train first: edgernn train DATA --out run/") from problem
        except ValueError as problem:
            raise ModelError(f"{path} is not JSON ({problem}). Train again: edgernn train") \
                from problem
        found: Architecture = decode(cls, tree, path.name)
        return found
