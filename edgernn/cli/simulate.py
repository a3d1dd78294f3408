"""`edgernn simulate`: run an exported project on this machine."""

import json
import tempfile
from pathlib import Path

import click

BLOCK = 4096


@click.command()
@click.argument("firmware", type=click.Path(path_type=Path))
@click.option("--input", "source", required=True, type=click.Path(path_type=Path),
              help="What it is to hear: an audio file, a CSV file of sensor rows, or a file of "
                   "tokens' numbers, a text a line.")
@click.option("--scores", is_flag=True, help="Print every step's scores too.")
@click.option("--cflags", default="-O2 -march=native", show_default=True,
              help="What the compiler is given; -DERNN_PORTABLE is C alone.")
def command(firmware: Path, source: Path, scores: bool, cflags: str) -> None:
    """Build the exported C project FIRMWARE for this machine, and run it.

    The project is left as it is. What it prints is what `edgernn stream` prints of the same
    input, and what a board will say.

    \b
      edgernn export kws.tflite --target c --out firmware/
      edgernn simulate firmware/ --input x.wav
    """
    from firmware_export.simulate import Simulation, answers, checked

    with tempfile.TemporaryDirectory(prefix="edgernn-") as folder:
        simulation = Simulation(firmware)
        program = simulation.build(Path(folder), cflags)
        checked(program)
        data = _heard(simulation.sample_rate, source)
        for answer in answers(program, data, *(["--scores"] if scores else [])):
            print(json.dumps(answer, ensure_ascii=False), flush=True)


def _heard(rate: int | None, source: Path) -> bytes:
    """The input as the program reads it: audio as raw samples, all else as it is."""
    from edgernn.errors import SourceError

    if rate is None:
        try:
            return source.read_bytes()
        except OSError as problem:
            raise SourceError(f"{source} cannot be read: {problem.strerror}. Give a file "
                              "of rows") from problem
    from edgernn.sources.wav import WavSource

    with WavSource(source, rate, BLOCK) as frames:
        return b"".join(frame.samples.astype("<i2").tobytes() for frame in frames)
