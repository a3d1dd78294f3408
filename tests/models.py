"""Model files made on the spot, of random networks."""

from pathlib import Path

from edgernn import bundle
from edgernn.spec import DetectorSpec, FrontendSpec, ModelSpec
from edgernn.train.architecture import Layer
from edgernn.train.calibrate import calibrate
from edgernn.train.emit import emit
from edgernn.train.profile import get_profile
from tests import networks


def model_bytes(*layers: Layer, profile: str = "int8x16", features: int = 10,
                frontend: FrontendSpec | None = None) -> bytes:
    """A whole .tflite: the given layers (a GRU of 16 by default) and a softmax over 4 labels."""
    network = networks.network(*(layers or (Layer("gru", 16),)), features=features,
                               frontend=frontend)
    shape = network.architecture
    data, pairs = emit(network, calibrate(network, networks.sequences(shape.features)),
                       get_profile(profile))
    return bundle.attach(data, ModelSpec(
        labels=shape.labels, frontend=shape.frontend, states=pairs, model_sha256="",
        profile=profile, detector=DetectorSpec(dict.fromkeys(shape.labels[1:], 0.5)),
        provenance={"command": "tests"}, metrics={"int8_carry": 0.5}))


def write_model(path: Path, *layers: Layer, **options) -> Path:
    """The same, in a file."""
    path.write_bytes(model_bytes(*layers, **options))
    return path
