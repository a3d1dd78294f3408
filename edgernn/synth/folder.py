"""A folder that a command makes, and goes on with when it is given again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgernn import files
from edgernn.errors import OutputError


def begin(out: Path, settings: Mapping[str, Any], name: str, grows: tuple[str, ...] = ()) -> None:
    """Make the folder, or see that it is gone on with by the same options.

    Parameters
    ----------
    out : Path
    settings : mapping
        What decides what is made, fit for JSON; kept in `out`.
    name : str
        Of the file that keeps them.
    grows : names of settings
        Those that may be another when the folder is gone on with.

    Raises
    ------
    OutputError
        If `out` holds what other options made, or anything else, or cannot be written.
    """
    own, wanted = out / name, json.loads(json.dumps(settings))
    try:
        out.mkdir(parents=True, exist_ok=True)
        if own.exists():
            before = json.loads(own.read_text(encoding="utf-8"))
            # What an older edgernn did not keep is not known to be another.
            other = sorted(key for key, was in before.items()
                           if key not in grows and wanted.get(key) != was)
            if other:
                raise OutputError(f"{out} holds what was made with another {other[0]}: "
                                  f"{before[other[0]]}, and now it is {wanted.get(other[0])}. Give "
                                  "the same to go on with it, or choose another --out")
        elif any(out.iterdir()):
            raise OutputError(f"{out} is not empty, and not of this command (it has no {name}). "
                              "Choose another --out")
    except OSError as problem:
        raise OutputError(f"{out} cannot be written: {problem.strerror or problem}. Choose "
                          "another place, or make room there") from problem
    except (ValueError, AttributeError) as problem:
        raise OutputError(f"{own} cannot be read ({problem}); what this command wrote was needed. "
                          "Choose another --out") from problem
    files.write(own, json.dumps(wanted, indent=1).encode())
