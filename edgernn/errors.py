"""Every error edgernn raises on purpose.

    EdgernnError
    ├── ModelError      the .tflite or its edgernn.json cannot be used
    ├── BackendError    no interpreter, or one that misbehaves
    ├── FeatureError    a frame of the wrong width, type, or with NaN
    ├── SourceError     a microphone, file or pipe that cannot be read
    ├── DataError       a training set that cannot be used
    ├── ConfigError     a training option that makes no sense
    ├── QuantizeError   a network an int8 step cannot represent
    ├── OutputError     a file or sink that cannot be written
    └── StateError      saved states of streams that cannot be used

Each message says what was found, what was needed, and what to do.  The command
line prints the message alone and exits with 1; anything else that escapes is a
defect of edgernn.
"""


class EdgernnError(Exception):
    """What all of them share."""


class ModelError(EdgernnError):
    """The model file cannot be used."""


class BackendError(EdgernnError):
    """No interpreter can be loaded, or the one loaded does not behave."""


class FeatureError(EdgernnError, ValueError):
    """A frame of features cannot be given to the model."""


class SourceError(EdgernnError):
    """Audio or sensor rows cannot be read."""


class DataError(EdgernnError):
    """A training set cannot be used."""


class ConfigError(EdgernnError):
    """A training option makes no sense."""


class QuantizeError(EdgernnError):
    """The trained network cannot be represented as an int8 step."""


class OutputError(EdgernnError):
    """A file, or whatever else takes detections, cannot be written."""


class StateError(EdgernnError):
    """States that were saved cannot be gone on from."""
