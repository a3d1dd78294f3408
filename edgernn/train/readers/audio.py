"""Folders of recordings."""

import csv
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgernn.errors import DataError, SourceError
from edgernn.sources.source import to_int16
from edgernn.train import splits
from edgernn.train.dataset import (
    SHORTEST_S,
    SILENT,
    AudioSet,
    Recording,
    Samples,
    Skipped,
    Tell,
    check_labels,
    refuse_or_tell,
)

SUFFIXES = {".wav", ".flac", ".ogg"}
NOISE_FOLDER = "_background_noise_"
SPLIT_COLUMNS = ("split", "official_split")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "speaker_cluster", "client_id")


def read(
    folder: Path, sample_rate_hz: int, strict: bool, hold_out: str, noise: Sequence[Path],
    tell: Tell, progress: Callable[[int, int], None],
) -> AudioSet:
    """Read ``label/*.wav``, Speech Commands, or whatever index.csv names."""
    listed = _listed(folder, tell)
    if hold_out:
        listed = splits.hold_out(listed, hold_out)
    recordings, samples, skipped = [], [], []
    for done, recording in enumerate(listed):
        found = usable(recording.path, sample_rate_hz)
        if isinstance(found, str):
            skipped.append(Skipped(recording.path, found))
        else:
            recordings.append(recording)
            samples.append(found)
        progress(done + 1, len(listed))
    left_out = refuse_or_tell(skipped, strict, tell)
    if not recordings:
        raise DataError(f"{folder} has no recording that can be used ({len(listed)} files seen); "
                        "label/*.wav of 0.1 s or longer was needed")
    labels = check_labels((r.label for r in recordings), folder)
    return AudioSet(labels, tuple(recordings), tuple(samples), sample_rate_hz,
                    _noises(folder, noise, sample_rate_hz), left_out)


def decode(path: Path, sample_rate_hz: int) -> Samples:
    """Mono int16 of a whole file: channels averaged, resampled by soxr, saturated.

    Raises
    ------
    soundfile.LibsndfileError, OSError, SourceError
        If it is no audio, or holds NaN.
    """
    import soundfile
    import soxr

    real, rate = soundfile.read(str(path), always_2d=True)
    if rate != sample_rate_hz and len(real):
        real = soxr.resample(real, rate, sample_rate_hz)
    return to_int16(real, str(path))


def usable(path: Path, sample_rate_hz: int) -> Samples | str:
    """The samples of a recording, or why it cannot be used."""
    import soundfile

    try:
        samples = decode(path, sample_rate_hz)
    except (soundfile.LibsndfileError, OSError, RuntimeError, SourceError) as problem:
        return f"broken: {problem}"
    if not len(samples):
        return "empty"
    if len(samples) < SHORTEST_S * sample_rate_hz:
        return f"too short: {1000 * len(samples) // sample_rate_hz} ms"
    if np.abs(samples.astype(np.int32)).max() < SILENT:
        return "silent"
    return samples


def _listed(folder: Path, tell: Tell) -> list[Recording]:
    index = folder / "index.csv"
    if index.exists():
        return _from_index(index, tell)
    files = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in SUFFIXES
                   and p.parent.name != NOISE_FOLDER)
    if not files:
        raise DataError(f"{folder} has no label/*.wav or label/*.flac, and no index.csv; one of "
                        "them was needed. Put each label's recordings into a folder of its name")
    found = [Recording(p, p.parent.name) for p in files]
    lists = {name: folder / f"{word}_list.txt"
             for name, word in (("validation", "validation"), ("test", "testing"))}
    if all(path.exists() for path in lists.values()):
        named = {line.strip(): split for split, path in lists.items()
                 for line in path.read_text(encoding="utf-8").splitlines()}
        return [dataclasses.replace(r, split=named.get(f"{r.label}/{r.path.name}", "train"))
                for r in found]
    if any("_nohash_" in r.path.name for r in found):
        return [dataclasses.replace(r, speaker=r.path.name.split("_nohash_")[0],
                                    split=splits.speech_commands(r.path.name)) for r in found]
    return splits.by_speaker(found)


def _from_index(index: Path, tell: Tell) -> list[Recording]:
    with index.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    columns = set(lines[0]) if lines else set()
    if not {"path", "label"} <= columns:
        raise DataError(f"{index} has the columns {', '.join(sorted(columns)) or 'none'}; path and "
                        "label were needed, speaker and split are welcome")
    speaker = next((c for c in SPEAKER_COLUMNS if c in columns), "")
    split = next((c for c in SPLIT_COLUMNS if c in columns), "")
    found = [Recording(index.parent / line["path"], line["label"], line.get(speaker) or "",
                       (line.get(split) or "train").strip()) for line in lines]
    unknown = sorted({r.split for r in found} - set(splits.SPLITS))
    if unknown:
        raise DataError(f"{index} has the split {unknown[0]!r}; {', '.join(splits.SPLITS)} were "
                        "needed. Rename it")
    both = splits.straddling(found)
    if not split or both:
        if both:
            tell(f"{index} has speakers in more than one split ({', '.join(both[:5])}); "
                 "splitting by speaker instead, so that no voice is on both sides")
        found = splits.by_speaker(found)
    elif not any(r.split == "validation" for r in found):
        held = splits.by_speaker([r for r in found if r.split == "train"])
        # The given test stays; of the rest, what would have been its test trains on.
        found = [r for r in found if r.split == "test"] + [
            dataclasses.replace(r, split="train") if r.split == "test" else r for r in held]
    return found


def _noises(folder: Path, noise: Sequence[Path], sample_rate_hz: int) -> tuple[Samples, ...]:
    files = [p for given in noise or [folder / NOISE_FOLDER]
             for p in ([given] if given.is_file() else sorted(given.rglob("*")))
             if p.suffix.lower() in SUFFIXES]
    if noise and not files:
        raise DataError(f"{noise[0]} has no wav or flac; recordings of background were needed")
    found = [usable(path, sample_rate_hz) for path in files]
    return tuple(samples for samples in found if not isinstance(samples, str))


def read_sounds(given: Sequence[Path], sample_rate_hz: int) -> tuple[Samples, ...]:
    """Every recording in the files and folders given, those that cannot be used left out."""
    return _noises(Path(), given, sample_rate_hz) if given else ()
