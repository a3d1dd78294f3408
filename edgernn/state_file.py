"""States of streams in a file, so that they go on where they were when the program starts again."""

import io
import json
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgernn import files
from edgernn.errors import ModelError, StateError
from edgernn.stream import Listener

FORMAT = 1
ABOUT = "about.json"
"""The member of the archive that says which model each state is of, and when it was saved."""


def save(path: Path, listeners: Mapping[str, Listener]) -> None:
    """Write the states of streams, by their names: whole, or the file stays as it was.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    file = io.BytesIO()
    streams: dict[str, dict[str, str]] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for number, (name, listener) in enumerate(listeners.items()):
            streams[name] = {"model_sha256": listener.model.spec.model_sha256,
                             "member": f"{number}.npz"}
            arrays = io.BytesIO()
            np.savez(arrays, **listener.carrier.state())  # type: ignore[arg-type]
            archive.writestr(f"{number}.npz", arrays.getvalue())
        archive.writestr(ABOUT, json.dumps({
            "format": FORMAT, "saved_unix_s": round(time.time(), 3), "streams": streams}))
    files.write(path, file.getvalue())


def restore(path: Path, listeners: Mapping[str, Listener]) -> float | None:
    """Go on from what `save` wrote; give how many seconds ago that was, None if nothing was.

    Raises
    ------
    StateError
        If the file is damaged, or of other models or streams; no state is then changed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise StateError(f"{path} cannot be read: {problem.strerror}. Permit it, or name another "
                         "file") from problem
    try:
        about, states = _read(data)
        saved = float(about["saved_unix_s"])
        found = {name: (entry["model_sha256"], states[entry["member"]])
                 for name, entry in about["streams"].items()}
    # What zipfile, json and numpy raise on damage, as tools/fuzz.py finds it.
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, OSError, EOFError,
            RuntimeError, OverflowError, IndexError, MemoryError, SyntaxError) as problem:
        raise StateError(f"{path} holds no states that can be read ({problem!r}). Delete it to "
                         "begin anew") from problem
    _restore_all(path, found, listeners)
    return max(0.0, time.time() - saved)


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("a member is compressed, which `save` never does")
        about = json.loads(archive.read(ABOUT))
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}, and {FORMAT} was needed")
        states = {}
        for entry in about["streams"].values():
            with np.load(io.BytesIO(archive.read(entry["member"])), allow_pickle=False) as arrays:
                states[entry["member"]] = dict(arrays)
    return about, states


def _restore_all(path: Path, found: Mapping[str, tuple[str, dict[str, Any]]],
                 listeners: Mapping[str, Listener]) -> None:
    missing = sorted(set(listeners) - set(found))
    if missing:
        raise StateError(f"{path} holds the states of {', '.join(sorted(found)) or 'nothing'}; "
                         f"that of {missing[0]} was needed too. Give the same models and inputs as "
                         "then, or delete the file to begin anew")
    for name, listener in listeners.items():
        if found[name][0] != listener.model.spec.model_sha256:
            raise StateError(f"{path} holds the state of another model than {name}: of one with "
                             f"SHA-256 {found[name][0][:12]}... Delete it to begin anew")
    before = {name: listener.carrier.state() for name, listener in listeners.items()}
    try:
        for name, listener in listeners.items():
            listener.carrier.restore(found[name][1])
    except ModelError as problem:
        for name, state in before.items():
            listeners[name].carrier.restore(state)
        raise StateError(f"{path} does not fit ({problem}). Delete it to begin anew") from problem
