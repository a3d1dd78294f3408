"""How the files of each target lie, and what describes them to its build."""

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from firmware_export import template
from firmware_export.project import Source
from firmware_export.tflm.targets import Target

Files = dict[str, str | bytes]
TEMPLATES = resources.files("firmware_export.tflm") / "templates"


def read(name: str) -> str:
    """A template of this package."""
    return (TEMPLATES / name).read_text("utf-8")


def laid_out(target: Target, files: Mapping[str, str], desktop: str, source: Source,
             values: Mapping[str, Any]) -> Files:
    """The project of a target.

    Parameters
    ----------
    target : Target
    files : mapping
        C and C++ by name; they lie in one folder, which is the one that includes are looked up in.
    desktop : str
        main.c of a desktop.
    source : Source
    values : mapping
        What fills the holes of the templates.
    """
    more = {"tflm": lambda: {"main.c": desktop}}
    def filled(name: str) -> str:
        return template.fill(read(name), values)
    return {**{f"src/{name}": text for name, text in files.items()},
            "CMakeLists.txt": filled("CMakeLists.txt"), "main.c": desktop}
