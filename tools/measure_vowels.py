"""JapaneseVowels, all three cells: float and integer accuracy, state reset and carried.

    python tools/measure_vowels.py [shared/data/tsc] [--out FOLDER]

Trains with recipes/vowels.yaml on the 270 training sequences, quantizes, and measures
on the 370 test sequences one frame at a time; one JSON line per cell and profile.
"""

import argparse
import json
import tempfile
from pathlib import Path

from edgernn.train.config import load as load_config
from edgernn.train.fit import fit
from edgernn.train.quantize import quantize_run
from edgernn.train.readers import load

PROJECT = Path(__file__).resolve().parent.parent
RECIPE = PROJECT / "recipes" / "vowels.yaml"


def measure(data: Path, out: Path, cell: str, seed: int) -> None:
    """Train one cell and print what it and its integer versions reach."""
    config = load_config(RECIPE, {"cell": cell, "seed": seed})
    run = out / f"{cell}-{seed}"
    fit(config, load(data, seed=seed), run, overwrite=True)
    for profile in ("int8", "int8x16", "int16x8"):
        report = quantize_run(run, out / f"{cell}-{seed}-{profile}.tflite", profile)
        print(json.dumps({
            "cell": cell, "seed": seed, "profile": profile, "sequences": report.sequences,
            **{f"float_{k}": round(v, 4) for k, v in report.floats.items()},
            **{f"{profile}_{k}": round(v, 4) for k, v in report.integers.items()},
            "bytes": report.bytes}), flush=True)


def main() -> None:
    """Measure each cell in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=PROJECT.parent / "shared/data/tsc",
                        help="folder of JapaneseVowels_TRAIN.ts and _TEST.ts")
    parser.add_argument("--out", type=Path, help="where to leave the runs (default: nowhere)")
    parser.add_argument("--cells", nargs="+", default=["gru", "lstm", "simple_rnn"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        for seed in arguments.seeds:
            for cell in arguments.cells:
                measure(arguments.data / "JapaneseVowels_TRAIN.ts",
                        arguments.out or Path(nowhere), cell, seed)


if __name__ == "__main__":
    main()
