"""A run of task `transduce` becomes one file: calibrate, write, measure, bundle.  No TensorFlow."""

from collections.abc import Callable, Mapping
from pathlib import Path

from edgernn import bundle
from edgernn.frontend.tokens import FIRST
from edgernn.train.calibrate import Ranges
from edgernn.train.edits import error_rate
from edgernn.train.measure import METRICS
from edgernn.train.network import Network
from edgernn.train.pairs import Pair, Pairs
from edgernn.train.parts import emit_parts, join, load, roles, watched
from edgernn.train.profile import get_profile
from edgernn.train.report import Progress, Report, metrics, provenance
from edgernn.train.transducer import DECODER, ENCODER, KEYS, PARTS, Transducer

CALIBRATION_PAIRS = 4000
"""Training pairs to calibrate on."""
BATCH = 500
"""Pairs that are decoded side by side."""


def quantize_parts(run: Path, out: Path, profile: str, per_channel: bool, command: str,
                   progress: Progress) -> Report:
    """Quantize a run of task `transduce`; see `edgernn.train.quantize.quantize_run`."""
    networks = load(run, PARTS)
    data = load_pairs(run)
    calibration = data.of_split("train")[:CALIBRATION_PAIRS]
    ranges = calibrate(networks, data, calibration, progress("calibrating", len(calibration)))
    files, models = emit_parts(networks, ranges, get_profile(profile), "transduce", per_channel)

    test = data.of_split("test")
    floats = {"greedy": measure(Transducer.of_floats(networks), data, test,
                                progress("float token error rate", len(test)))}
    integers = {"greedy": measure(Transducer.of_integers(networks, models), data, test,
                                  progress("integer token error rate", len(test)))}
    whole = join(files, metrics=metrics("test", profile, floats, integers), provenance=provenance(
        [run / name / "weights.npz" for name in networks], command))
    bundle.write(out, whole)
    return Report.of(models.values(), path=out, bytes=len(whole), split="test",
                     sequences=len(test), metric=METRICS["transduce"], floats=floats,
                     integers=integers)


def load_pairs(run: Path) -> Pairs:
    """The pairs of a run folder.

    Raises
    ------
    DataError, ModelError
        If they or the architecture of the encoder cannot be read.
    """
    encoder = Network.load(run / ENCODER).architecture.frontend
    return Pairs.load(run / "pairs.tsv", getattr(encoder, "unit", "character"))


def calibrate(networks: Mapping[str, Network], data: Pairs, pairs: tuple[Pair, ...],
              progress: Callable[[int], None] = lambda done: None) -> dict[str, Ranges]:
    """The range of every value of every part, the decoder given the right tokens."""
    watching, ops = watched(networks)
    made = Transducer.of_floats(networks, watching)
    for start in range(0, len(pairs), BATCH):
        chunk = pairs[start:start + BATCH]
        made.teach(data.sources(chunk), data.targets(chunk))
        progress(len(chunk))
    found = {name: own.clipped() for name, own in ops.items()}
    for context, role in roles(networks[DECODER]).items():
        if context == "keys":
            # The key's two ends, in two graphs, have one type: that of the range where it is made.
            found[DECODER][role] = found[KEYS]["scores"]
    return found


def measure(made: Transducer, data: Pairs, pairs: tuple[Pair, ...],
            progress: Callable[[int], None] = lambda done: None) -> float:
    """Token error rate, greedily decoded."""
    return error_rate(decode(made, data, pairs, progress), [pair.target for pair in pairs])


def decode(made: Transducer, data: Pairs, pairs: tuple[Pair, ...],
           progress: Callable[[int], None] = lambda done: None) -> list[list[str]]:
    """What is made of each pair's source."""
    vocabulary = data.target.vocabulary
    found = []
    for start in range(0, len(pairs), BATCH):
        chunk = pairs[start:start + BATCH]
        found += [[vocabulary[number - FIRST] for number in row]
                  for row in made.run(data.sources(chunk))]
        progress(len(chunk))
    return found
