"""The sounds the bundled model learns from: read from shared/data, or spoken by espeak-ng.

All samples are float32 in int16 units at 16 kHz.
"""

import csv
import itertools
import multiprocessing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from edgernn.synth.espeak import ACCENTS, UNNATURAL, the_espeak, variants
from edgernn.synth.phonemes import edits
from edgernn.train.readers.audio import read_sounds
from edgernn.train.words import find_word

Samples = NDArray[np.float32]

RATE = 16000
WORDS = ("computer", "alexa")
PHONEMES = {"computer": ["K", "AH", "M", "P", "Y", "UW", "T", "ER"],
            "alexa": ["AH", "L", "EH", "K", "S", "AH"]}
"""As CMUdict writes them, without stress."""
NOISES = ("doing_the_dishes", "exercise_bike", "pink_noise", "white_noise")


@dataclass(frozen=True)
class Clip:
    """A recording in which one wake word is said."""

    samples: Samples
    label: str
    start: int
    """First sample of the word."""
    end: int
    """Sample after the word's last."""
    speaker: str = ""
    path: str = ""


@dataclass(frozen=True)
class Materials:
    """What scenes are put together from."""

    clips: tuple[Clip, ...]
    """Wake words said by people."""
    speech: tuple[Samples, ...]
    """People reading, no wake word in it."""
    others: tuple[Samples, ...]
    """Other people saying other things: a word or a sentence each."""
    digits: tuple[Samples, ...]
    noises: dict[str, Samples]
    spoken: tuple[Clip, ...]
    """Wake words said by espeak-ng, alone or in a sentence."""
    distractors: tuple[Samples, ...]
    """Anything else said by espeak-ng."""
    sentences: tuple[Samples, ...]
    """Sentences of random words said by espeak-ng, many of which sound like a wake word."""


def read(path: Path) -> Samples:
    """One mono file at 16 kHz, in int16 units."""
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples * np.float32(32768), rate, RATE).astype(np.float32)


def index(folder: Path) -> list[dict[str, str]]:
    """Rows of the folder's index.csv."""
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def clips(data: Path, split: str) -> list[Clip]:
    """Wake words of the split `train` or `validation`."""
    folder = data / "wakewords_picovoice"
    found = []
    for row in index(folder):
        if row["split"] == split:
            samples = read(folder / row["path"])
            found.append(Clip(samples, row["label"], *find_word(samples),
                              row["speaker_cluster"], row["path"]))
    return found


def community(clones: Path) -> list[Clip]:
    """The word "computer" as Mycroft's community says it; a speaker is who gave the licence."""
    folder = clones / "Precise-Community-Data"
    givers = {Path(name).stem: path.stem.split("-", 2)[2]
              for path in sorted((folder / "licenses").glob("license-2*.txt"))
              for name in path.read_text(encoding="utf-8").split()}
    found = []
    for part in COMPUTER:
        for path in sorted((folder / part).glob("*.wav")):
            samples = read(path)
            start, end = find_word(samples)
            if end - start < RATE * 5 // 4:  # longer: noise was taken for the word's end
                found.append(Clip(samples, "computer", start, end, givers.get(path.stem, ""),
                                  f"{part}/{path.name}"))
    return found


def speech(data: Path) -> dict[str, Samples]:
    """Negative speech: speaker to their one utterance."""
    folder = data / "negative_speech"
    return {row["speaker"]: read(folder / row["path"]) for row in index(folder)}


CLONES = {
    "wake-word-benchmark": "Picovoice/wake-word-benchmark at 8491919",
    "Precise-Community-Data": "MycroftAI/Precise-Community-Data at 4854e39",
    "speech-to-intent-benchmark": "Picovoice/speech-to-intent-benchmark at 47b1ca6",
    "Resemblyzer": "resemble-ai/Resemblyzer at 15d828e",
    "isolated-speech-commands": "anshulgupta0803/isolated-speech-commands at ca8c2c8",
    "DeadSimpleSpeechRecognizer": "manashmandal/DeadSimpleSpeechRecognizer at 881b36a",
    "PICO-tinyML-benchmark": "thegtagamer/PICO-tinyML-benchmark at c66f6b0",
    "Voice-based-gender-recognition-using-MFCC-and-GMM":
        "tano-dev/Voice-based-gender-recognition-using-MFCC-and-GMM at c73127e",
}
"""Public repositories whose clones hold people who say something else."""
OTHER_WORDS = Path(__file__).with_name("other_words.txt")
"""Recordings of Picovoice's other wake words by voices of the train split, a path a line.  Whose
they are is an estimate: d-vectors (GE2E, of PyPI's Resemblyzer 0.1.4), clusters of average linkage
at a cosine of 0.78; a cluster is here if half of it is within 0.75 of a recording of the train
split, and nine in ten of it are not within 0.72 of one of the validation split."""
SINGLE_WORDS = 3000
"""Recordings of Speech Commands that are learned to be no wake word."""
COMPUTER = ("computer/en", "heycomputer/en")
"""Where Mycroft's community says "computer" (or "hey computer")."""
COMMUNITY = ("athena/en", "amelia/en", "heysavant/wake-word/en", "heysavant/not-wake-words/en",
             "heychatterbox/en-us", "not-wake-words/en")


SAY_COMPUTER = {f"{who}_us_{who}_{number}" for who, number in (
    ("f0002", "00083"), ("f0004", "00119"), ("m0001", "00064"), ("m0001", "00228"),
    ("m0001", "00303"), ("m0002", "00110"), ("m0003", "00190"), ("m0003", "00327"),
    ("m0004", "00010"))}
"""Sentences in which the word is said, by their transcripts."""


def others(clones: Path, rng: np.random.Generator) -> list[Samples]:
    """Other people saying other things, to learn from: short recordings."""
    benchmark = clones / "wake-word-benchmark" / "audio"
    own = [benchmark / name for name in OTHER_WORDS.read_text(encoding="utf-8").splitlines()]
    words = sorted(path for clone in ("isolated-speech-commands", "DeadSimpleSpeechRecognizer")
                   for path in (clones / clone).rglob("*_nohash_*.wav"))
    return _heard([*own, *(clones / "Precise-Community-Data" / name for name in COMMUNITY),
                   *(words[i] for i in rng.choice(len(words), SINGLE_WORDS, replace=False))])


def readers(clones: Path) -> list[Samples]:
    """People reading, to learn from."""
    return _heard([clones / "Resemblyzer/audio_data/librispeech_train-clean-100"])


def strangers(clones: Path) -> dict[str, list[Samples]]:
    """People never trained on, to count false alarms in, by what they say."""
    benchmark = clones / "wake-word-benchmark" / "audio"
    own = set(OTHER_WORDS.read_text(encoding="utf-8").splitlines())
    single = clones / "PICO-tinyML-benchmark/MLTK_keyworkSpotting/dataset"
    sentences = clones / "Voice-based-gender-recognition-using-MFCC-and-GMM/SLR45"
    words = [path for folder in ("jarvis", "smart mirror", "snowboy", "view glass")
             for path in sorted((benchmark / folder).glob("*.wav"))
             if str(path.relative_to(benchmark)) not in own]
    return {
        "sentences": _heard(path for path in sorted(sentences.rglob("*.wav"))
                            if path.stem not in SAY_COMPUTER),
        "commands": _heard([clones / "speech-to-intent-benchmark/data/speech"]),
        "reading": _heard([clones / "Resemblyzer/audio_data/librispeech_test-other"]),
        "single words": _heard(path for path in sorted(single.rglob("*_nohash_*.wav"))),
        "other wake words": _heard(words)}


def _heard(given: Iterable[Path]) -> list[Samples]:
    return [samples.astype(np.float32) for samples in read_sounds(list(given), RATE)]


def noises(data: Path, half: str) -> dict[str, Samples]:
    """The `first` half of each noise, to train on, or the `second`, to measure with."""
    found = {}
    for name in NOISES:
        samples = read(data / "background_noise" / f"{name}.wav")
        middle = len(samples) // 2
        found[name] = samples[:middle] if half == "first" else samples[middle:]
    return found


def digits(data: Path, count: int, rng: np.random.Generator) -> list[Samples]:
    """Some of the spoken digits."""
    rows = index(data / "fsdd")
    return [read(data / "fsdd" / rows[i]["path"])
            for i in rng.choice(len(rows), count, replace=False)]


# What espeak-ng says.  Near homophones ("come pewter", "a Lexer") are left out:
# to reject them the model would have to give up accents of the words themselves.
CARRIERS = (
    "please ask the {} to play some jazz", "{} what time is it", "hey {} turn on the light",
    "i told {} about the weather", "my {} is too slow", "the {} in the kitchen is broken",
    "good morning {}", "{} set a timer for ten minutes", "is the {} still running",
    "she said {} three times", "okay {} stop", "can you hear me {}",
    "a new {} costs a lot of money", "{} play the news", "no {} not that one", "thank you {}",
)
SENTENCES = (
    "please ask the neighbour to play some jazz", "what time is it",
    "hey there turn on the light", "i told him about the weather", "my old car is too slow",
    "the radio in the kitchen is broken", "good morning everyone",
    "set a timer for ten minutes", "is the engine still running", "okay stop it now",
    "can you hear me over there", "a new table costs a lot of money", "play the news please",
    "no not that one", "thank you very much", "turn the volume down a little",
    "where did you put the keys", "the committee will compare the two companies",
    "he has to commute to the election office", "complete the letter and compose another",
    "electric lights were allowed at the lake", "the next lecture is about texas and alaska",
    "commuters collect at the station", "a tutor and a recruiter met the suitor",
    "some people come to the pewter shop", "we confused her with the computing department",
    "the competition was about composing music",
)
CONFUSABLE = (
    "commuter", "commute", "compute", "computing", "computation", "computed", "compact",
    "companion", "competitor", "compare", "company", "complete", "commuted", "compost",
    "composer", "consumer", "tutor", "looter", "neuter", "scooter",
    "recruiter", "polluter", "shooter", "router", "the future", "peter", "jupiter",
    "confuse her", "come to her", "suitor", "communicate", "alex", "alexis", "alexander",
    "election", "electra", "lexus", "elixir", "a lecture", "a lesson", "texas", "alaska",
    "erica", "electric", "elect her", "elects him", "a lexicon", "lexical", "alyssa", "elsa",
    "allergic", "a leg", "the next one", "felix", "flexes", "election day", "electronic",
    "a letter", "a lecturer", "all exits", "alexandria", "i like the", "i'll ask her",
    "let's see", "lexie", "dialects", "reflex", "complexes",
)


ALIKE = (
    "commuter", "computation", "computing", "compare", "company", "complete", "the future",
    "jupiter", "elixir", "a lecture", "a letter", "lexus", "texas", "alex", "alaska", "electric",
    "electronic",
)
"""What the card tells of, whether it fires the model."""


class Speaker:
    """espeak-ng with a voice, speed and pitch drawn anew for every text."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.espeak = the_espeak()
        self.variants = [name for name in variants() if name not in UNNATURAL]
        self.said = 0

    def say(self, text: str) -> tuple[Samples, list[tuple[int, int]]]:
        """Samples without silence at the ends; (character, sample) where each word begins."""
        voice = str(self.rng.choice(ACCENTS))
        if self.rng.random() < 0.8:
            voice += "+" + str(self.rng.choice(self.variants))
        self.said += 1  # espeak-ng would begin its random numbers by the clock
        said = self.espeak.say(text, voice, int(self.rng.integers(110, 231)),
                               int(self.rng.integers(15, 86)), int(self.rng.integers(20, 81)),
                               self.said)
        ratio = RATE / self.espeak.sample_rate_hz
        samples = soxr.resample(said.samples.astype(np.float32), self.espeak.sample_rate_hz,
                                RATE, quality="MQ")
        loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
        start, end = int(loud[0]), int(loud[-1]) + 1
        words = [(where, int(at * ratio) - start) for where, at in said.word_starts]
        return samples[start:end], words


def spoken_alone(speaker: Speaker, word: str, count: int) -> list[Clip]:
    """The wake word and nothing else."""
    said = [speaker.say(word)[0] for _ in range(count)]
    return [Clip(samples, word, 0, len(samples), "espeak-ng") for samples in said]


def spoken_in_sentences(speaker: Speaker, word: str, count: int) -> list[Clip]:
    """The wake word in a carrier; it ends where the next word begins."""
    found = []
    while len(found) < count:
        carrier = str(speaker.rng.choice(CARRIERS))
        samples, words = speaker.say(carrier.format(word))
        position = carrier.index("{}") + 1
        starts = [at for where, at in words if where >= position]
        # espeak-ng sometimes joins two words into one event; such a sentence is not used.
        if not starts or words[-len(starts)][0] != position:
            continue
        end = starts[1] if len(starts) > 1 else len(samples)
        if RATE // 5 <= end - starts[0] <= RATE * 3 // 2:
            found.append(Clip(samples, word, max(0, starts[0]), end, "espeak-ng"))
    return found


def spoken_distractors(speaker: Speaker, known: dict[str, list[str]], words: int,
                       confusable: int) -> list[Samples]:
    """One to five words of a dictionary, then confusable words and whole sentences."""
    every, rng, said = list(known), speaker.rng, []
    alike = [name for word in WORDS for name in neighbours(known, word, 150)]
    for _ in range(words):
        said.append(speaker.say(" ".join(rng.choice(every, int(rng.integers(1, 6)))))[0])
    for _ in range(confusable):
        chance = rng.random()
        texts = CONFUSABLE if chance < 0.4 else SENTENCES if chance < 0.6 else alike
        said.append(speaker.say(str(rng.choice(texts)))[0])
    return said


def talk(data: Path, hours: float, seed: int, processes: int, alike: float = 0.0
         ) -> list[NDArray[np.int16]]:
    """Hours of sentences of random words of the dictionary, each by a voice drawn anew.

    A share `alike` of the words are drawn from those that sound most like a wake word; what is
    said with another share has nothing in common with it.
    """
    known, said, seconds = vocabulary(data), [], 0.0
    near = [name for word in WORDS for name in neighbours(known, word, 400)]
    blocks = ((list(known), near, alike, (seed, 77 + round(100 * alike), block))
              for block in itertools.count())
    # Not forked: espeak-ng may speak in this process already, and a copy of it waits for ever.
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        # As many at a time as processes, so that few are spoken in vain; those are left out, so
        # that the number of processes does not matter.
        while seconds < hours * 3600:
            for spoken in pool.map(_talk, list(itertools.islice(blocks, processes))):
                if seconds < hours * 3600:
                    said += spoken
                    seconds += sum(map(len, spoken)) / RATE
    return said


def _talk(job: tuple[list[str], list[str], float, tuple[int, ...]]) -> list[NDArray[np.int16]]:
    words, near, alike, seed = job
    speaker = Speaker(np.random.default_rng(seed))
    texts = []
    for _ in range(50):
        count = int(speaker.rng.integers(6, 15))
        odd = int(speaker.rng.binomial(count, alike)) if alike else 0
        chosen = [*speaker.rng.choice(words, count - odd), *speaker.rng.choice(near, odd)]
        texts.append(" ".join(speaker.rng.permutation(chosen) if odd else chosen))
    return [np.rint(speaker.say(text)[0]).astype(np.int16) for text in texts]


def vocabulary(data: Path) -> dict[str, list[str]]:
    """Words of CMUdict that neither are nor end like a wake word, with their phonemes."""
    with open(data / "text_cmudict" / "dev.tsv", encoding="utf-8") as file:
        words = dict(line.rstrip("\n").split("\t") for line in file)
    return {word: [phoneme.rstrip("012") for phoneme in phonemes.split()]
            for word, phonemes in words.items()
            if len(word) > 2 and not word.startswith(("comput", "alex"))
            and not word.endswith(("puter", "lexa", "lexer"))}


def neighbours(known: dict[str, list[str]], word: str, count: int) -> list[str]:
    """Words that sound most like a wake word, but differ in two phonemes at least."""
    ranked = sorted((edits(phonemes, PHONEMES[word]), name) for name, phonemes in known.items())
    return [name for distance, name in ranked if distance >= 2][:count]


TALK_HOURS = 5.0
"""Of sentences to learn from."""
ALIKE_SHARE = 0.3
"""Of their words sound like a wake word."""


def gather(data: Path, clones: Path, seed: int, said: int = 700, processes: int = 2) -> Materials:
    """Everything to train on."""
    rng = np.random.default_rng(seed)
    speaker = Speaker(rng)
    spoken: list[Clip] = []
    for word in WORDS:
        spoken += spoken_alone(speaker, word, said)
        spoken += spoken_in_sentences(speaker, word, said * 5 // 7)
    distractors = spoken_distractors(speaker, vocabulary(data), said * 22 // 7, said * 18 // 7)
    return Materials(
        clips=(*clips(data, "train"), *community(clones)),
        speech=tuple(readers(clones)), others=tuple(others(clones, rng)),
        digits=tuple(digits(data, 400, rng)), noises=noises(data, "first"),
        spoken=tuple(spoken), distractors=tuple(distractors),
        sentences=tuple(one.astype(np.float32)
                        for one in talk(data, TALK_HOURS, seed, processes, ALIKE_SHARE)))
