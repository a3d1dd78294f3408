"""What a few clips of one voice are worth: measured on recordings nobody's model had heard.

    python tools/measure_personalize.py --data ../shared/data --runs build/personalize

Spoken digits (fsdd): for each speaker a model is trained on the others, then learns 1, 3 and 5
clips of each digit of that speaker.  It is judged by that speaker's other clips (of the official
test set), which neither training nor personalizing heard: the integer step, state carried.
"""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np

from edgernn.train.personalize import Personalizer, Settings
from edgernn.train.readers import read

RECIPE = ("--sample-rate-hz", "8000", "--units", "64", "--epochs", "15", "--no-early-stopping",
          "--dropout", "0.3", "--input-noise", "0.2", "--learning-rate", "0.004")
"""A small, quick model, not the best there is: what is asked is what the clips add."""


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default="../shared/data")
@click.option("--runs", type=click.Path(path_type=Path), default="build/personalize",
              help="Where runs are kept; one that is there is not trained again.")
@click.option("--clips", default="1,3,5", help="Clips of each digit to learn.")
def main(data: Path, runs: Path, clips: str) -> None:
    """Print one JSON line a speaker and number of clips."""
    with (data / "fsdd" / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for speaker in sorted({row["speaker"] for row in rows}):
        run = runs / speaker
        if not run.exists():
            subprocess.run([sys.executable, "-m", "edgernn", "train", str(data / "fsdd"),
                            "--out", str(run), "--hold-out", speaker, *RECIPE], check=True)
        own = [row for row in rows if row["speaker"] == speaker]
        for count in map(int, clips.split(",")):
            print(json.dumps({"speaker": speaker, "clips_of_each": count,
                              **measured(run, data / "fsdd", own, count,
                                         runs / f"{speaker}-clips")}), flush=True)


def measured(run: Path, data: Path, own: list[dict[str, str]], count: int, place: Path
             ) -> dict[str, float]:
    """Accuracy before and after learning `count` clips of each label."""
    chosen, judged = [], []
    for label in sorted({row["label"] for row in own}):
        mine = [row for row in own if row["label"] == label]
        # The official test takes are the first; what is learned comes from the others.
        test = [row for row in mine if row["official_split"] == "test"]
        chosen += [row for row in mine if row["official_split"] != "test"][:count]
        judged += test
    clips = read(_folder(data, [*chosen, *judged], place), sample_rate_hz=8000)
    one = Personalizer(run, clips, Settings(seed=0))
    names = {f"{row['label']}/{Path(row['path']).name}" for row in chosen}
    learn = np.array([f"{r.label}/{r.path.name}" in names for r in clips.recordings])
    truth = one.heard().where(~learn)
    before = one.right(one.run.arrays, truth)
    after = one.right(one.learned(np.flatnonzero(learn)), truth)
    return {"judged": int((~learn).sum()),
            **{f"{when}_{state}": round(float(found[state].mean()), 4)
               for when, found in (("before", before), ("after", after)) for state in found}}


def _folder(data: Path, rows: list[dict[str, str]], place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    for row in rows:
        path = place / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / row["path"], path)
    return place


if __name__ == "__main__":
    main()
