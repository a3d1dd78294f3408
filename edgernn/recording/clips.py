"""A folder of clips that `edgernn train`, `evaluate` and `new` take as it is."""

import contextlib
import csv
import io
import math
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn import files
from edgernn.errors import OutputError, SourceError
from edgernn.frames import Frame

INDEX = "index.csv"
COLUMNS = ("path", "label", "speaker", "source", "until_s")
NEEDED = COLUMNS[:3]
"""Of an index that is gone on with; the others are empty where a microphone was heard."""
SOUNDS = (".wav", ".flac")


@dataclass(frozen=True)
class Clips:
    """LABEL/NNNN.wav and an index.csv; every clip is written whole, then the index."""

    folder: Path
    rate_hz: int
    source: str = ""
    """SHA-256 of the recording that clips are cut out of; empty: a microphone is heard."""

    def lines(self) -> list[dict[str, str]]:
        """The index as it is; without one, the clips that are there, of nobody in particular.

        Raises
        ------
        OutputError
            If it is not one of ours, or cannot be read.
        """
        path = self.folder / INDEX
        if not path.exists():
            return [{"path": str(clip.relative_to(self.folder)), "label": clip.parent.name,
                     "speaker": ""}
                    for clip in sorted(self.folder.glob("*/*")) if clip.suffix in SOUNDS]
        try:
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                columns, found = tuple(reader.fieldnames or ()), list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as problem:
            raise OutputError(f"{path} cannot be read ({problem}). Choose another --out") \
                from problem
        if columns not in (COLUMNS, NEEDED):
            raise OutputError(f"{path} has the columns {', '.join(columns) or 'none'}; "
                              f"{', '.join(NEEDED)} were needed to go on with it. Choose another "
                              "--out")
        for number, line in enumerate(found, 2):
            if None in line or None in line.values():
                raise OutputError(f"line {number} of {path} has not as many cells as columns "
                                  f"({len(columns)}), which were needed to go on with it. Repair "
                                  "the line, or choose another --out")
            if line.get("source") and not _is_time(line["until_s"]):
                raise OutputError(f"line {number} of {path} has the until_s {line['until_s']!r}; "
                                  "seconds, 0 or more, were needed to go on with it. Repair the "
                                  "line, or choose another --out")
        return found

    def count(self, label: str, speaker: str) -> int:
        """How many there are of that label by that speaker."""
        return sum((line["label"], line["speaker"]) == (label, speaker)
                   for line in self._there())

    def taken_s(self) -> float:
        """Seconds of the recording up to the end of the last clip of it, whatever its label."""
        return max((float(line["until_s"]) for line in self._there()
                    if self.source and line.get("source") == self.source), default=0.0)

    def found_s(self, heard: Iterable[Frame]) -> float:
        """As `taken_s`, by what clips sound like whose lines say no source, as older ones do."""
        clips = [_data(self.folder / line["path"]) for line in self._there()
                 if not line.get("source")]
        if not any(clips):
            return 0.0
        recording = bytearray()
        with contextlib.suppress(SourceError):  # its damage is told where it is listened to
            for frame in heard:
                recording += frame.samples.astype("<i2").tobytes()
        ends = [at + len(clip) for clip in clips if (at := recording.find(clip)) >= 0]
        return max(ends, default=0) / 2 / self.rate_hz

    def _there(self) -> list[dict[str, str]]:
        """Lines whose clips were not deleted."""
        return [line for line in self.lines() if (self.folder / line["path"]).exists()]

    def add(self, label: str, speaker: str, samples: NDArray[np.int16], until_s: float = 0.0
            ) -> Path:
        """Keep one more, which ends `until_s` seconds after the recording's beginning.

        Raises
        ------
        OutputError
            If it cannot be written; what is there stays as it is.
        """
        lines = self.lines()
        own = self.folder / label
        try:
            own.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise OutputError(f"{own} cannot be made: {problem.strerror}. Choose another --out") \
                from problem
        number = max((int(path.stem) for path in own.glob("*.wav") if path.stem.isdigit()),
                     default=-1) + 1
        path = own / f"{number:04d}.wav"
        write_wav(path, samples, self.rate_hz)
        lines.append({"path": str(path.relative_to(self.folder)), "label": label,
                      "speaker": speaker, "source": self.source,
                      "until_s": f"{until_s:.6f}" if self.source else ""})
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        files.write(self.folder / INDEX, text.getvalue().encode())
        return path


def _data(path: Path) -> bytes:
    """Samples of a clip as they lie in its file; none if it is no wav."""
    try:
        with wave.open(str(path), "rb") as file:
            return file.readframes(file.getnframes())
    except (wave.Error, EOFError, OSError):
        return b""


def _is_time(text: str) -> bool:
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


def write_wav(path: Path, samples: NDArray[np.int16], rate_hz: int) -> None:
    """Write a mono wav whole, or leave `path` as it was.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    files.write(path, data.getvalue())
