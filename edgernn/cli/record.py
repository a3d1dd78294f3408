"""`edgernn record`: one's own clips, word by word."""

import dataclasses
import hashlib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgernn.cli.mic_options import LISTENING, WATCHING, WantedMicrophone, gather
from edgernn.cli.numbers import FiniteRange
from edgernn.errors import SourceError
from edgernn.spec import LABEL

LEAST_S = 1
"""Of a room: less is noise that nobody can learn from, down to no sample at all."""
LEAST_MINUTES = 0.02
"""To ask for: `LEAST_S` and a little, in a round number."""


@click.command()
@click.option("--label", required=True, help="What will be said, as the model is to call it.")
@click.option("--count", type=click.IntRange(1), default=20, show_default=True,
              help="Good clips there should be of it by this speaker.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True,
              help="Folder to make, or to go on with; `edgernn train` takes it.")
@click.option("--speaker", default="", help="Who speaks; models are judged by speakers held out.")
@click.option("--background", type=FiniteRange(LEAST_MINUTES), metavar="MINUTES",
              help="Record the room instead, all of it, as noise or negatives.")
@click.option("--rate", "rate_hz", type=click.IntRange(8000, 48000), default=16000,
              show_default=True, help="Samples per second to keep.")
@click.option("--input", "source", default="mic", show_default=True,
              help="mic, or an audio file to take the clips from.")
def command(label: str, count: int, out: Path, speaker: str, background: float | None,
            rate_hz: int, source: str, **named: Any) -> None:
    """Record clips of one word, checked and trimmed.

    Say the word when asked, with a pause after it. Each clip is found by its loudness, judged
    (too quiet, too loud, too noisy, cut short: it says so and asks again), trimmed and kept in
    OUT/LABEL. The same command goes on where it was stopped, in a recording behind the last clip
    that was taken of it; Ctrl-C loses nothing that was kept.
    """
    from edgernn.recording.clips import Clips

    if not LABEL.fullmatch(label):
        raise click.UsageError(f"--label {label!r}: letters, digits, spaces and _ . - + ' were "
                               "needed, no space or dot at its end, since it becomes a folder's "
                               "name")
    wanted = gather(named)
    if source != "mic":
        wanted.refuse("--input is a file")
    with _opened(source, wanted, rate_hz) as heard:
        clips = Clips(out, rate_hz, "" if source == "mic" else _sha256(Path(source)))
        there = clips.count(label, speaker)
        try:
            kept = _room(clips, label, speaker, heard, background) if background else \
                _words(clips, label, speaker, heard, count - there, there)
        except KeyboardInterrupt:  # the way to stop; every clip kept so far is whole
            kept = clips.count(label, speaker) - there
    print(json.dumps({"out": str(out), "label": label, "kept": kept, "there": there + kept}),
          flush=True)


for _option in (*LISTENING, *WATCHING):
    command = _option(command)


def _opened(source: str, wanted: WantedMicrophone, rate_hz: int) -> Any:
    if source == "mic":
        return wanted.open(rate_hz, rate_hz // 50)
    from edgernn.sources.wav import ResampledWav

    return ResampledWav(source, rate_hz, rate_hz // 50)


def _sha256(path: Path) -> str:
    """Of a recording, by which it is known again wherever it is."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def _words(clips: Any, label: str, speaker: str, heard: Any, missing: int, there: int) -> int:
    """How many good ones were kept."""
    from edgernn.recording.takes import Takes

    takes, kept, asked = Takes(clips.rate_hz), 0, False
    if missing < 1:
        _say(f"there are {there} of {label!r} already; a larger --count asks for more")
        return 0
    taken_s = _told(clips, heard)
    _say("quiet, please: listening to the room")
    for frame in itertools.chain(heard, (None,)):
        if frame is not None and frame.gap:
            _say("audio was lost; the word that was being said is left out")
            takes, asked = Takes(clips.rate_hz), False
        found = takes.end() if frame is None else takes.push(frame.samples)
        for take in (each for each in found if each.begin_s >= taken_s):
            kept += _judged(clips, label, speaker, take)
            if kept == missing:
                return kept
        if frame is not None and takes.listening and (found or not asked):
            asked = True
            _say(f"[{there + kept + 1}/{there + missing}] say {label!r}")
    if not kept:
        raise SourceError(_taken(taken_s) or "no good clip was found before the audio ended. Say "
                          "the word alone, with half a second of quiet around it")
    _say(f"the audio ended with {there + kept} of {there + missing}; "
         f"{'another recording' if clips.source else 'the same command'} goes on")
    return kept


def _told(clips: Any, heard: Any) -> float:
    """Seconds of the recording that were taken before, which is said."""
    from edgernn.sources.wav import ResampledWav

    taken_s: float = clips.taken_s()
    if clips.source and not taken_s:
        with ResampledWav(heard.path, clips.rate_hz, clips.rate_hz) as again:
            taken_s = clips.found_s(again)
    if taken_s:
        _say(f"clips were taken of the first {taken_s:.2f} s of this recording before; going on "
             "behind them")
    return taken_s


def _taken(taken_s: float) -> str:
    """Why nothing was found, if it is that."""
    if not taken_s:
        return ""
    return (f"nothing to keep was found behind the first {taken_s:.2f} s, of which clips were "
            "taken before. Give another recording, or delete those clips to take them again")


def _judged(clips: Any, label: str, speaker: str, take: Any) -> bool:
    """Whether it was good enough to be kept, which is said."""
    if take.fault:
        _say(take.fault)
        return False
    path = clips.add(label, speaker, take.samples, take.end_s)
    _say(f"kept {path.name}: {len(take.samples) / clips.rate_hz:.2f} s, peak "
         f"{take.peak_dbfs:.0f} dBFS, {take.loud_dbfs - take.floor_dbfs:.0f} dB over the room")
    return True


def _room(clips: Any, label: str, speaker: str, heard: Any, minutes: float) -> int:
    """All that is heard, a minute a clip: what ends it early costs none of those before.

    A rest of less than `LEAST_S` is not kept.
    """
    minute = clips.rate_hz * 60
    taken_s = _told(clips, heard)
    begin = round(taken_s * clips.rate_hz)
    wanted, kept, count = round(minutes * minute), 0, 0
    pieces: list[Any] = []

    def keep() -> None:
        nonlocal kept
        path = clips.add(label, speaker, np.concatenate(pieces), (begin + count) / clips.rate_hz)
        kept += 1
        _say(f"kept {path}: {sum(len(piece) for piece in pieces) / clips.rate_hz:.0f} s")
        pieces.clear()

    _say(f"recording {minutes:g} minutes; Ctrl-C ends it earlier")
    try:
        for frame in _behind(heard, begin):
            if frame.gap:
                _say(f"{frame.gap / clips.rate_hz:.2f} s of audio were lost here")
            pieces.append(frame.samples[:wanted - count].copy())
            count += len(pieces[-1])
            if sum(len(piece) for piece in pieces) >= minute:
                keep()
            if count >= wanted:
                break
    except KeyboardInterrupt:
        pass
    finally:
        if sum(len(piece) for piece in pieces) >= LEAST_S * clips.rate_hz:
            keep()
    if not kept:
        raise SourceError(_taken(taken_s) or f"nothing was heard, or less than {LEAST_S} s. See "
                          "that the microphone is on: edgernn devices --level")
    return kept


def _behind(heard: Iterable[Any], begin: int) -> Iterator[Any]:
    """Frames without their first `begin` samples."""
    for frame in heard:
        samples = frame.samples[begin:]
        begin = max(0, begin - len(frame.samples))
        if len(samples):
            yield dataclasses.replace(frame, samples=samples)


def _say(text: str) -> None:
    print(f"edgernn: {text}", file=sys.stderr, flush=True)
