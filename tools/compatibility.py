"""Does the device side work with every Python, numpy and interpreter it claims?  A table.

    python tools/compatibility.py [--quick] [--only NAME] [--fresh] [--out docs/compatibility.md]

Makes a virtual environment for every room of ROOMS in .cache/compatibility, installs this tree
and the room's packages in it (by uv if it is installed and gets them, else by pip), and runs the
room's tests there; the models they open are made once, by the Python that runs this (it needs the
extra `train`).  Rooms run before are not run again for the same clean commit unless --fresh; a
room whose Python is not on this machine is `not run`.  Exits with 1 if a room that ran failed.

--quick is for CI: fewer tests, no TensorFlow of today (CI's own tests train with that one), the
table in .cache/compatibility.md and on stdout.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ROOT = PROJECT / ".cache" / "compatibility"
DEVICE = ("tests/test_quant.py", "tests/test_step.py", "tests/test_detect.py",
          "tests/test_runtimes.py", "tests/test_imports.py", "tests/test_native.py")
TRAINING = ("tests/train/test_fit.py", "tests/train/test_keras_file.py",
            "tests/train/test_models.py")
QUICK_DEVICE = ("-k", "not test_runtimes or int8x16")
"""Closeness of the runtimes in the default profile alone: it takes longer than all the rest."""
QUICK_TRAINING = ("-k", "keras_equals_the_float_step or run_folder_has_all")
"""Every cell made by Keras, and a training."""
TOOLS = ("pytest>=8,<10", "pytest-xdist>=3.5,<4", "hypothesis>=6.100,<7")


@dataclass(frozen=True)
class Room:
    """One row of the table."""

    name: str
    python: str
    packages: tuple[str, ...]
    """Requirements besides edgernn and its tests'."""
    tests: tuple[str, ...] = DEVICE


NEWEST = "tensorflow-newest"
LITERT = "ai-edge-litert>=2.0,<3"
TRAIN = ("PyYAML>=6,<7", "matplotlib>=3.8,<4", "flatbuffers>=24.3", "soundfile>=0.12.1,<0.15",
         "soxr>=0.3.7,<2", LITERT)
ROOMS = (
    Room("3.10-numpy1", "3.10", ("numpy==1.26.*", LITERT)),
    Room("3.10-numpy2", "3.10", ("numpy>=2,<3", LITERT)),
    Room("3.11-numpy1", "3.11", ("numpy==1.26.*", LITERT)),
    Room("3.11-numpy2", "3.11", ("numpy>=2,<3", LITERT)),
    Room("3.12-numpy1", "3.12", ("numpy==1.26.*", LITERT)),
    Room("3.12-numpy2", "3.12", ("numpy>=2,<3", LITERT)),
    # No numpy 1 was ever built for 3.13, nor tflite-runtime for 3.12 or later.
    Room("3.13-numpy2", "3.13", ("numpy>=2,<3", LITERT)),
    Room("3.10-tflite-runtime", "3.10", ("numpy==1.26.*", "tflite-runtime==2.14.0")),
    Room("3.11-tflite-runtime", "3.11", ("numpy==1.26.*", "tflite-runtime==2.14.0")),
    Room("3.11-tflite-micro", "3.11", ("numpy>=2,<3", "tflite-micro>=0.dev20261016")),
    Room("3.13-tflite-micro", "3.13", ("numpy>=2,<3", "tflite-micro>=0.dev20261016")),
    Room("tensorflow-oldest", "3.10", ("tensorflow==2.18.0", "keras==3.8.0", *TRAIN), TRAINING),
    Room(NEWEST, "3.13", ("tensorflow>=2.21,<2.22", "keras>=3.15,<4", *TRAIN),
         TRAINING),
)
SHOWN = ("numpy", "ai-edge-litert", "tflite-runtime", "tflite-micro", "tensorflow", "keras")


def interpreter(version: str) -> str | None:
    """The Python of that version on this machine, behind pyenv's stand-ins too; None if none."""
    names = [""]
    if shutil.which("pyenv"):
        listed = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True)
        names += [name for name in listed.stdout.split() if name.startswith(f"{version}.")]
    for name in names:
        command = [f"python{version}", "-c", "import ssl, sys, venv; print(sys.executable)"]
        if not shutil.which(command[0]):
            continue
        done = subprocess.run(command, capture_output=True, text=True,
                              env=os.environ | ({"PYENV_VERSION": name} if name else {}))
        if done.returncode == 0:
            return done.stdout.strip()
    return None


def make_models(commit: str) -> Path:
    """The models that rooms without flatbuffers cannot make, of this commit."""
    folder = ROOT / f"models-{commit}"
    if any(folder.glob("*.tflite")):
        return folder
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", DEVICE[3],
                           "-k", "int8-lstm"],  # the first test of any makes all of them
                          cwd=PROJECT, env=_environment(folder), capture_output=True, text=True)
    if not any(folder.glob("*.tflite")):
        sys.exit(f"{sys.executable} made no models; it needs the extras train and dev:\n"
                 f"{done.stdout[-2000:]}")
    return folder


def _environment(models: Path) -> dict[str, str]:
    return os.environ | {"EDGERNN_TEST_MODELS": str(models), "PYTHONPATH": str(PROJECT), "CI": "1"}


def install(room: Room, python: str, folder: Path) -> str:
    """Make the room; what went wrong, or nothing."""
    own = str(folder / "bin" / "python")
    wanted = [*TOOLS, *room.packages, "--editable", "."]
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    ways = [([python, "-m", "venv", str(folder)],
             [own, "-m", "pip", "install", "--quiet", *wanted])]
    if uv:  # it does not know pip's settings: what it cannot get, pip may
        ways.insert(0, ([uv, "venv", "--quiet", "--python", python, str(folder)],
                        [uv, "pip", "install", "--quiet", "--python", own, *wanted]))
    said = ""
    for way in ways:
        shutil.rmtree(folder, ignore_errors=True)
        for command in way:
            done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
            if done.returncode:
                said += done.stdout + done.stderr
                break
        else:
            return ""
    return said


def run(room: Room, models: Path, commit: str, quick: bool) -> dict[str, object]:
    """Install and test; what came of it."""
    python = interpreter(room.python)
    result: dict[str, object] = {"commit": commit}
    if python is None:
        return result | {"outcome": f"not run: no Python {room.python} here"}
    folder = ROOT / room.name
    own = folder / "bin" / "python"
    wrong = install(room, python, folder)
    if wrong:
        (ROOT / f"{room.name}.log").write_text(wrong)
        return result | {"outcome": f"FAIL: no install: {wrong.strip().splitlines()[-1]}"}
    report = ROOT / f"{room.name}.xml"
    report.unlink(missing_ok=True)
    began = time.monotonic()
    training = room.tests == TRAINING
    # What trains is slow, and what these rooms are for.
    chosen = [] if training else ["-m", "not slow"]
    if quick:
        chosen = [*QUICK_TRAINING] if training else [*chosen, "-n", "2", *QUICK_DEVICE]
    done = subprocess.run([str(own), "-m", "pytest", "-p", "no:cacheprovider", *chosen,
                           f"--junitxml={report}", *room.tests], cwd=PROJECT,
                          env=_environment(models), capture_output=True, text=True)
    (ROOT / f"{room.name}.log").write_text(done.stdout + done.stderr)
    result |= {"seconds": round(time.monotonic() - began), **_versions(own)}
    if not report.exists():
        return result | {"outcome": f"FAIL: pytest ended with {done.returncode}"}
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    count = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    bad = count["failures"] + count["errors"]
    passed = count["tests"] - bad - count["skipped"]
    said = f"{passed} passed, {bad} failed, {count['skipped']} skipped"
    # Nothing run proves nothing.
    good = done.returncode == 0 and passed > 0
    return result | {"outcome": f"{'pass' if good else 'FAIL'}: {said}"}


ASK = """
import importlib.metadata, json, platform, sys
found = {one.metadata["Name"].lower().replace("_", "-"): one.version
         for one in importlib.metadata.distributions()}
print(json.dumps({"python": platform.python_version(),
                  "versions": {name: found[name] for name in sys.argv[1:] if name in found}}))
"""


def _versions(python: Path) -> dict[str, object]:
    asked = subprocess.run([str(python), "-c", ASK, *SHOWN], capture_output=True, text=True,
                           check=True)
    found: dict[str, object] = json.loads(asked.stdout)
    return found


def table(results: dict[str, dict]) -> str:
    """One row a room."""
    rows = ["| room | Python | versions | outcome | commit |", "|---|---|---|---|---|"]
    for room in ROOMS:
        one = results.get(room.name, {"outcome": "not run"})
        versions = ", ".join(f"{k} {v}" for k, v in one.get("versions", {}).items())
        rows.append(f"| {room.name} | {one.get('python', room.python)} | "
                    f"{versions or ', '.join(room.packages)} | {one['outcome']} | "
                    f"{one.get('commit', '')} |")
    return "\n".join(rows) + "\n"


def page(results: dict[str, dict], quick: bool) -> str:
    """The table, and what it tells of."""
    names = {tests: ", ".join(f"`{name}`" for name in tests) for tests in (DEVICE, TRAINING)}
    return (
        "# What edgernn was tried with\n\nWritten by `python tools/compatibility.py"
        f"{' --quick' if quick else ''}`; do not edit."
        "\n\nEvery room is a virtual environment of its own with this tree installed, its C "
        "compiled by that Python.\nThe device side's rooms run "
        f"{names[DEVICE]}{', of `test_runtimes.py` the profile int8x16' if quick else ''},\n"
        f"TensorFlow's {names[TRAINING]}, the slow ones {'not' if quick else 'too'}.\n"
        "A test skips where the room lacks its interpreter.  There is no numpy 1.26 for Python "
        "3.13,\nand no tflite-runtime for 3.12 or 3.13.\n\n" + table(results))


def main() -> None:
    """Run the rooms, write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[room.name for room in ROOMS])
    parser.add_argument("--quick", action="store_true", help="CI's: fewer tests")
    parser.add_argument("--fresh", action="store_true", help="run rooms again that were run")
    parser.add_argument("--out", type=Path, help="(default: docs/compatibility.md, or with "
                        "--quick .cache/compatibility.md)")
    chosen = parser.parse_args()
    ROOT.mkdir(parents=True, exist_ok=True)
    out = chosen.out or (ROOT.parent / "compatibility.md" if chosen.quick
                         else PROJECT / "docs" / "compatibility.md")
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=PROJECT,
                            capture_output=True, text=True, check=True).stdout.strip()
    kept = ROOT / ("quick.json" if chosen.quick else "results.json")
    results: dict[str, dict] = json.loads(kept.read_text()) if kept.exists() else {}
    models = make_models(commit)
    for room in ROOMS:
        if chosen.only and room.name not in chosen.only:
            continue
        if chosen.quick and room.name == NEWEST and not chosen.only:
            results[room.name] = {"outcome": "not run: `make test` trains with it"}
            continue
        known = results.get(room.name, {}).get("commit") == commit and "-dirty" not in commit
        if known and not chosen.fresh:
            continue
        results[room.name] = run(room, models, commit, chosen.quick)
        print(room.name, results[room.name]["outcome"], file=sys.stderr, flush=True)
        kept.write_text(json.dumps(results, indent=2))
        out.write_text(page(results, chosen.quick))
    out.write_text(page(results, chosen.quick))
    if chosen.quick:
        print(table(results))
    sys.exit(any(str(one["outcome"]).startswith("FAIL") for one in results.values()))


if __name__ == "__main__":
    main()
