"""Make edgernn/models/demo.wav, what `make demo` streams, and demo.json, what is said in it.

    .venv/bin/python tools/make_demo_recording.py

espeak-ng speaks sentences with the wake words and with words somewhat like them, over noise
made here, so that the recording is wholly the project's own (CC0).  No sentence is one the
bundled model was trained on.
"""

import json
import wave
from pathlib import Path

import click
import numpy as np
import soxr
from numpy.typing import NDArray

from edgernn.synth.espeak import the_espeak

RATE = 16000
SNR_DB = 15
"""rms of the voices over rms of the noise."""
PAUSE_S = 0.45
# Voice, words per minute, pitch, sentence, wake word in it.
SENTENCES = (
    ("en-us", 165, 45, "i think my computer can hear you", "computer"),
    ("gmw/en", 165, 40, "the commission met in texas again", ""),
    ("en-us+linda", 160, 55, "alexa, is it raining", "alexa"),
)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="edgernn/models/demo.wav",
              show_default=True, help="The wav to write; what is said goes beside it.")
def main(out: Path) -> None:
    """Make the demo recording."""
    samples, said = speak()
    noise = rumble(len(samples))
    level = np.sqrt(np.mean(samples[samples != 0] ** 2)) * 10 ** (-SNR_DB / 20)
    mixed = samples + noise * level
    mixed *= 12000 / np.abs(mixed).max()
    with wave.open(str(out), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(mixed).astype("<i2").tobytes())
    lines = ",\n ".join(json.dumps(word) for word in said)
    out.with_suffix(".json").write_text(f"[{lines}]\n", encoding="utf-8")
    for word in said:
        print(json.dumps(word))


def speak() -> tuple[NDArray[np.float64], list[dict[str, object]]]:
    """All sentences with pauses between, each of the same loudness; where the wake words are."""
    espeak = the_espeak()
    pause = np.zeros(int(PAUSE_S * RATE))
    parts, said = [pause], []
    for voice, words_per_minute, pitch, sentence, wake_word in SENTENCES:
        heard = espeak.say(sentence, voice, words_per_minute, pitch)
        samples = soxr.resample(heard.samples.astype(np.float64), espeak.sample_rate_hz, RATE)
        samples *= 3000 / np.sqrt(np.mean(samples ** 2))
        begun = sum(len(part) for part in parts)
        parts += [samples, pause]
        if wake_word:
            position = sentence.index(wake_word) + 1  # espeak-ng counts characters from 1
            starts = [at / espeak.sample_rate_hz for where, at in heard.word_starts
                      if where >= position]
            end = starts[1] if len(starts) > 1 else len(samples) / RATE
            spoken = samples[int(starts[0] * RATE):int(end * RATE)]
            # A comma's pause comes before the next word, and is not the end of this one.
            loud = np.flatnonzero(np.abs(spoken) > 0.05 * np.abs(spoken).max())
            end = starts[0] + float(loud[-1]) / RATE
            said.append({"label": wake_word, "start_s": round(begun / RATE + starts[0], 2),
                         "end_s": round(begun / RATE + end, 2)})
    return np.concatenate(parts), said


def rumble(n: int) -> NDArray[np.float64]:
    """Noise of unit rms, falling 3 dB per octave: a room with a fan in it."""
    rng = np.random.default_rng(7)
    hz = np.fft.rfftfreq(n, 1 / RATE)
    hz[0] = hz[1]
    spectrum = rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 40)), n)
    return noise / np.sqrt(np.mean(noise ** 2))


if __name__ == "__main__":
    main()
