"""Networks with random weights, of the size and spread that training gives."""

import numpy as np

from edgernn.spec import FrontendSpec, StandardizeSpec
from edgernn.train import blocks
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.network import Network

UNITS = 16
CELLS = {f"{kind}_{form}".rstrip("_"): Layer(kind, UNITS, **fields)
         for kind, cell in blocks.CELLS.items() for form, fields in cell.variants.items()}
"""Every cell there is, in each of its forms: a new file in blocks/ adds its own."""
def crnn(units: int) -> tuple[Layer, ...]:
    """One layer of each kind that keeps a ring, but for the Transformer; and a GRU."""
    return (Layer("conv1d", units, "relu", kernel=5), Layer("depthwise", units, "relu", kernel=5),
            Layer("gru", units, residual=True), Layer("attention_pool", units // 2, window=25))


def transformer(units: int) -> tuple[Layer, ...]:
    """A Transformer block over 25 frames."""
    return (Layer("dense", units, "linear"), Layer("transformer", units, heads=4, window=25))


STACKS = {"crnn": crnn(UNITS), "transformer": transformer(UNITS)}
"""Networks whose states are rings of past frames."""
NORMALIZED = {"transformer"} | {name for name, layer in CELLS.items()
              if "gamma" in blocks.CELLS[layer.kind].shapes(layer, 1)}
"""Those with a LayerNorm in them."""


def arrays(layers: tuple[Layer, ...], features: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights as Keras would hold them: Glorot kernels, orthogonal recurrent kernels."""
    rng = np.random.default_rng(seed)
    found, width = {}, features
    for i, layer in enumerate(layers):
        if hasattr(blocks.BLOCKS.get(layer.kind), "shapes"):
            shapes = blocks.BLOCKS[layer.kind].shapes(layer, width)
        elif layer.kind == "layer_norm":
            shapes = {"gamma": (width,), "beta": (width,)}
        elif layer.kind == "embedding":
            shapes = {"table": (layer.vocabulary, layer.units)}
        elif layer.kind == "conv1d":
            shapes = {"kernel": (layer.kernel, width, layer.units), "bias": (layer.units,)}
        elif layer.kind == "depthwise":
            shapes = {"kernel": (layer.kernel, width, 1), "bias": (width,)}
        elif layer.kind == "attention_pool":
            shapes = {"kernel": (width, layer.units), "bias": (layer.units,),
                      "v": (layer.units, 1)}
        else:
            shapes = {"kernel": (width, layer.units), "bias": (layer.units,)}
        about = getattr(blocks.BLOCKS.get(layer.kind), "initial", {})
        found |= {f"{i}/{name}": about.get(name, 0.0) + _array(rng, name, shape, layer.units)
                  for name, shape in shapes.items()}
        block = blocks.BLOCKS.get(layer.kind)
        width = block.outputs(layer, width) if block else layer.units
    return {name: value.astype(np.float32) for name, value in found.items()}


def _array(rng: np.random.Generator, name: str, shape: tuple[int, ...], units: int) -> np.ndarray:
    if name == "recurrent_kernel":
        return np.hstack([np.linalg.qr(rng.normal(size=(units, units)))[0]
                          for _ in range(shape[1] // units)])
    if name.startswith("gamma"):
        return rng.uniform(0.5, 1.5, shape)
    fan_in = int(np.prod(shape[:-1])) if len(shape) < 3 or shape[2] > 1 else shape[0]
    spread = {"kernel": np.sqrt(2 / (fan_in + units)), "beta": 0.2, "table": 1.0}
    if name.endswith("_kernel"):
        return rng.normal(0, np.sqrt(2 / sum(shape)), shape)
    return rng.normal(0, spread.get(name, 0.3), shape)


def architecture(
    *layers: Layer, features: int = 10, labels: int = 4, frontend: FrontendSpec | None = None,
    head: str = "softmax", task: str = "classify", names: tuple[str, ...] = (),
) -> Architecture:
    """The given layers, and a head over `labels` on top."""
    if frontend is None:
        frontend = StandardizeSpec(mean=(0.0,) * features, std=(1.0,) * features)
    features = frontend.width
    return Architecture(features, names or tuple(f"label{i}" for i in range(labels)), frontend,
                        (*layers, Layer("dense", labels, head)), task=task)


def network(*layers: Layer, seed: int = 0, **options) -> Network:
    """A network of the given layers with random weights."""
    shape = architecture(*layers, **options)
    return Network.build(shape, arrays(shape.layers, shape.features, seed))


def sequences(features: int = 10, count: int = 40, longest: int = 50, seed: int = 1) -> list:
    """Smooth float32 sequences of many lengths, standard deviation about 1."""
    rng = np.random.default_rng(seed)
    steps = [rng.normal(0, 0.4, (int(rng.integers(1, longest + 1)), features))
             for _ in range(count)]
    return [(np.cumsum(s, axis=0) / np.sqrt(np.arange(1, len(s) + 1))[:, None] * 2)
            .astype(np.float32) for s in steps]
