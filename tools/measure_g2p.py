"""CMUdict, spelling to phonemes: phoneme error rate of the float and the integer steps.

    python tools/measure_g2p.py [shared/data/text_cmudict/dev.tsv] [--out FOLDER]

Trains with recipes/g2p.yaml, once for each kind of attention, quantizes, and decodes the
test split greedily: 10 % of the words, chosen by a hash.  One JSON line per kind and
profile; `stressed` counts AH0 and AH1 as two phonemes, as the dictionary does, and
`unstressed` as one.  With --out, runs that are there already are not trained again.
"""

import argparse
import json
import re
import tempfile
import time
from pathlib import Path

from edgernn import bundle
from edgernn.train import pairs, transducer
from edgernn.train.assembly import decode, load_pairs
from edgernn.train.config import load as load_config
from edgernn.train.edits import error_rate
from edgernn.train.parts import emulated, load
from edgernn.train.quantize import quantize_run
from edgernn.train.transducer import Transducer
from edgernn.train.transduction import fit

PROJECT = Path(__file__).resolve().parent.parent
RECIPE = PROJECT / "recipes" / "g2p.yaml"
PROFILES = ("int8", "int8x16", "int16x8")


def rates(found: list[list[str]], wanted: list[tuple[str, ...]]) -> dict[str, float]:
    """Error rates per phoneme and per word, 0 to 1."""
    plain = [[[re.sub(r"\d", "", token) for token in row] for row in rows]
             for rows in (found, wanted)]
    return {"per_unstressed": round(error_rate(*plain), 4),
            "per_stressed": round(error_rate(found, wanted), 4),
            "words_wrong_unstressed": round(
                sum(a != b for a, b in zip(*plain, strict=True)) / len(wanted), 4)}


def measure(data: Path, out: Path, attention: str) -> None:
    """Train one kind of attention and print what it and its integer versions reach."""
    run = out / attention
    began = time.monotonic()
    if not run.exists():
        fit(load_config(RECIPE, {"attention": attention}), pairs.read(data), run,
            lambda epoch: print(json.dumps(vars(epoch)), flush=True))
    took = round(time.monotonic() - began)
    held = load_pairs(run)
    test = held.of_split("test")
    wanted = [pair.target for pair in test]
    networks = load(run, transducer.PARTS)
    made = {"float": Transducer.of_floats(networks)}
    sizes = {"float": 0}
    for profile in PROFILES:
        path = out / f"{attention}-{profile}.tflite"
        sizes[profile] = quantize_run(run, path, profile).bytes
        made[profile] = Transducer.of_integers(
            networks, emulated(bundle.read(path), transducer.ENCODER))
    for profile, model in made.items():
        print(json.dumps({"attention": attention, "profile": profile, "words": len(test),
                          **rates(decode(model, held, test), wanted), "bytes": sizes[profile],
                          "trained_s": took}), flush=True)


def main() -> None:
    """Measure each kind of attention in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?",
                        default=PROJECT.parent / "shared/data/text_cmudict/dev.tsv",
                        help="lines of a word, a tab and its phonemes")
    parser.add_argument("--out", type=Path, help="where to leave the runs (default: nowhere)")
    parser.add_argument("--attention", nargs="+", default=["dot", "additive", "none"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        for attention in arguments.attention:
            measure(arguments.data, arguments.out or Path(nowhere), attention)


if __name__ == "__main__":
    main()
