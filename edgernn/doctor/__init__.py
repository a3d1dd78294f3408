"""What of edgernn works on this machine, and what to do about the rest.

Every check is one function that gives findings; a check that fails itself is a finding too, so
that whatever is missing here, the others are still made.
"""

from collections.abc import Callable, Iterator

from edgernn.doctor.audio import microphones, sound_files
from edgernn.doctor.finding import FAIL, INFO, OK, WARN, Finding
from edgernn.doctor.interpreters import coral, runtimes
from edgernn.doctor.machine import disk, kernels, permissions, power, python
from edgernn.doctor.packages import extras, numpy_clash

__all__ = ["FAIL", "INFO", "OK", "WARN", "Finding", "examine"]

CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    python, kernels, extras, numpy_clash, runtimes, coral, microphones, sound_files,
    permissions, power, disk)


def examine() -> Iterator[Finding]:
    """All findings, one check after the other."""
    for check in CHECKS:
        try:
            yield from check()
        # Whatever is broken here is what a doctor is asked about: no reason to stop.
        except Exception as problem:
            yield Finding(check.__name__.replace("_", " "), WARN,
                          f"could not be looked at ({type(problem).__name__}: {problem})",
                          "Tell the makers of edgernn, with this line")
