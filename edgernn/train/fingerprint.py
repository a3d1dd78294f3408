"""What data was when something was made of it, known without reading it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from edgernn.train.readers.audio import SUFFIXES

TABLES = {".csv", ".tsv", ".ts", ".txt"}
"""What else a folder of data may hold, itself or in a folder of a label."""
HALVES = (("_TRAIN.ts", "_TEST.ts"), ("_TEST.ts", "_TRAIN.ts"), ("train.tsv", "test.tsv"),
          ("test.tsv", "train.tsv"))
"""Ends of names of files whose readers look for the other half beside them."""


def fingerprint(given: Iterable[Path], out: Path) -> str:
    """How many files there are, and a digest of their names, sizes and times.

    Parameters
    ----------
    given : iterable of Path
        Data as `edgernn.train.readers` take it, or sounds.  Recordings that an index.csv names
        outside of its own folder are not looked at.
    out : Path
        A folder to leave out: what is made may lie among what it is made of.
    """
    digest, count, own = hashlib.blake2b(digest_size=8), 0, out.resolve()
    for one in given:
        root = one.resolve().parent
        for path in sorted(_files(one.resolve())):
            if not path.is_relative_to(own):
                there = path.stat()
                digest.update(f"{path.relative_to(root)} {there.st_size} {there.st_mtime_ns}\n"
                              .encode(errors="surrogateescape"))
                count += 1
    return f"{count} file{'s' * (count != 1)} ({digest.hexdigest()})"


def _files(given: Path) -> Iterable[Path]:
    """What a reader may open of a file or a folder."""
    folder = given.parent if given.name == "index.csv" else given
    if not folder.is_dir():
        name = folder.name
        halves = {name, *(name.replace(*pair) for pair in HALVES), f"{name}_TRAIN.ts",
                  f"{name}_TEST.ts"}
        return (path for half in halves if (path := folder.with_name(half)).is_file())

    def read(path: Path) -> bool:
        deep = len(path.relative_to(folder).parts) > 2
        return path.suffix.lower() in SUFFIXES or (path.suffix in TABLES and not deep)

    # The first pattern follows links to folders of labels, as readers do.
    found = {*folder.glob("*/*"), *folder.rglob("*")}
    return (path for path in found if read(path) and path.is_file())
