"""`edgernn attach`: put edgernn.json back behind a model that has lost it."""

import dataclasses
from pathlib import Path

import click

from edgernn import bundle, spec, tflite
from edgernn.errors import ModelError


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--from", "original", type=click.Path(path_type=Path), metavar="ORIGINAL.tflite",
              help="The model that it was made of, which has its edgernn.json.")
@click.option("--spec", "spec_file", type=click.Path(path_type=Path), metavar="edgernn.json",
              help="Instead: the file itself, as `unzip -p kws.tflite edgernn.json` prints it.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE",
              help="Where to write the model (default: in its place).")
def command(model: Path, original: Path | None, spec_file: Path | None, out: Path | None) -> None:
    """Put labels, frontend, state pairs and thresholds behind MODEL.

    Tools that rewrite a .tflite, edgetpu_compiler among them, drop what rides behind it. What
    is put there must fit the tensors, or nothing is written.
    """
    from edgernn.step import check

    if (original is None) == (spec_file is None):
        raise click.UsageError("one of --from ORIGINAL.tflite and --spec edgernn.json was needed")
    found = _spec(original, spec_file)
    if found.parts:
        raise ModelError(f"it is a model of several parts ({', '.join(found.parts)}); one of a "
                         "single part was needed. Make it again: edgernn quantize")
    flatbuffer = bundle.flatbuffer(model)
    check(found, tflite.read(flatbuffer))
    found = dataclasses.replace(found, provenance={
        **found.provenance, "attached_from_sha256": found.model_sha256})
    bundle.write(out or model, bundle.attach(flatbuffer, found))
    click.echo(f"edgernn: {out or model} has {len(found.labels)} labels, "
               f"{len(found.states)} states", err=True)


def _spec(original: Path | None, spec_file: Path | None) -> spec.ModelSpec:
    if original is not None:
        return bundle.read(original).spec
    assert spec_file is not None
    try:
        return spec.from_json(spec_file.read_bytes(), str(spec_file))
    except OSError as problem:
        raise ModelError(f"{spec_file} cannot be read: {problem.strerror}. Take it out of the "
                         "original: unzip -p kws.tflite edgernn.json") from problem
