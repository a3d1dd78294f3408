"""`edgernn personalize`: a trained run learns one voice from a few clips."""

import json
from pathlib import Path
from typing import Any

import click

from edgernn.cli.numbers import FiniteRange


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--clips", required=True, type=click.Path(path_type=Path, exists=True),
              help="Folder of label/*.wav of one voice, as `edgernn record` makes it.")
@click.option("--out", required=True, type=click.Path(path_type=Path),
              help="Run folder to make, for `edgernn quantize`.")
@click.option("--overwrite", is_flag=True, help="Replace that run folder if it is there.")
@click.option("--noise", multiple=True, type=click.Path(path_type=Path, exists=True),
              help="Recording or folder of background noise to mix in; may be given again.")
@click.option("--layers", type=click.IntRange(1), default=2, show_default=True,
              help="Last layers that learn; those before stay as they are.")
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True)
@click.option("--learning-rate", type=FiniteRange(0, 1, min_open=True), default=5e-4,
              show_default=True, help="Of Adam at the start; a cosine takes it to 5 %.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True,
              help="Each part of the clips is judged by a model that learned from the others.")
@click.option("--profile", type=click.Choice(["int8", "int8x16", "int16x8"]), default="int8x16",
              show_default=True, help="In which integers before and after are measured.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Of the order of clips and of all that is drawn.")
def command(run: Path, clips: Path, out: Path, overwrite: bool, noise: tuple[Path, ...],
            **options: Any) -> None:
    """Fine-tune the last layers of the trained RUN folder on a few clips of one voice.

    Says how many clips the integer step gets right before and after, each clip judged by a model
    that did not learn it, and the same of the run's held-out people, who must not lose. One JSON
    line on stdout. Needs: pip install "edgernn[train]".
    """
    from rich.console import Console

    from edgernn.cli.progress import told
    from edgernn.errors import DataError
    from edgernn.train.dataset import AudioSet
    from edgernn.train.folder import refuse_existing
    from edgernn.train.personalize import Settings, personalize, sample_rate
    from edgernn.train.readers import read
    from edgernn.train.readers.audio import read_sounds

    refuse_existing(out, overwrite, [run, clips, *noise])
    rate = sample_rate(run)
    with told("epochs") as (tell, progress):
        found = read(clips, sample_rate_hz=rate, tell=tell)
        if not isinstance(found, AudioSet):
            raise DataError(f"{clips} holds no recordings; label/*.wav of one voice were needed. "
                            "Record some: edgernn record")
        said = personalize(run, found, out, Settings(**options), read_sounds(noise, rate, tell),
                           progress, overwrite, tell)
    Console(stderr=True).print(_table(said), highlight=False)
    print(json.dumps({"run": str(out), **said}), flush=True)


def _table(said: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title=f"right, {said['profile']}")
    for column in ("", "state", "before", "after", "of"):
        table.add_column(column, justify="left" if column in ("", "state") else "right")
    people = {"this voice": said["own"]}
    if "others" in said:
        people[f"others ({said['others']['split']})"] = said["others"]
    for name, one in people.items():
        for state in ("reset", "carried"):
            table.add_row(name if state == "reset" else "", state, str(one["before"][state]),
                          str(one["after"][state]), str(one["of"]))
    return table
