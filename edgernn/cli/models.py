"""Which model a verb is about."""

from importlib import resources
from pathlib import Path

BUNDLED = Path(str(resources.files("edgernn") / "models" / "wakeword.tflite"))
"""The wake-word model that comes with edgernn: "computer" and "alexa"."""
VOICE = BUNDLED.with_name("voice.tflite")
"""The model of voice activity that comes with it: what `--gate voice` means."""
