"""`edgernn finetune`: train a run on in integers, so that quantizing loses less."""

import json
from pathlib import Path
from typing import Any

import click

from edgernn.cli.numbers import FiniteRange


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path),
              help="Run folder to make, for `edgernn quantize` with the same --profile.")
@click.option("--overwrite", is_flag=True, help="Replace that run folder if it is there.")
@click.option("--profile", type=click.Choice(["int8", "int8x16", "int16x8"]), default="int8",
              show_default=True, help="Whose rounding to learn to do without.")
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True,
              help="Times to go through the run's training sequences.")
@click.option("--learning-rate", type=FiniteRange(0, 1, min_open=True), default=5e-4,
              show_default=True, help="Of Adam at the start; a cosine takes it to 5 %.")
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True,
              help="Sequences side by side.")
@click.option("--tbptt", type=click.IntRange(1), default=100, show_default=True,
              help="Frames that gradients go back; the state goes on.")
@click.option("--judge", type=click.Choice(["both", "reset", "carry"]), default="both",
              show_default=True, help="Keep the epoch that did best with the state reset for each "
                                      "sequence, carried over, or in both.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Of the order of sequences.")
def command(run: Path, out: Path, overwrite: bool, **settings: Any) -> None:
    """Fine-tune the trained RUN folder for one integer profile.

    Every frame goes through the integers that a device will compute; weights are moved so
    that those answer better, and kept from the epoch that did best on validation data, or
    on the training data of a run that has none. One JSON line on stdout: the metric there before
    and after. Needs no TensorFlow.
    """
    from rich.console import Console
    from rich.progress import Progress

    from edgernn.train.finetune import Epoch, Tuning, finetune

    console = Console(stderr=True)
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("fine-tuning", total=settings["epochs"])

        def tell(epoch: Epoch) -> None:
            bars.update(task, completed=epoch.epoch, description=(
                f"loss {epoch.loss:.4f}  reset {epoch.reset:.4g}  carry {epoch.carry:.4g}"))

        said = finetune(run, out, Tuning(**settings), tell, overwrite)
    print(json.dumps({"run": str(out), **said}), flush=True)
