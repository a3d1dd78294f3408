"""How loud a microphone is, as it goes: a bar, or lines."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
import numpy as np

from edgernn.sources.levels import dbfs

SHOWN_S = 0.1
"""Seconds of sound that the bar shows."""
LINE_S = 0.5
"""Seconds of sound in a line."""
WIDTH = 40
FLOOR_DBFS = -80.0
"""Where the bar begins; it ends at 0."""


def show_levels(microphone: Any, seconds: float | None, *, bar: bool) -> None:
    """Show the levels of a microphone, for so many seconds of sound or without end.

    Parameters
    ----------
    microphone : edgernn.sources.Microphone
    seconds : float or None
    bar : bool
        Draw on the terminal that stdout is; otherwise print JSON lines: `time_s`, `peak_dbfs`
        and `rms_dbfs` (null where every sample was 0), and how many samples were `clipped`,
        at the device or by the gain.
    """
    with _bar() if bar else contextlib.nullcontext(_print_line) as show:
        parts: list[Any] = []
        clipped = 0
        every = round((SHOWN_S if bar else LINE_S) * microphone.rate_hz)
        for frame in microphone:
            parts.append(frame.samples)
            end_s = frame.time_s + len(frame.samples) / microphone.rate_hz
            if sum(map(len, parts)) >= every:
                counts = microphone.counts
                before, clipped = clipped, counts["clipped"] + counts["saturated"]
                show(level(np.concatenate(parts), end_s) | {"clipped": clipped - before})
                parts = []
            if seconds is not None and end_s >= seconds:
                return


def level(samples: Any, time_s: float) -> dict[str, float | None]:
    """Peak and RMS of int16 samples, to a tenth of a decibel; None where every sample is 0."""
    real = samples.astype(np.float64)
    amplitudes = {"peak_dbfs": float(np.abs(real).max()),
                  "rms_dbfs": float(np.sqrt(np.mean(real ** 2)))}
    return {"time_s": round(time_s, 2)} | {
        name: round(dbfs(amplitude), 1) if amplitude else None
        for name, amplitude in amplitudes.items()}


def picture(shown: dict[str, Any]) -> str:
    """A bar up to the RMS, lighter up to the peak, and both in numbers."""
    rms, peak = (_cells(shown[name]) for name in ("rms_dbfs", "peak_dbfs"))
    numbers = "  ".join(f"{name[:-5]} {_number(shown[name])}" for name in ("peak_dbfs", "rms_dbfs"))
    clips = f"  clips: {shown['clipped']} samples" if shown["clipped"] else ""
    return f"{'█' * rms + '░' * (peak - rms):<{WIDTH}} {numbers} dBFS{clips}"


def _cells(value: float | None) -> int:
    share = 0.0 if value is None else 1 - value / FLOOR_DBFS
    return round(WIDTH * min(1.0, max(0.0, share)))


def _number(value: float | None) -> str:
    return f"{'-inf' if value is None else format(value, '.1f'):>6}"


def _print_line(shown: dict[str, Any]) -> None:
    click.echo(json.dumps(shown))


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[dict[str, Any]], None]]:
    from rich.live import Live
    from rich.text import Text

    drawn_s = 0.0
    with Live(auto_refresh=False) as live:
        def draw(shown: dict[str, Any]) -> None:
            nonlocal drawn_s
            # After SIGCONT a burst comes, which nobody can see.
            if time.monotonic() - drawn_s >= SHOWN_S / 2:
                drawn_s = time.monotonic()
                live.update(Text(picture(shown)), refresh=True)

        yield draw
