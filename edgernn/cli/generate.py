"""`edgernn generate`: what a model thinks comes next, step by step."""

import json
from pathlib import Path
from typing import Any

import click

from edgernn.cli.numbers import FiniteRange
from edgernn.interpreter import BACKENDS


@click.command()
@click.option("--model", required=True, type=click.Path(path_type=Path),
              help="The .tflite to run, trained with --task next.")
@click.option("--begin", default="", metavar="TEXT|FILE.json",
              help="What to go on from: a text; or a JSON file of steps, each a list of notes "
                   "(default: silence).")
@click.option("--steps", type=click.IntRange(1, 1_000_000), default=64, show_default=True,
              help="Steps to make at most.")
@click.option("--temperature", type=FiniteRange(0, 100), default=1.0, show_default=True,
              help="0: always the likeliest; 1: as the model says; more: bolder.")
@click.option("--top-k", type=click.IntRange(0), default=0, show_default=True,
              help="Choose among so many of the likeliest only; 0: among all.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Of the dice: same seed, same sequence.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.mid",
              help="Write a MIDI file, one step a quarter note (needs edgernn[midi]), instead of "
                   "JSON lines.")
@click.option("--tempo", type=FiniteRange(1, 1000), default=90.0, show_default=True,
              help="MIDI: steps per minute.")
@click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True,
              help="The interpreter to run the model in; auto is the fastest installed.")
def command(model: Path, begin: str, steps: int, temperature: float, top_k: int, seed: int,
            out: Path | None, tempo: float, backend: str) -> None:
    """Let a model go on by itself.

    Prints one JSON line per step: {"step", "notes"} of a model of notes, {"step", "text"} of
    a model of texts.

    \b
      edgernn generate --model chorales.tflite --steps 32 --top-k 6 --out chorale.mid
    """
    from edgernn.errors import ConfigError
    from edgernn.generate import Generator
    from edgernn.spec import TokenSpec
    from edgernn.step import StepModel

    generator = Generator(StepModel.open(model, backend), temperature, top_k, seed)
    if isinstance(generator.model.spec.frontend, TokenSpec):
        if out:
            raise ConfigError("a model of texts makes no MIDI; leave --out away")
        for step, unit in enumerate(generator.text(begin, steps)):
            print(json.dumps({"step": step, "text": unit}, ensure_ascii=False), flush=True)
        return
    notes = _notes(generator.model.labels)
    rows = generator.rows(_rows(begin, notes), steps)
    made = ([note for note, on in zip(notes, row, strict=True) if on] for row in rows)
    if out:
        from edgernn.sinks import midi

        midi.write(out, list(made), tempo)
        print(json.dumps({"midi": str(out), "steps": steps}), flush=True)
        return
    for step, sounding in enumerate(made):
        print(json.dumps({"step": step, "notes": sounding}), flush=True)


def _notes(labels: tuple[str, ...]) -> list[int]:
    """MIDI numbers of a model's labels.

    Raises
    ------
    ModelError
        If they are not numbers.
    """
    from edgernn.errors import ModelError

    if not all(label.isdigit() for label in labels):
        raise ModelError(f"the model's labels are {', '.join(labels)[:60]}; numbers of notes were "
                         "needed. Name the columns of its data by MIDI note")
    return [int(label) for label in labels]


def _rows(begin: str, notes: list[int]) -> Any:
    """The steps of a JSON file as rows of zeros and ones."""
    import numpy as np

    from edgernn.errors import SourceError

    if not begin:
        return np.zeros((0, len(notes)), np.float32)
    try:
        steps = json.loads(Path(begin).read_text(encoding="utf-8"))
        rows = np.zeros((len(steps), len(notes)), np.float32)
        for row, sounding in zip(rows, steps, strict=True):
            row[[notes.index(note) for note in sounding]] = 1
    except (OSError, ValueError, TypeError) as problem:
        raise SourceError(f"{begin} cannot be gone on from ({problem}); a JSON list of steps, each "
                          f"a list of notes {notes[0]} to {notes[-1]}, was needed") from problem
    return rows
