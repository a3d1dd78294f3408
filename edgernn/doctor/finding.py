"""What a check found."""

from dataclasses import dataclass

OK, INFO, WARN, FAIL = "ok", "info", "warning", "failure"


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis."""

    what: str
    """What was looked at."""
    state: str
    """OK; INFO: something that is not there and need not be; WARN: it works, but; FAIL."""
    found: str
    fix: str = ""
    """What to do about it, a command where there is one."""
