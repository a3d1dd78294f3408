"""Spoken digits, leave one speaker out: accuracy on a voice never heard.

    python tools/measure_digits.py [shared/data/fsdd] [--out FOLDER]

For each of the four speakers: trains with recipes/digits.yaml on the other three,
quantizes, and measures one frame at a time with the state reset and carried.  One JSON
line per speaker, and one with the means.
"""

import argparse
import json
import tempfile
from pathlib import Path

from measuring import reached

from edgernn.train.config import load as load_config
from edgernn.train.fit import fit
from edgernn.train.readers import load

PROJECT = Path(__file__).resolve().parent.parent
RECIPE = PROJECT / "recipes" / "digits.yaml"
SPEAKERS = ("george", "jackson", "nicolas", "theo")


def measure(data: Path, out: Path, speaker: str, seed: int) -> dict[str, float]:
    """Accuracies on one speaker after training on the others."""
    config = load_config(RECIPE, {"seed": seed})
    run = out / speaker
    found = load(data, sample_rate_hz=config.sample_rate_hz, hold_out=speaker)
    fit(config, found, run, overwrite=True)
    found = reached(run, out / speaker, digits=12)
    return {name: value for name, value in found.items() if name.endswith(("_reset", "_carry"))}


def main() -> None:
    """Measure every speaker, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=PROJECT.parent / "shared/data/fsdd",
                        help="folder of the Free Spoken Digit Dataset with its index.csv")
    parser.add_argument("--out", type=Path, help="where to leave the runs (default: nowhere)")
    parser.add_argument("--speakers", nargs="+", default=SPEAKERS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as nowhere:
        for speaker in arguments.speakers:
            rows.append(measure(arguments.data, arguments.out or Path(nowhere), speaker,
                                arguments.seed))
            _print(speaker, rows[-1])
    _print("mean", {k: sum(row[k] for row in rows) / len(rows) for k in rows[0]})


def _print(speaker: str, accuracies: dict[str, float]) -> None:
    print(json.dumps({"speaker": speaker, **{k: round(v, 4) for k, v in accuracies.items()}}),
          flush=True)


if __name__ == "__main__":
    main()
