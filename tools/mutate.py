"""Change a module in every way mutmut knows, and see whether its tests notice.

    python tools/mutate.py MODULE... [--workers 1] [--show]

MODULE is `quant`, `detect`, `step` or `emit`.  Each is changed in a copy of the tree
under .cache/mutants, tested by the fast tests of MODULES, and what survives is printed (with
--show: as a diff).  Models are made by the unchanged tree, so that a change of the emitter is
seen by the emitter's own tests alone.  Needs: pip install mutmut, and the extras train and dev.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ROOT = PROJECT / ".cache" / "mutants"
MODULES = {
    "quant": ("edgernn/quant.py", ("tests/test_quant.py",)),
    "detect": ("edgernn/detect.py", ("tests/test_detect.py",)),
    "step": ("edgernn/step.py", ("tests/test_step.py", "tests/test_batch.py")),
    "emit": ("edgernn/train/emit.py", ("tests/train/test_emit.py",)),
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
        '"-W", "ignore::pytest.PytestWarning"]\n')
    return folder


def mutate(module: str, workers: int, show: bool) -> None:
    """Run one module, print its figures and what survived."""
    folder = prepare(module)
    models = ROOT / "models"
    # The same examples for every mutant: luck must not kill one.
    environment = os.environ | {"EDGERNN_TEST_MODELS": str(models), "CI": "1"}
    environment.pop("PYTHONPATH", None)  # the copy's edgernn, not this one
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                    *MODULES[module][1]], cwd=PROJECT, env=environment, check=True,
                   stdout=subprocess.DEVNULL)
    with open(ROOT / f"{module}.log", "w") as log:
        subprocess.run([sys.executable, "-m", "mutmut", "run", "--max-children", str(workers)],
                       cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    listed = subprocess.run([sys.executable, "-m", "mutmut", "results", "--all", "true"],
                            cwd=folder, env=environment, capture_output=True, text=True).stdout
    found = re.findall(r"^\s*(\S+): (.+)$", listed, re.M)
    if not found:
        sys.exit(f"mutmut changed nothing; see {ROOT / module}.log")
    counts: dict[str, int] = {}
    for _, outcome in found:
        counts[outcome] = counts.get(outcome, 0) + 1
    print(f"{module}: {len(found)} mutants, "
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
    parser.add_argument("--show", action="store_true")
    chosen = parser.parse_args()
    for module in chosen.modules:
        mutate(module, chosen.workers, chosen.show)


if __name__ == "__main__":
    main()
