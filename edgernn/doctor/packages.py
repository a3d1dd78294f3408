"""Packages that are here, that are not, and that do not go together."""

import importlib.metadata
from collections.abc import Iterator

from edgernn.doctor.finding import FAIL, INFO, OK, Finding

EXTRAS = {
    "audio": (("sounddevice", "soundfile", "soxr"), "microphones and audio files"),
    "serial": (("pyserial",), "sensors at a serial port"),
    "mqtt": (("paho-mqtt",), "MQTT and Home Assistant"),
    "wyoming": (("wyoming",), "the wake word server"),
    "web": (("aiohttp",), "the page of --web"),
    "train": (("tensorflow", "keras"), "training, which a device does not do"),
}
"""What each extra is made of, and what it is for."""


def version(package: str) -> str | None:
    """Of a package, or None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def extras() -> Iterator[Finding]:
    """numpy, and every extra."""
    yield Finding("numpy", OK, version("numpy") or "unknown version")
    for extra, (names, purpose) in EXTRAS.items():
        found = {name: version(name) for name in names}
        missing = [name for name, number in found.items() if number is None]
        if missing:
            yield Finding(f"extra {extra}", INFO, f"{', '.join(missing)} not here; for {purpose}",
                          f'pip install "edgernn[{extra}]"')
        else:
            yield Finding(f"extra {extra}", OK, ", ".join(
                f"{name} {number}" for name, number in found.items()))


def numpy_clash() -> Iterator[Finding]:
    """tflite-runtime was built against numpy 1, and crashes with numpy 2."""
    numpy, runtime = version("numpy"), version("tflite-runtime")
    if numpy and runtime and int(numpy.split(".")[0]) >= 2:
        yield Finding("numpy clash", FAIL, f"tflite-runtime {runtime} was built for numpy 1; "
                      f"numpy {numpy} is here", "pip install 'numpy<2', or better its successor: "
                      "pip uninstall tflite-runtime && pip install ai-edge-litert")
