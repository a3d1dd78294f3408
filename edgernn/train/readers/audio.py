"""Folders of recordings."""

import csv
import dataclasses
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import DataError, SourceError
from edgernn.sources.source import to_int16
from edgernn.sources.wav import HEADER_BYTES, check_length, check_whole
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
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1000, 768_000
BLOCK_S = 60
KEPT_BLOCKS = 10
"""Of a recording of more, each is read twice: to see whether it can be used, and to hear it."""
NOISE_FOLDER = "_background_noise_"
SPLIT_COLUMNS = ("split", "official_split")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "speaker_cluster", "client_id")


def read(
    folder: Path, sample_rate_hz: int, strict: bool, hold_out: str, noise: Sequence[Path],
    seed: int, tell: Tell, progress: Callable[[int, int], None], least: int = 2,
) -> AudioSet:
    """Read ``label/*.wav``, Speech Commands, or what index.csv names; `least` labels or more."""
    listed, drawn = _listed(folder, hold_out, seed, tell, least)
    named = check_labels((r.label for r in listed), folder, least)
    recordings, samples, skipped = [], [], []
    for done, recording in enumerate(listed):
        found = usable(recording.path, sample_rate_hz)
        if isinstance(found, str):
            skipped.append(Skipped(recording.path, found))
        else:
            recordings.append(recording)
            samples.append(found)
        progress(done + 1, len(listed))
    background, silent = _noises(folder, noise, sample_rate_hz)
    left_out = refuse_or_tell(skipped + silent, strict, tell)
    if not recordings:
        raise DataError(f"{folder} has no recording that can be used ({len(listed)} files seen); "
                        "label/*.wav of 0.1 s or longer was needed")
    labels = check_labels((r.label for r in recordings), folder, least)
    if labels != named:
        tell(f"{folder} has no usable recording labelled {', '.join(set(named) - set(labels))}: "
             "the model will not know it")
    return AudioSet(labels, tuple(recordings), tuple(samples), sample_rate_hz, background, left_out,
                    drawn=drawn)


def blocks(path: Path, sample_rate_hz: int) -> Iterator[Samples]:
    """Mono int16 of a file, a minute at a time: channels averaged, resampled by soxr, saturated.

    Raises
    ------
    soundfile.LibsndfileError, OSError, SourceError
        If it is no audio, is cut short, or holds NaN.
    """
    soundfile = _soundfile()
    import soxr

    check_whole(path, HEADER_BYTES)
    with soundfile.SoundFile(str(path)) as file:
        rate = file.samplerate
        if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
            # Resampling from the 1 Hz of a damaged header would fill the memory.
            raise SourceError(f"{path} says it is sampled at {rate} Hz; {LOWEST_RATE_HZ} to "
                              f"{HIGHEST_RATE_HZ} Hz is audio. Make the file again.")
        check_length(path, file.frames)
        resampler = soxr.ResampleStream(rate, sample_rate_hz, file.channels, dtype="float64")
        # No longer than the file: a damaged header's thousand channels would take gigabytes.
        length = max(1, min(BLOCK_S * rate, len(file)))
        while len(real := file.read(length, always_2d=True)):
            yield to_int16(resampler.resample_chunk(real) if rate != sample_rate_hz else real,
                           str(path))
        if rate != sample_rate_hz:
            rest = resampler.resample_chunk(np.empty((0, file.channels)), last=True)
            yield to_int16(rest, str(path))


def unusable(path: Path, sample_rate_hz: int,
             keep: Callable[[Samples], None] = lambda block: None) -> str:
    """Why a recording cannot be used; empty if it can.  `keep` is given what was read of it."""
    soundfile = _soundfile()
    if not path.is_file():
        return "missing"
    length = loudest = 0
    try:
        for block in blocks(path, sample_rate_hz):
            length += len(block)
            loudest = max(loudest, int(np.abs(block.astype(np.int32)).max(initial=0)))
            keep(block)
    except (soundfile.LibsndfileError, OSError, RuntimeError, SourceError) as problem:
        return f"broken: {problem}"
    if not length:
        return "empty"
    if length < SHORTEST_S * sample_rate_hz:
        return f"too short: {1000 * length // sample_rate_hz} ms"
    return "silent" if loudest < SILENT else ""


def sound(path: Path, sample_rate_hz: int) -> Iterable[Samples] | str:
    """A recording, some minutes of it in memory at most, or why it cannot be used."""
    read: list[Samples] = []

    def keep(block: Samples) -> None:
        if len(read) <= KEPT_BLOCKS:
            read.append(block)

    why = unusable(path, sample_rate_hz, keep)
    return why or (read if len(read) <= KEPT_BLOCKS else blocks(path, sample_rate_hz))


def usable(path: Path, sample_rate_hz: int) -> Samples | str:
    """The samples of a recording, or why it cannot be used."""
    read: list[Samples] = []
    why = unusable(path, sample_rate_hz, read.append)
    return why or np.concatenate(read)


def sound_files(given: Sequence[Path]) -> list[Path]:
    """Every wav and flac in the files and folders given, sorted within each.

    Raises
    ------
    DataError
        If one that was given is not there.
    """
    for one in given:
        if not one.exists():
            raise DataError(f"{one} is not there; a recording, or a folder of some, was needed. "
                            "Check its name")
    return [path for one in given for path in ([one] if one.is_file() else sorted(one.rglob("*")))
            if path.suffix.lower() in SUFFIXES]


def length_s(path: Path) -> float:
    """Seconds of a recording, by its header; 0 if that cannot be read."""
    soundfile = _soundfile()
    try:
        return float(soundfile.info(str(path)).duration)
    except (soundfile.LibsndfileError, OSError, RuntimeError):
        return 0.0


def read_sounds(given: Sequence[Path], sample_rate_hz: int,
                tell: Tell = lambda message: None) -> tuple[Samples, ...]:
    """Every recording in the files and folders given, those that cannot be used left out.

    Raises
    ------
    DataError
        If some were given and none can be used.
    """
    if not given:
        return ()
    samples, skipped = _noises(Path(), given, sample_rate_hz)
    refuse_or_tell(skipped, False, tell)
    return samples


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as problem:  # OSError: libsndfile itself is missing
        raise DataError('recordings cannot be read without soundfile; it was needed. '
                        'Install it: pip install "edgernn[train]"') from problem
    return soundfile


def _listed(folder: Path, hold_out: str, seed: int, tell: Tell, least: int
            ) -> tuple[list[Recording], frozenset[str]]:
    """Every file with its label, its speaker where known, and its split; the splits we drew."""
    index = folder / "index.csv"
    found = _from_index(index) if index.exists() else _from_folders(folder)
    if hold_out:
        return splits.hold_out(found, hold_out), frozenset()
    both = splits.straddling(found)
    if both:
        tell(f"{folder} has speakers in more than one split ({', '.join(both[:5])}); "
             "splitting by speaker instead, so that no voice is on both sides")
    if both or not any(r.split for r in found):
        try:
            return splits.by_speaker(found, seed), splits.ALL
        except DataError:
            if least > 1:
                raise
            # Too few to be split, and nothing is trained on them: all are what is measured.
            return [dataclasses.replace(r, split="test") for r in found], splits.ALL
    train = [r for r in found if r.split == "train"]
    speakers = {r.speaker for r in train}
    # One voice cannot both teach and validate; training says what to do about that.
    if not train or any(r.split == "validation" for r in found) or (
            len(speakers) == 1 and "" not in speakers):
        return found, frozenset()
    held = iter(splits.by_speaker(train, seed, ("validation",)))
    return [next(held) if r.split == "train" else r for r in found], splits.OF_TRAIN


def _from_folders(folder: Path) -> list[Recording]:
    """``label/*.wav``; the split is empty unless they are Speech Commands."""
    files = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in SUFFIXES
                   and p.parent.name != NOISE_FOLDER)
    if not files:
        raise DataError(f"{folder} has no label/*.wav or label/*.flac, and no index.csv; one of "
                        "them was needed. Put each label's recordings into a folder of its name")
    found = [Recording(p, p.parent.name, _voice(p), "") for p in files]
    lists = {name: folder / f"{word}_list.txt"
             for name, word in (("validation", "validation"), ("test", "testing"))}
    if any(path.exists() for path in lists.values()):
        named = {line.strip(): split for split, path in lists.items() if path.exists()
                 for line in _text(path).splitlines()}
        return [dataclasses.replace(r, split=named.get(f"{r.label}/{r.path.name}", "train"))
                for r in found]
    if any(r.speaker for r in found):
        return [dataclasses.replace(r, split=splits.speech_commands(r.path.name)) for r in found]
    return found


def _voice(path: Path) -> str:
    """The speaker, where the name is one of Speech Commands'."""
    speaker, marked, _ = path.name.partition("_nohash_")
    return speaker if marked else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{path} cannot be read ({problem}); text in UTF-8 was needed. "
                        "Save it as such") from problem


def _lines(index: Path) -> list[dict[str, str]]:
    """Those of an index.csv, each with a path and a label."""
    try:
        lines = list(csv.DictReader(io.StringIO(_text(index), newline="")))
    except csv.Error as problem:
        raise DataError(f"{index} cannot be read ({problem}); a CSV was needed") from problem
    columns = set(lines[0]) if lines else set()
    if not {"path", "label"} <= columns:
        raise DataError(f"{index} has the columns {', '.join(map(str, columns)) or 'none'}; path "
                        "and label were needed, speaker and split are welcome")
    for number, line in enumerate(lines, 2):
        if not line["path"] or not line["label"]:
            raise DataError(f"line {number} of {index} lacks a path or a label; both were needed. "
                            "Fill or remove it")
    return lines


def _from_index(index: Path) -> list[Recording]:
    """What index.csv names, but noise; the split is empty where it has no such column."""
    lines = [line for line in _lines(index) if line["label"] != NOISE_FOLDER]
    if not lines:
        raise DataError(f"{index} has no label but {NOISE_FOLDER}; recordings of others were "
                        "needed beside the noise. Add lines of them")
    columns = set(lines[0])
    speaker = next((c for c in SPEAKER_COLUMNS if c in columns), "")
    split = next((c for c in SPLIT_COLUMNS if c in columns), "")
    found = [Recording(index.parent / line["path"], line["label"], line.get(speaker) or "",
                       ((line[split] or "").strip() or "train") if split else "")
             for line in lines]
    unknown = sorted({r.split for r in found if r.split} - set(splits.SPLITS))
    if unknown:
        raise DataError(f"{index} has the split {unknown[0]!r}; {', '.join(splits.SPLITS)} were "
                        "needed. Rename it")
    return found


def _own_noises(folder: Path) -> list[Path]:
    """Background that is in the folder for it or that index.csv names, each file once."""
    own, index = folder / NOISE_FOLDER, folder / "index.csv"
    found = sound_files([own]) if own.exists() else []
    if index.exists():
        found += [folder / line["path"] for line in _lines(index)
                  if line["label"] == NOISE_FOLDER]
    return list({path.absolute(): path for path in found}.values())


def _noises(folder: Path, noise: Sequence[Path],
            sample_rate_hz: int) -> tuple[tuple[Samples, ...], list[Skipped]]:
    """Background that can be used, and what of it cannot."""
    samples, skipped = [], []
    for path in sound_files(noise) if noise else _own_noises(folder):
        found = usable(path, sample_rate_hz)
        if isinstance(found, str):
            skipped.append(Skipped(path, found))
        else:
            samples.append(found)
    if noise and not samples:
        why = f" ({skipped[0].path} is {skipped[0].reason})" if skipped else ""
        raise DataError(f"{', '.join(map(str, noise))} has no wav or flac that can be used{why}; "
                        "recordings of sound were needed. Name their folder")
    return tuple(samples), skipped
