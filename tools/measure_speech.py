"""Voice activity: accuracy per frame, on people and noise never trained on.

    python tools/measure_speech.py [--data shared/data] [--out FOLDER]

Trains recipes/speech.yaml on the wake words' training speakers, four fifths of the read
speech and of each noise; measures on scenes of the validation speakers, the other speech and the
other noise, at 0 to 20 dB SNR.  What is right comes from the energy of the clean clips.
Beside it the accuracy of always saying the commoner of the two, and of the best threshold
on a frame's energy.  One JSON line.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from measuring import reached

from edgernn.train.config import TrainConfig
from edgernn.train.config import load as load_config
from edgernn.train.dataset import DataSet, Samples
from edgernn.train.fit import fit
from edgernn.train.readers import load
from edgernn.train.readers.audio import read_sounds
from edgernn.train.sequences import Sequences

PROJECT = Path(__file__).resolve().parent.parent
RECIPE = PROJECT / "recipes" / "speech.yaml"


def by_energy(test: Sequences) -> float:
    """Accuracy of the threshold on mean log energy that does best on this very data."""
    assert test.targets is not None
    asked = test.targets >= 0
    energy, speech = test.rows[asked].mean(axis=1), test.targets[asked] == 1
    order = np.argsort(energy)
    # Everything from a place in this order on is called speech.
    right = np.concatenate([[speech.sum()], speech.sum() + np.cumsum(~speech[order])
                            - np.cumsum(speech[order])])
    return float(right.max() / len(speech))


def material(data: Path) -> tuple[TrainConfig, DataSet, tuple[Samples, ...]]:
    """The recipe, the recordings, and the speech without wake words."""
    config = load_config(RECIPE)
    found = load(data / "wakewords_picovoice", noise=(data / "background_noise",))
    # The shared set marks no test: its validation speakers are one, since nothing is chosen by
    # them (the recipe trains for a fixed number of epochs).
    found = replace(found, recordings=tuple(
        replace(r, split={"validation": "test"}.get(r.split, r.split)) for r in found.recordings))
    return config, found, read_sounds((data / "negative_speech",), config.sample_rate_hz)


def main() -> None:
    """Train, quantize and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data")
    parser.add_argument("--out", type=Path, help="where to leave the run (default: nowhere)")
    arguments = parser.parse_args()
    config, found, negatives = material(arguments.data)
    with tempfile.TemporaryDirectory() as nowhere:
        out = arguments.out or Path(nowhere)
        fit(config, found, out / "run", overwrite=True, negatives=negatives)
        line = reached(out / "run", out / "speech")
        test = Sequences.load(out / "run" / "sequences.npz").of_split(line["split"])
        assert test.targets is not None
        speech = float(np.mean(test.targets[test.targets >= 0]))
        print(json.dumps({"frames": int((test.targets >= 0).sum()), **line,
                          "always_the_commoner": round(max(speech, 1 - speech), 4),
                          "best_energy_threshold": round(by_energy(test), 4)}))


if __name__ == "__main__":
    main()
