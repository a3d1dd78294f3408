"""Microphones, and the rates they take."""

import platform
from collections.abc import Iterator

from edgernn.doctor.finding import INFO, OK, WARN, Finding
from edgernn.errors import SourceError

RATES = (8000, 16000, 44100, 48000)
SHOWN = 8
"""Devices that are looked at: PortAudio lists dozens of ALSA's names for one card."""


def microphones() -> Iterator[Finding]:
    """PortAudio, every device that records, and at which rates."""
    from edgernn.sources.devices import list_devices, portaudio

    try:
        sounddevice = portaudio()
        devices = list_devices()
    except SourceError as problem:
        found, _, fix = str(problem).partition(". ")
        yield Finding("PortAudio", INFO, found, fix)
        return
    yield Finding("PortAudio", OK, sounddevice.get_portaudio_version()[1])
    if not devices:
        yield Finding("microphones", WARN, "none is seen",
                      "plug one in; `arecord -l` must list it, and no container hide /dev/snd"
                      if platform.system() == "Linux" else "plug one in, and permit its use")
    for device in sorted(devices, key=lambda each: not each.default)[:SHOWN]:
        rates = [rate for rate in RATES if device.accepts(rate)]
        name = f"microphone {device.number}"
        said = f"{device.name}, {device.channels} channels" + (", the default" if device.default
                                                               else "")
        if rates:
            yield Finding(name, OK, f"{said}, at {', '.join(map(str, rates))} Hz")
        else:
            yield Finding(name, WARN, f"{said}: opens at none of {', '.join(map(str, RATES))} Hz",
                          "another program may hold it; close that, or choose another --device")


def sound_files() -> Iterator[Finding]:
    """libsndfile, behind the package soundfile."""
    try:
        import soundfile
    except (ImportError, OSError):
        yield Finding("audio files", INFO, "soundfile is not here: wav, flac and others cannot "
                      "be read", 'pip install "edgernn[audio]"')
    else:
        yield Finding("audio files", OK, soundfile.__libsndfile_version__)
