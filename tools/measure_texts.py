"""Texts: Korean reviews (good or bad) and Korean tagging (a smoke test), float and integer.

    python tools/measure_texts.py [reviews] [tags] [--data shared/data] [--out FOLDER]

Reviews: recipes/reviews.yaml on 20,000 reviews, measured on 4,000 of other films.  Tags:
recipes/tags.yaml on 70 % of 950 sentences, measured on 15 %; beside it what always giving
each word its commonest tag reaches.  One JSON line each, one token at a time, with the
state reset for each text and carried over.
"""

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from measuring import reached

from edgernn.train.config import load as load_config
from edgernn.train.dataset import TextSet
from edgernn.train.fit import fit
from edgernn.train.readers import load

PROJECT = Path(__file__).resolve().parent.parent
SETS = {"reviews": "text_nsmc", "tags": "text_ud_ko_gsd/ko_gsd-ud-dev.conllu"}


def commonest_tag(data: TextSet) -> float:
    """Accuracy on the test of giving each word the tag it had most often in training."""
    seen: dict[str, Counter[int]] = defaultdict(Counter)
    overall: Counter[int] = Counter()
    for text, tags, part in zip(data.texts, data.tags, data.split, strict=True):
        if part != "test":
            for word, tag in zip(text, tags, strict=True):
                seen[word][int(tag)] += 1
                overall[int(tag)] += 1
    usual = overall.most_common(1)[0][0]
    right = [seen[word].most_common(1)[0][0] == tag if word in seen else tag == usual
             for text, tags, part in zip(data.texts, data.tags, data.split, strict=True)
             if part == "test" for word, tag in zip(text, tags, strict=True)]
    return float(np.mean(right))


def measure(name: str, data: Path, out: Path) -> dict:
    """One set."""
    config = load_config(PROJECT / "recipes" / f"{name}.yaml")
    found = load(data / SETS[name], seed=config.seed)
    fit(config, found, out / name, overwrite=True)
    line = {"set": name, **reached(out / name, out / name)}
    if isinstance(found, TextSet) and found.tags:
        line["commonest_tag"] = round(commonest_tag(found), 4)
    return line


def main() -> None:
    """Measure the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=[], metavar="SET", help="reviews, tags")
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data")
    parser.add_argument("--out", type=Path, help="where to leave the runs (default: nowhere)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        for name in arguments.sets or SETS:
            print(json.dumps(measure(name, arguments.data, arguments.out or Path(nowhere))),
                  flush=True)


if __name__ == "__main__":
    main()
