"""How far a recording has been heard, on a terminal."""

import sys
from collections.abc import Iterable, Iterator
from types import TracebackType

from edgernn.frames import Frame


class Progress:
    """The frames of a source, with a bar on stderr; use it in a `with` block.

    Parameters
    ----------
    frames : iterable of Frame
    duration_s : float
        Seconds they last.
    """

    def __init__(self, frames: Iterable[Frame], duration_s: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._frames = frames
        self._bars = Bars(TextColumn("{task.completed:.0f} of {task.total:.0f} s"), BarColumn(),
                          TaskProgressColumn(), TimeRemainingColumn(),
                          console=Console(stderr=True), transient=True,
                          redirect_stdout=sys.stdout.isatty())
        self._task = self._bars.add_task("", total=duration_s)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            yield frame
            self._bars.update(self._task, completed=frame.time_s)

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._bars.stop()
