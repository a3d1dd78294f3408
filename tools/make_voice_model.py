"""Make the bundled model of voice activity, edgernn/models/voice.tflite, and its card.

    python tools/make_voice_model.py [--data shared/data]

Trains recipes/speech.yaml as `tools/measure_speech.py` does, quantizes it, and measures it as a
gate: in an hour of a room where something is said in every fourth five seconds (of
`tools/measure_drift.py`), how many wake words are missed with the gate and without it, and how
much of the time the wake word model had to listen.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from materials import NOISES, clips, read
from measure_drift import AFTER_S, RATE, SLOT_S, room
from measure_speech import material
from measuring import reached

from edgernn import bundle
from edgernn.cli.models import BUNDLED, VOICE
from edgernn.ensemble import BEFORE_S, OPEN_S, Ensemble, Gate
from edgernn.frames import Frame
from edgernn.spec import DetectorSpec
from edgernn.step import StepModel
from edgernn.stream import Listener
from edgernn.train.fit import fit

PROJECT = Path(__file__).resolve().parent.parent
COMMAND = "python tools/make_voice_model.py"
HOURS, SAID = 1.0, 0.25
THRESHOLD = 0.1
"""Stored.  A gate that misses a word cannot be mended behind it, so it is far below one half."""
TRIED = (0.5, 0.2, THRESHOLD, 0.05)

CARD = """\
# voice.tflite: does somebody speak?

Hears 16 kHz audio and says of every 20 ms whether there is speech in it.  Bundled with edgernn:
`edgernn stream --gate voice` runs a larger model only while it hears some.  Written by
`{command}`; do not edit.

| | |
|---|---|
| size | {bytes:,} bytes, profile int8x16 |
| sha256 of the FlatBuffer | {sha256} |
| network | gru 32, dense 2 |
| features | 40 log-mel energies every 20 ms (`edgernn.frontend.logmel`) |
| made with | edgernn {edgernn}, Python {python} |

Trained on the wake words of the Picovoice set's training speakers and four fifths of 55 readers of
LibriSpeech (CC BY 4.0), in noises.  On speakers, readers and stretches of noise never trained on,
at 0 to 20 dB SNR:

| frames that are right | float | int8x16 |
|---|---|---|
| state reset | {float_reset:.1%} | {int8x16_reset:.1%} |
| state carried | {float_carry:.1%} | {int8x16_carry:.1%} |

## As a gate

An hour of noise ({hours:g} h) in which something is said in every fourth five seconds; wake words
of the validation speakers at 10 dB SNR; the gate stays open for {open_s:g} s and lets through
{before_s:g} s of what came before.  The threshold {threshold:g} is stored; it was chosen in sight
of this very table.

| the gate's threshold | wake words missed | false alarms | the wake word model listened |
|---|---|---|---|
{rows}
"""


def as_gate(voice: StepModel, data: Path) -> dict[str, Any]:
    """What it misses, and what it saves."""
    rng = np.random.default_rng(1)
    noises = [noise[len(noise) // 2:] for noise in
              (read(data / "background_noise" / f"{name}.wav") for name in NOISES)]
    talk = [read(path) for path in sorted((data / "negative_speech").rglob("*.wav"))]
    words, model = clips(data, "validation"), StepModel.open(BUNDLED)
    listening = {"alone": Ensemble({"": Listener(model.fork())}),
                 "gated": Ensemble({"": Listener(model.fork())}, Gate(voice))}
    found: dict[str, Any] = {"words": 0} | {f"{what}_{name}": 0 for name in listening
                                           for what in ("missed", "alarms")}
    hits: dict[str, list[tuple[str, float]]] = {name: [] for name in listening}
    said = []
    for slot in range(int(HOURS * 3600 / SLOT_S)):
        sound, clip, begin, end = room(rng, noises, talk, words)
        if rng.random() >= SAID:
            sound, clip = quiet(rng, noises), None
        if clip is not None:
            said.append((clip.label, slot * SLOT_S + begin, slot * SLOT_S + end + AFTER_S))
        for name, ensemble in listening.items():
            for each in ensemble.push(Frame(sound, slot * SLOT_S)):
                hits[name].append((each.label, each.time_s))
    for name, fired in hits.items():
        right = {at for label, at in fired for word, begin, end in said
                 if label == word and begin <= at <= end}
        found[f"missed_{name}"] = sum(not any(label == word and begin <= at <= end
                                              for label, at in fired) for word, begin, end in said)
        found[f"alarms_{name}"] = len(fired) - len(right)
    return found | {"words": len(said), "share": listening["gated"].let_through_s / (HOURS * 3600)}


def quiet(rng: np.random.Generator, noises: list) -> np.ndarray:
    """Five seconds in which nobody says anything."""
    noise = noises[rng.integers(len(noises))]
    at = rng.integers(len(noise) - int(SLOT_S * RATE))
    piece = noise[at:at + int(SLOT_S * RATE)] * np.float32(10 ** (rng.uniform(-30, 0) / 20))
    return np.clip(np.rint(piece), -32768, 32767).astype(np.int16)


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data")
    data = parser.parse_args().data
    config, found, negatives = material(data)
    with tempfile.TemporaryDirectory() as folder:
        fit(config, found, Path(folder) / "run", overwrite=True, negatives=negatives)
        line = reached(Path(folder) / "run", Path(folder) / "voice")
        whole = bundle.read(Path(folder) / "voice-int8x16.tflite")
    spec = dataclasses.replace(
        whole.spec, detector=DetectorSpec({"speech": THRESHOLD}, smoothing_ms=100),
        provenance={**whole.spec.provenance, "command": COMMAND,
                    "data": "Picovoice wake words (Apache-2.0), LibriSpeech (CC BY 4.0), Speech "
                            "Commands noise (CC BY 4.0)"})
    bundle.write(VOICE, bundle.attach(whole.flatbuffer, spec))
    voice, rows = StepModel.open(VOICE), []
    for threshold in TRIED:
        detector = DetectorSpec({"speech": threshold}, smoothing_ms=100)
        gate = as_gate(StepModel(dataclasses.replace(voice.spec, detector=detector), voice.graph,
                                 voice.runtime), data)
        if not rows:
            rows.append(f"| no gate | {gate['missed_alone']} of {gate['words']} | "
                        f"{gate['alarms_alone']} | all the time |")
        rows.append(f"| {threshold:g} | {gate['missed_gated']} of {gate['words']} | "
                    f"{gate['alarms_gated']} | {gate['share']:.0%} |")
    VOICE.with_suffix(".md").write_text(CARD.format(
        command=COMMAND, bytes=VOICE.stat().st_size, sha256=whole.spec.model_sha256,
        edgernn=spec.provenance["edgernn"], python=spec.provenance["python"], hours=HOURS,
        threshold=THRESHOLD, rows="\n".join(rows), open_s=OPEN_S, before_s=BEFORE_S,
        **{key: line[key] for key in ("float_reset", "float_carry", "int8x16_reset",
                                      "int8x16_carry")}))
    print(VOICE.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
