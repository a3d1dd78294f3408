"""What each epoch is made of: data laid end to end, with the right label on some frames.

A stream is never reset, so a model that only ever saw clips begin from zeros is lost
in one.  Every maker of lessons therefore joins clips: most of them begin with the
state that something else left.
"""

import functools
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgernn.frontend import AudioFrontend
from edgernn.frontend.standardize import Standardize
from edgernn.frontend.tokens import Tokens
from edgernn.train import augment
from edgernn.train.batches import Lesson
from edgernn.train.config import TrainConfig
from edgernn.train.mix import WHOLE, Mix
from edgernn.train.sequences import Sequences
from edgernn.train.words import find_word, sounding

OTHER = "_other_"
"""Label 0 of a spotter: nothing that it listens for was said."""
EARLY_S, LATE_S = 0.06, 0.4
"""A keyword's label holds from so long before the word's end until so long after it."""
UNSURE_S = 0.2
"""Before and after that, neither the keyword nor its absence is wrong."""
PIECES = 0.2
"""Share of what is no keyword that is a part of one.  Were all other speech in other recordings
(synthesized, say, where the keywords are people's), the recording alone would give them away."""
Scene = tuple[NDArray[np.int16], NDArray[Any], NDArray[np.float32]]
"""A frontend's codes, and the targets and weights of its frames."""


class Teacher(Protocol):
    """Makes the lessons of an epoch."""

    def lessons(self, rng: np.random.Generator) -> list[Lesson]:
        """A new epoch's lessons, all drawn from `rng`."""

    def calibration(self, most: int) -> Sequences:
        """At most so many training sequences of frontend rows, split `train`."""


def runs(count: int, join: int, rng: np.random.Generator, mix: Mix = WHOLE
         ) -> list[NDArray[np.int64]]:
    """Indices 0..count-1 in random order, or as `mix` draws them, in runs of 1 to `join`."""
    order = mix.order(count, rng)
    cuts = np.cumsum(rng.integers(1, join + 1, count))
    return [run for run in np.split(order, cuts[cuts < count]) if len(run)]


@dataclass(frozen=True)
class RowTeacher:
    """Sequences of sensor rows or tokens, joined; each counts on its last frame, or on all."""

    config: TrainConfig
    frontend: Standardize | Tokens
    sequences: Sequences
    """The frontend's rows of the training split."""
    mix: Mix = WHOLE

    def lessons(self, rng: np.random.Generator) -> list[Lesson]:
        """See `Teacher.lessons`."""
        made = []
        for run in runs(len(self.sequences), self.config.join, rng, self.mix):
            part = self.sequences.where(run)
            if self.config.transpose and self.config.task == "next" and rng.random() < 0.5:
                part = moved(part, int(rng.integers(-self.config.transpose,
                                                    self.config.transpose + 1)))
            targets, weights = asked(part)
            made.append(Lesson(self.frontend.features(part.rows), targets, weights))
        return made

    def calibration(self, most: int) -> Sequences:
        """See `Teacher.calibration`."""
        return self.sequences.where(np.arange(min(most, len(self.sequences))))


def moved(sequences: Sequences, columns: int) -> Sequences:
    """The same rows and targets so many columns up; what leaves at one side is lost."""
    def shifted(rows: NDArray[Any]) -> NDArray[Any]:
        out = np.zeros_like(rows)
        if columns >= 0:
            out[:, columns:] = rows[:, :rows.shape[1] - columns]
        else:
            out[:, :columns] = rows[:, -columns:]
        return out

    assert sequences.targets is not None, "the task is next"
    targets = shifted(sequences.targets)
    targets[np.isnan(sequences.targets[:, 0])] = np.nan
    return replace(sequences, rows=shifted(sequences.rows), targets=targets)


def asked(sequences: Sequences) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """What is right on every row, and what each row counts."""
    if sequences.targets is None:
        last = sequences.ends - 1
        targets = np.zeros(len(sequences.rows), np.int64)
        weights = np.zeros(len(sequences.rows), np.float32)
        targets[last], weights[last] = sequences.labels, 1.0
        return targets, weights
    if sequences.targets.ndim == 1:
        counts = sequences.targets >= 0
        return np.maximum(sequences.targets, 0), counts.astype(np.float32)
    counts = ~np.isnan(sequences.targets[:, 0])
    return np.nan_to_num(sequences.targets), counts.astype(np.float32)


@dataclass(frozen=True)
class ClipTeacher:
    """Recordings, augmented and joined in noise; each counts on its last frame only."""

    config: TrainConfig
    frontend: AudioFrontend
    clips: tuple[NDArray[np.int16], ...]
    labels: NDArray[np.int64]
    """Index of each clip's label, shape (clips,)."""
    noises: tuple[NDArray[np.int16], ...] = ()
    mix: Mix = WHOLE

    def lessons(self, rng: np.random.Generator) -> list[Lesson]:
        """See `Teacher.lessons`."""
        return [lesson for run in runs(len(self.clips), self.config.join, rng, self.mix)
                for lesson in self._lessons(run, rng)]

    def calibration(self, most: int) -> Sequences:
        """See `Teacher.calibration`."""
        chosen = np.random.default_rng(self.config.seed).permutation(len(self.clips))[:most]
        return rows_of([self.frontend.whole(self.clips[i]) for i in chosen],
                       self.labels[chosen], "train")

    def _lessons(self, run: NDArray[np.int64], rng: np.random.Generator) -> list[Lesson]:
        parts = [augment.varied(self.clips[i], self.config, rng) for i in run]
        level = max(augment.rms(part) for part in parts)
        samples = augment.noised(np.concatenate(parts), level, self.noises, self.config, rng)
        codes = self.frontend.whole(augment.saturated(samples))
        targets = np.zeros(len(codes), np.int64)
        weights = np.zeros(len(codes), np.float32)
        before = self.config.answer_ms * self.config.sample_rate_hz // 1000 // self.frontend.hop
        start = 0
        for part, label in zip(parts, self.labels[run], strict=True):
            # The last frame that ends inside the clip: where a clip alone would stop.
            last = (start + len(part) - self.frontend.window) // self.frontend.hop
            first = min(last, max(-(-start // self.frontend.hop), last - before))
            if last >= 0:
                targets[first:last + 1], weights[first:last + 1] = label, 1 / (last + 1 - first)
            start += len(part)
        heard = [augment.blotted(augment.revoiced(codes, self.config, rng), self.config, rng)
                 for _ in range(self.config.passes)]
        return [Lesson(self.frontend.features(each), targets, weights) for each in heard]


@dataclass(frozen=True)
class SceneTeacher:
    """Keywords somewhere in seconds of other speech and noise; every frame counts."""

    config: TrainConfig
    frontend: AudioFrontend
    clips: tuple[NDArray[np.int16], ...]
    labels: NDArray[np.int64]
    """Index of each clip's label, shape (clips,); 0 for speech that is no keyword."""
    noises: tuple[NDArray[np.int16], ...] = ()
    negatives: tuple[NDArray[np.int16], ...] = ()
    """Long recordings of speech without keywords."""
    other: int = 0
    """Label of those recordings, where every frame has one."""
    mix: Mix = WHOLE

    def lessons(self, rng: np.random.Generator) -> list[Lesson]:
        """See `Teacher.lessons`."""
        return [self.scene(rng) for _ in range(self.config.scenes)]

    def calibration(self, most: int) -> Sequences:
        """See `Teacher.calibration`: scenes, since those are what a stream is like."""
        count = min(most, self.config.scenes, 300)
        if self.config.task == "label":
            return self.held_out(count, "train")
        rng = np.random.default_rng(self.config.seed)
        made = [self._codes(rng) for _ in range(count)]
        last = [int(targets.max(initial=0)) for _, targets, _ in made]
        return rows_of([codes for codes, _, _ in made], np.array(last), "train")

    def scene(self, rng: np.random.Generator) -> Lesson:
        """One scene, heard."""
        codes, targets, weights = self._codes(rng)
        codes = augment.blotted(augment.revoiced(codes, self.config, rng), self.config, rng)
        return Lesson(self.frontend.features(codes), targets, weights)

    def numbered(self, i: int) -> Scene:
        """The scene of a number, always the same; targets are int16, to be kept."""
        codes, targets, weights = self._codes(np.random.default_rng([self.config.seed, 1, i]))
        return codes, targets.astype(np.int16), weights

    def held_out(self, count: int, split: str) -> Sequences:
        """Scenes with a label on every frame, always the same, to measure on."""
        rng = np.random.default_rng([self.config.seed, count])
        made = [self._codes(rng) for _ in range(count)]
        found = rows_of([codes for codes, _, _ in made], np.zeros(count, np.int64), split)
        targets = np.concatenate([np.where(weights > 0, marks, -1) for _, marks, weights in made])
        return replace(found, targets=targets)

    def _codes(self, rng: np.random.Generator) -> Scene:
        rate = self.config.sample_rate_hz
        length = int(augment.drawn(self.config.scene_s, rng) * rate)
        samples = np.zeros(length, np.float32)
        level = 1000 * augment.decibels(augment.drawn(self.config.gain_db, rng))
        said: list[tuple[int, int]] = []
        heard_at: list[tuple[int, int, augment.Audio]] = []
        at = int(rng.uniform(0, 1.5) * rate)
        while at < length:
            clip, label, end = self._part(rng)
            clip = clip[:length - at]
            loudness = level * augment.decibels(rng.uniform(-5, 5)) / augment.rms(clip)
            samples[at:at + len(clip)] += np.float32(loudness) * clip
            if label and end <= len(clip):
                said.append((at + end, label))
            heard_at.append((at, label, clip))
            at += len(clip) + int(rng.uniform(0.05, 1.2) * rate)
        heard = augment.noised(samples, level, self.noises, self.config, rng)
        codes = self.frontend.whole(augment.saturated(heard))
        if self.config.task == "label":
            return codes, *self.spans(len(codes), heard_at)
        return codes, *self.marks(len(codes), said)

    @functools.cached_property
    def _others_speak(self) -> bool:
        """Whether anything was recorded that is no keyword."""
        return bool(self.negatives or (self.labels == 0).any())

    def _part(self, rng: np.random.Generator) -> tuple[augment.Audio, int, int]:
        """A clip, its label, and the sample after its word's last; half of all are keywords."""
        keywords, spots = np.flatnonzero(self.labels), self.config.task == "spot"
        if len(keywords) and (rng.random() < 0.5 or not (spots or self._others_speak)):
            label = int(rng.choice(np.unique(self.labels[keywords])))
            return self._clip(np.flatnonzero(self.labels == label), label, rng)
        if len(keywords) and spots and (not self._others_speak or rng.random() < PIECES):
            return self._piece(keywords, rng), int(self.other), 0
        return self._other(rng)

    def _other(self, rng: np.random.Generator) -> tuple[augment.Audio, int, int]:
        """A clip that is no keyword, or a stretch of a long recording."""
        others = np.flatnonzero(self.labels == 0)
        if self.negatives and (not len(others) or rng.random() < 0.6):
            length = int(rng.uniform(0.4, 3.0) * self.config.sample_rate_hz)
            piece = augment.cut(self.negatives, length, rng)
            return augment.faded(augment.at_speed(piece, augment.drawn(self.config.speed, rng))
                                 ), int(self.other), 0
        return self._clip(others, int(self.other), rng)

    def _clip(self, pool: NDArray[np.int64], label: int, rng: np.random.Generator
              ) -> tuple[augment.Audio, int, int]:
        clip = self.clips[self.mix.one(pool, rng)]
        _, end = find_word(clip, self.config.sample_rate_hz)
        factor = augment.drawn(self.config.speed, rng)
        return augment.faded(augment.at_speed(clip.astype(np.float32), factor)), label, \
            int(end / factor)

    def _piece(self, keywords: NDArray[np.int64], rng: np.random.Generator) -> augment.Audio:
        """A keyword's beginning, its end, or the whole of it backwards: none is a keyword."""
        clip = self.clips[self.mix.one(keywords, rng)].astype(np.float32)
        start, end = find_word(clip, self.config.sample_rate_hz)
        chance, share = rng.random(), rng.uniform(0.3, 0.55)
        middle = max(1, int((end - start) * share))
        piece = clip[start:start + middle] if chance < 0.5 else \
            clip[end - middle:end] if chance < 0.8 else clip[start:end][::-1]
        return augment.faded(augment.at_speed(piece, augment.drawn(self.config.speed, rng)))

    def spans(
        self, frames: int, heard: list[tuple[int, int, augment.Audio]]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Targets and weights of a scene of clips (from sample, label, audio): who sounds when.

        The frame on either side of a change may be called either way.
        """
        targets, weights = np.zeros(frames, np.int64), np.ones(frames, np.float32)
        hop = self.frontend.hop
        for at, label, clip in heard:
            # Frames that begin a little before the clip and hear its first samples count too.
            first = -(-at // hop)
            count = min(frames - first, len(clip) // hop + 1)
            if count > 0:
                sounds = sounding(clip[first * hop - at:], self.frontend.window, hop, count)
                targets[first:first + count][sounds] = label
        changes = np.flatnonzero(np.diff(targets))
        weights[changes] = weights[changes + 1] = 0
        return targets, weights

    def marks(
        self, frames: int, said: list[tuple[int, int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Targets and weights of a scene in which words end at (sample, label)."""
        targets, weights = np.zeros(frames, np.int64), np.ones(frames, np.float32)
        per_second = self.config.sample_rate_hz / self.frontend.hop

        def frame(end: int, shift_s: float) -> int:
            # The frame whose window is centred there.
            middle = (end - self.frontend.window / 2) / self.frontend.hop
            return int(np.clip(round(middle + shift_s * per_second), 0, frames))

        for end, _ in said:
            weights[frame(end, -EARLY_S - UNSURE_S):frame(end, LATE_S + UNSURE_S)] = 0
        for end, label in said:
            sure = slice(frame(end, -EARLY_S), frame(end, LATE_S))
            targets[sure], weights[sure] = label, 1.0
        return targets, weights


def rows_of(
    rows: list[NDArray[np.int16]], labels: NDArray[np.int64], split: str
) -> Sequences:
    """Sequences of one split."""
    lengths = np.array([len(r) for r in rows], np.int64)
    return Sequences(np.concatenate(rows), lengths, np.asarray(labels, np.int64),
                     np.full(len(rows), split, "U10"))
