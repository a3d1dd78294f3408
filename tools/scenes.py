"""Training scenes: wake words anywhere in speech, noise and silence, a target for every frame.

A scene is a few seconds of a lane of voices (wake words, read speech, espeak-ng,
digits, pieces of wake words) over noise, in a room, through a microphone.  The model meets each
word with its state already full of something else, as on a device.
"""

from dataclasses import dataclass

import numpy as np
from materials import NOISES, RATE, WORDS, Clip, Materials, Samples
from numpy.typing import NDArray
from sounds import colored, equalized, faded, faster, hum, impacts, paced, reverberated, rms

from edgernn.frontend.logmel import LogMel
from edgernn.spec import LogMelSpec

HOP = RATE * 20 // 1000
WINDOW = RATE * 30 // 1000
# Seconds around a word's end, in which frames are asked for the word, or not judged.
ASKED_S = (-0.06, 0.36)
UNJUDGED_S = (-0.28, 0.70)
TALK_SHARE = 0.42
"""Of scenes that are uninterrupted speech."""
TALK_WEIGHT = np.float32(3)
"""What a frame of it counts."""


@dataclass(frozen=True)
class Item:
    """One thing said in a lane."""

    samples: Samples
    label: int = 0
    """1 + index in `WORDS`, or 0."""
    end: int = 0
    """Sample after the wake word's last."""
    level: float = 0.0
    """rms of the voice itself, pauses around it left out; 0: of all the samples."""


class SceneMaker:
    """Puts scenes together from materials."""

    def __init__(self, materials: Materials, frames: int = 300) -> None:
        self.materials = materials
        self.frames = frames
        self.samples = (frames - 1) * HOP + WINDOW
        self.frontend = LogMel(LogMelSpec())
        self.clips = {word: [c for c in materials.clips if c.label == word] for word in WORDS}
        self.spoken = {word: [c for c in materials.spoken if c.label == word] for word in WORDS}
        self.chances = {word: _by_speaker(found) for word, found in self.clips.items()}

    def __call__(
        self, rng: np.random.Generator
    ) -> tuple[NDArray[np.int16], NDArray[np.int8], NDArray[np.float32]]:
        """Log-mel codes (frames, 40), labels (frames,) and weights (frames,)."""
        talking = rng.random() < TALK_SHARE
        lane, labels, weights = self._talk(rng) if talking else self._lane(rng)
        if rng.random() < (0.18 if talking else 0.26):
            lane = reverberated(rng, lane)
        loudness = 1000 * 10 ** (rng.uniform(-6, 6) / 20)
        background = self._background(rng, talking)
        x = (lane + background) * loudness * 10 ** (rng.uniform(-24, 16) / 20)
        if rng.random() < 0.03:
            x = np.clip(x * 4, -8000, 8000)
        peak = float(np.abs(x).max())
        if peak > 32000 and rng.random() < 0.8:
            x *= 32000 / peak
        whole = np.clip(np.rint(x), -32768, 32767).astype(np.int16)
        return self.frontend.whole(whole), labels, weights

    def _lane(
        self, rng: np.random.Generator
    ) -> tuple[Samples, NDArray[np.int8], NDArray[np.float32]]:
        """Voices one after the other, of about unit rms; targets for each frame."""
        n = self.samples
        lane = np.zeros(n, np.float32)
        labels, weights = np.zeros(self.frames, np.int8), np.ones(self.frames, np.float32)
        at = int(rng.uniform(0, 0.8) * RATE)
        crowded = rng.random() < 0.5
        silent = rng.random() < 0.15
        while not silent and at < n - RATE // 4:
            item = self._item(rng)
            said = item.samples / (item.level or rms(item.samples))
            if rng.random() < 0.5:
                said = equalized(rng, said, 6)
            said = said * np.float32(10 ** (rng.uniform(-5, 5) / 20))
            if at + len(said) > n:
                said = faded(said[:n - at], 80)
            lane[at:at + len(said)] += said
            if item.label:
                _ask(labels, weights, at + item.end, item.label)
            pause = rng.uniform(0, 0.15) if crowded else rng.uniform(0.05, 1.2)
            at += len(item.samples) + int(pause * RATE)
        weights[labels > 0] = 1
        return lane, labels, weights

    def _talk(
        self, rng: np.random.Generator
    ) -> tuple[Samples, NDArray[np.int8], NDArray[np.float32]]:
        """People from end to end, mostly as recorded: what a false alarm is made of."""
        ratio = 1.0 if rng.random() < 0.6 else rng.uniform(0.85, 1.18)
        length = int(self.samples * ratio) + 1
        samples = self._said(rng, length)
        start = int(rng.integers(max(1, len(samples) - length)))
        cut = np.resize(faster(samples[start:start + length], ratio), self.samples)
        return (cut / np.float32(rms(cut)), np.zeros(self.frames, np.int8),
                np.full(self.frames, TALK_WEIGHT))

    def _said(self, rng: np.random.Generator, length: int) -> Samples:
        """Somebody reading, or others one after the other, who may be espeak-ng's voices."""
        chance = rng.random()
        if chance < 0.34:
            return _pick(rng, self.materials.speech)
        return self._one_after_another(
            rng, length, self.materials.others if chance < 0.82 else self.materials.sentences)

    def _one_after_another(self, rng: np.random.Generator, length: int,
                           among: tuple[Samples, ...]) -> Samples:
        """Recordings joined as they are: each at its own level."""
        joined: list[Samples] = []
        while sum(map(len, joined)) < length:
            samples = _pick(rng, among)
            joined.append(samples / np.float32(rms(samples) * 10 ** (rng.uniform(-4, 4) / 20)))
        return np.concatenate(joined)

    def _item(self, rng: np.random.Generator) -> Item:
        chance = rng.random()
        word = int(rng.random() > 0.56)  # "computer" is the harder one
        if chance < 0.33:
            return self._wake_word(rng, word)
        if chance < 0.42:
            clip = _pick(rng, self.spoken[WORDS[word]])
            ratio = rng.uniform(0.9, 1.12)
            return Item(faster(clip.samples, ratio), word + 1, int(clip.end / ratio))
        if chance < 0.50:
            return self._piece_of_word(rng, word)
        if chance < 0.64:
            return self._read_speech(rng)
        if chance < 0.84:
            return self._other(rng)
        digits, distractors = self.materials.digits, self.materials.distractors
        samples = _pick(rng, distractors if chance < 0.97 else digits)
        return Item(faster(samples[:5 * RATE], rng.uniform(0.88, 1.15)))

    def _clip(self, rng: np.random.Generator, word: str) -> Clip:
        return self.clips[word][int(rng.choice(len(self.clips[word]), p=self.chances[word]))]

    def _wake_word(self, rng: np.random.Generator, word: int) -> Item:
        """Said by a person, with a little of the clip's own silence around it."""
        clip = self._clip(rng, WORDS[word])
        ratio, tempo = rng.uniform(0.86, 1.18), 1.0
        if rng.random() < 0.6:  # few of the clips are said slowly
            slowest = 0.68 if clip.end - clip.start < 0.75 * RATE else 0.85
            tempo = float(np.exp(rng.uniform(np.log(slowest), np.log(1.2))))
        first = max(0, clip.start - int(rng.uniform(0, 0.25) * RATE))
        cut = faded(clip.samples[first:clip.end + int(rng.uniform(0.02, 0.25) * RATE)], 200)
        if tempo != 1:
            cut = paced(cut, tempo)
        return Item(faster(cut, ratio), word + 1, int((clip.end - first) / ratio / tempo),
                    rms(clip.samples[clip.start:clip.end]))

    def _piece_of_word(self, rng: np.random.Generator, word: int) -> Item:
        """Its beginning, its end, or the whole of it backwards: none of them is the word."""
        clip = self._clip(rng, WORDS[word])
        length, chance = clip.end - clip.start, rng.random()
        if chance < 0.55:
            last = clip.start + int(length * rng.uniform(0.3, 0.58))
            piece = clip.samples[max(0, clip.start - RATE // 10):last]
        elif chance < 0.8:
            piece = clip.samples[clip.start + int(length * rng.uniform(0.45, 0.7)):clip.end + 800]
        else:
            piece = clip.samples[clip.start:clip.end][::-1]
        return Item(faster(faded(piece), rng.uniform(0.85, 1.18)))

    def _read_speech(self, rng: np.random.Generator) -> Item:
        """A stretch of one reader, or syllables of several; sometimes backwards."""
        if rng.random() < 0.25:
            cuts = [self._cut(rng, 0.08, 0.5) for _ in range(int(rng.integers(3, 9)))]
            samples = np.concatenate([faded(c / (rms(c) + 20) * 1000, 80) for c in cuts])
        else:
            samples = self._cut(rng, 0.4, 3.5)
        if rng.random() < 0.15:
            samples = samples[::-1]
        return Item(faster(faded(samples), rng.uniform(0.78, 1.28)))

    def _other(self, rng: np.random.Generator) -> Item:
        """A word or some seconds of somebody else."""
        samples = _pick(rng, self.materials.others)
        start = int(rng.integers(max(1, len(samples) - 3 * RATE)))
        return Item(faster(faded(samples[start:start + 3 * RATE]), rng.uniform(0.85, 1.18)))

    def _cut(self, rng: np.random.Generator, low_s: float, high_s: float) -> Samples:
        samples = _pick(rng, self.materials.speech)
        length = int(rng.uniform(low_s, high_s) * RATE)
        start = int(rng.integers(max(1, len(samples) - length)))
        return samples[start:start + length]

    def _background(self, rng: np.random.Generator, talking: bool) -> Samples:
        """Digital silence, faint hiss, or noise from as loud as the voices to 42 dB below.

        Under uninterrupted speech it is mostly faint: a small network that is to hear words in
        loud noise has nothing left with which to tell what is said in a quiet room.
        """
        chance = rng.random()
        if chance < 0.07:
            return np.zeros(self.samples, np.float32)
        if chance < 0.14:
            return colored(rng, self.samples) * np.float32(10 ** (rng.uniform(-50, -30) / 20))
        if talking:
            below = rng.uniform(0, 20) if chance < 0.42 else rng.uniform(18, 42)
        else:
            below = rng.uniform(0, 15) if chance < 0.7 else rng.uniform(12, 35)
        return self._noise(rng) * np.float32(10 ** (-below / 20))

    def _noise(self, rng: np.random.Generator) -> Samples:
        """Of unit rms."""
        n, chance = self.samples, rng.random()
        if chance < 0.6:
            x = self._recorded_noise(rng)
        elif chance < 0.68:
            x = impacts(rng, n) + colored(rng, n) * np.float32(10 ** (rng.uniform(-30, 0) / 20))
        elif chance < 0.8:
            x = colored(rng, n)
        elif chance < 0.93:
            x = self._babble(rng)
        else:
            x = hum(rng, n)
        if rng.random() < 0.6:
            x = equalized(rng, x, 8)
        if rng.random() < 0.25:
            gain = np.interp(np.arange(n), np.linspace(0, n, 6), rng.uniform(-8, 8, 6))
            x = x * (10 ** (gain / 20)).astype(np.float32)
        return x / np.float32(rms(x))

    def _recorded_noise(self, rng: np.random.Generator) -> Samples:
        noise = self.materials.noises[NOISES[int(rng.choice(4, p=[0.3, 0.34, 0.18, 0.18]))]]
        ratio = float(np.exp(rng.uniform(-0.5, 0.5))) if rng.random() < 0.5 else 1.0
        length = int(self.samples * ratio) + 400
        start = int(rng.integers(len(noise) - length))
        x = faster(noise[start:start + length], ratio)[:self.samples]
        if rng.random() < 0.3:
            x = x[::-1].copy()
        if rng.random() < 0.2:
            x = x + impacts(rng, self.samples) * np.float32(rms(x) * rng.uniform(0.3, 1.5))
        return x

    def _babble(self, rng: np.random.Generator) -> Samples:
        x = np.zeros(self.samples, np.float32)
        for _ in range(int(rng.integers(3, 8))):
            people = rng.random() < 0.7
            voice = _pick(rng, self.materials.speech if people else self.materials.distractors)
            start = int(rng.integers(4000))
            x += np.resize(voice, self.samples + 4000)[start:start + self.samples] / rms(voice)
        return x


def _ask(labels: NDArray[np.int8], weights: NDArray[np.float32], end: int, label: int) -> None:
    """Ask for `label` on the frames after the word's end; judge none just around those."""
    middle = (end - WINDOW // 2) / HOP  # the frame whose window is centred on the word's end

    def frame(seconds: float) -> int:
        return int(np.clip(round(middle + seconds * RATE / HOP), 0, len(labels)))

    weights[frame(UNJUDGED_S[0]):frame(UNJUDGED_S[1])] = 0
    labels[frame(ASKED_S[0]):frame(ASKED_S[1])] = label


def _by_speaker(found: list[Clip]) -> NDArray[np.float64]:
    """Chance of each clip: a speaker of many clips is heard more, but not in proportion."""
    counts = np.array([sum(c.speaker == clip.speaker for c in found) for clip in found])
    chance = counts ** -0.75
    return chance / chance.sum()


def _pick(rng: np.random.Generator, things):  # type: ignore[no-untyped-def]
    return things[int(rng.integers(len(things)))]
