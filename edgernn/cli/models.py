"""Which model a verb is about."""

from pathlib import Path
from typing import Any

import click

BUNDLED = Path(__file__).resolve().parent.parent / "models" / "wakeword.tflite"
"""The wake-word model that comes with edgernn: "computer" and "alexa"."""
VOICE = BUNDLED.with_name("voice.tflite")
"""The model of voice activity that comes with it: what `--gate voice` means."""
BESIDE = {name: BUNDLED.with_name(f"{name}.tflite")
          for name in ("wakeword", "voice", "digits")}
"""Models that come with edgernn, by the name that stands for their path."""


class ModelPath(click.Path):
    """A .tflite, or the name of one that comes with edgernn, if there is no such file."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        path = Path(str(super().convert(value, param, ctx)))
        return path if path.exists() else BESIDE.get(str(path), path)


def _pairs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    # Names of tensors may hold an = themselves, but no ends of states do.
    parted = [text.partition("=") for text in given]
    for text, (one, _, other) in zip(given, parted, strict=True):
        if not one or not other:
            raise click.BadParameter(f"{text!r} is no pair; IN=OUT was needed")
    return {one: other for one, _, other in parted}


state_option = click.option(
    "--state", "states", multiple=True, metavar="IN=OUT", callback=_pairs,
    help="Of a model from elsewhere: the output that is the input's next value; may be repeated "
         "(default: by names, shapes and scales; a choice that is left is an error that lists it).")
"""Gives a command `states`, what `edgernn.bundle.read` takes."""
