"""The folder of an export: whole or not there, and never over what someone else wrote."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from edgernn.errors import OutputError

MANIFEST = "edgernn-export.json"
"""What an export leaves in its folder: the SHA-256 of each file, by its path."""


def write_project(out: Path, files: Mapping[str, str | bytes], force: bool = False,
                  products: Sequence[str] = ()) -> None:
    """Write a folder of files, or leave `out` as it was.

    A folder that an export wrote is replaced.  One with other files in it, or with files of
    an export that were changed since, is left alone unless `force`; with it, files that are
    not of the export stay where they are.

    Parameters
    ----------
    out : path
        The folder; it is made if it is missing.
    files : mapping
        Contents by path within the folder, ``/`` between names.
    force : bool
        Overwrite what was changed, and write beside foreign files.
    products : sequence of str
        Patterns of what building the project leaves in it; such files go when it is replaced.

    Raises
    ------
    OutputError
        If files would be lost, or cannot be written.
    """
    out = Path(os.path.abspath(out))
    try:
        foreign = _foreign(out)
        if foreign and not force:
            raise OutputError(
                f"{out} holds {foreign[0]}{_more(foreign)}, not as an export wrote it. Choose "
                "another folder: --out; or let the export write beside it and over its own files: "
                "--force")
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
            new = Path(name) / "new"
            _fill(new, files, products)
            if foreign:
                _keep(out, new, foreign)
            _swap(new, out, Path(name) / "old")
    except OSError as problem:
        raise OutputError(f"{out} cannot be written: {problem.strerror or problem}. Choose another "
                          "place, or make room there") from problem


def _foreign(out: Path) -> list[str]:
    """Paths in a folder that no export wrote, or that were changed after."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; a folder was needed. Choose another: --out")
    known: dict[str, str] = {}
    products: list[str] = []
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        manifest = json.loads((out / MANIFEST).read_text("utf-8"))
        known, products = dict(manifest["sha256"]), list(manifest["products"])
    found = []
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_dir() and not path.is_symlink():
            continue
        if name == MANIFEST or any(fnmatch(name, pattern) for pattern in products):
            continue
        if path.is_symlink() or known.get(name) != _sha256(path.read_bytes()):
            found.append(name)
    return found


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _fill(folder: Path, files: Mapping[str, str | bytes], products: Sequence[str]) -> None:
    contents = {name: text.encode("utf-8") if isinstance(text, str) else text
                for name, text in files.items()}
    sums = {name: _sha256(data) for name, data in sorted(contents.items())}
    manifest = json.dumps({"products": list(products), "sha256": sums}, indent=2)
    contents[MANIFEST] = f"{manifest}\n".encode()
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _keep(out: Path, new: Path, foreign: list[str]) -> None:
    """Copy what is not the export's into the new folder, but for paths that it has itself."""
    for name in foreign:
        target = new / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(out / name, target, follow_symlinks=False)


def _swap(new: Path, out: Path, old: Path) -> None:
    if not out.exists():
        os.rename(new, out)
        return
    os.rename(out, old)
    try:
        os.rename(new, out)
    except OSError:
        os.rename(old, out)
        raise
