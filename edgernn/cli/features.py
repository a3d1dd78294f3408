"""`edgernn features`: features of recordings, computed once and kept."""

import json
from pathlib import Path

import click

from edgernn.cli.models import BUNDLED, ModelPath
from edgernn.cli.scheduler import MANY, scheduler_option

TOGETHER = 50
"""Recordings of one job."""


@click.command()
@click.argument("recordings", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--model", type=ModelPath(), metavar="MODEL",
              help="The .tflite whose frontend hears them (default: the bundled one).")
@click.option("--cache", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="Folder to keep features in; what is there is not computed again.")
@scheduler_option("Compute", f"local for more than {TOGETHER * (MANY - 1)} recordings where Dask "
                  "is installed, else none",
                  "RECORDINGS and the cache must be at the same path for all.")
def command(recordings: tuple[Path, ...], model: Path | None, cache: Path, scheduler: str) -> None:
    """Compute the features of RECORDINGS (wav and flac files, or folders of them).

    One memory-mapped .npy each, named by the hash of the audio and the frontend's settings, for
    `edgernn evaluate --cache`. A run that was stopped goes on where it was. One JSON line on
    stdout.
    """
    from edgernn import bundle
    from edgernn.cli.progress import told
    from edgernn.errors import DataError
    from edgernn.train.dataset import Skipped, refuse_or_tell
    from edgernn.train.features import extract, plain
    from edgernn.train.readers.audio import sound_files
    from edgernn.train.spread import Spread

    spec = plain(bundle.read(model or BUNDLED).spec.frontend)
    paths = [path.absolute() for path in sound_files(recordings) if path.is_file()]
    if not paths:
        raise DataError(f"{', '.join(map(str, recordings))} has no wav or flac; recordings were "
                        "needed. Name their folder")
    jobs = [(paths[i:i + TOGETHER], spec, cache.absolute()) for i in range(0, len(paths), TOGETHER)]
    with told(f"{TOGETHER} recordings") as (tell, progress):
        # Features may have been deleted since, and not what was noted of them.
        done = Spread(scheduler, cache / "jobs", tell, lambda kept: all(
            (cache / name).exists() for name in kept.get("made", [""]))).run(
                extract, jobs, progress)
        skipped = [Skipped(Path(path), why) for one in done for path, why in one["skipped"]]
        if len(skipped) == len(paths):
            raise DataError(f"{skipped[0].path} is {skipped[0].reason}, and no other of the "
                            f"{len(paths)} recordings given can be used; one was needed. Copy or "
                            "record them again")
        refuse_or_tell(skipped, False, tell)
    print(json.dumps({"cache": str(cache), "recordings": len(paths) - len(skipped),
                      "frames": sum(one["frames"] for one in done)}), flush=True)
