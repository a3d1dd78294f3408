"""Text with holes: ``@name@`` is filled in, and ``@NAME@`` is the same in capitals."""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any


def fill(text: str, values: Mapping[str, Any]) -> str:
    """Fill every hole of a text.

    Raises
    ------
    KeyError
        If there is no value for a hole.
    """
    known = {**values, "NAME": str(values["name"]).upper()}
    return re.sub(r"@([A-Za-z_]\w*)@", lambda hole: str(known[hole.group(1)]), text)


def read(name: str) -> str:
    """A template that comes with this package."""
    return (resources.files("firmware_export") / "templates" / name).read_text("utf-8")
