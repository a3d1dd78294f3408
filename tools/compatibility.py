"""Does the device side work with every Python, numpy and interpreter it claims?  A table.

    python tools/compatibility.py [--only NAME] [--fresh] [--out docs/compatibility.md]

Makes a virtual environment for every room of ROOMS in .cache/compatibility, installs this tree
and the room's packages in it, and runs the room's tests there; the models they open are made
once, by the Python that runs this (it needs the extra `train`).  Rooms run before are not run
again for the same commit unless --fresh; a room whose Python is not on this machine is `not run`.
Exits with 1 if a room that ran failed.
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
TOOLS = ("pytest>=8,<10", "hypothesis>=6.100,<7")


@dataclass(frozen=True)
class Room:
    """One row of the table."""

    name: str
    python: str
    packages: tuple[str, ...]
    """Requirements besides edgernn and its tests'."""
    tests: tuple[str, ...] = DEVICE


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
    Room("tensorflow-newest", "3.13", ("tensorflow>=2.21,<2.22", "keras>=3.15,<4", *TRAIN),
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
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", DEVICE[3]],
                          cwd=PROJECT, env=_environment(folder), capture_output=True, text=True)
    if not any(folder.glob("*.tflite")):
        sys.exit(f"{sys.executable} made no models; it needs the extras train and dev:\n"
                 f"{done.stdout[-2000:]}")
    return folder


def _environment(models: Path) -> dict[str, str]:
    return os.environ | {"EDGERNN_TEST_MODELS": str(models), "PYTHONPATH": str(PROJECT), "CI": "1"}


def run(room: Room, models: Path, commit: str) -> dict[str, object]:
    """Install and test; what came of it."""
    python = interpreter(room.python)
    result: dict[str, object] = {"commit": commit}
    if python is None:
        return result | {"outcome": f"not run: no Python {room.python} here"}
    folder = ROOT / room.name
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    own = folder / "bin" / "python"
    install = subprocess.run([str(own), "-m", "pip", "install", "--quiet", *TOOLS,
                              *room.packages, "--editable", "."], cwd=PROJECT,
                             capture_output=True, text=True)
    if install.returncode:
        (ROOT / f"{room.name}.log").write_text(install.stdout + install.stderr)
        last = [line for line in install.stderr.splitlines() if line.startswith("ERROR")]
        return result | {"outcome": f"FAIL: no install: {(last or ['see log'])[-1]}"}
    report = ROOT / f"{room.name}.xml"
    report.unlink(missing_ok=True)
    began = time.monotonic()
    # What trains is slow, and what these rooms are for.
    chosen = [] if room.tests == TRAINING else ["-m", "not slow"]
    done = subprocess.run([str(own), "-m", "pytest", "-p", "no:cacheprovider", *chosen,
                           f"--junitxml={report}", *room.tests], cwd=PROJECT,
                          env=_environment(models), capture_output=True, text=True)
    (ROOT / f"{room.name}.log").write_text(done.stdout + done.stderr)
    result |= {"seconds": round(time.monotonic() - began), "versions": _versions(own),
               "python": subprocess.run([str(own), "-c", "import platform as p; "
                                         "print(p.python_version())"],
                                        capture_output=True, text=True).stdout.strip()}
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


def _versions(python: Path) -> dict[str, str]:
    listed = json.loads(subprocess.run([str(python), "-m", "pip", "list", "--format=json"],
                                       capture_output=True, text=True, check=True).stdout)
    found = {package["name"].lower().replace("_", "-"): package["version"] for package in listed}
    return {name: found[name] for name in SHOWN if name in found}


def table(results: dict[str, dict]) -> str:
    """The page."""
    rows = ["| room | Python | versions | outcome | commit |", "|---|---|---|---|---|"]
    for room in ROOMS:
        one = results.get(room.name, {"outcome": "not run"})
        versions = ", ".join(f"{k} {v}" for k, v in one.get("versions", {}).items())
        rows.append(f"| {room.name} | {one.get('python', room.python)} | "
                    f"{versions or ', '.join(room.packages)} | {one['outcome']} | "
                    f"{one.get('commit', '')} |")
    return (
        "# What edgernn was tried with\n\nWritten by `python tools/compatibility.py`; do not edit."
        "\n\nEvery room is a virtual environment of its own with this tree installed, its C "
        "compiled by that Python.\nThe device side's rooms run "
        f"{', '.join(f'`{name}`' for name in DEVICE)},\nTensorFlow's "
        f"{', '.join(f'`{name}`' for name in TRAINING)}, the slow ones too.\n"
        "A test skips where the room lacks its interpreter.  There is no numpy 1.26 for Python "
        "3.13,\nand no tflite-runtime for 3.12 or 3.13.\n\n" + "\n".join(rows) + "\n")


def main() -> None:
    """Run the rooms, write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[room.name for room in ROOMS])
    parser.add_argument("--fresh", action="store_true", help="run rooms again that were run")
    parser.add_argument("--out", type=Path, default=PROJECT / "docs" / "compatibility.md")
    chosen = parser.parse_args()
    ROOT.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=PROJECT,
                            capture_output=True, text=True, check=True).stdout.strip()
    kept = ROOT / "results.json"
    results: dict[str, dict] = json.loads(kept.read_text()) if kept.exists() else {}
    models = make_models(commit)
    for room in ROOMS:
        if chosen.only and room.name not in chosen.only:
            continue
        if results.get(room.name, {}).get("commit") == commit and not chosen.fresh:
            continue
        results[room.name] = run(room, models, commit)
        print(room.name, results[room.name]["outcome"], file=sys.stderr, flush=True)
        kept.write_text(json.dumps(results, indent=2))
        chosen.out.write_text(table(results))
    chosen.out.write_text(table(results))
    sys.exit(any(str(one["outcome"]).startswith("FAIL") for one in results.values()))


if __name__ == "__main__":
    main()
