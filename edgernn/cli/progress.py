"""How far a long piece of work is, and what it says meanwhile, on stderr."""

import contextlib
from collections.abc import Callable, Iterator

Tell = Callable[[str], None]
Progress = Callable[[int, int], None]


@contextlib.contextmanager
def told(what: str) -> Iterator[tuple[Tell, Progress]]:
    """A bar that counts `what`: where to say a line, and where to say done and total."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None, visible=False)

        def tell(message: str) -> None:
            console.print(message, highlight=False, markup=False, soft_wrap=True)

        def progress(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, visible=True)

        yield tell, progress
