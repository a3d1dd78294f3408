"""`edgernn train`: recordings or sensor logs become a trained run folder."""

import dataclasses
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, get_type_hints

import click

from edgernn.errors import ConfigError
from edgernn.train.architecture import Layer
from edgernn.train.config import Range, TrainConfig


def _setting_options(function: Any) -> Any:
    """One option per field of TrainConfig; its help and limits are said there, once."""
    hints = get_type_hints(TrainConfig)
    for field in reversed(dataclasses.fields(TrainConfig)):
        function = click.option(*_names(field, hints[field.name]), default=None,
                                **_kind(field, hints[field.name]))(function)
    return function


def _names(field: dataclasses.Field[Any], kind: Any) -> tuple[str, ...]:
    name = field.name.replace("_", "-")
    return (f"--{name}/--no-{name}" if kind is bool else f"--{name}", field.name)


def _kind(field: dataclasses.Field[Any], kind: Any) -> dict[str, Any]:
    about = f"{field.metadata['help']}  [default: {_shown(field.default)}]"
    if kind is bool:
        return {"is_flag": True, "help": about}
    if field.metadata["choices"]:
        return {"type": click.Choice(field.metadata["choices"]), "help": about}
    if kind == Range:
        return {"type": float, "nargs": 2, "metavar": "LOW HIGH", "help": about}
    if kind == tuple[float, ...]:
        return {"callback": _numbers, "metavar": "X,Y,...", "help": about}
    if kind == tuple[str, ...]:
        return {"callback": _listed, "metavar": "A,B,...", "help": about}
    if kind == tuple[Layer, ...]:
        return {"callback": _yaml, "metavar": "YAML", "help": about}
    return {"type": kind, "help": about}


def _listed(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [part.strip() for part in value.split(",") if part.strip()]


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> list[float] | None:
    try:
        return None if value is None else [float(part) for part in value.split(",")]
    except ValueError as problem:
        raise click.BadParameter(f"{value!r}; numbers with commas between them were needed, such "
                                 "as 3,1") from problem


def _yaml(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    import yaml

    try:
        return None if value is None else yaml.safe_load(value)
    except yaml.YAMLError as problem:
        raise click.BadParameter(" ".join(str(problem).split())) from problem


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(f"{part:g}" for part in value) or "empty"
    return f"{value:g}" if isinstance(value, float) else str(value)


@click.command()
@click.argument("data", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path),
              help="Run folder to make; `edgernn quantize` takes it.")
@click.option("--overwrite", is_flag=True, help="Replace the run folder if it is there, "
              "and begin again if an unfinished run there had other settings or data.")
@click.option("--config", "config_file", type=click.Path(path_type=Path, dir_okay=False),
              help="YAML file of the settings below, with _ for -; flags win over it.")
@click.option("--noise", multiple=True, type=click.Path(path_type=Path, exists=True),
              help="Recording or folder of background noise, instead of DATA's own "
                   "_background_noise_; may be given again.")
@click.option("--negative", multiple=True, type=click.Path(path_type=Path, exists=True),
              help="Spot only: recording or folder of speech without keywords; may be given "
                   "again.")
@click.option("--hold-out", default="", metavar="SPEAKER",
              help="Test on this speaker, train on all others.")
@click.option("--strategy", type=click.Choice(["none", "mirrored", "multiworker"]), default="none",
              show_default=True, help="Learn on all devices of this machine, or with other "
                                      "machines, which TF_CONFIG names (docs/scale.md).")
@click.option("--strict", is_flag=True,
              help="Stop at a file that cannot be used, rather than leave it out.")
@_setting_options
def command(
    data: tuple[Path, ...], out: Path, overwrite: bool, config_file: Path | None,
    noise: tuple[Path, ...], negative: tuple[Path, ...], hold_out: str, strategy: str,
    strict: bool, **settings: Any,
) -> None:
    """Train a recurrent model on DATA.

    Several DATA of one kind are learned together (--mix says in what shares).
    Each is a folder of label/*.wav or flac, Speech Commands, a folder with an index.csv
    (columns path, label, speaker, split), a .ts, an .npz, or CSV of sensor rows. Talk goes
    to stderr, one JSON line of metrics to stdout. A run that was stopped or killed goes on
    from its last checkpoint when the same command is given again, and ends with the same
    weights. Needs: pip install "edgernn[train]".
    """
    from rich.console import Console

    from edgernn.train import bidirection
    from edgernn.train.config import load
    from edgernn.train.fit import fit
    from edgernn.train.folder import Unfinished, refuse_existing
    from edgernn.train.models import warnings
    from edgernn.train.workers import Workers, refuse

    config = load(config_file, {k: v for k, v in settings.items() if v is not None})
    refuse_existing(out, overwrite)
    if strategy != "none":
        refuse(config)
    # As an exception, so that only what the run can go on from is left on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console(stderr=True)
    for text in warnings(config):
        console.print(f"warning: {text}", highlight=False, soft_wrap=True)
    if config.task == "transduce":
        from edgernn.train import pairs, transduction

        if len(data) > 1:
            raise ConfigError(f"task is transduce, which learns from one DATA; {len(data)} were "
                              "given. Join their files")
        read = pairs.read(data[0], config.seed)
        metrics = _train(console, lambda tell: transduction.fit(config, read, out, tell, overwrite),
                         config, Unfinished.of(out))
        print(json.dumps({"run": str(out), **metrics}), flush=True)
        return
    workers = Workers.start(strategy)
    found, negatives = _read(console, data, config, noise, negative, hold_out, strict)

    def learn(tell: Any) -> dict[str, float]:
        if config.bidirectional:
            return bidirection.fit(config, found, out, tell, overwrite, negatives)
        return fit(config, found, out, tell, overwrite, negatives, workers)

    metrics = _train(console, learn, config, Unfinished.of(out))
    print(json.dumps({"run": str(out), **metrics}), flush=True)


def _read(
    console: Any, data: tuple[Path, ...], config: TrainConfig, noise: tuple[Path, ...],
    negative: tuple[Path, ...], hold_out: str, strict: bool,
) -> tuple[Any, tuple[Any, ...]]:
    """The data set, and the speech without keywords."""
    from rich.progress import Progress

    from edgernn.train import mix, splits
    from edgernn.train.dataset import AudioSet
    from edgernn.train.readers import load
    from edgernn.train.readers.audio import read_sounds

    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("reading", total=None)

        def tell(message: str) -> None:
            console.print(message, highlight=False, markup=False, soft_wrap=True)

        alone = len(data) == 1
        found = mix.join([
            load(path, sample_rate_hz=config.sample_rate_hz, strict=strict,
                 hold_out=hold_out if alone else "", noise=noise, seed=config.seed, tell=tell,
                 progress=lambda done, total: bars.update(task, completed=done, total=total))
            for path in data], tell)
        if hold_out and not alone and isinstance(found, AudioSet):
            # The speaker may be in one of the data sets alone.
            found = dataclasses.replace(
                found, recordings=tuple(splits.hold_out(found.recordings, hold_out)))
        return found, read_sounds(negative, config.sample_rate_hz, tell)


def _train(console: Any, run: Any, config: TrainConfig, unfinished: Any) -> dict[str, float]:
    """Call `run` with a bar that shows each epoch, and say what can go on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn("{task.description}"))
    began = time.monotonic()
    if unfinished.checkpoint.exists():
        console.print(f"going on with {unfinished.path}", highlight=False)
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=config.epochs)

        def tell(epoch: Any) -> None:
            shown = f"loss {epoch.loss:.3f}"
            if config.task == "transduce":
                shown += f"  validation token error rate {epoch.error:.1%}"
            elif config.early_stopping and not config.bidirectional:
                shown += f"  validation reset {epoch.reset:.1%} carry {epoch.carry:.1%}"
            bars.update(task, completed=epoch.epoch, description=shown)

        try:
            metrics: dict[str, float] = run(tell)
        except (KeyboardInterrupt, SystemExit):
            if unfinished.checkpoint.exists():
                console.print(f"stopped; {unfinished.path} is kept, and the same command goes on "
                              "from there", highlight=False)
            raise
    console.print(f"trained {metrics['epochs']} epochs in {time.monotonic() - began:.0f} s, "
                  f"kept epoch {metrics['best_epoch']}", highlight=False)
    return metrics
