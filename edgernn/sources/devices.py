"""Microphones as PortAudio names them."""

from dataclasses import dataclass
from types import ModuleType

from edgernn.errors import SourceError


@dataclass(frozen=True)
class Device:
    """Something that records."""

    number: int
    """What `--device` takes; may change when devices are plugged in or out."""
    name: str
    channels: int
    """Most channels it records at once."""
    rate_hz: float
    """Its usual sample rate."""
    default: bool
    """Whether it is used when none is named."""


def portaudio() -> ModuleType:
    """The sounddevice package, with PortAudio behind it.

    Raises
    ------
    SourceError
        If either is not installed; the message says how to.
    """
    try:
        import sounddevice
    except ImportError as problem:
        raise SourceError("The microphone needs the package sounddevice. Install it: "
                          'pip install "edgernn[audio]"') from problem
    except OSError as problem:
        raise SourceError(f"The microphone needs PortAudio ({problem}). Install it: "
                          "sudo apt install libportaudio2") from problem
    module: ModuleType = sounddevice
    return module


def list_devices() -> list[Device]:
    """Every device that records, in the order of its number; none is an empty list.

    Raises
    ------
    SourceError
        If PortAudio is not installed.
    """
    sounddevice = portaudio()
    usual = sounddevice.default.device[0]
    return [Device(number, entry["name"], entry["max_input_channels"],
                   entry["default_samplerate"], number == usual)
            for number, entry in enumerate(sounddevice.query_devices())
            if entry["max_input_channels"] > 0]


def find_device(wanted: int | str | None = None) -> Device:
    """The device of that number or name.

    Parameters
    ----------
    wanted : int, str or None
        A number, digits, or any part of a name, upper or lower case; a name
        spelled out wins over those that only contain it.  None: the default.

    Raises
    ------
    SourceError
        If there is no such device, or several; the message lists those there are.
    """
    devices = list_devices()
    if not devices:
        raise SourceError("No microphone was found; one is needed. Plug one in, and see that "
                          "`arecord -l` lists it and that no container hides /dev/snd.")
    if wanted is None:
        found = [device for device in devices if device.default] or devices[:1]
    elif isinstance(wanted, int) or wanted.isdecimal():
        found = [device for device in devices if device.number == int(wanted)]
    else:
        name = wanted.casefold()
        found = ([device for device in devices if device.name.casefold() == name]
                 or [device for device in devices if name in device.name.casefold()])
    if len(found) == 1:
        return found[0]
    how_many = "several devices" if found else "no device that records"
    raise SourceError(f"--device {wanted} is {how_many}; one of these is needed, by number: "
                      + "; ".join(f"{device.number} {device.name}" for device in found or devices))
