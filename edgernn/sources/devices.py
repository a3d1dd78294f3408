"""Microphones as PortAudio names them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgernn.errors import SourceError
from edgernn.sources.portaudio import LOCK, portaudio

SOUND_SERVERS = ("pulse", "pipewire", "jack")
"""Devices of ALSA behind which a sound server is, which resamples well."""


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
    host: str = ""
    """The system's interface to it, such as ALSA."""

    def accepts(self, rate_hz: int) -> bool:
        """Whether it says that it records at this rate, by itself or by converting.

        False also while another program has it for itself.
        """
        sounddevice = portaudio()
        try:
            with LOCK:
                sounddevice.check_input_settings(device=self.number, channels=1, dtype="int16",
                                                 samplerate=rate_hz)
        except sounddevice.PortAudioError as problem:
            # Several channels may be all it has.
            if self.channels < 2 or problem.args[1:2] != (-9998,):
                return False
            try:
                with LOCK:
                    sounddevice.check_input_settings(device=self.number, channels=self.channels,
                                                     dtype="int16", samplerate=rate_hz)
            except sounddevice.PortAudioError:
                return False
        return True


def list_devices() -> list[Device]:
    """Every device that records, in the order of its number; none is an empty list.

    Raises
    ------
    SourceError
        If PortAudio is not installed.
    """
    sounddevice = portaudio()
    with LOCK:
        usual = sounddevice.default.device[0]
        hosts = [host["name"] for host in sounddevice.query_hostapis()]
        return [Device(number, entry["name"], entry["max_input_channels"],
                       entry["default_samplerate"], number == usual, hosts[entry["hostapi"]])
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


def find_again(before: Device, devices: Sequence[Device]) -> Device | None:
    """The same device after it was unplugged: by name, since numbers change.

    ALSA's names end with the number of the card, ``(hw:1,0)``, which changes too: where no
    name is the same, that is left out.  Of several twins the first is taken.
    """
    for name in (str, _without_card):
        for device in devices:
            if name(device.name) == name(before.name):
                return device
    return None


def converts_badly(device: Device, devices: Sequence[Device]) -> bool:
    """Whether a rate that the hardware has not is made by ALSA itself.

    ALSA converts by drawing straight lines between samples where the package
    libasound2-plugins is missing, so that what is above the new rate folds into speech.  That
    is so of its devices that are no hardware (``hw:``), on a system without a sound server.
    """
    return (device.host == "ALSA" and "hw:" not in device.name
            and not any(other.name in SOUND_SERVERS for other in devices))


def _without_card(name: str) -> str:
    return re.sub(r"\s*\(hw:\d+,\d+\)$", "", name)
