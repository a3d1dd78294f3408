"""What each target's own build reads of an export, read by its own tools where they are here."""

import json
import re
import shutil
import subprocess
import tarfile
from functools import partial
from pathlib import Path

import pytest

from edgernn.spec import LogMelSpec
from edgernn.train.emit import emit
from firmware_export.folder import write_project
from firmware_export.project import Source
from firmware_export.tflm import TARGETS, tflm_project
from tests import models
from tests.firmware import stepping

KINDS = ("rows", "audio", "tokens", "numbers")


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """Write an export of a kind of model for a target; its folder."""
    monkeypatch.setattr(models, "emit", partial(emit, per_channel=False))

    def write(target, kind="rows"):
        path = {"rows": lambda: models.write_model(tmp_path / "m.tflite"),
                "audio": lambda: models.write_model(tmp_path / "m.tflite", frontend=LogMelSpec()),
                "tokens": lambda: models.texts(tmp_path),
                "numbers": lambda: models.numbers(tmp_path)}[kind]()
        write_project(tmp_path / "kws", tflm_project(Source.read(path), "kws", ["tests"],
                                                     TARGETS[target], 30_000))
        return tmp_path / "kws"
    return write


def compiled(folder):
    return {path.name for path in (folder / "src").iterdir() if path.suffix in (".c", ".cc")}


# ---- Arduino, PlatformIO --------------------------------------------------------------


@pytest.fixture
def platformio(monkeypatch):
    """PlatformIO's reader of packages, which would ask the net for the list of licences."""
    pytest.importorskip("platformio", reason="needs pip install platformio")
    from platformio.package.manifest import schema

    monkeypatch.setattr(schema.ManifestSchema, "load_spdx_licenses",
                        staticmethod(lambda: {"licenses": [{"licenseId": "Apache-2.0"}]}))


@pytest.mark.parametrize(("target", "file"), [
    ("arduino", "library.properties"), ("platformio", "library.json")])
def test_platformio_accepts_both_kinds_of_library(exported, platformio, target, file):
    from platformio.package.manifest.parser import ManifestParserFactory
    from platformio.package.manifest.schema import ManifestSchema

    folder = exported(target)
    raw = ManifestParserFactory.new_from_file(str(folder / file)).as_dict()
    read = ManifestSchema().load_manifest(raw)
    assert read["name"] == "kws"
    assert re.fullmatch(r"\d+\.\d+\.\d+", read["version"])
    assert [one["name"] for one in read["dependencies"]] == ["Chirale_TensorFLowLite"]
    for example in read.get("examples", []):
        assert all((folder / example["base"] / name).is_file() for name in example["files"])


@pytest.mark.parametrize("target", ["arduino", "platformio"])
def test_platformio_packs_the_library(exported, platformio, tmp_path, target):
    from platformio.package.pack import PackagePacker

    packed = PackagePacker(str(exported(target))).pack(str(tmp_path / "kws.tar.gz"))
    with tarfile.open(packed) as archive:
        assert {"src/kws.h", "src/kws.cpp", "README.md", "LICENSE"} <= set(archive.getnames())


def test_an_arduino_library_has_what_the_specification_demands(exported):
    folder = exported("arduino")
    lines = (folder / "library.properties").read_text().splitlines()
    said = dict(line.split("=", 1) for line in lines)
    assert {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url",
            "architectures"} <= said.keys()
    assert said["category"] in ("Data Processing",)
    assert (folder / "src" / said["includes"]).is_file()
    # Old builders know no .cc, and look in no folder of src for headers.
    assert not list((folder / "src").glob("*.cc"))
    assert not [path for path in (folder / "src").iterdir() if path.is_dir()]
    sketch = next((folder / "examples").rglob("*.ino"))
    assert sketch.stem == sketch.parent.name


# ---- ESP-IDF --------------------------------------------------------------------------


def test_espressifs_component_manager_accepts_the_manifest(exported):
    manager = pytest.importorskip("idf_component_tools.manager",
                                  reason="needs pip install idf-component-manager")
    found = manager.ManifestManager(exported("esp-idf"), "kws").load()
    assert {one.name for one in found.requirements} == {"idf", "espressif/esp-tflite-micro"}
    assert found.license == "Apache-2.0"


SCRIPT = """
function(idf_component_register)
  message("${ARGN}")
endfunction()
function(zephyr_include_directories)
  message("include;${ARGN}")
endfunction()
function(zephyr_compile_definitions)
  message("define;${ARGN}")
endfunction()
function(zephyr_library_named)
  message("named;${ARGN}")
endfunction()
function(zephyr_library_sources)
  message("sources;${ARGN}")
endfunction()
set(CONFIG_EDGERNN_KWS y)
set(CONFIG_EDGERNN_KWS_ARENA_BYTES 30000)
include("LISTS")
"""


def cmake_says(lists, folder):
    """What a CMakeLists.txt of someone else's build calls."""
    if not shutil.which("cmake"):
        pytest.skip("needs cmake: apt install cmake")
    (folder / "script.cmake").write_text(SCRIPT.replace("LISTS", str(lists)))
    done = subprocess.run(["cmake", "-P", str(folder / "script.cmake")], check=True,
                          capture_output=True, text=True)
    return [line.split(";") for line in done.stderr.splitlines()]


def test_a_component_of_esp_idf_has_all_sources_and_no_others(exported, tmp_path):
    folder = exported("esp-idf", "audio")
    (call,) = cmake_says(folder / "CMakeLists.txt", tmp_path)
    sources = call[call.index("SRCS") + 1:call.index("INCLUDE_DIRS")]
    assert sorted(sources) == sorted(f"src/{name}" for name in compiled(folder))
    assert call[call.index("INCLUDE_DIRS") + 1:] == ["src", "PRIV_REQUIRES", "esp-tflite-micro"]


# ---- Zephyr ---------------------------------------------------------------------------


def test_a_module_of_zephyr_has_all_sources_and_no_others(exported, tmp_path):
    folder = exported("zephyr", "audio")
    calls = {name: rest for name, *rest in cmake_says(folder / "zephyr" / "CMakeLists.txt",
                                                      tmp_path)}
    assert {Path(path).resolve() for path in calls["sources"]} == {
        folder.resolve() / "src" / name for name in compiled(folder)}
    assert calls["define"] == ["KWS_ARENA_BYTES=30000"]
    assert [Path(path).resolve() for path in calls["include"]] == [folder.resolve() / "src"]


def test_zephyrs_module_says_where_its_files_are(exported):
    """The keys of the schema in Zephyr's scripts/zephyr_module.py, read by hand."""
    import yaml

    folder = exported("zephyr")
    module = yaml.safe_load((folder / "zephyr" / "module.yml").read_text())
    assert module.keys() <= {"name", "build", "samples"}
    assert module["build"].keys() <= {"cmake", "kconfig", "depends"}
    assert (folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert (folder / module["build"]["kconfig"]).is_file()
    assert all(list((folder / sample).rglob("sample.yaml")) for sample in module["samples"])


@pytest.mark.parametrize("on", [True, False])
def test_kconfig_gives_the_arena_only_where_the_model_can_run(exported, tmp_path, on):
    kconfiglib = pytest.importorskip("kconfiglib", reason="needs pip install kconfiglib")
    folder = exported("zephyr")
    root = tmp_path / "Kconfig"
    root.write_text("config CPP\n\tbool\n\tdefault y\nconfig TENSORFLOW_LITE_MICRO\n\tbool\n"
                    f"\tdefault {'y' if on else 'n'}\nsource \"{folder}/zephyr/Kconfig\"\n")
    config = kconfiglib.Kconfig(str(root))
    config.syms["EDGERNN_KWS"].set_value("y")
    assert config.syms["EDGERNN_KWS"].str_value == ("y" if on else "n")
    assert config.syms["EDGERNN_KWS_ARENA_BYTES"].str_value == ("30000" if on else "")
    for line in (folder / "samples/selfcheck/prj.conf").read_text().splitlines():
        name, _, value = line.partition("=")
        assert line.startswith("#") or (name.startswith("CONFIG_") and value)


# ---- examples -------------------------------------------------------------------------

STUBS = {
    "Arduino.h": """#pragma once
struct Port { void begin(long) {} void print(const char *) {} operator bool() { return true; } };
static Port Serial;
unsigned long micros(void);
""",
    "Chirale_TensorFlowLite.h": "", "freertos/FreeRTOS.h": "",
    "freertos/task.h": "void vTaskDelay(int ticks);\n",
    "esp_timer.h": "#include <stdint.h>\nint64_t esp_timer_get_time(void);\n",
    "zephyr/kernel.h": """#include <stdint.h>
void printk(const char *format, ...);
uint64_t k_cycle_get_64(void);
uint64_t k_cyc_to_us_floor64(uint64_t cycles);
void k_msleep(int ms);
""",
}
"""As much of each platform as an example calls."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["arduino", "platformio", "esp-idf", "zephyr"])
def test_the_example_of_every_kind_of_model_compiles(exported, tmp_path, target, kind):
    if not shutil.which("g++"):
        pytest.skip("needs g++: apt install g++")
    folder = exported(target, kind)
    for name, text in STUBS.items():
        (tmp_path / "stubs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "stubs" / name).write_text(text)
    sketch = next(path for path in (*folder.rglob("*.ino"), *folder.rglob("s*.c"),
                                    *folder.rglob("main.c")) if "src/ernn" not in str(path)
                  and ("examples" in path.parts or "samples" in path.parts))
    words = (["g++", "-std=c++11", "-x", "c++", "-include", "Arduino.h"] if sketch.suffix == ".ino"
             else ["gcc", "-std=c99"])
    subprocess.run([*words, "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                    f"-I{tmp_path / 'stubs'}", f"-I{folder / 'src'}", str(sketch)], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_around_the_model_is_clean_c99(exported, kind):
    if not shutil.which("gcc"):
        pytest.skip("needs gcc: apt install gcc")
    folder = exported("tflm", kind) / "src"
    subprocess.run(["gcc", *stepping.FLAGS, "-fsyntax-only", f"-I{folder}",
                    *map(str, folder.glob("*.c"))], check=True)


@pytest.mark.parametrize("target", TARGETS)
def test_no_hole_of_a_template_is_left(exported, target):
    folder = exported(target, "audio")
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in ("LICENSE",):
            assert not re.search(r"@[A-Za-z_]\w*@", path.read_text()), path
    json.loads((folder / "edgernn-export.json").read_text())
