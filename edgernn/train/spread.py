"""Jobs that need nothing of each other, computed here or on many machines, none of them twice.

Here they run one after the other; on Dask each worker takes the next.  A job is given paths, not
what they hold, so nothing large passes through this process; what workers read must be at the
same path for all.  A job whose worker is lost goes to another one.  With a folder to keep results
in, each is written there as it comes, and what is there is not computed again.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edgernn
from edgernn import files
from edgernn.errors import ConfigError, OutputError

Result = dict[str, Any]
"""Of a job: what JSON can say."""
LOST = 5
"""Workers that a job may lose before it is taken for their murderer, on a cluster of our own; a
scheduler that was there already goes by its own `distributed.scheduler.allowed-failures`."""


@dataclass(frozen=True)
class Spread:
    """Where jobs are computed, and where their results are kept."""

    scheduler: str = ""
    """Empty: here; `local`: as many processes as there are cores; or the address of a Dask
    scheduler, such as tcp://10.0.0.1:8786."""
    kept: Path | None = None

    def run(self, work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]],
            progress: Callable[[int, int], None] = lambda done, total: None,
            each: Callable[[int, Result], None] = lambda i, result: None) -> list[Result]:
        """Results of all jobs, in their order.

        Parameters
        ----------
        work : callable
            A function of a module; its name and arguments say all that a result follows from.
        jobs : sequence of tuple
            Arguments of each.
        progress : callable
            Told jobs done, and how many there are.
        each : callable
            Told a job's number and its result as it is done, or was kept.

        Raises
        ------
        ConfigError
            If Dask is missing or its scheduler is not there.
        OutputError
            If a result cannot be kept, or a job loses one worker after another.
        EdgernnError
            Whatever a job raises.
        """
        keys = [_key(work, job) for job in jobs]
        found = {i: result for i, key in enumerate(keys)
                 if (result := self._kept(key)) is not None}
        for i, result in found.items():
            each(i, result)
        missing = [i for i in range(len(jobs)) if i not in found]
        progress(len(found), len(jobs))
        for i, result in self._computed(work, [(i, jobs[i]) for i in missing]):
            if self.kept is not None:
                files.write(self.kept / f"{keys[i]}.json", json.dumps(result).encode())
            # As a kept one will be read.
            found[i] = json.loads(json.dumps(result))
            each(i, found[i])
            progress(len(found), len(jobs))
        return [found[i] for i in range(len(jobs))]

    def _kept(self, key: str) -> Result | None:
        """A result of an earlier run; one that cannot be read is computed again."""
        if self.kept is None:
            return None
        try:
            self.kept.mkdir(parents=True, exist_ok=True)
            found = json.loads((self.kept / f"{key}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        except OSError as problem:
            raise OutputError(f"{self.kept} cannot be used ({problem}); a folder to keep results "
                              "in was needed. Choose another --work") from problem
        return found if isinstance(found, dict) else None

    def _computed(self, work: Callable[..., Result], jobs: list[tuple[int, tuple[Any, ...]]]
                  ) -> Iterator[tuple[int, Result]]:
        """Numbers and results, as they are done."""
        if not jobs:
            return
        if not self.scheduler:
            for i, job in jobs:
                yield i, work(*job)
            return
        distributed = _import()
        with self._client(distributed) as client:
            waiting = {client.submit(work, *job, pure=False): i for i, job in jobs}
            try:
                for future in distributed.as_completed(list(waiting), loop=client.loop):
                    i = waiting.pop(future)
                    try:
                        yield i, future.result()
                    except distributed.KilledWorker as problem:
                        raise OutputError(
                            "a job lost one worker after the other; one that lives was "
                            "needed. If memory ran out, fewer workers a machine need less; "
                            "what is done is kept in --work") from problem
            finally:
                client.cancel(list(waiting))

    @contextlib.contextmanager
    def _client(self, distributed: Any) -> Iterator[Any]:
        """Of the scheduler, or of one of our own while it lasts."""
        import dask

        settings = {"distributed.scheduler.allowed-failures": LOST,
                    "distributed.logging.distributed": "error"}
        with dask.config.set(settings), contextlib.ExitStack() as stack:
            address: Any = self.scheduler
            if self.scheduler == "local":
                address = stack.enter_context(distributed.LocalCluster(
                    threads_per_worker=1, processes=True, dashboard_address=None,
                    silence_logs="CRITICAL"))
            try:
                client = distributed.Client(address, timeout="10s", set_as_default=False)
            except (OSError, ValueError, TimeoutError) as problem:
                raise ConfigError(f"no Dask scheduler answers at {self.scheduler} ({problem}); one "
                                  "was needed. Start it: dask scheduler; and on each machine: "
                                  "dask worker tcp://HOST:8786 --nthreads 1 --nworkers auto"
                                  ) from problem
            yield stack.enter_context(client)


def _import() -> Any:
    try:
        import distributed
    except ImportError as problem:
        raise ConfigError('--scheduler needs Dask: pip install "edgernn[dask]"') from problem
    return distributed


def _key(work: Callable[..., Result], job: tuple[Any, ...]) -> str:
    """A name for a result: what it is computed by, and from."""
    said = json.dumps([edgernn.__version__, work.__module__, work.__qualname__, *job],
                      default=_plain)
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    """A file stands for what it held when it was last written."""
    if isinstance(value, Path):
        there = value.stat() if value.exists() else None
        return [str(value.resolve()), there and there.st_size, there and there.st_mtime_ns]
    return {type(value).__name__: vars(value)}


HERE = Spread()
