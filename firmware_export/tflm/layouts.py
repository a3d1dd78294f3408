"""How the files of each target lie, and what describes them to its build."""

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import edgernn
from edgernn.spec import LogMelSpec, TokenSpec
from firmware_export import template
from firmware_export.project import Source
from firmware_export.tflm.targets import Target

TEMPLATES = resources.files("firmware_export.tflm") / "templates"
COMPILED = (".c", ".cc", ".cpp")

PLACES = {
    "tflm": {"CMakeLists.txt": "CMakeLists.txt"},
    "arduino": {"library.properties": "library.properties",
                "examples/selfcheck/selfcheck.ino": "arduino.ino"},
    "esp-idf": {"CMakeLists.txt": "esp_CMakeLists.txt", "idf_component.yml": "idf_component.yml",
                "examples/selfcheck/CMakeLists.txt": "esp_example.txt",
                "examples/selfcheck/main/CMakeLists.txt": "esp_example_main.txt",
                "examples/selfcheck/main/selfcheck.c": "esp_main.c"},
    "platformio": {"examples/selfcheck/selfcheck.ino": "arduino.ino"},
    "zephyr": {"zephyr/module.yml": "zephyr_module.yml",
               "zephyr/CMakeLists.txt": "zephyr_CMakeLists.txt", "zephyr/Kconfig": "Kconfig",
               "samples/selfcheck/CMakeLists.txt": "zephyr_sample.txt",
               "samples/selfcheck/prj.conf": "prj.conf",
               "samples/selfcheck/sample.yaml": "sample.yaml",
               "samples/selfcheck/src/main.c": "zephyr_main.c"},
}
"""Besides README.md and src/, each target's files, by path, and the templates of them."""

WHAT = {
    "CMakeLists.txt": "builds it",
    "main.c": "a desktop program: @reads@ in, @prints@ out",
    "library.properties": "what Arduino reads of it", "library.json": "what PlatformIO reads of it",
    "idf_component.yml": "what ESP-IDF's component manager reads of it",
    "examples/selfcheck/": "begin here on a board", "samples/selfcheck/": "begin here on a board",
    "zephyr/": "what Zephyr reads of it"}
"""What the README says of the files and folders around src/."""


def read(name: str) -> str:
    """A template of this package."""
    return (TEMPLATES / name).read_text("utf-8")


def laid_out(target: Target, files: Mapping[str, str], desktop: str, source: Source,
             values: Mapping[str, Any]) -> dict[str, str | bytes]:
    """The project of a target: the C in one folder, src/, which includes are looked up in.

    Parameters
    ----------
    target : Target
    files : mapping
        C and C++ by name.
    desktop : str
        main.c of a desktop.
    source : Source
    values : mapping
        What fills the holes of the templates.
    """
    values = {**values, **_words(target, files, values), **_example(target, source, values)}
    laid: dict[str, str | bytes] = {f"src/{name}": text for name, text in sorted(files.items())}
    laid |= {path: template.fill(read(name), values)
             for path, name in PLACES[target.name].items()}
    if target.name == "tflm":
        laid["main.c"] = desktop
    if target.name == "platformio":
        laid["library.json"] = library_json(target, values)
    there = {what: said for what, said in WHAT.items()
             if any(path == what or path.startswith(what) for path in laid)}
    values["files"] = "\n".join(f"| `{what}` | {template.fill(said, values)} |"
                                for what, said in there.items())
    values["use"] = template.fill(read(f"use_{target.name}.md"), values)
    laid["README.md"] = template.fill(read("README.md"), values)
    return laid


def library_json(target: Target, values: Mapping[str, Any]) -> str:
    """What PlatformIO reads of a library."""
    return json.dumps({
        "name": values["name"], "version": values["semver"], "description": values["sentence"],
        "keywords": ["edgernn", "tflite-micro"], "license": "Apache-2.0",
        "authors": [{"name": "edgernn"}], "headers": [f"{values['name']}.h"],
        "frameworks": ["arduino"], "platforms": ["*"],
        "dependencies": [{"owner": "spaziochirale", "name": "Chirale_TensorFLowLite",
                          "version": "^2.0.0"}],
        "examples": [{"name": "selfcheck", "base": "examples/selfcheck",
                      "files": ["selfcheck.ino"]}],
        "build": {"srcDir": "src", "includeDir": "src"}}, indent=2) + "\n"


def _words(target: Target, files: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """What metadata says, each in the way of its format."""
    before = "${CMAKE_CURRENT_LIST_DIR}/../src/" if target.name == "zephyr" else "src/"
    compiled = [name for name in sorted(files) if name.endswith(COMPILED)]
    release = re.match(r"\d+\.\d+\.\d+", edgernn.__version__)
    return {"semver": release.group() if release else "0.0.0",
            "sentence": values["about"][:900], "about_quoted": json.dumps(values["about"]),
            "sources": "".join(f'    "{before}{name}"\n' for name in compiled),
            "arena_note_wrapped": textwrap.fill(
                f"The arena has {values['arena_bytes']:,} bytes: "
                + values["arena_note"].replace("\n *", " "), 99)}


@dataclass(frozen=True)
class _Kind:
    """What the example of a kind of model is made of."""

    what: str
    """read_...() is the reader's to write."""
    one_frame: str
    """Numbers that are a frame."""
    memory: tuple[str, ...] = ()


def _example(target: Target, source: Source, values: Mapping[str, Any]) -> dict[str, str]:
    """What a board's own program is made of."""
    name, frontend = values["name"], source.spec.frontend
    listen, kind = "rows", _Kind("row", "0")
    rate = 0
    if isinstance(frontend, TokenSpec):
        listen, kind = "tokens", _Kind("frame", ", ".join(["1"] * frontend.width))
    if isinstance(frontend, LogMelSpec):
        rate = frontend.sample_rate_hz
        listen, kind = "audio", _Kind("samples", "0", (f"static {name}_logmel frontend;",))
    start = [f"    {name}_logmel_reset(&frontend);\n"] if rate else []
    if source.detector:
        start.append(f"    {name}_detect_reset(&detector);\n")
    inner = {**values, "rate": rate, "one_frame": kind.one_frame, "start": "".join(start)}
    memory = [*kind.memory, *([f"static {name}_detector detector;"] if source.detector else [])]
    found = read(f"example_{'detect' if source.detector else 'scores'}.c")
    body = template.fill(read("example.c"), {
        **inner, "memory": "\n".join(memory), "found": template.fill(found, inner),
        "listen": template.fill(read(f"example_{listen}.c"), inner).rstrip()})
    return {"example": body, "what": kind.what,
            "include": f"#include <{target.include}>\n" if target.include else ""}
