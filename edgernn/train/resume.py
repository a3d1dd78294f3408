"""A training, from its last checkpoint to its end."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from edgernn.errors import OutputError
from edgernn.train.checkpoint import Checkpoint
from edgernn.train.folder import Unfinished


class Resumable(Protocol):
    """A training under way: all that it remembers from epoch to epoch is in a checkpoint."""

    history: list[Any]
    """A line of history.csv for each epoch so far."""

    @property
    def done(self) -> bool:
        """Whether no epoch is to come."""

    def epoch(self) -> Any:
        """Go once through the lessons; gives the line of history.csv."""

    def checkpoint(self, origin: Mapping[str, str]) -> Checkpoint:
        """All that the epochs to come depend on, for a run of that origin."""

    def restore(self, checkpoint: Checkpoint) -> None:
        """Be as the training was that gave `checkpoint`."""


def run(loop: Resumable, known: dict[str, str], place: Unfinished, progress: Callable[[Any], None],
        overwrite: bool, every: int) -> None:
    """Train to the end, from the last checkpoint of the same run if there is one.

    Parameters
    ----------
    loop : Resumable
    known : dict
        What the run is made of; see `edgernn.train.checkpoint.Checkpoint`.
    place : Unfinished
        Where its checkpoint is.
    progress : callable
        Told of each epoch, and of the last one before if the run goes on.
    overwrite : bool
        Begin anew if the checkpoint is another run's.
    every : int
        Epochs from one checkpoint to the next; 0: none.

    Raises
    ------
    OutputError
        If the checkpoint cannot be read, or is another run's.
    """
    if place.checkpoint.exists():
        try:
            kept = Checkpoint.load(place.checkpoint, known)
        except OutputError:
            if not overwrite:
                raise
        else:
            loop.restore(kept)
            progress(loop.history[-1])
    while not loop.done:
        progress(loop.epoch())
        if every and len(loop.history) % every == 0:
            loop.checkpoint(known).save(place.checkpoint)
