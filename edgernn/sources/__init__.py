"""Where samples come from: recordings, pipes and microphones.

Each is an iterable of `edgernn.frames.Frame`, mono int16 at the model's rate, in
a `with` block.  They import their packages when they are made, not before.
"""

from edgernn.sources.devices import Device, find_device, list_devices
from edgernn.sources.microphone import Microphone
from edgernn.sources.pcm import PcmSource
from edgernn.sources.source import Source, to_int16
from edgernn.sources.wav import WavSource

__all__ = ["Device", "Microphone", "PcmSource", "Source", "WavSource", "find_device",
           "list_devices", "to_int16"]
