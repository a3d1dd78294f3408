"""`edgernn export`: a model as something that a firmware developer compiles."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgernn.cli.models import ModelPath

if TYPE_CHECKING:
    from firmware_export.project import Source

TARGETS = ("c", "tflm", "arduino", "esp-idf", "esphome", "platformio", "zephyr")


@click.command()
@click.argument("model", type=ModelPath())
@click.option("--target", type=click.Choice(TARGETS), default="c", show_default=True,
              help="What to write: c is C99 that depends on nothing; esphome a wake word for its "
                   "micro_wake_word; the others run in TensorFlow Lite Micro, tflm under CMake.")
@click.option("--out", type=click.Path(path_type=Path), required=True,
              help="Folder to write; one that an export wrote is replaced.")
@click.option("--name", default=None,
              help="What the names of C functions and files begin with "
                   "(default: the model file's name, if it is a C identifier).")
@click.option("--arena", type=click.IntRange(1024, 2**31 - 1), default=None,
              help="Bytes of TensorFlow Lite Micro's arena (default: measured in the package "
                   "tflite-micro, with a margin).")
@click.option("--xxd", is_flag=True,
              help="Name the model's array as xxd -i does: kws_tflite, kws_tflite_len.")
@click.option("--measure/--no-measure", default=True, show_default=True,
              help="For --target c: count instructions, bytes and stack on emulated chips whose "
                   "compilers and emulators are installed, for the project's README.md.")
@click.option("--label", default=None,
              help="For --target esphome: the wake word (default: the label that is listened for, "
                   "if it is one alone).")
@click.option("--author", default="", help="For --target esphome: who the manifest says made it "
                                           "(default: edgernn).")
@click.option("--website", default="",
              help="For --target esphome: URL for the manifest (default: none).")
@click.option("--languages", default="en", show_default=True, metavar="LANGUAGE,...",
              help="For --target esphome: languages of the voices that it learned from.")
@click.option("--force", is_flag=True,
              help="Write into a folder that holds other files, and over an export that was "
                   "changed since.")
def command(model: Path, target: str, out: Path, name: str | None, arena: int | None, xxd: bool,
            measure: bool, label: str | None, author: str, website: str, languages: str,
            force: bool) -> None:
    """Turn MODEL into a project that compiles, and that proves itself.

    \b
      edgernn export kws.tflite --target c --out firmware/
      make -C firmware check
    """
    from firmware_export.folder import write_project
    from firmware_export.project import PRODUCTS, Source

    source, name = Source.read(model), name or model.stem
    again = ["edgernn", *sys.argv[1:]]
    products: Sequence[str] = (*PRODUCTS, name)
    if target == "c":
        files = _c_project(source, name, again, measure)
    elif target == "esphome":
        from firmware_export.esphome import esphome_project

        products = ()
        files = esphome_project(source, name, again, label, author, website,
                                languages.split(","), arena or 0)
    else:
        from firmware_export.tflm.project import PRODUCTS as TFLM_PRODUCTS
        from firmware_export.tflm.project import tflm_project
        from firmware_export.tflm.targets import TARGETS as RUNTIMES

        products = TFLM_PRODUCTS
        files = tflm_project(source, name, again, RUNTIMES[target], arena or 0, xxd)
    write_project(out, files, force, products)
    hint = f"Try it: make -C {shlex.quote(str(out))} check" if target == "c" else (
        f"Begin with {out / 'README.md'}")
    print(f"edgernn: {len(files)} files in {out}. {hint}", file=sys.stderr)


def _c_project(source: "Source", name: str, again: Sequence[str],
               measure: bool) -> dict[str, str | bytes]:
    from firmware_export.figures import figures, table
    from firmware_export.project import c_project

    files = c_project(source, name, again)
    if not measure:
        return c_project(source, name, again, "Not measured: exported with --no-measure.\n")
    print("edgernn: measuring it on emulated chips (--no-measure leaves that out)",
          file=sys.stderr)
    return c_project(source, name, again, table(figures(source, name, files)))
