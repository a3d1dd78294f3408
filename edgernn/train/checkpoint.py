"""What an unfinished training run needs to go on."""

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import files
from edgernn.errors import OutputError
from edgernn.train.architecture import Architecture
from edgernn.train.batches import Lesson
from edgernn.train.config import TrainConfig
from edgernn.train.sequences import Sequences

FORMAT = 1
"""Version of the file's layout."""
NO_MATTER = ("checkpoint_epochs",)
"""Settings that change no weight."""


@dataclass(frozen=True)
class Checkpoint:
    """State of a training between two epochs."""

    origin: dict[str, str]
    """What the run is made of, as `origin` says it; another run's is refused."""
    state: dict[str, Any]
    """Numbers and text, as JSON knows them."""
    arrays: dict[str, list[NDArray[Any]]]

    def save(self, path: Path) -> None:
        """Write one .npz, whole or not at all: the one before stays until this is complete.

        Raises
        ------
        OutputError
        """
        text = json.dumps({"format": FORMAT, "origin": self.origin, "state": self.state})
        arrays = {f"{name}/{i:04}": array for name, group in self.arrays.items()
                  for i, array in enumerate(group)}
        with files.replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, text=np.array(text), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path, origin: dict[str, str]) -> "Checkpoint":
        """Read what `save` wrote, if it belongs to the run of this `origin`.

        Raises
        ------
        OutputError
            If it cannot be read, or belongs to a run of other settings, data or libraries.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                tree = json.loads(str(file["text"]))
                arrays: dict[str, list[NDArray[Any]]] = {}
                for key in sorted(set(file.files) - {"text"}):
                    arrays.setdefault(key.split("/")[0], []).append(file[key])
            if tree["format"] != FORMAT:
                raise ValueError(f"format {tree['format']}, not {FORMAT}")
            found = cls(tree["origin"], tree["state"], arrays)
        except (OSError, EOFError, ValueError, KeyError, TypeError,
                zipfile.BadZipFile) as problem:
            raise OutputError(f"{path} cannot be read ({problem}), so the unfinished run cannot "
                              f"go on. {_again(path)}") from problem
        for key in {**found.origin, **origin}:
            was, now = found.origin.get(key, "not set"), origin.get(key, "not set")
            if was != now:
                raise OutputError(f"{path.parent} is an unfinished run whose {key} was {was}, and "
                                  f"now it is {now}; it can only go on as it began. {_again(path)}")
        return found

    def like(self, name: str, expected: Sequence[Any]) -> list[NDArray[Any]]:
        """The arrays `name`, if their shapes are those of `expected`.

        Raises
        ------
        OutputError
        """
        arrays = self.arrays.get(name, [])
        shapes, needed = [a.shape for a in arrays], [tuple(e.shape) for e in expected]
        if shapes != needed:
            raise OutputError(f"the checkpoint's {name} arrays have shapes {shapes}; {needed} were "
                              "needed. Begin again (edgernn train: --overwrite)")
        return arrays


def _again(path: Path) -> str:
    return ("Begin again (edgernn train: --overwrite), choose another --out, or go on with the "
            f"settings and data it had; it is deleted by: rm -r {path.parent}")


def origin(
    config: TrainConfig, architecture: Architecture, lessons: Sequence[Lesson],
    held_out: Sequences, start: Mapping[str, NDArray[np.float32]] | None = None,
) -> dict[str, str]:
    """What a run's weights follow from: settings, network, data, first weights and libraries.

    The data are known by the first epoch's lessons, which are drawn the same way each time.
    """
    digest = hashlib.blake2b(digest_size=8)
    for lesson in lessons:
        for array in dataclasses.astuple(lesson):
            digest.update(np.ascontiguousarray(array).data)
    for array in (*dataclasses.astuple(held_out), *(start or {}).values()):
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    network = hashlib.blake2b(architecture.to_json().encode(), digest_size=8)
    return settings(config) | {"data": digest.hexdigest(), "network": network.hexdigest()}


def settings(config: TrainConfig) -> dict[str, str]:
    """What every run's weights follow from, whatever its data: settings and libraries."""
    chosen = {f"setting {field.name}": repr(getattr(config, field.name))
              for field in dataclasses.fields(config) if field.name not in NO_MATTER}
    return {**chosen, **{name: version(name) for name in ("tensorflow", "keras", "numpy")}}
