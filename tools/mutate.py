"""Change a module in every way mutmut knows, and see whether its tests notice.

    python tools/mutate.py MODULE... [--sample N] [--seed 0] [--workers 1] [--show]

MODULE is `quant`, `detect`, `step` or `emit`.  Each is changed in a copy of the tree
under .cache/mutants, tested by the fast tests of MODULES, and what survives is printed (with
--show: as a diff).  Models are made by the unchanged tree, so that a change of the emitter is
seen by the emitter's own tests alone.  With --sample, N of the changes are tried, drawn at
random by the seed; the share is printed.  Needs: pip install mutmut, and the extras train and dev.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

PROJECT = Path(__file__).resolve().parent.parent
ROOT = PROJECT / ".cache" / "mutants"
MODULES = {
    "quant": ("edgernn/quant.py", ("tests/test_quant.py",)),
    "detect": ("edgernn/detect.py", ("tests/test_detect.py",)),
    "step": ("edgernn/step.py", (
        "tests/test_step.py", "tests/test_lines.py", "tests/test_stream.py",
        "tests/test_transduce.py", "tests/foreign")),
    "emit": ("edgernn/train/emit.py", (
        "tests/train/test_emit.py", "tests/train/test_transduction.py")),
}
# One cell with one state and one with two find all but the rarest change, in a third of the time;
# what they leave is at worst called a survivor that another cell would have found.
CHOSEN = {
    "step": "not simple_rnn and not fastgrnn and not min_gru and not ln_ and not litert-builtin",
    "emit": "not simple_rnn and not fastgrnn and not min_gru and not ln_",
}
COPIED = ("edgernn", "firmware_export", "tests", "tools", "docs", "README.md", "setup.py")


def prepare(module: str) -> Path:
    """A copy of the tree whose configuration tells mutmut what to change and what tests it."""
    folder = ROOT / module
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        source = PROJECT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    path, tests = MODULES[module]
    quoted = ", ".join(f'"{name}"' for name in tests)
    whole = (PROJECT / "pyproject.toml").read_text()
    copied = ", ".join(f'"{name}"' for name in COPIED if name != "edgernn")
    (folder / "pyproject.toml").write_text(
        whole + f'\n[tool.mutmut]\nsource_paths = ["edgernn"]\nonly_mutate = ["{path}"]\n'
        f"also_copy = [{copied}]\n"
        f"pytest_add_cli_args_test_selection = [{quoted}]\n"
        'pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not slow", '
        f'"-k", "{CHOSEN.get(module, "")}", '
        '"-W", "ignore::pytest.PytestWarning"]\n')
    return folder


def draw(folder: Path, environment: dict[str, str], log: IO[str], sample: int,
         seed: int) -> tuple[list[str], int]:
    """Names of mutants to try, and how many there are."""
    # Naming none there is makes mutmut write all mutants, see which test runs which function,
    # and stop; both are kept for the run that follows.
    subprocess.run([sys.executable, "-m", "mutmut", "run", "none-of-them"], cwd=folder,
                   env=environment, stdout=log, stderr=subprocess.STDOUT)
    names = sorted(name for path in (folder / "mutants").rglob("*.meta")
                   for name in json.loads(path.read_text())["exit_code_by_key"])
    return sorted(random.Random(seed).sample(names, min(sample, len(names)))), len(names)


def mutate(module: str, workers: int, show: bool, sample: int | None, seed: int) -> None:
    """Run one module, print its figures and what survived."""
    folder = prepare(module)
    models = ROOT / "models"
    # The same examples for every mutant: luck must not kill one.
    environment = os.environ | {"EDGERNN_TEST_MODELS": str(models), "CI": "1"}
    environment.pop("PYTHONPATH", None)  # the copy's edgernn, not this one
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                    "-m", "not slow", *MODULES[module][1]], cwd=PROJECT, env=environment,
                   check=True, stdout=subprocess.DEVNULL)
    share = ""
    names: list[str] = []
    with open(ROOT / f"{module}.log", "w") as log:
        if sample is not None:
            names, whole = draw(folder, environment, log, sample, seed)
            share = f" of {whole}, drawn by seed {seed}"
        subprocess.run([sys.executable, "-m", "mutmut", "run", "--max-children", str(workers),
                        *names], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    listed = subprocess.run([sys.executable, "-m", "mutmut", "results", "--all", "true"],
                            cwd=folder, env=environment, capture_output=True, text=True).stdout
    found = [pair for pair in re.findall(r"^\s*(\S+): (.+)$", listed, re.M)
             if not names or pair[0] in names]
    if not found:
        sys.exit(f"mutmut changed nothing; see {ROOT / module}.log")
    counts: dict[str, int] = {}
    for _, outcome in found:
        counts[outcome] = counts.get(outcome, 0) + 1
    print(f"{module}: {len(found)} mutants{share}, "
          + ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())))
    for name, outcome in found:
        if outcome in ("survived", "no tests", "suspicious"):
            print(f"  {outcome}: {name}")
            if show:
                print(subprocess.run([sys.executable, "-m", "mutmut", "show", name], cwd=folder,
                                     env=environment, capture_output=True, text=True).stdout)


def main() -> None:
    """Run the modules named."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="+", metavar="MODULE", choices=MODULES)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--sample", type=int, metavar="N", help="so many (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true")
    chosen = parser.parse_args()
    for module in chosen.modules:
        mutate(module, chosen.workers, chosen.show, chosen.sample, chosen.seed)


if __name__ == "__main__":
    main()
