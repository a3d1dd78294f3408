"""espeak-ng through ctypes: text in, samples and word times out.

The library and its voices come from the package `espeakng-loader` (extra
`synth`).  espeak-ng is GPLv3 software; what it says is not covered by its
licence, any more than a text is by its editor's.
"""

import _ctypes
import ctypes
import functools
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import DataError

ACCENTS = ("en-us", "en-us", "en-us-nyc", "gmw/en", "en-gb-x-rp", "en-gb-scotland", "en-029",
           "en-gb-x-gbclan", "en-gb-x-gbcwmd")
"""English as espeak-ng knows it; the commonest counts twice."""
UNNATURAL = ("whisper", "whisperf", "croak", "Demonic", "fast")
"""Variants that are nobody's voice."""

RETRIEVAL = 1       # AUDIO_OUTPUT_RETRIEVAL: samples come to a callback, none are played
UTF8 = 1            # espeakCHARS_UTF8
PHONEMES = 0x100    # espeakPHONEMES: [[...]] in the text is read as phonemes
SEPARATED = ord("|") << 8  # phonememode: a | between phonemes, as [[...]] takes it
RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4  # espeak_PARAMETER
WORD, END_OF_LIST = 1, 0                 # espeak_EVENT_TYPE


def variants() -> list[str]:
    """Names that may follow ``+`` in a voice, sorted."""
    return sorted(os.listdir(os.path.join(_loader().get_data_path(), "voices", "!v")))


def _loader() -> Any:
    try:
        import espeakng_loader
    except ImportError as problem:
        raise DataError('espeakng-loader was not found, and without it nothing can be spoken. '
                        'Install it: pip install "edgernn[synth]"') from problem
    return espeakng_loader


@functools.cache
def the_espeak() -> "Espeak":
    """The synthesizer of this process: a second `Espeak` waits for the first for ever.

    Raises
    ------
    DataError
        If espeak-ng is not installed or does not start.
    """
    return Espeak()


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", ctypes.c_char * 8),
    ]


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int,
                            ctypes.POINTER(Event))


@dataclass(frozen=True)
class Utterance:
    """What one call of `Espeak.say` gives."""

    samples: NDArray[np.int16]
    """Mono, at `Espeak.sample_rate_hz`, with the silence espeak-ng puts at the ends."""
    word_starts: tuple[tuple[int, int], ...]
    """(character position in the text, from 1; sample index) at the start of each word."""


class Espeak:
    """One synthesizer; the library keeps global state: have `the_espeak` alone.

    Raises
    ------
    DataError
        If espeak-ng is not installed or does not start.
    """

    def __init__(self) -> None:
        self._samples: list[NDArray[np.int16]] = []
        self._words: list[tuple[int, int]] = []
        self._callback = CALLBACK(self._receive)  # kept: ctypes holds no reference of its own
        self._begin()

    def _begin(self) -> None:
        """Load the library, whose memory is then as at the start of a process."""
        loader = _loader()
        try:
            self._library = ctypes.CDLL(loader.get_library_path())
        except OSError as problem:
            raise DataError(f"espeak-ng cannot be loaded ({problem}). Install it again: "
                            "pip install --force-reinstall espeakng-loader") from problem
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        data = loader.get_data_path().encode()
        self.sample_rate_hz = self._library.espeak_Initialize(RETRIEVAL, 0, data, 0)
        if self.sample_rate_hz <= 0:
            raise DataError("espeak-ng did not start; its data was expected at "
                               f"{data.decode()}. Install it again: pip install espeakng-loader")
        self._library.espeak_SetSynthCallback(self._callback)

    def _begin_anew(self) -> None:
        """Forget what was said: phases and filters of the last voice would sound in the next.

        espeak_Terminate leaves them; only unloading the library clears its memory (0.8 ms).
        """
        self._library.espeak_Terminate()
        _ctypes.dlclose(self._library._handle)
        self._begin()

    def _receive(self, samples, count, events) -> int:  # type: ignore[no-untyped-def]
        if samples and count > 0:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != END_OF_LIST:
            if events[index].type == WORD:
                self._words.append((events[index].text_position, events[index].sample))
            index += 1
        return 0

    def say(self, text: str, voice: str = "en-us", words_per_minute: int = 160,
            pitch: int = 50, pitch_range: int = 50, seed: int | None = None) -> Utterance:
        """Speak `text`; the voice is a language with an optional variant: ``en-us+f3``.

        pitch and pitch_range go from 0 to 100; `seed` (1 or more) is that of espeak-ng's random
        numbers.  The same arguments give the same samples, whatever was said before.

        Raises
        ------
        DataError
            If there is no such voice.
        """
        self._begin_anew()
        self._choose(voice)
        if seed is not None:
            self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
            self._library.srand(seed)  # libc's: its Klatt voices draw their breath from rand
        for parameter, value in ((RATE, words_per_minute), (PITCH, pitch), (RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._samples, self._words = [], []
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 1, 0, UTF8 | PHONEMES, None, None)
        self._library.espeak_Synchronize()
        samples = np.concatenate(self._samples) if self._samples else np.zeros(0, np.int16)
        return Utterance(samples, tuple(self._words))

    def phonemes(self, text: str, voice: str = "en-us") -> list[list[str]]:
        """How a voice says `text`: of each word its phonemes, in espeak-ng's own mnemonics.

        A stressed vowel has ``'`` or ``,`` before it.

        Raises
        ------
        DataError
            If there is no such voice.
        """
        self._choose(voice)
        left = ctypes.c_char_p(text.encode())
        words: list[list[str]] = []
        while left.value:
            found = self._library.espeak_TextToPhonemes(ctypes.byref(left), UTF8, SEPARATED)
            words += [word.split("|") for word in found.decode().split()]
        return words

    def _choose(self, voice: str) -> None:
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise DataError(f"espeak-ng has no voice {voice!r}; a language such as en-us was "
                            "needed, with a variant behind it if you like: en-us+f3")
