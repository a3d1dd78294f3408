"""`edgernn synth`: a phrase becomes a folder to train on, spoken by espeak-ng."""

import json
import signal
import sys
from pathlib import Path

import click

from edgernn.spec import LABEL
from edgernn.synth.espeak import ACCENTS
from edgernn.synth.plan import FEWEST, OTHER


@click.command()
@click.option("--phrase", "phrases", multiple=True, required=True,
              help="What is to be detected, as it is spoken; may be given again.")
@click.option("--count", type=click.IntRange(FEWEST), default=2000, show_default=True,
              help="Recordings of each phrase.")
@click.option("--others", type=click.IntRange(FEWEST),
              help="Recordings of anything else: half confusable phrases, half sentences "
                   "(default: as many as --count).")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True,
              help="Folder to make, or to go on with.")
@click.option("--accent", "accents", multiple=True, metavar="VOICE",
              help="A language of espeak-ng, such as en-gb-scotland or de; may be given again "
                   f"(default: {len(set(ACCENTS))} accents of English).")
@click.option("--sentences", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="Text file of sentences without the phrase, one a line (default: English ones "
                   "of edgernn's).")
@click.option("--nearest", type=click.IntRange(1), default=2, show_default=True,
              help="Phonemes in which a confusable phrase differs, at least.")
@click.option("--rooms", type=click.IntRange(0), default=40, show_default=True,
              help="Rooms in which every other recording is spoken, none in two splits.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Of everything drawn at random.")
@click.option("--processes", type=click.IntRange(1, 2), default=2, show_default=True)
def command(phrases: tuple[str, ...], count: int, others: int | None, out: Path,
            accents: tuple[str, ...], sentences: Path | None, nearest: int,
            rooms: int, seed: int, processes: int) -> None:
    """Make a folder to train on from nothing but a phrase.

    espeak-ng says the phrase in many voices, accents, speeds and pitches; phrases that sound
    almost like it and everyday sentences get the label _other_. No voice is in two splits.
    `edgernn train OUT --task spot --keywords PHRASE` takes it as it is. The same command goes
    on where it was stopped, and a larger --count adds to what is there. espeak-ng is GPL-3.0;
    what it says is yours. Needs: pip install "edgernn[synth]".
    """
    from rich.console import Console
    from rich.progress import Progress

    from edgernn.synth.corpus import make
    from edgernn.synth.plan import Wish
    from edgernn.synth.sentences import NEUTRAL

    if variants := [accent for accent in accents if "+" in accent]:
        # Speakers are espeak-ng's variants of it: with one in it, all would be that one.
        raise click.BadParameter(f"{variants[0]} names a variant; a language alone was needed, "
                                 f"such as {variants[0].split('+')[0]}", param_hint="--accent")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    wish = Wish(spoken_phrases(phrases), count, count if others is None else others, seed,
                accents or ACCENTS, _lines(sentences) if sentences else NEUTRAL, nearest,
                rooms=rooms)
    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("speaking", total=None)
        made = make(wish, out, "edgernn " + " ".join(map(_quoted, sys.argv[1:])), processes,
                    lambda done, total: bars.update(task, completed=done, total=total))
    print(json.dumps(made), flush=True)


def spoken_phrases(given: tuple[str, ...]) -> tuple[str, ...]:
    """Phrases in small letters, each once; a usage error for what cannot be a label."""
    from edgernn.train.readers.audio import NOISE_FOLDER

    found = tuple(dict.fromkeys(" ".join(phrase.lower().split()) for phrase in given))
    for phrase in found:
        if not LABEL.fullmatch(phrase) or not any(map(str.isalnum, phrase)):
            raise click.BadParameter(f"{phrase!r}; words of letters and digits, spaces and _ . - + "
                                     "' were needed, no dot at the end, since it becomes a label")
        if phrase in (OTHER, NOISE_FOLDER):
            raise click.BadParameter(f"{phrase!r} is the label of what is no phrase; another was "
                                     "needed")
    return found


def _lines(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise click.BadParameter(f"{path} cannot be read ({problem}); text in UTF-8 was needed",
                                 param_hint="--sentences") from problem
    # espeak-ng says nothing to a line of dots.
    found = tuple(line.strip() for line in text.splitlines() if any(map(str.isalnum, line)))
    if not found:
        raise click.BadParameter(f"{path} is empty; a sentence a line was needed",
                                 param_hint="--sentences")
    return found


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)
