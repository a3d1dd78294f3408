"""A Keras model saved by somebody else: a .keras or .h5 file that may be anything.

What it says of itself is read first, as plain JSON, so that a custom layer or a Lambda is
refused by its name before any of it is built or run.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgernn.errors import ModelError, QuantizeError
from edgernn.train.models import import_keras

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
NEEDED = "a whole model in one file was needed, as model.save('model.keras') writes it"
MASK_OPS = ("NotEqual", "Any", "LogicalOr", "LogicalAnd")
"""What Keras computes masks with, and saves among the layers of a functional model."""


def load(path: Path) -> Any:
    """The Keras model of a .keras or .h5 file, not compiled; code in it is never run.

    Raises
    ------
    ModelError
        If it is not such a file, is damaged, holds weights alone, or needs another Keras.
    QuantizeError
        If it has a layer that is a Lambda or a class of its author's own.
    ConfigError
        If TensorFlow or Keras is not installed.
    """
    keras = import_keras()
    config = _config(path)
    _refuse_code(config, {*dir(keras.layers), "Functional", "Model", "Sequential"})
    try:
        known = None if path.suffix == ".keras" else _mask_ops(keras) | _recurrent(keras)
        return keras.saving.load_model(path, custom_objects=known, compile=False, safe_mode=True)
    # Keras, h5py, zipfile and TensorFlow each have their own ways to meet a damaged file.
    except Exception as problem:
        said = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ModelError(f"{path} cannot be loaded by Keras {keras.__version__} ({said[0][:200]}); "
                         f"{NEEDED}. Save it again with that Keras") from problem


def _config(path: Path) -> Mapping[str, Any]:
    """What the file says the model is: a nested mapping of `class_name` and `config`."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as problem:
        raise ModelError(f"{path} cannot be read: {problem.strerror}; {NEEDED}") from problem
    text = _of_zip(path) if start.startswith(ZIP) else _of_h5(path) if start == HDF5 else None
    if text is None:
        raise ModelError(f"{path} is no Keras model (it begins with {start!r}); {NEEDED}")
    suffixes = (".keras",) if start.startswith(ZIP) else (".h5", ".hdf5")
    if path.suffix not in suffixes:
        raise ModelError(f"{path} holds a Keras model in the layout of {suffixes[0]}, and Keras "
                         f"goes by the name. Rename it to {path.stem}{suffixes[0]}")
    try:
        found = json.loads(text)
    except ValueError as problem:
        raise ModelError(f"{path} describes its model in what is not JSON ({problem}); {NEEDED}") \
            from problem
    if not isinstance(found, dict) or not isinstance(found.get("class_name"), str):
        raise ModelError(f"{path} describes no model; {NEEDED}")
    return found


def _of_zip(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if damaged is not None:
                raise ModelError(f"{path} is damaged in {damaged}; {NEEDED}. Copy or save it again")
            return archive.read("config.json")
    except KeyError as problem:
        raise ModelError(f"{path} is a ZIP without config.json; {NEEDED}") from problem
    # What zipfile raises on damage; RuntimeErrors are its words for an unknown compression
    # and for a password.
    except (zipfile.BadZipFile, OSError, RuntimeError) as problem:
        raise ModelError(f"{path} is truncated or damaged ({problem}); {NEEDED}. Copy or save it "
                         "again") from problem


def _of_h5(path: Path) -> str | bytes:
    import h5py  # comes with Keras

    try:
        with h5py.File(path) as file:
            found: str | bytes | None = file.attrs.get("model_config")
            keys = set(file) | set(file.attrs)
    except Exception as problem:  # h5py raises what the HDF5 library thinks of
        raise ModelError(f"{path} is truncated or damaged ({str(problem)[:120]}); {NEEDED}. Copy "
                         "or save it again") from problem
    if found is None and keys & {"layers", "layer_names", "_layer_checkpoint_dependencies"}:
        raise ModelError(f"{path} holds weights without a model (it has no model_config); {NEEDED}."
                         " Build the model, load_weights into it, and save all of it")
    if found is None:
        raise ModelError(f"{path} is HDF5, but no Keras model (it has no model_config); {NEEDED}")
    return found


def _refuse_code(config: Mapping[str, Any], known: set[str]) -> None:
    for layer in _layers(config):
        kind = layer["class_name"]
        # A .keras says where a class is from; an .h5 says its name alone.
        module = layer["module"] or "" if "module" in layer else "keras.layers"
        name = layer["config"].get("name", "") if isinstance(layer.get("config"), dict) else ""
        if "Lambda" in kind:
            raise QuantizeError(f"the {kind} {name!r} is Python code, which is never run from a "
                                "model file; layers of Keras's own were needed. Do in the data "
                                "what it does, or use a Dense or an Activation in its place")
        if module.split(".")[0] != "keras" or (module == "keras.layers" and
                                               kind not in {*known, *MASK_OPS}):
            raise QuantizeError(f"the {kind} {name!r} is no layer of Keras's own; its code is not "
                                "in the file. Build it of Dense, GRU, LSTM, SimpleRNN and "
                                "LayerNormalization")


def _layers(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The model and all layers in it, also of models in it and in wrappers, as saved."""
    yield config
    inner = config.get("config")
    # Before Keras 2.2.3 a Sequential's config was the list of its layers.
    found = inner if isinstance(inner, list) else [] if not isinstance(inner, dict) else \
        [*inner.get("layers", []), inner.get("layer"), inner.get("cell")]
    for layer in found:
        if isinstance(layer, dict) and isinstance(layer.get("class_name"), str):
            yield from _layers(layer)


def _mask_ops(keras: Any) -> dict[str, Any]:
    """Classes of `MASK_OPS`: Keras saves them into a functional .h5 and then knows them not."""
    numbers = keras.KerasTensor((None, None, 1))
    truths = keras.ops.any(keras.ops.not_equal(numbers, 0.0), axis=-1)
    made = (keras.ops.not_equal(numbers, 0.0), truths, keras.ops.logical_or(truths, truths),
            keras.ops.logical_and(truths, truths))
    return {name: type(tensor._keras_history.operation)
            for name, tensor in zip(MASK_OPS, made, strict=True)}


def _recurrent(keras: Any) -> dict[str, Any]:
    """Recurrent layers as Keras 2 saved them, with a `time_major` that Keras 3 knows not."""
    def reader(kind: Any) -> Any:
        class Reader(kind):
            @classmethod
            def from_config(cls, config: dict[str, Any]) -> Any:
                if not config.get("time_major"):
                    config.pop("time_major", None)
                return kind.from_config(config)

        return Reader

    return {name: reader(getattr(keras.layers, name)) for name in ("GRU", "LSTM", "SimpleRNN")}
