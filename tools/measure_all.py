"""Every real set in one table, docs/accuracy.md: float and integers, state reset and carried.

    python tools/measure_all.py --out FOLDER [--data shared/data]

Runs the other tools one after another, an hour or two on two cores.  Each leaves its JSON
lines in FOLDER/NAME.jsonl; one whose lines are there is not run again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parent
PAGE = TOOLS.parent / "docs" / "accuracy.md"
DATA = {"vowels": "tsc", "digits": "fsdd", "engines": "cmapss", "chorales":
        "music_jsb/jsb-chorales-quarter.json", "texts": None, "speech": None}
"""What each tool is given: its first argument, or with None --data."""
PROFILES = ("float", "int8x16", "int8")
WHAT = {"vowels": "accuracy", "digits": "accuracy, speaker never heard",
        "engines": "RMSE, cycles (lower is better)",
        "chorales": "nats per step (lower is better)", "texts": "accuracy",
        "speech": "accuracy per frame"}


def lines(name: str, out: Path, data: Path) -> list[dict[str, Any]]:
    """A tool's JSON lines, from its file or from running it."""
    known = out / f"{name}.jsonl"
    if not known.exists():
        given = DATA[name]
        where = ["--data", str(data)] if given is None else [str(data / given)]
        print(f"measure_{name}.py ...", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, TOOLS / f"measure_{name}.py", *where, "--out",
                               str(out / name)], stdout=subprocess.PIPE, text=True, check=True)
        known.write_text(done.stdout, encoding="utf-8")
    return [json.loads(line) for line in known.read_text(encoding="utf-8").splitlines()]


def merged(name: str, found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Lines by what they are of: a tool may print one per profile."""
    every: dict[str, dict[str, Any]] = {}
    for line in found:
        who = next((str(line[key]) for key in ("cell", "speaker", "set") if key in line), "")
        every.setdefault(f"{name}: {who}" if who else name, {}).update(line)
    return every


def row(name: str, who: str, line: dict[str, Any]) -> str | None:
    """One row of the table, or None if the line is no model's."""
    cells = [f"{line[f'{profile}_{state}']:.4g}" if f"{profile}_{state}" in line else ""
             for profile in PROFILES for state in ("reset", "carry")]
    return f"| {who} | {WHAT[name]} | {' | '.join(cells)} |" if any(cells) else None


def page(rows: list[str]) -> str:
    """The page around the table."""
    return "\n".join([
        "# Accuracy on real data, reset and carried", "",
        "Every number is measured one frame at a time: *reset* begins each sequence with an empty",
        "state, *carried* with the state that another sequence left, as an endless stream does.",
        "A state carried from one review, engine or piece to the next is of no use to anybody;",
        "it is shown because it tells how much a model needs a reset.",
        "An encoder and a decoder begin anew with every word, so spelling to phonemes has no row",
        "here: `python tools/measure_g2p.py`, in the README.", "",
        "Made by `python tools/measure_all.py --out FOLDER`; what each row is, and on which",
        "people or machines, is said at the top of `tools/measure_NAME.py`.", "",
        "| | measured | float reset | carried | int8x16 reset | carried | int8 reset | carried |",
        "|---|---|---|---|---|---|---|---|", *rows, ""])


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=TOOLS.parent.parent / "shared/data")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = [row(name, who, line) for name in DATA for who, line in
             merged(name, lines(name, arguments.out, arguments.data)).items()]
    PAGE.write_text(page([one for one in found if one]), encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()
