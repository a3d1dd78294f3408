"""Model files made on the spot, of random networks."""

from pathlib import Path

import numpy as np

from edgernn import bundle
from edgernn.spec import DetectorSpec, FrontendSpec, ModelSpec, TokenSpec
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.calibrate import calibrate
from edgernn.train.emit import emit
from edgernn.train.profile import get_profile
from tests import networks


def model_bytes(*layers: Layer, profile: str = "int8x16", features: int = 10,
                frontend: FrontendSpec | None = None, **options) -> bytes:
    """A whole .tflite: the given layers (a GRU of 16 by default) and a softmax over 4 labels."""
    network = networks.network(*(layers or (Layer("gru", 16),)), features=features,
                               frontend=frontend, **options)
    shape = network.architecture
    data, pairs = emit(network, calibrate(network, rows(shape)), get_profile(profile))
    detector = DetectorSpec(dict.fromkeys(shape.labels[1:], 0.5))
    return bundle.attach(data, ModelSpec(
        labels=shape.labels, frontend=shape.frontend, states=pairs, model_sha256="",
        profile=profile, task=shape.task,
        detector=detector if shape.task == "classify" else None,
        provenance={"command": "tests"}, metrics={"int8_carry": 0.5}))


def rows(shape: Architecture) -> list:
    """Sequences such as the frontend of an architecture gives."""
    if not isinstance(shape.frontend, TokenSpec):
        return networks.sequences(shape.features)
    rng = np.random.default_rng(0)
    last = shape.frontend.numbers
    return [rng.integers(1, last, (n, shape.features)).astype(np.int32) for n in (5, 20, 40)]


def write_model(path: Path, *layers: Layer, **options) -> Path:
    """The same, in a file."""
    path.write_bytes(model_bytes(*layers, **options))
    return path


NOTES = 12
LETTERS = TokenSpec(tuple("abcd"), ngrams=2, buckets=7)


def next_rows(folder: Path) -> Path:
    """A model that says which of 12 columns come next."""
    return write_model(folder / "notes.tflite", Layer("gru", 16), features=NOTES, labels=NOTES,
                       head="sigmoid", task="next")


def texts(folder: Path, task: str = "classify", labels: int = 3) -> Path:
    """A model of the letters a to d, and pairs of them."""
    return write_model(folder / f"{task}.tflite", Layer("embedding", 5, vocabulary=13),
                       Layer("gru", 8), frontend=LETTERS, labels=labels, task=task)


def next_tokens(folder: Path) -> Path:
    """A model that says which of the letters a to d comes next: labels are token numbers."""
    return texts(folder, "next", 6)


def numbers(folder: Path) -> Path:
    """A model that gives two numbers per row."""
    return write_model(folder / "numbers.tflite", Layer("lstm", 8), features=3, labels=2,
                       head="number", task="regress")
