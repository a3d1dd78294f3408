"""One training on several devices or machines, by `tf.distribute`.

Every worker draws the same lessons from the same seed, takes its share of the rows of each batch,
and sums its gradients with the others', so each update is that of one worker on the whole batch
but for the order of additions.  The first worker, the chief, writes; the others only learn.

`multiworker` reads TF_CONFIG, such as, for the first of two,
``{"cluster": {"worker": ["10.0.0.1:9000", "10.0.0.2:9000"]}, "task": {"type": "worker",
"index": 0}}``: every machine starts the same command with its own index.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import ConfigError, OutputError
from edgernn.train.batches import Batch
from edgernn.train.config import TrainConfig
from edgernn.train.folder import Unfinished, making
from edgernn.train.models import import_keras

STRATEGIES = ("none", "mirrored", "multiworker")


@dataclass(frozen=True)
class Workers:
    """Those who learn together; alone by default."""

    strategy: Any = None
    """Of `tf.distribute`, or none."""
    chief: bool = True
    """Whether this is the one that writes."""

    @classmethod
    def start(cls, name: str) -> "Workers":
        """Workers of a strategy; it must be called before TensorFlow has computed anything.

        Parameters
        ----------
        name : str
            One of `STRATEGIES`.

        Raises
        ------
        ConfigError
            If TF_CONFIG does not say who works, or the others cannot be reached.
        """
        if name == "none":
            return cls()
        if name == "multiworker":
            index = _index(os.environ.get("TF_CONFIG", ""))
        import_keras()
        import tensorflow as tf

        if name == "mirrored":
            devices = [d.name for d in tf.config.list_logical_devices("GPU")
                       or tf.config.list_logical_devices("CPU")]
            return cls(tf.distribute.MirroredStrategy(devices))
        try:
            return cls(tf.distribute.MultiWorkerMirroredStrategy(), index == 0)
        except (tf.errors.OpError, RuntimeError, ValueError) as problem:
            raise ConfigError(f"the workers of TF_CONFIG were not reached "
                              f"({_short(problem)}); all of them were needed. Start the same "
                              "command on each, with its own index") from problem

    @property
    def count(self) -> int:
        """Replicas there are, on all machines."""
        return 1 if self.strategy is None else int(self.strategy.num_replicas_in_sync)

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where variables are made, so that every replica has them."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def place(self, out: Path, overwrite: bool
              ) -> contextlib.AbstractContextManager[Unfinished]:
        """Where the run is made: see `making`; the chief's checkpoint alone for all others."""
        return making(out, overwrite) if self.chief else contextlib.nullcontext(Unfinished.of(out))

    def filled(self, batch: Batch) -> Batch:
        """A batch with rows that count nothing, so that every replica has as many."""
        missing = -len(batch.lengths) % self.count
        if not missing:
            return batch

        def more(array: Any) -> Any:
            return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])

        weights = more(batch.weights)
        weights[-missing:] = 0
        return replace(batch, features=more(batch.features), targets=more(batch.targets),
                       weights=weights, lengths=more(batch.lengths))

    def update(self, slopes: Callable[..., tuple[Any, list[Any], list[Any]]], optimizer: Any,
               variables: list[Any], clipnorm: float, *batch: Any) -> Any:
        """Sum the gradients of all replicas' rows and change the weights once; gives the loss.

        Called inside a TensorFlow function.

        Parameters
        ----------
        slopes : callable
            From rows of `batch` to their summed loss, its gradients, and states, of which there
            are none (see `refuse`).
        optimizer : keras.optimizers.Optimizer
            Without clipping of its own: it would clip each replica's part.
        variables : list
            Keras variables in the order of the gradients.
        clipnorm : float
            Most that the norm of a variable's gradient may be, all rows together; 0: any.
        batch : tensors
            Of all replicas' rows.
        """
        import tensorflow as tf

        def one() -> Any:
            here = tf.distribute.get_replica_context()
            number, of = here.replica_id_in_sync_group, self.count
            loss, own, _ = slopes(*(tensor[number::of] for tensor in batch))
            total = here.all_reduce(tf.distribute.ReduceOp.SUM, own)
            if clipnorm:
                total = [tf.clip_by_norm(each, clipnorm) for each in total]
            # Keras sums over replicas again.
            optimizer.apply([each / of for each in total], variables)
            return loss

        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, self.strategy.run(one), axis=None)

    def agreed(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """What the chief found, for all: machines may round differently, and must not part ways."""
        if self.count == 1:
            return dict(numbers)
        import tensorflow as tf

        # Replica 0 is the chief's; what the others give is not counted.
        mine = np.array(list(numbers.values()), np.float64)

        @tf.function
        def total(values: Any) -> Any:
            first = self.strategy.run(lambda: values * tf.cast(
                tf.distribute.get_replica_context().replica_id_in_sync_group == 0, values.dtype))
            return self.strategy.reduce(tf.distribute.ReduceOp.SUM, first, axis=None)

        safe = np.nan_to_num(mine, nan=LACKING, neginf=-LACKING)
        found = total(tf.constant(safe)).numpy()
        return {name: float(np.nan if value == LACKING else -np.inf if value == -LACKING else value)
                for name, value in zip(numbers, found, strict=True)}

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Say it plainly if another worker goes away.

        Raises
        ------
        OutputError
        """
        if self.strategy is None:
            yield
            return
        import tensorflow as tf

        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError,
                tf.errors.InternalError, tf.errors.DeadlineExceededError,
                tf.errors.FailedPreconditionError) as problem:
            raise OutputError(
                f"another worker went away ({_short(problem)}); all of them were needed. Start "
                "the same command on every worker again: it goes on from the last "
                "checkpoint") from problem


def refuse(config: TrainConfig) -> None:
    """Fail before the work where several workers cannot keep the settings.

    Raises
    ------
    ConfigError
    """
    if config.task == "transduce" or config.bidirectional:
        raise ConfigError("--strategy was given, and this network reads whole sequences; one step "
                          "at a time was needed. Leave --strategy out")
    if config.tbptt or config.carry:
        raise ConfigError(f"tbptt is {config.tbptt} and carry {config.carry:g}: they keep states "
                          "from update to update, which workers do not exchange; 0 was needed. "
                          "Leave them out, or leave out --strategy")


LACKING = 1e300
"""In place of NaN, which no sum leaves alone."""
ALONE = Workers()


def _index(text: str) -> int:
    """This worker's number in TF_CONFIG.

    Raises
    ------
    ConfigError
    """
    try:
        tree = json.loads(text)
        workers, task = tree["cluster"]["worker"], tree["task"]
        index = int(task["index"])
        if not isinstance(workers, list) or set(tree["cluster"]) != {"worker"} or \
                task["type"] != "worker" or not 0 <= index < len(workers):
            raise ValueError(f"{task} in {tree['cluster']}")
    except (ValueError, KeyError, TypeError) as problem:
        raise ConfigError(
            f"TF_CONFIG is {text or 'not set'!r} ({problem}); a list of workers and this one's "
            'place in it were needed, such as {"cluster": {"worker": ["host:9000", '
            '"other:9000"]}, "task": {"type": "worker", "index": 0}}. Set it on every '
            "machine") from problem
    return index


def _short(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0][:160] if lines else type(problem).__name__
