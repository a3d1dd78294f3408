"""What is to be said, by whom and how: drawn for each recording from the seed and its number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.errors import DataError
from edgernn.synth.espeak import ACCENTS, UNNATURAL, Espeak, variants
from edgernn.synth.phonemes import SWITCH, VOWEL, Confuser, audible, heard_in, plain
from edgernn.synth.sentences import NEUTRAL

OTHER = "_other_"
"""Label of what is none of the phrases, as `edgernn train --task spot` has it."""
SPLITS = ("train", "train", "validation", "train", "train", "test", "train", "train", "train",
          "train")
"""Of ten recordings, one after another."""
FEWEST = len(SPLITS)
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
"""Of the voices."""
PHRASE, CONFUSABLE, SENTENCE = range(3)


@dataclass(frozen=True)
class Wish:
    """What a data set is to hold."""

    phrases: tuple[str, ...]
    count: int = 2000
    """Recordings of each phrase."""
    others: int = 2000
    """Recordings of anything else: confusable phrases and sentences in turn."""
    seed: int = 0
    accents: tuple[str, ...] = ACCENTS
    sentences: tuple[str, ...] = NEUTRAL
    nearest: int = 2
    """Edits of phonemes by which a confusable phrase differs, at least."""
    rate_hz: int = 16000
    rooms: int = 0
    """Rooms that are spoken in; 0: as near as a mouth."""


@dataclass(frozen=True)
class Recipe:
    """One recording."""

    path: str
    label: str
    split: str
    text: str
    """As espeak-ng takes it: phonemes between [[ and ]]."""
    accent: str
    speaker: str
    """Variant of espeak-ng: the timbre.  In one split only, whatever the accent."""
    words_per_minute: int
    pitch: int
    pitch_range: int
    seed: int
    """Of breath, flutter and level."""
    room: tuple[int, int] | None = None
    """Seed and number of the room it is spoken in (`rooms.response`)."""


def recipes(wish: Wish, espeak: Espeak) -> list[Recipe]:
    """Everything to be said; more of it begins with the same.

    Raises
    ------
    DataError
        If a phrase cannot be said, an accent is not there, or the phrase comes in all sentences.
    """
    voices = _voices(wish.seed)
    said = _said(wish, espeak)
    sentences = _sentences(wish, espeak, said)
    confusers = _confusers(wish, espeak, said)
    drawn = [_draw(wish, voices, f"phrase{k}", phrase, i, [PHRASE, k])
             for k, phrase in enumerate(wish.phrases) for i in range(wish.count)]
    for i in range(wish.others):
        rng = np.random.default_rng([wish.seed, CONFUSABLE, i])
        accent = str(rng.choice(wish.accents))
        text = None
        if i % 4 >= 2:  # by twos: each split then has both kinds
            chosen = confusers[accent]
            text = chosen[int(rng.integers(len(chosen)))].draw(rng)
        kind = CONFUSABLE if text else SENTENCE
        text = text or str(rng.choice(sentences))
        drawn.append(_draw(wish, voices, "other", text, i, [kind, 0], OTHER, accent))
    return drawn


def _draw(wish: Wish, voices: dict[str, list[str]], folder: str, text: str, i: int,
          kind: list[int], label: str = "", accent: str = "") -> Recipe:
    rng = np.random.default_rng([wish.seed, 99, *kind, i])
    split = SPLITS[i % len(SPLITS)]
    return Recipe(
        path=f"audio/{folder}/{i:05d}.wav", label=label or text, split=split, text=text,
        accent=accent or str(rng.choice(wish.accents)), speaker=str(rng.choice(voices[split])),
        words_per_minute=int(rng.integers(110, 231)), pitch=int(rng.integers(15, 86)),
        pitch_range=int(rng.integers(20, 81)), seed=int(rng.integers(1, 2**31)),
        room=_room(wish, split, rng))


def _room(wish: Wish, split: str, rng: np.random.Generator) -> tuple[int, int] | None:
    """Every other recording is in a room, and no room in two splits."""
    own = [room for room in range(wish.rooms) if SPLITS[room % len(SPLITS)] == split]
    return (wish.seed, int(rng.choice(own))) if own and rng.random() < 0.5 else None


def _voices(seed: int) -> dict[str, list[str]]:
    """Variants of each split."""
    names = [name for name in variants() if name not in UNNATURAL]
    names = [str(name) for name in np.random.default_rng([seed, 7]).permutation(names)]
    cuts = np.cumsum([round(share * len(names)) for share in SHARES.values()])[:-1]
    parts = (names[:cuts[0]], names[cuts[0]:cuts[1]], names[cuts[1]:])
    return dict(zip(SHARES, parts, strict=True))


def _sounds(espeak: Espeak, text: str, accent: str) -> tuple[str, ...]:
    return tuple(plain(p) for word in audible(espeak.phonemes(text, accent)) for p in word)


def _said(wish: Wish, espeak: Espeak) -> tuple[tuple[str, ...], ...]:
    """Every way in which the phrases are said."""
    found = {_sounds(espeak, phrase, accent) for phrase in wish.phrases
             for accent in wish.accents}
    if () in found or min(map(len, found)) < 2:
        raise DataError(f"one of {', '.join(map(repr, wish.phrases))} has less than two sounds; "
                        "words were needed. Write them as they are spoken")
    return tuple(sorted(found))


def _sentences(wish: Wish, espeak: Espeak, said: Sequence[Sequence[str]]) -> list[str]:
    """Those in which nothing like a phrase is said."""
    kept = [text for text in wish.sentences
            if min(heard_in(phrase, _sounds(espeak, text, accent))
                   for phrase in said for accent in set(wish.accents)) >= wish.nearest]
    if wish.others and not kept:
        raise DataError(f"all {len(wish.sentences)} sentences have something like "
                        f"{wish.phrases[0]!r} in them; others were needed. Give --sentences FILE, "
                        "or a smaller --nearest")
    return kept


def _confusers(wish: Wish, espeak: Espeak, said: tuple[tuple[str, ...], ...]
               ) -> dict[str, list[Confuser]]:
    """One of each phrase, by accent."""
    found = {}
    for accent in set(wish.accents):
        # With pauses, though one that is drawn counts as an edit and is hardly heard: without
        # them a seed would draw other phrases than it did.
        sounds = sorted({p.lstrip("',") for text in (*wish.sentences, *wish.phrases)
                         for word in espeak.phonemes(text, accent) for p in word
                         if not SWITCH.match(p)} - {""})
        vowels = tuple(p for p in sounds if VOWEL.match(p))
        consonants = tuple(p for p in sounds if not VOWEL.match(p))
        found[accent] = [
            Confuser(audible(espeak.phonemes(phrase, accent)), said, vowels, consonants,
                     wish.nearest) for phrase in wish.phrases]
    return found
