"""A bar per label on a terminal, as it goes."""

import sys
import time
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

BAR = 40
REDRAW_S = 0.05


class Meter:
    """Live scores on stderr; use it in a `with` block.

    Parameters
    ----------
    labels : tuple of str
        What each score means.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        self._text = Text
        self._labels = labels
        self._drawn_s = 0.0
        # stdout is redirected above the bars only where both are a terminal: a pipe gets
        # its lines untouched.
        self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True,
                          redirect_stdout=sys.stdout.isatty())

    def scores(self, scores: NDArray[np.float32], time_s: float) -> None:
        """Draw, twenty times a second at most."""
        now = time.monotonic()
        if now - self._drawn_s >= REDRAW_S:
            self._drawn_s = now
            # As Text: a label in square brackets is no markup.
            self._live.update(self._text(self.picture(scores, time_s)), refresh=True)

    def picture(self, scores: NDArray[np.float32], time_s: float) -> str:
        """The bars as text."""
        width = max(map(len, self._labels))
        lines = [f"{label:>{width}} {'█' * round(BAR * float(p)):<{BAR}} {p:5.2f}"
                 for label, p in zip(self._labels, scores, strict=True)]
        return "\n".join([*lines, f"{time_s:{width + BAR + 5}.1f} s"])

    def __enter__(self) -> "Meter":
        self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._live.__exit__(kind, problem, trace)
