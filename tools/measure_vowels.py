"""JapaneseVowels, every cell: float and integer accuracy, state reset and carried.

    python tools/measure_vowels.py [shared/data/tsc] [--out FOLDER]

Trains with recipes/vowels.yaml on the 270 training sequences, quantizes, and measures
on the 370 test sequences one frame at a time; one JSON line per cell and profile, and a table
of them in Markdown at the end.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgernn.train import blocks
from edgernn.train.config import load as load_config
from edgernn.train.fit import fit
from edgernn.train.quantize import Report, quantize_run
from edgernn.train.readers import load

PROJECT = Path(__file__).resolve().parent.parent
RECIPE = PROJECT / "recipes" / "vowels.yaml"


PROFILES = ("int8x16", "int8", "int16x8")
CELLS: dict[str, dict[str, Any]] = {
    f"{kind}_{form}".rstrip("_"): {"cell": kind, **fields}
    for kind, cell in blocks.CELLS.items() for form, fields in cell.variants.items()}
"""Settings of every cell in each of its forms."""


def measure(data: Path, out: Path, cell: str, seed: int) -> dict[str, Report]:
    """Train one cell, and print and return what its integer versions reach, by profile."""
    config = load_config(RECIPE, {**CELLS[cell], "seed": seed})
    run = out / f"{cell}-{seed}"
    metrics = fit(config, load(data, seed=seed), run, overwrite=True)
    reports = {}
    for profile in PROFILES:
        reports[profile] = report = quantize_run(
            run, out / f"{cell}-{seed}-{profile}.tflite", profile)
        print(json.dumps({
            "cell": cell, "seed": seed, "profile": profile, "sequences": report.sequences,
            **{f"float_{k}": round(v, 4) for k, v in report.floats.items()},
            **{f"{profile}_{k}": round(v, 4) for k, v in report.integers.items()},
            "parameters": metrics["parameters"], "bytes": report.bytes,
            "ops": report.ops.total(), "state_bytes": report.state_bytes,
            "warnings": report.warnings}), flush=True)
    return reports


def table(found: dict[str, dict[str, Report]]) -> str:
    """Accuracies with the state reset / carried, and costs of int8x16, in Markdown."""
    def both(accuracy: dict[str, float]) -> str:
        return f"{accuracy['reset']:.3f} / {accuracy['carry']:.3f}"

    lines = ["| cell | float | " + " | ".join(PROFILES) + " | ops | bytes | state bytes |",
             "|---" * (len(PROFILES) + 5) + "|"]
    for cell, reports in found.items():
        default = reports[PROFILES[0]]
        lines.append(
            f"| {cell} | {both(default.floats)} | "
            + " | ".join(both(reports[profile].integers) for profile in PROFILES)
            + f" | {default.ops.total()} | {default.bytes:,} | {default.state_bytes} |")
    return "\n".join(lines)


def main() -> None:
    """Measure each cell in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=PROJECT.parent / "shared/data/tsc",
                        help="folder of JapaneseVowels_TRAIN.ts and _TEST.ts")
    parser.add_argument("--out", type=Path, help="where to leave the runs (default: nowhere)")
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        for seed in arguments.seeds:
            found = {cell: measure(arguments.data / "JapaneseVowels_TRAIN.ts",
                                   arguments.out or Path(nowhere), cell, seed)
                     for cell in arguments.cells}
            print(table(found), file=sys.stderr)


if __name__ == "__main__":
    main()
