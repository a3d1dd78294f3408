"""Steps of notes as a MIDI file."""

from collections.abc import Sequence
from pathlib import Path

from edgernn import files
from edgernn.errors import ConfigError

TICKS = 480
"""Of a quarter note."""
VELOCITY = 80


def write(path: Path, steps: Sequence[Sequence[int]], tempo_bpm: float = 90.0) -> None:
    """Write steps of MIDI notes, one quarter each; a note in two steps on end is held.

    Parameters
    ----------
    path : Path
        Written whole or not at all.
    steps : sequence of sequences of int
        Notes 0 to 127 that sound in each step.
    tempo_bpm : float
        Steps per minute.

    Raises
    ------
    ConfigError
        If mido is not installed, or a note is none.
    OutputError
        If the file cannot be written.
    """
    try:
        import mido
    except ImportError as problem:
        raise ConfigError('A MIDI file needs mido: pip install "edgernn[midi]"') from problem
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo_bpm))])
    sounding: set[int] = set()
    waited = 0
    for notes in [*map(set, steps), set()]:
        wrong = [note for note in notes if not 0 <= note <= 127]
        if wrong:
            raise ConfigError(f"a step has the note {wrong[0]}; 0 to 127 were needed")
        for kind, changed in (("note_off", sounding - notes), ("note_on", notes - sounding)):
            for note in sorted(changed):
                track.append(mido.Message(kind, note=note, velocity=VELOCITY, time=waited))
                waited = 0
        sounding = notes
        waited += TICKS
    piece = mido.MidiFile(ticks_per_beat=TICKS)
    piece.tracks.append(track)
    with files.replacing(path) as temporary:
        piece.save(str(temporary))
