"""Files that are either whole or not there."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgernn.errors import OutputError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it if the block ends well.

    Raises
    ------
    OutputError
        If it cannot be written; `path` is then as it was.
    """
    import tempfile  # and all that it imports: a device that only listens has no use for it

    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.",
                                        suffix=path.suffix)
    except OSError as problem:
        raise _refused(path, problem) from problem
    os.close(handle)
    try:
        yield Path(name)
        # mkstemp makes files that only their owner may read; a result is like any other file.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except OSError as problem:
        raise _refused(path, problem) from problem
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def write(path: Path, data: bytes) -> None:
    """Write a whole file, or leave `path` as it was; see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def wanted(*paths: Path | None, read: Iterable[Path | None] = ()) -> None:
    """Refuse now what `replacing` would refuse when the work is done; None is nothing wanted.

    Raises
    ------
    OutputError
        If a file could not be made there, or is one of those that are `read`.
    """
    import tempfile

    kept = {path.resolve() for path in read if path}
    for path in filter(None, paths):
        if path.resolve() in kept:
            raise OutputError(f"{path} is read here, and would be written over. Choose another "
                              "name")
        try:
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as problem:
            raise _refused(path, problem) from problem


def _refused(path: Path, problem: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written: {problem.strerror or problem}. "
                       "Choose another place, or make room there")
