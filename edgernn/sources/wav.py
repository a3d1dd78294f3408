"""A recording, as a source: wav, flac, ogg and whatever else libsndfile reads."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from edgernn.errors import SourceError
from edgernn.frames import Frame
from edgernn.sources.source import Source, to_int16
from edgernn.sources.track import Track

ORDERS: dict[bytes, Literal["little", "big"]] = {b"RIFF": "little", b"RF64": "little",
                                                 b"RIFX": "big"}
"""Of bytes, by how a wav begins."""
HEADER_BYTES = 44
"""Some recorders count these, or all but the first 8, as audio too."""
UNKNOWN_LENGTH = 0x7FFF0000
"""Recorders that write to a pipe leave the length of a wav at this or more, or at 0."""
UNKNOWN_FRAMES = 2**63 - 1
"""libsndfile's length of a file that has none, behind whose end it fails."""


class WavSource(Source):
    """A recording from its beginning to its end, several channels averaged to one.

    Any sample type is read; floats beyond [-1, 1] saturate.

    Parameters
    ----------
    path : path
    rate_hz : int
        Samples per second the model was trained at.
    block : int
        Samples per frame.
    needed_by : str
        What a message calls the model.

    Raises
    ------
    SourceError
        If soundfile is not installed; if the file is missing, not a file, not
        audio, empty, cut short, without a length, or of another rate.  Damage
        within the audio is raised while iterating, after the whole seconds before
        it.
    """

    def __init__(self, path: str | Path, rate_hz: int, block: int,
                 needed_by: str = "the model") -> None:
        super().__init__(rate_hz, block)
        self.path = Path(path)
        self._soundfile = _soundfile()
        self._file = _opened(self.path, rate_hz)
        try:
            self._check(needed_by)
        except SourceError:
            self.close()
            raise

    def _check(self, needed_by: str) -> None:
        found = self._file.samplerate
        if found != self.rate_hz:
            raise SourceError(f"{self.path} is sampled at {found} Hz but {needed_by} was trained "
                              f"at {self.rate_hz} Hz. Convert it: "
                              f"sox {self.path} -r {self.rate_hz} out.wav")
        check_whole(self.path)
        check_length(self.path, self._file.frames)
        if self._file.frames == 0:
            raise SourceError(f"{self.path} holds no samples; at least one is needed. "
                              "Record it again.")

    def __iter__(self) -> Iterator[Frame]:
        done, expected = 0, self._file.frames
        # Reading a second at a time is four times as fast as reading hops.
        per_read = -(-self.rate_hz // self.block) * self.block
        while True:
            try:
                samples = to_int16(self._file.read(per_read, dtype="float64"), str(self.path))
            except self._soundfile.SoundFileRuntimeError as problem:
                raise self._damaged(done, expected, str(problem)) from problem
            for start in range(0, len(samples), self.block):
                yield Frame(samples[start:start + self.block], (done + start) / self.rate_hz)
            done += len(samples)
            if len(samples) < per_read:
                break
        if done < expected:
            raise self._damaged(done, expected, "the data ends")

    @property
    def duration_s(self) -> float:
        """Seconds that the header says it lasts."""
        return float(self._file.frames / self.rate_hz)

    def _damaged(self, done: int, expected: int, what: str) -> SourceError:
        return SourceError(f"{self.path} is damaged after {done / self.rate_hz:.2f} s of "
                           f"{expected / self.rate_hz:.2f} s ({what}). "
                           "Copy or record it again.")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ResampledWav(Source):
    """A recording of any rate, resampled to `rate_hz`; times are those of the sound itself.

    Parameters
    ----------
    path : path
    rate_hz : int
        Samples per second that are wanted.
    block : int
        Samples per frame.

    Raises
    ------
    SourceError
        As `WavSource`, but for its rate; and if soxr is needed and not installed.
    """

    def __init__(self, path: str | Path, rate_hz: int, block: int) -> None:
        super().__init__(rate_hz, block)
        self.path = Path(path)
        with _opened(self.path, rate_hz) as file:
            own_hz = file.samplerate
        self._track = Track(rate_hz, block)
        self._track.begin(own_hz)
        self._wav = WavSource(path, own_hz, block)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._wav:
            yield from self._track.push(frame.samples.astype(np.float32))
        yield from self._track.flush()

    def close(self) -> None:
        """Close the file."""
        self._wav.close()


def _opened(path: Path, rate_hz: int) -> Any:
    """The file, not yet read."""
    soundfile = _soundfile()
    _check_readable(path)
    try:
        return soundfile.SoundFile(str(path))
    except soundfile.LibsndfileError as problem:
        raise SourceError(f"{path} cannot be read as audio ({problem.error_string}); wav, flac or "
                          f"ogg is needed. Convert it: sox {path} -r {rate_hz} -c 1 out.wav"
                          ) from problem


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError) as problem:  # OSError: libsndfile itself is missing
        raise SourceError('Reading recordings needs soundfile: pip install "edgernn[audio]" '
                          "(on a system without its wheel also: apt install libsndfile1)"
                          ) from problem
    module: ModuleType = soundfile
    return module


def _check_readable(path: Path) -> None:
    """libsndfile says "System error" to all of these."""
    if path.is_dir():
        raise SourceError(f"{path} is not a file but a folder; a recording is needed. Name one "
                          "in it.")
    if path.exists() and not path.is_file():
        raise SourceError(f"{path} is not a file; a recording is needed. To read a pipe or a "
                          f"device, send raw s16le to stdin: --input - < {path}")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the path
        reason = getattr(problem, "strerror", None) or problem
        raise SourceError(f"{path} cannot be opened ({reason}); a recording is "
                          "needed. Check the name.") from problem
    if empty:
        raise SourceError(f"{path} is empty, 0 bytes; a recording is needed. Record it again.")


def check_length(path: Path, frames: int) -> None:
    """Refuse a file of which libsndfile knows no length, by a SourceError."""
    if frames == UNKNOWN_FRAMES:
        raise SourceError(f"{path} does not say how long it is, as a flac that was written to "
                          f"a pipe; a length was needed. Convert it: sox {path} new.flac")


def check_whole(path: Path, tolerated: int = 0) -> None:
    """Refuse a wav that ends before its header says so.

    libsndfile plays what is left of it and says nothing: header and file are compared.

    Parameters
    ----------
    path : Path
    tolerated : int
        Bytes that may be missing.

    Raises
    ------
    SourceError
    OSError
        If it cannot be opened.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        order = ORDERS.get(head[:4])
        if not order or head[8:] != b"WAVE":
            return
        long = 0
        while len(chunk := file.read(8)) == 8:
            length, start = int.from_bytes(chunk[4:], order), file.tell()
            if chunk[:4] == b"ds64":  # RF64's 64 bits of the whole length, then of the data's
                long = int.from_bytes(file.read(16)[8:], order)
            if chunk[:4] == b"data":
                promised = long or (length if length < UNKNOWN_LENGTH else 0)
                if start + promised > size + tolerated:
                    raise SourceError(f"{path} is cut short: its header promises {promised} bytes "
                                      f"of audio, {size - start} are there. Copy or record it "
                                      "again.")
                return
            file.seek(start + length + length % 2)
