"""Features of recordings, computed once and kept on disk.

One .npy (NumPy's own format, memory-mapped when read) for each recording and frontend.  Its name
is the hash of the samples and of the frontend's settings, so a recording that moves is found
again, one that changes is not, and two folders that share a recording share its features.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import files
from edgernn.errors import DataError, OutputError
from edgernn.frontend import AudioFrontend, make_frontend
from edgernn.spec import LogMelSpec, MicrofrontendSpec
from edgernn.train.dataset import Samples
from edgernn.train.readers.audio import usable
from edgernn.train.spread import must_be_there

FORMAT = 1
"""Of what frontends compute; one more where they compute something else."""
KINDS = {"logmel": LogMelSpec, "microfrontend": MicrofrontendSpec}


@dataclass(frozen=True)
class FeatureCache:
    """A folder of features."""

    folder: Path

    def path(self, frontend: AudioFrontend, samples: Samples) -> Path:
        """Where the features of these samples are, or would be."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(_said(frontend.spec).encode())
        digest.update(np.ascontiguousarray(samples).data)
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.npy"

    def whole(self, frontend: AudioFrontend, samples: Samples) -> NDArray[np.int16]:
        """The frontend's rows of a recording, shape (frames, mels), memory-mapped.

        Parameters
        ----------
        frontend : AudioFrontend
        samples : int16 array, shape (n,)

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        path = self.path(frontend, samples)
        try:
            return _mapped(path, frontend)
        except (OSError, ValueError, EOFError):
            pass  # not there, or not whole: it is made again
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise OutputError(f"{path.parent} cannot be made ({problem}); a folder for features "
                              "was needed. Choose another --cache") from problem
        with files.replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, frontend.whole(samples))
        return _mapped(path, frontend)


def rows(frontend: Any, samples: Samples, cache: FeatureCache | None) -> NDArray[np.int16]:
    """A recording's rows, from the cache if there is one."""
    found: NDArray[np.int16] = cache.whole(frontend, samples) if cache else frontend.whole(samples)
    return found


def extract(given: Sequence[Path], spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A job: features of some recordings into a cache.

    Parameters
    ----------
    given : sequence of Path
        wav or flac files.
    spec : dict
        Of an audio frontend, as `plain` gives it.
    folder : Path
        Of the cache.

    Returns
    -------
    dict
        `frames` that there are now, `skipped`: (path, reason) of what cannot be used, and
        `made`: files in the folder.

    Raises
    ------
    DataError
        If one is not there.
    """
    must_be_there(given)
    kind = KINDS[spec["kind"]]
    frontend = make_frontend(kind(**{k: v for k, v in spec.items() if k != "kind"}))
    cache, frames, skipped, made = FeatureCache(folder), 0, [], []
    for path in given:
        samples = usable(path, spec["sample_rate_hz"])
        if isinstance(samples, str):
            skipped.append((str(path), samples))
        else:
            frames += len(cache.whole(frontend, samples))  # type: ignore[arg-type]  # of audio
            made.append(str(cache.path(frontend, samples).relative_to(folder)))  # type: ignore[arg-type]
    return {"frames": frames, "skipped": skipped, "made": made}


def plain(spec: Any) -> dict[str, Any]:
    """The settings of an audio frontend, as `extract` takes them.

    Raises
    ------
    DataError
        If it is none.
    """
    tree = asdict(spec)
    if tree.get("kind") not in KINDS:
        raise DataError(f"the frontend is {tree.get('kind')}; one of recordings was needed "
                        f"({', '.join(KINDS)}). Other data need no cache")
    return tree


def _said(spec: Any) -> str:
    return json.dumps([FORMAT, asdict(spec)], sort_keys=True)


def _mapped(path: Path, frontend: AudioFrontend) -> NDArray[np.int16]:
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if found.dtype != np.int16 or found.ndim != 2 or found.shape[1] != frontend.width:
        raise ValueError(f"{path} holds {found.dtype} {found.shape}")
    return found
