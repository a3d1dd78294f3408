"""`edgernn export`: a model as something that a firmware developer compiles."""

import sys
from pathlib import Path

import click

TARGETS = ("c",)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", type=click.Choice(TARGETS), default="c", show_default=True,
              help="What to write: c is C99 that depends on nothing.")
@click.option("--out", type=click.Path(path_type=Path), required=True,
              help="Folder to write; one that an export wrote is replaced.")
@click.option("--name", default=None,
              help="What the names of C functions and files begin with "
                   "(default: the model file's name, if it is a C identifier).")
@click.option("--force", is_flag=True,
              help="Write into a folder that holds other files, and over an export that was "
                   "changed since.")
def command(model: Path, target: str, out: Path, name: str | None, force: bool) -> None:
    """Turn MODEL into a project that compiles, and that proves itself.

    \b
      edgernn export kws.tflite --target c --out firmware/
      make -C firmware check
    """
    from firmware_export.folder import write_project
    from firmware_export.project import PRODUCTS, Source, c_project

    name = name or model.stem
    again = ["edgernn", "export", str(model), "--target", target, "--out", str(out)]
    files = c_project(Source.read(model), name, again)
    write_project(out, files, force, (*PRODUCTS, name))
    print(f"edgernn: {len(files)} files in {out}. Try it: make -C {out} check", file=sys.stderr)
