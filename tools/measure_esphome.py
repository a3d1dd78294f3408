"""What it costs a model to be written in the operators of ESPHome's micro_wake_word.

    python tools/measure_esphome.py [words] [vowels] [--data ../shared/data] [--out FOLDER]

words: trains recipes/esphome.yaml to hear "computer" (about 10 minutes; a run that is in FOLDER
already is used), and lets validation speakers pass by in one stream, the state carried, the noise
such as it was trained with: the model in its own bytes, the rewriting in TensorFlow Lite Micro.
Both are detected as the component does it, with the cutoff and the window of the manifest.
vowels: the cells by themselves, on the test sequences of JapaneseVowels.  Tables in Markdown.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite_micro.python.tflite_micro import runtime

from edgernn import tflite
from edgernn.emulator import Emulator
from edgernn.frontend.logmel import CODE_SCALE, CODE_ZERO
from edgernn.frontend.microfrontend import INT8_STEP, Microfrontend
from edgernn.quant import dequantize, quantize
from edgernn.spec import MicrofrontendSpec
from edgernn.step import StepModel
from edgernn.train.network import Network
from edgernn.train.quantize import quantize_run
from edgernn.train.readers import load
from edgernn.train.reference import FloatModel
from edgernn.train.sequences import Sequences, load_sequences
from firmware_export.esphome import esphome_project
from firmware_export.esphome.rewrite import rewritten
from firmware_export.project import Source

PROJECT = Path(__file__).resolve().parent.parent
RATE, ROW = 16000, 160
WORD = "computer"
PROFILES = ("int8x16", "int8", "int16x8")
CELLS = ("gru", "lstm", "simple_rnn")
PAUSE_S, AFTER_S = 1.0, 0.6
"""Seconds between clips, and how long after a clip a detection is still of it."""
SNRS_DB = (None, 10, 5)
"""Of the noise that all is heard in; None: no noise, and digital silence between clips."""

Scores = NDArray[np.float64]
"""Of each row, 0 to 255."""


@dataclass(frozen=True)
class Passage:
    """Clips one after another, as the component hears them."""

    rows: NDArray[np.int8]
    """Shape (rows, 40)."""
    spans: list[tuple[int, int]]
    """First row of each clip, and the one after the last that counts as its own."""
    words: NDArray[np.bool_]
    """Whether each clip is the wake word."""


def trained(run: Path, *arguments: Any) -> Path:
    """A run folder, made by `edgernn train` if it is not there."""
    if not run.is_dir():
        subprocess.run([sys.executable, "-m", "edgernn", "train", *map(str, arguments), "--out",
                        str(run)], check=True, stdout=subprocess.DEVNULL)
    return run


# ---- words ----------------------------------------------------------------------------


def words(data: Path, out: Path) -> Iterator[dict[str, Any]]:
    """A row for each noise and profile."""
    clips, noise = data / "wakewords_picovoice", data / "background_noise"
    run = trained(out / "words", clips, "--config", PROJECT / "recipes" / "esphome.yaml",
                  "--keywords", WORD, "--noise", noise, "--negative", data / "negative_speech")
    passages = {snr_db: passage(clips, noise, snr_db) for snr_db in SNRS_DB}
    real = {snr_db: in_floats(run, each.rows) for snr_db, each in passages.items()}
    for snr_db, scores in real.items():
        yield {"snr_db": snr_db, "model": "float", **judged(passages[snr_db], scores, 127, 10)}
    for profile in PROFILES:
        path = out / f"words-{profile}.tflite"
        quantize_run(run, path, profile)
        files = esphome_project(Source.read(path), "word", ["tools/measure_esphome.py"])
        micro = json.loads(files["word.json"])["micro"]
        cutoff, window = int(micro["probability_cutoff"] * 255), micro["sliding_window_size"]
        for snr_db, each in passages.items():
            own, new = in_steps(path, each.rows), in_tflm(files["word.tflite"], each.rows)
            yield {"snr_db": snr_db, "model": profile, **judged(each, own, cutoff, window),
                   "off float": apart(own, real[snr_db])}
            yield {"snr_db": snr_db, "model": f"{profile}, for ESPHome",
                   **judged(each, new, cutoff, window), "off float": apart(new, real[snr_db]),
                   "off its model": apart(new, own), "bytes": len(files["word.tflite"]),
                   "arena": micro["tensor_arena_size"]}


def passage(folder: Path, noise: Path, snr_db: float | None) -> Passage:
    """Clips of the validation speakers, half a second and more apart."""
    found = load(folder, noise=[noise])
    held = [i for i, r in enumerate(found.recordings) if r.split == "validation"]
    rng = np.random.default_rng(0)
    bed = np.concatenate([sound.astype(float) for sound in found.noises])
    sound, spans = [], []
    for i in held:
        clip = found.samples[i].astype(float)
        start = sum(map(len, sound)) + int(PAUSE_S * RATE)
        padded = np.concatenate([np.zeros(int(PAUSE_S * RATE)), clip])
        if snr_db is not None:
            at = int(rng.integers(len(bed) - len(padded)))
            part = bed[at:at + len(padded)]
            part = part * (np.sqrt(np.mean(clip**2) / np.mean(part**2)) * 10 ** (-snr_db / 20))
            padded = padded + part
        sound.append(padded)
        spans.append((start // ROW, (start + len(clip) + int(AFTER_S * RATE)) // ROW))
    whole = np.clip(np.rint(np.concatenate(sound)), -32768, 32767).astype(np.int16)
    codes = Microfrontend(MicrofrontendSpec()).whole(whole)
    return Passage(((codes - CODE_ZERO) // INT8_STEP).astype(np.int8), spans,
                   np.array([found.recordings[i].label == WORD for i in held]))


def in_floats(run: Path, rows: NDArray[np.int8]) -> Scores:
    """Scores of the network before it was quantized."""
    model, found = FloatModel(Network.load(run)), []
    states = model.initial(1)
    for row in rows.astype(np.float32) * np.float32(CODE_SCALE * INT8_STEP):
        scores, states = model.step(row[None], states)
        found.append(scores[0, 1])
    return 256 * np.array(found, float)


def in_steps(path: Path, rows: NDArray[np.int8]) -> Scores:
    """Scores of the model as it was quantized, as uint8."""
    model, found = StepModel.open(path, "tflm"), []
    codes = rows if model.spec.profile != "int16x8" else rows.astype(np.int16) * INT8_STEP
    for row in codes:
        found.append(float(model.step(row)[1]))
    return np.minimum(np.rint(256 * np.array(found)), 255)


def in_tflm(model: bytes, rows: NDArray[np.int8]) -> Scores:
    """Scores of the rewritten model."""
    interpreter, found = runtime.Interpreter.from_bytes(model), []
    for row in rows:
        interpreter.set_input(row[None, None], 0)
        interpreter.invoke()
        found.append(float(interpreter.get_output(0)[0, 0]))
    return np.array(found)


def judged(heard: Passage, scores: Scores, cutoff: int, window: int) -> dict[str, Any]:
    """Words that were missed, and other clips that were taken for one."""
    sums = np.convolve(np.floor(scores), np.ones(window))[:len(scores)]
    fired = sums > cutoff * window
    found = np.array([fired[first:last].any() for first, last in heard.spans])
    return {"missed": f"{(~found & heard.words).sum()} of {heard.words.sum()}",
            "false": f"{(found & ~heard.words).sum()} of {(~heard.words).sum()}"}


def apart(a: Scores, b: Scores) -> str:
    """How far scores are apart, 0 to 1: in the mean, and at most."""
    gap = np.abs(a - b) / 256
    return f"{gap.mean():.4f} / {gap.max():.2f}"


# ---- vowels ---------------------------------------------------------------------------


def vowels(data: Path, out: Path) -> Iterator[dict[str, Any]]:
    """A row for each cell and profile."""
    for cell in CELLS:
        run = trained(out / cell, data / "tsc" / "JapaneseVowels_TRAIN.ts", "--config",
                      PROJECT / "recipes" / "vowels.yaml", "--cell", cell)
        network = Network.load(run)
        test = load_sequences(run, network.architecture.features).of_split("test")
        for profile in PROFILES[:2]:
            path = out / f"{cell}-{profile}.tflite"
            report = quantize_run(run, path, profile)
            source = Source.read(path)
            own, new = (answers(source, test, graph) for graph in (
                source.graph, tflite.read(rewritten(source, source.spec.labels[0], False))))
            yield {"cell": cell, "profile": profile, "float": f"{report.floats['reset']:.3f}",
                   "the model": f"{own.right:.3f}", "for ESPHome": f"{new.right:.3f}",
                   "other answers": f"{(own.found != new.found).sum()} of {len(test)}",
                   "state apart": f"{np.abs(own.state - new.state).mean():.4f}"}


@dataclass(frozen=True)
class Answers:
    """What a step makes of sequences, its state reset for each."""

    found: NDArray[np.int64]
    """The likeliest label after the last row of each."""
    right: float
    state: NDArray[np.float32]
    """After that row, in real numbers."""


def answers(source: Source, test: Sequences, graph: Any) -> Answers:
    """All sequences at once; what comes after a sequence's end is not looked at."""
    head = next(op for op in source.graph.ops if op.name == "SOFTMAX")
    logits = source.graph.tensors[head.inputs[0]].name
    step, pair = Emulator(graph), source.spec.states[0]
    inputs = [graph.tensors[i] for i in graph.inputs]
    outputs = [graph.tensors[i].name for i in graph.outputs]
    states = {t.name: np.full((len(test), *t.shape[1:]), t.zero_points[0], t.dtype)
              for t in inputs[1:]}
    found, last = np.zeros(len(test), np.int64), np.zeros((len(test), inputs[1].shape[1]))
    real = spec_rows(source, test)
    for t in range(int(test.lengths.max())):
        x = np.stack([rows[min(t, len(rows) - 1)] for rows in real])
        made = step.run({inputs[0].name: x.reshape(len(test), *inputs[0].shape[1:]), **states},
                        trace=True)
        states = {before.name: made[after]
                  for before, after in zip(inputs[1:], outputs[1:], strict=True)}
        ends = test.lengths == t + 1
        found[ends] = made[logits][ends].argmax(axis=1)
        last[ends] = dequantize(states[pair.input], source.graph.tensor(pair.input).qtype)[ends]
    return Answers(found, float(np.mean(found == test.labels)), last)


def spec_rows(source: Source, test: Sequences) -> list[NDArray[Any]]:
    """Codes of the rows of each sequence."""
    from edgernn.frontend import make_frontend

    frontend = make_frontend(source.spec.frontend)
    return [quantize(frontend.features(rows), source.x) for rows in test]


def table(rows: list[dict[str, Any]]) -> str:
    """Rows in Markdown."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(keys) + " |", "|---" * len(keys) + "|"]
    return "\n".join(lines + ["| " + " | ".join("" if row.get(key) is None else str(row[key])
                                                for key in keys) + " |" for row in rows])


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    makers: dict[str, Callable[[Path, Path], Iterator[dict[str, Any]]]] = {
        "words": words, "vowels": vowels}
    parser.add_argument("what", nargs="*", help="words, vowels (default: both)")
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=PROJECT / "build" / "esphome")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.what or makers:
        rows = []
        for row in makers[name](asked.data, asked.out):
            print(json.dumps(row), file=sys.stderr, flush=True)
            rows.append(row)
        print(f"{table(rows)}\n", flush=True)


if __name__ == "__main__":
    main()
