"""Phrases that sound almost like another, by edits of its phonemes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

VOWEL = re.compile(r"[',]*[aeiouyAEIOUVY03@&]")
"""How espeak-ng's mnemonics of vowels begin; stress is written before them."""
SWITCH = re.compile(r"\(.*\)")
"""Where espeak-ng goes over to the voice of another language, such as (en), and back."""
PAUSE = re.compile(r"_")
TRIES = 200
"""Edits drawn before it is said that nothing was far enough."""


def plain(phoneme: str) -> str:
    """Without stress, length and the digits by which espeak-ng tells allophones apart.

    >>> plain("'u:"), plain("t#"), plain("0")
    ('u', 't', '0')
    """
    return re.sub(r"(?<=.)[0-9#:;]+$", "", phoneme.lstrip("',"))


def audible(words: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Words without what espeak-ng writes among their phonemes and nobody hears.

    >>> audible([["(en)", "h", "'eI", "_", ""], ["_:"], ["b", "0", "t", "(cmn)"]])
    (('h', "'eI"), ('b', '0', 't'))
    """
    found = (tuple(p for p in word if p and not SWITCH.match(p) and not PAUSE.match(p))
             for word in words)
    return tuple(word for word in found if word)


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions between two words (Levenshtein 1966)."""
    above = list(range(len(b) + 1))
    for i, x in enumerate(a):
        row = [i + 1]
        for j, y in enumerate(b):
            row.append(min(above[j + 1] + 1, row[j] + 1, above[j] + (x != y)))
        above = row
    return above[-1]


def heard_in(phrase: Sequence[str], text: Sequence[str]) -> int:
    """Fewest edits between the phrase and any stretch of a text (Sellers 1980)."""
    above = list(range(len(phrase) + 1))
    best = above[-1]
    for y in text:
        row = [0]
        for i, x in enumerate(phrase):
            row.append(min(above[i + 1] + 1, row[i] + 1, above[i] + (x != y)))
        above = row
        best = min(best, above[-1])
    return best


@dataclass(frozen=True)
class Confuser:
    """Draws confusable phrases.

    One edit away lies how another accent says the phrase itself, and to reject that a model
    would have to give up accents: so a phrase drawn is `nearest` edits or more from every way
    in which the phrase is said.
    """

    words: tuple[tuple[str, ...], ...]
    """The phrase in one accent, word by word, as `Espeak.phonemes` gives it."""
    said: tuple[tuple[str, ...], ...]
    """The phrases in every accent, as plain phonemes."""
    vowels: tuple[str, ...]
    consonants: tuple[str, ...]
    """Phonemes of the accent, without stress."""
    nearest: int = 2

    def draw(self, rng: np.random.Generator) -> str | None:
        """A confusable phrase as espeak-ng takes it, in [[]]; None if none was far enough."""
        for _ in range(TRIES):
            words = self._part(rng) if len(self.words) > 1 and rng.random() < 0.25 else \
                self._edited(rng)
            sounds = [plain(p) for word in words for p in word]
            heard = [plain(p) for word in audible(words) for p in word]
            # Of a short word little may be left: a pause, or what cannot be said by itself.
            # And a pause counts as an edit (`plan._confusers`), with which the phrase is itself.
            if any(map(VOWEL.match, sounds)) and \
                    min(heard_in(phrase, sounds) for phrase in self.said) >= self.nearest and \
                    all(heard_in(phrase, heard) for phrase in self.said):
                return "[[" + " ".join("|".join(word) for word in words if word) + "]]"
        return None

    def _part(self, rng: np.random.Generator) -> list[list[str]]:
        """Some of the words, in any order."""
        count = int(rng.integers(1, len(self.words) + 1))
        return [list(self.words[i]) for i in rng.permutation(len(self.words))[:count]]

    def _edited(self, rng: np.random.Generator) -> list[list[str]]:
        """The phrase after a few edits: `nearest` at least, up to half of its phonemes."""
        words = [list(word) for word in self.words]
        most = max(self.nearest, sum(map(len, words)) // 2)
        for _ in range(int(rng.integers(self.nearest, most + 1))):
            word = words[int(rng.choice([i for i, w in enumerate(words) if w] or [0]))]
            at = int(rng.integers(len(word))) if word else 0
            way = rng.random()
            if not word or way > 0.85:
                word.insert(at, str(rng.choice(self.consonants)))
            elif way > 0.7:
                del word[at]
            else:
                word[at] = self._instead(word[at], rng)
        return words

    def _instead(self, phoneme: str, rng: np.random.Generator) -> str:
        """Another of its kind, stressed as it was."""
        bare = phoneme.lstrip("',")
        kind = self.vowels if VOWEL.match(phoneme) else self.consonants
        others = [p for p in kind if plain(p) != plain(bare)]
        return phoneme[:len(phoneme) - len(bare)] + str(rng.choice(others or kind))
