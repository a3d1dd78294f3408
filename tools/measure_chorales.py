"""Chorales of J. S. Bach: how well the next step is foretold, in nats per step.

    python tools/measure_chorales.py [FOLDER/jsb-chorales-quarter.json] [--out FOLDER]

Trains recipes/chorales.yaml on the 229 training pieces, stops by the 76 for validation,
measures the 77 test pieces: negative log-likelihood of all 88 notes of a step given the
steps before it, the first step of a piece not counted (as Bai et al. 2018, arXiv 1803.01271,
whose GRU has 8.43).  One JSON line: float, int8x16 and int8, one step at a time, with the
state reset for each piece and carried over.
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
RECIPE = PROJECT / "recipes" / "chorales.yaml"


def main() -> None:
    """Train, quantize and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=PROJECT.parent
                        / "shared/data/music_jsb/jsb-chorales-quarter.json")
    parser.add_argument("--out", type=Path, help="where to leave the run (default: nowhere); "
                                                 "one that is there is not trained again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        out = arguments.out or Path(nowhere)
        if not (out / "run").exists():
            out.mkdir(parents=True, exist_ok=True)
            fit(load_config(RECIPE), load(arguments.data), out / "run")
        print(json.dumps({"set": "JSB chorales", **reached(out / "run", out / "chorales")}))


if __name__ == "__main__":
    main()
