"""Networks with random weights, of the size and spread that training gives."""

import numpy as np

from edgernn.spec import FrontendSpec, LogMelSpec, StandardizeSpec, TokenSpec
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.network import Network

GATES = {"gru": 3, "lstm": 4, "simple_rnn": 1}

CELLS = {
    "gru": Layer("gru", 16),
    "gru_reset_before": Layer("gru", 16, reset_after=False),
    "lstm": Layer("lstm", 16),
    "simple_rnn": Layer("simple_rnn", 16),
}


def arrays(layers: tuple[Layer, ...], features: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights as Keras would hold them: Glorot kernels, orthogonal recurrent kernels."""
    rng = np.random.default_rng(seed)
    found, width = {}, features
    for i, layer in enumerate(layers):
        if layer.kind == "layer_norm":
            found |= {f"{i}/gamma": rng.uniform(0.5, 1.5, width), f"{i}/beta":
                      rng.normal(0, 0.2, width)}
            continue
        if layer.kind == "embedding":
            found[f"{i}/table"] = rng.normal(0, 1, (layer.vocabulary, layer.units))
            width *= layer.units
            continue
        gates = GATES.get(layer.kind, 1)
        outputs = gates * layer.units
        found[f"{i}/kernel"] = rng.normal(0, np.sqrt(2 / (width + layer.units)), (width, outputs))
        found[f"{i}/bias"] = rng.normal(0, 0.3, outputs)
        if layer.kind in GATES:
            found[f"{i}/recurrent_kernel"] = np.hstack([
                np.linalg.qr(rng.normal(size=(layer.units, layer.units)))[0]
                for _ in range(gates)])
        if layer.kind == "gru" and layer.reset_after:
            found[f"{i}/bias"] = rng.normal(0, 0.3, (2, outputs))
        width = layer.units
    return {name: value.astype(np.float32) for name, value in found.items()}


def architecture(
    *layers: Layer, features: int = 10, labels: int = 4, frontend: FrontendSpec | None = None,
    head: str = "softmax", task: str = "classify",
) -> Architecture:
    """The given layers, and a head over `labels` on top."""
    if frontend is None:
        frontend = StandardizeSpec(mean=(0.0,) * features, std=(1.0,) * features)
    if isinstance(frontend, LogMelSpec):
        features = frontend.mels
    if isinstance(frontend, TokenSpec):
        features = frontend.ngrams
    return Architecture(features, tuple(f"label{i}" for i in range(labels)), frontend,
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
