"""When to use what: a GRU, a convolutional GRU and a causal Transformer of about one size.

    python tools/measure_transformer.py vowels [shared/data] [--out FOLDER]
    python tools/measure_transformer.py wakewords [shared/data] [--out FOLDER]

Trains each on JapaneseVowels (recipes/vowels.yaml) or on wake words in scenes of other speech
and noise (recipes/crnn.yaml), quantizes, and measures one frame at a time on the test
sequences, or on the clips of the validation speakers.  One JSON line per network and
profile; at the end a table in Markdown.
"""

import argparse
import json
import tempfile
from math import prod
from pathlib import Path
from typing import Any

from edgernn.cost import step_cost
from edgernn.graph import Graph
from edgernn.step import StepModel
from edgernn.train.config import load as load_config
from edgernn.train.fit import fit
from edgernn.train.quantize import quantize_run
from edgernn.train.readers import load
from edgernn.train.readers.audio import read_sounds

PROJECT = Path(__file__).resolve().parent.parent
PROFILES = ("int8x16", "int8")
STEPS = 3000


def transformer(units: int, heads: int, window: int, blocks: int) -> list[dict[str, Any]]:
    """A dense layer to bring frames to the blocks' width, and the blocks."""
    block = {"kind": "transformer", "units": units, "heads": heads, "window": window}
    return [{"kind": "dense", "units": units, "activation": "linear"}, *[block] * blocks]


NETWORKS: dict[str, dict[str, dict[str, Any]]] = {
    "vowels": {
        "gru 64": {},
        "conv1d 5 x 32, gru 48": {"stack": [
            {"kind": "conv1d", "units": 32, "kernel": 5, "activation": "relu"},
            {"kind": "gru", "units": 48}]},
        "transformer 32, 2 blocks of 16 frames": {"stack": transformer(32, 2, 16, 2)},
    },
    "wakewords": {
        "dense 48, gru 64": {"stack": [
            {"kind": "dense", "units": 48, "activation": "relu"}, {"kind": "gru", "units": 64}]},
        "crnn (recipes/crnn.yaml)": {},
        "transformer 48, 1 block of 50 frames": {"stack": transformer(48, 4, 50, 1)},
    },
}


def products(graph: Graph) -> int:
    """Multiply-accumulates of a step's matmuls and convolutions."""
    total = 0
    for op in graph.ops:
        sources, y = [graph.tensors[i] for i in op.inputs], graph.tensors[op.outputs[0]]
        if op.name in ("FULLY_CONNECTED", "DEPTHWISE_CONV_2D"):
            rows = prod(y.shape) // sources[1].shape[0] if op.name == "FULLY_CONNECTED" else 1
            total += rows * prod(sources[1].shape)
        elif op.name == "BATCH_MATMUL":
            total += prod(y.shape) * sources[0].shape[-1]
    return total


def measure(task: str, data: Path, out: Path, name: str, seed: int) -> dict[str, Any]:
    """Train one network; what it reaches and costs, by column."""
    recipe = PROJECT / "recipes" / {"vowels": "vowels.yaml", "wakewords": "crnn.yaml"}[task]
    config = load_config(recipe, {**NETWORKS[task][name], "seed": seed})
    negatives: tuple[Any, ...] = ()
    if task == "vowels":
        found = load(data / "tsc" / "JapaneseVowels_TRAIN.ts", seed=seed)
    else:
        found = load(data / "wakewords_picovoice", sample_rate_hz=config.sample_rate_hz, seed=seed,
                     noise=(data / "background_noise",))
        negatives = read_sounds([data / "negative_speech"], config.sample_rate_hz)
    run = out / name.split(" (")[0].replace(" ", "_").replace(",", "")
    metrics = fit(config, found, run, overwrite=True, negatives=negatives)
    row: dict[str, Any] = {"network": name, "parameters": metrics["parameters"]}
    for profile in PROFILES:
        path = run.parent / f"{run.name}-{profile}.tflite"
        report = quantize_run(run, path, profile)
        row |= {"float": report.floats, profile: report.integers}
        if profile == PROFILES[0]:
            model = StepModel.open(path)
            cost = step_cost(model, STEPS)["calls_us"]["p50"]
            row |= {"MACs": products(model.graph), "ops": report.ops.total(),
                    "bytes": report.bytes, "state bytes": report.state_bytes, "us": cost}
    print(json.dumps(row), flush=True)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """In Markdown; accuracies with the state reset / carried."""
    columns = ("network", "float", *PROFILES, "MACs", "ops", "bytes", "state bytes", "us")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        cells = [f"{value['reset']:.3f} / {value['carry']:.3f}" if isinstance(value, dict)
                 else f"{value:,}" if isinstance(value, int) else str(value)
                 for value in (row[column] for column in columns)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure each network in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=list(NETWORKS))
    parser.add_argument("data", type=Path, nargs="?", default=PROJECT.parent / "shared/data",
                        help="folder of tsc/, wakewords_picovoice/ and so on")
    parser.add_argument("--out", type=Path, help="where to leave the runs (default: nowhere)")
    parser.add_argument("--only", help="only networks with this in their name", default="")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        rows = [measure(given.task, given.data, given.out or Path(nowhere), name, given.seed)
                for name in NETWORKS[given.task] if given.only in name]
    print(table(rows))


if __name__ == "__main__":
    main()
