"""One file a layout of data; `load` knows which is which."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgernn.errors import DataError
from edgernn.train.dataset import AudioSet, DataSet, TextSet
from edgernn.train.readers import audio, notes, rows, text, ts

LAYOUTS = ("label/*.wav or *.flac, Speech Commands, an index.csv with path and label, NAME_TRAIN.ts"
           " and NAME_TEST.ts, an .npz, CSV files of sensor rows, a .tsv of texts, a .conllu, or a "
           ".json of notes")


def load(
    path: Path, *, sample_rate_hz: int = 16000, strict: bool = False, hold_out: str = "",
    noise: Sequence[Path] = (), seed: int = 0,
    tell: Callable[[str], None] = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> DataSet:
    """Read a data set, whatever its layout.

    Parameters
    ----------
    path : Path
        A folder or file in one of `LAYOUTS`.
    sample_rate_hz : int
        To which recordings are resampled.
    strict : bool
        Stop at the first file that cannot be used, rather than leave it out.
    hold_out : str
        Speaker to test on; all others train.
    noise : paths
        Folders or files of background, in place of ``_background_noise_``.
    seed : int
        Of the split, where the data has none.
    tell : callable
        Told what was left out and why.
    progress : callable
        Told files done, and how many there are.

    Raises
    ------
    DataError
        If there is nothing usable, one label only, or a label with nothing to train on.
    """
    found = _read(path, sample_rate_hz, strict, hold_out, noise, seed, tell, progress, 2)
    trained = _trained(found)
    untrained = [label for label in found.labels if label not in trained]
    if untrained:
        raise DataError(f"{path} has nothing labelled {untrained[0]!r} to train on, only to "
                        "validate or test; some of each label was needed. Add some, change the "
                        "split, or remove the label")
    return found


def read(path: Path, *, sample_rate_hz: int = 16000, seed: int = 0,
         tell: Callable[[str], None] = lambda message: None) -> DataSet:
    """Read a data set that nothing is trained on: recordings may be of one label alone.

    For the rest see `load`.
    """
    return _read(path, sample_rate_hz, False, "", (), seed, tell, lambda done, total: None, 1)


def _trained(found: DataSet) -> set[str]:
    """Labels of what is marked for training."""
    if isinstance(found, AudioSet):
        return {r.label for r in found.recordings if r.split == "train"}
    if isinstance(found, TextSet):
        train = np.flatnonzero(found.split == "train")
        codes = np.concatenate([found.tags[i] for i in train]) if found.tags else \
            found.codes[train]
    else:
        part = found.sequences.of_split("train")
        codes = part.labels if part.targets is None else part.targets
        if codes.ndim == 2:
            return set(found.labels)
    return {found.labels[i] for i in np.unique(codes) if 0 <= i < len(found.labels)}


def _read(
    path: Path, sample_rate_hz: int, strict: bool, hold_out: str, noise: Sequence[Path], seed: int,
    tell: Callable[[str], None], progress: Callable[[int, int], None], least: int,
) -> DataSet:
    if not path.is_dir() and path.with_name(f"{path.name}_TRAIN.ts").exists():
        return ts.read(path, seed)
    if not path.exists():
        raise DataError(f"{path} is not there; a data set was needed: {LAYOUTS}")
    if path.suffix == ".npz":
        return rows.read_npz(path, seed)
    if path.suffix == ".csv" and path.name != "index.csv":
        return rows.read_long_csv(path, seed)
    if path.suffix == ".tsv":
        return text.read_tsv(path, seed, strict, tell)
    if path.suffix == ".conllu":
        return text.read_conllu(path, seed)
    if path.suffix == ".json":
        return notes.read(path)
    if (path / "train.tsv").exists():
        return text.read_tsv(path / "train.tsv", seed, strict, tell)
    if path.suffix == ".ts" or any(path.glob("*.ts")):
        return ts.read(path, seed)
    folder = path.parent if path.name == "index.csv" else path
    if (folder / "order.json").exists() and (folder / "data" / "index.csv").exists():
        raise DataError(f"{path} is what edgernn new made, and no data set, but "
                        f"{folder / 'data'} is one. Name that")
    if folder.is_dir() and not (folder / "index.csv").exists() and any(folder.glob("*/*.csv")):
        return rows.read_folder(folder, seed, strict, tell)
    if folder.is_dir():
        return audio.read(folder, sample_rate_hz, strict, hold_out, noise, seed, tell, progress,
                          least)
    raise DataError(f"{path} is none of the layouts known: {LAYOUTS}. Convert it to one of them")
