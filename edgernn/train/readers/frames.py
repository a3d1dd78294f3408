"""Frames that a model made elsewhere is calibrated on, with what is right if they say so."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import DataError
from edgernn.frontend.standardize import Standardize
from edgernn.frontend.tokens import Tokens
from edgernn.train import readers
from edgernn.train.dataset import AudioSet, TextSet
from edgernn.train.readers import rows

LAYOUTS = ("an .npz with `frames` of shape (n, frames, features), or with an array of shape "
           "(frames, features) for each sequence, or any data of rows that `edgernn train` takes")


@dataclass(frozen=True)
class Frames:
    """Sequences as a model takes them."""

    sequences: list[NDArray[Any]]
    """Each of shape (frames, features), none empty, padding left out."""
    truths: list[NDArray[Any]]
    """Of each sequence its label or number, shape (1,), or one on each frame, shape (frames,);
    empty if the data does not say."""
    split: tuple[str, ...] = ()
    """Of each sequence: train, validation or test; empty if the data does not say."""
    columns: tuple[str, ...] = ()
    rate_hz: float = 0.0


def read(path: Path, frontend: Standardize | Tokens, mask: float | None = None) -> Frames:
    """Read frames to calibrate on.

    Parameters
    ----------
    path : Path
        One of `LAYOUTS`.
    frontend : Standardize or Tokens
        Of the model.  Of tokens, an .npz may have the shape (n, frames), and texts will do.
    mask : float
        Value all over a masked frame, which is left out: a step is held there.

    Raises
    ------
    DataError
        If it cannot be read, holds recordings, is of another width, or has no frame left.
    """
    found = _read(path, frontend)
    tokens = frontend.spec.numbers if isinstance(frontend, Tokens) else 0
    kept = []
    for i, sequence in enumerate(found.sequences):
        if sequence.ndim != 2 or sequence.shape[1] != frontend.width or \
                sequence.dtype.kind not in ("iu" if tokens else "fiub"):
            raise DataError(f"{path} has a sequence of {sequence.dtype} of shape {sequence.shape}; "
                            f"{'whole numbers' if tokens else 'numbers'} of shape (frames, "
                            f"{frontend.width}) were needed, as the model takes them")
        real = np.ones(len(sequence), bool) if mask is None else (sequence != mask).any(axis=1)
        if tokens and not ((sequence >= 0) & (sequence < tokens)).all():
            raise DataError(f"{path} has tokens from {sequence.min()} to {sequence.max()}; 0 to "
                            f"{tokens - 1} were needed, the rows of the Embedding")
        if not np.isfinite(sequence[real]).all():
            raise DataError(f"{path} holds NaN or infinity; finite numbers were needed. Fill them")
        if real.any():
            truth = found.truths[i] if found.truths else np.zeros(0)
            kept.append((i, sequence[real].astype(np.int32 if tokens else np.float32),
                         truth[real] if len(truth) == len(real) else truth))
    if not kept:
        raise DataError(f"{path} holds no frame{'' if mask is None else f' that is not {mask:g}'};"
                        f" {LAYOUTS} was needed. Give frames such as the model will hear")
    return Frames([sequence for _, sequence, _ in kept],
                  [truth for *_, truth in kept if len(truth)],
                  tuple(found.split[i] for i, *_ in kept if found.split), found.columns,
                  found.rate_hz)


def _read(path: Path, frontend: Standardize | Tokens) -> Frames:
    arrays = rows.read_arrays(path) if path.suffix == ".npz" and path.exists() else {}
    if arrays and _plain(arrays):
        return _of_arrays(path, arrays, isinstance(frontend, Tokens))
    data = readers.load(path)
    # A split that the reader drew is not the one that the model was trained with.
    said = "split" in arrays or path.suffix in (".ts", ".tsv", ".conllu") or \
        path.with_name(f"{path.name}_TRAIN.ts").exists()
    if isinstance(data, TextSet) and isinstance(frontend, Tokens):
        codes = data.tags or [data.codes[i:i + 1] for i in range(len(data.codes))]
        return Frames([frontend.whole(text) for text in data.texts], _named(data.labels, codes),
                      tuple(data.split) if said else ())
    if isinstance(data, AudioSet | TextSet):
        what = "texts" if isinstance(data, TextSet) else "recordings"
        raise DataError(f"{path} holds {what}, and what a model made elsewhere is given of them "
                        f"is not known; {LAYOUTS} was needed. Save the features it was trained on")
    own = data.sequences
    if own.targets is None:
        truths = _named(data.labels, [own.labels[i:i + 1] for i in range(len(own))])
    else:
        parts = [own.targets[own.span(i)] for i in range(len(own))]
        truths = [part[:, 0] for part in parts] if own.targets.ndim == 2 else \
            _named(data.labels, parts)
    return Frames(list(own), truths, tuple(own.split) if said else (), data.columns, data.rate_hz)


def _named(labels: tuple[str, ...], codes: Any) -> list[NDArray[Any]]:
    """Labels by name; of a frame where nothing is asked (-1), the empty one."""
    names = np.array([*labels, ""])
    return [names[part] for part in codes]


def _plain(arrays: dict[str, NDArray[Any]]) -> bool:
    """Whether an .npz is `frames`, arrays without a name, or `x` without labels."""
    if "frames" in arrays or "arr_0" in arrays:
        return True
    return "x" in arrays and ("y" not in arrays or arrays["y"].dtype.kind == "f")


def _of_arrays(path: Path, arrays: dict[str, NDArray[Any]], tokens: bool) -> Frames:
    """`frames` (or `x`), with `lengths` and `y` if there are any; or an array a sequence."""
    values = arrays.get("frames", arrays.get("x"))
    if values is None:
        return Frames([_wide(one, tokens) for one in arrays.values()], [])
    if values.ndim == 1 or (values.ndim == 2 and not tokens):
        values = values[None]
    if values.ndim not in (2, 3):
        raise DataError(f"{path} has frames of shape {values.shape}; {LAYOUTS} was needed")
    lengths = arrays.get("lengths", np.full(len(values), values.shape[1]))
    truths = arrays.get("y", np.zeros((0, 1)))
    truths = truths[:, None] if truths.ndim == 1 else truths.squeeze(-1) if truths.ndim == 3 and \
        truths.shape[2] == 1 else truths
    if lengths.shape != (len(values),) or lengths.dtype.kind not in "iu" or (lengths < 0).any() \
            or (lengths > values.shape[1]).any() or len(truths) not in (0, len(values)) or \
            truths.ndim != 2 or truths.shape[1] not in (1, values.shape[1]):
        raise DataError(f"{path} has frames of shape {values.shape}, lengths of shape "
                        f"{lengths.shape} and y of shape {truths.shape}; for each sequence one "
                        "length that fits, and one y or one on each frame, were needed, or neither")
    return Frames([_wide(one[:n], tokens) for one, n in zip(values, lengths, strict=True)],
                  [one[:max(n, 1)] for one, n in zip(truths, lengths, strict=False)])


def _wide(sequence: NDArray[Any], tokens: bool) -> NDArray[Any]:
    """A sequence of tokens as frames of one."""
    return sequence[:, None] if tokens and sequence.ndim == 1 else sequence
