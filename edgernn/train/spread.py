"""Jobs that need nothing of each other, computed here or on many machines, none of them twice.

Here they run one after the other; on Dask each worker takes the next.  A job is given paths, not
what they hold, so nothing large passes through this process; what workers read must be at the
same path for all.  A job whose worker is lost goes to another one.  With a folder to keep results
in, each is written there as it comes, and what is there is not computed again.
"""

import contextlib
import hashlib
import importlib.util
import json
import pickle
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import edgernn
from edgernn import files
from edgernn.errors import ConfigError, DataError, OutputError

Result = dict[str, Any]
"""Of a job: what JSON can say."""
LOST = 5
"""Workers that a job may lose before it is taken for their murderer, on a cluster of our own; a
scheduler that was there already goes by its own `distributed.scheduler.allowed-failures`."""


MANY = 8
"""Jobs from which a cluster of our own is worth the seconds that it takes to start."""
POLL_S, PATIENCE_S = 0.02, 10.0
"""How often is looked for a result; how long none comes before it is asked whether anyone works."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Spread:
    """Where jobs are computed, and where their results are kept."""

    scheduler: str = ""
    """Empty: here; `local`: as many processes as there are cores; `auto`: that, if there are `MANY`
    jobs and Dask is installed, else here; or the address of a Dask scheduler, such as
    tcp://10.0.0.1:8786."""
    kept: Path | None = None
    tell: Tell = lambda message: None
    """Told when no worker is left, who is waited for."""
    holds: Callable[[Result], bool] = lambda result: True
    """Whether a kept result is still true."""

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
            If Dask is missing, its scheduler is not there, or a worker has another edgernn.
        OutputError
            If a result cannot be kept, a job loses one worker after another, or the scheduler
            is lost.
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
                files.write(self.kept / f"{keys[i]}.json", _sealed(keys[i], result))
            # As a kept one will be read.
            found[i] = json.loads(json.dumps(result))
            each(i, found[i])
            progress(len(found), len(jobs))
        return [found[i] for i in range(len(jobs))]

    def settled(self, jobs: int) -> "Spread":
        """With `auto` decided, for so many jobs."""
        if self.scheduler != "auto":
            return self
        return replace(self, scheduler="local" if jobs >= MANY and _installed() else "")

    def _kept(self, key: str) -> Result | None:
        """A result of an earlier run; what is none, or is damaged, is computed again."""
        if self.kept is None:
            return None
        try:
            self.kept.mkdir(parents=True, exist_ok=True)
            written = (self.kept / f"{key}.json").read_bytes()
            found: Result = json.loads(written)["result"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        except OSError as problem:
            raise OutputError(f"{self.kept} cannot be used ({problem}); a folder to keep results "
                              "in was needed. Choose another place") from problem
        return found if written == _sealed(key, found) and self.holds(found) else None

    def _computed(self, work: Callable[..., Result], jobs: list[tuple[int, tuple[Any, ...]]]
                  ) -> Iterator[tuple[int, Result]]:
        """Numbers and results, as they are done."""
        if not jobs:
            return
        scheduler = self.settled(len(jobs)).scheduler
        if not scheduler:
            for i, job in jobs:
                yield i, work(*job)
            return
        distributed = _import()
        with _client(distributed, scheduler) as client:
            # Opened by the job itself: a worker that cannot open what it is sent, for it lacks
            # edgernn, would neither fail nor be lost, and its jobs would never be done.
            waiting = {client.submit(pickle.loads, pickle.dumps(_Job(work, job)), pure=False): i
                       for i, job in jobs}
            try:
                for future in self._done(distributed, client, list(waiting)):
                    yield waiting.pop(future), _result(distributed, future, scheduler)
            finally:
                client.cancel(list(waiting))

    def _done(self, distributed: Any, client: Any, futures: list[Any]) -> Iterator[Any]:
        """Futures as they are done; that nobody works on them is told, once each time."""
        done = distributed.as_completed(futures, loop=client.loop)
        for _ in futures:
            asked, deserted = time.monotonic(), False
            while not done.has_ready():
                time.sleep(POLL_S)
                if deserted or time.monotonic() - asked < PATIENCE_S:
                    continue
                with contextlib.suppress(OSError):  # a scheduler that is lost: futures will tell
                    deserted = not client.ncores()
                asked = time.monotonic()
                if deserted:
                    address = client.scheduler.address
                    self.tell(f"{address} has no workers: waiting for one. On each machine: "
                              f"dask worker {address} --nthreads 1 --nworkers auto")
            yield next(done)


@dataclass(frozen=True)
class _Job:
    """What its result is as soon as it is unpickled."""

    work: Callable[..., Result]
    arguments: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return _worked, (edgernn.__version__, self.work, self.arguments)


def _worked(version: str, work: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    """A job, on a worker."""
    if version != edgernn.__version__:
        raise ConfigError(f"a worker on {socket.gethostname()} has edgernn {edgernn.__version__}; "
                          f"{version} was needed, as here. Install it there, and start the "
                          "worker again")
    return work(*arguments)


def _result(distributed: Any, future: Any, scheduler: str) -> Result:
    """What a job gave; whatever is wrong with the cluster is explained."""
    try:
        found: Result = future.result()
    except distributed.KilledWorker as problem:
        raise OutputError("a job lost one worker after the other; one that lives was needed. If "
                          "memory ran out, fewer workers a machine need less. What is done is "
                          "kept if there is a folder for it (--work, --cache, --out)") from problem
    except CancelledError as problem:
        raise OutputError(f"the Dask scheduler at {scheduler} went away; it was needed until all "
                          "was done. Start it and the same command again: it goes on from what is "
                          "kept (--work, --cache, --out)") from problem
    except (ImportError, AttributeError) as problem:
        if isinstance(problem, AttributeError) and "Can't get attribute" not in str(problem):
            raise
        raise ConfigError(f"a worker of {scheduler} lacks what a job needs ({problem}); edgernn "
                          f"{edgernn.__version__} was needed there, as here. Install it on each "
                          'machine: pip install "edgernn[train,dask]"') from problem
    return found


@contextlib.contextmanager
def _client(distributed: Any, scheduler: str) -> Iterator[Any]:
    """Of the scheduler, or of one of our own while it lasts."""
    import dask

    settings = {"distributed.scheduler.allowed-failures": LOST,
                "distributed.logging.distributed": "error"}
    with dask.config.set(settings), contextlib.ExitStack() as stack:
        address: Any = scheduler
        if scheduler == "local":
            # Without a limit of memory: Dask's own, an equal part for each worker, stops and
            # kills workers whose recordings are long, where one process would get through.
            address = stack.enter_context(distributed.LocalCluster(
                threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0,
                silence_logs="CRITICAL"))
        try:
            client = distributed.Client(address, timeout="10s", set_as_default=False)
        except (OSError, ValueError, TimeoutError) as problem:
            raise ConfigError(f"no Dask scheduler answers at {scheduler} ({problem}); one was "
                              "needed. Start it: dask scheduler; and on each machine: dask worker "
                              "tcp://HOST:8786 --nthreads 1 --nworkers auto") from problem
        yield stack.enter_context(client)


def must_be_there(paths: Iterable[Path]) -> None:
    """Fail where a file of a job is not: it is there for who gave the job, and leaving it out
    would give another result.

    Raises
    ------
    DataError
    """
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path} is not there on {socket.gethostname()}; all workers must see "
                            "the data at the same path. Share the folder, or mount it there")


def _installed() -> bool:
    return importlib.util.find_spec("distributed") is not None


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


def _sealed(key: str, result: Result) -> bytes:
    """A result as it is kept, with a sum by which no other file passes for it."""
    total = hashlib.blake2b(f"{key} {json.dumps(result)}".encode(), digest_size=16)
    return json.dumps({"sum": total.hexdigest(), "result": result}).encode()


def _plain(value: Any) -> Any:
    """A file stands for what it held when it was last written."""
    if isinstance(value, Path):
        there = value.stat() if value.exists() else None
        return [str(value.resolve()), there and there.st_size, there and there.st_mtime_ns]
    return {type(value).__name__: vars(value)}


HERE = Spread()
