"""PortAudio itself: loaded when it is needed, and made to look for devices anew."""

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from types import ModuleType

from edgernn.errors import SourceError

LOCK = threading.RLock()
"""Held while a stream is opened or closed, or devices are looked for: PortAudio is one to a
process, and not made for several threads."""

_recording: set[int] = set()
"""Who has a stream open; all of these would break if PortAudio were ended."""


def portaudio() -> ModuleType:
    """The sounddevice package, with PortAudio behind it.

    Raises
    ------
    SourceError
        If either is not installed, or does not begin; the message says what to do.
    """
    try:
        with LOCK, _quiet_alsa():  # the first import looks for devices
            import sounddevice
    except ImportError as problem:
        raise SourceError("The microphone needs the package sounddevice. Install it: "
                          'pip install "edgernn[audio]"') from problem
    except OSError as problem:
        raise SourceError(f"The microphone needs PortAudio ({problem}). Install it: "
                          "sudo apt install libportaudio2") from problem
    except Exception as problem:  # a PortAudioError, of the module that did not load
        raise _refusal(problem) from problem
    module: ModuleType = sounddevice
    return module


def began(stream: object) -> None:
    """Note that a stream is open."""
    _recording.add(id(stream))


def ended(stream: object) -> None:
    """Note that it is open no more."""
    _recording.discard(id(stream))


def refresh() -> None:
    """Look for devices anew, for PortAudio does so only when it begins.

    While another stream of this process records nothing is done, since that one would break.
    A device that comes back under its old number can be opened then too.
    """
    sounddevice = portaudio()
    with LOCK, _quiet_alsa():
        if _recording:
            return
        # Not begun where the last try to begin failed.
        with contextlib.suppress(sounddevice.PortAudioError):
            sounddevice._terminate()
        try:
            sounddevice._initialize()
        except sounddevice.PortAudioError as problem:
            raise _refusal(problem) from problem


def _refusal(problem: Exception) -> SourceError:
    return SourceError(f"PortAudio cannot look for devices ({problem.args[0]}). Is the sound "
                       "server being restarted, or an asoundrc wrong? `arecord -L` says more.")


@contextlib.contextmanager
def _quiet_alsa() -> Iterator[None]:
    """Keep what ALSA says of every device that it knows by name and cannot open to itself.

    PortAudio tries them all, so that is a page of text, again and again while a microphone
    is waited for.  What goes wrong with a device that is used, PortAudio says.
    """
    try:
        alsa = ctypes.CDLL("libasound.so.2")
    except OSError:  # another system
        yield
        return
    alsa.snd_lib_error_set_handler(_say_nothing)
    try:
        yield
    finally:
        alsa.snd_lib_error_set_handler(None)


# As snd_lib_error_handler_t but for the arguments that vary, which are never looked at.
@ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int,
                  ctypes.c_char_p)
def _say_nothing(*_: object) -> None:
    """Nothing."""
