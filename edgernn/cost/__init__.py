"""What models cost on this machine: a step, the whole path of a frame, a fresh process."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgernn import bundle
from edgernn.cost.machine import machine
from edgernn.cost.others import other_costs
from edgernn.cost.path import blocks_cost, path_costs
from edgernn.cost.startup import startup_cost
from edgernn.cost.step import frames, step_cost, step_times
from edgernn.errors import BackendError
from edgernn.interpreter import available
from edgernn.step import StepModel

__all__ = ["frames", "machine", "measure", "step_cost", "step_times"]

EMULATOR_SHARE = 100
"""The emulator is so much slower that it gets this fraction of the steps."""
LEAST = 100
"""Steps that are timed at least."""

Say = Callable[[str, int, int], None]


def measure(paths: Sequence[Path], backends: tuple[str, ...], steps: int, seconds: float, say: Say,
            part: str = "") -> dict[str, Any]:
    """Measure everything; the result is plain JSON values, times in the unit that names end in.

    Parameters
    ----------
    paths : sequence of path
        Files written by `edgernn quantize`, such as one for each profile.
    backends : tuple of str
        What to measure; empty for all that are installed.
    steps : int
        Steps, and frames, to time per model and backend.
    seconds : float
        Length of the generated input that is heard in blocks.
    say : callable
        Told what comes next, how many measurements are done, and of how many.
    part : str
        Of a file of several parts, which one; its main one if empty.  Of such a file the steps
        are measured alone: what a whole answer costs depends on its length.

    Returns
    -------
    dict
        ``machine``; ``runs``, one for each model and backend: ``step_us``, the interpreter's own
        ``calls_us`` and the ``ratio`` of the two, ``path`` (`edgernn.cost.path.path_costs`),
        ``startup``, or an ``error``; ``others``, what other packages cost.

    Raises
    ------
    ModelError
        If a model cannot be used, or has no such part.
    BackendError
        If a backend that was asked for cannot be used, or none is installed.
    """
    files = [bundle.read(path) for path in paths]
    names = backends or (*available(), "emulator")
    total = 2 * len(files) * len(names) + 2
    done, runs, models = 0, [], []
    for whole in files:
        chosen = whole.part(part) if part else whole
        for name in names:
            say(f"step of {whole.path.name}, {name}", done, total)
            done += 1
            run: dict[str, Any] = {"model": str(whole.path), "profile": chosen.spec.profile,
                                   "backend": name}
            runs.append(run)
            if whole.parts:
                run["part"], run["parts"] = part or "main", ["main", *whole.parts]
            try:
                model = StepModel.load(chosen, name)
            except BackendError as problem:
                if backends:
                    raise
                run["error"] = str(problem)
                continue
            models.append((run, whole, model))
            run["version"] = available().get(name, "numpy")
            run.update(step_cost(model, _share(steps, name)))
    if not models:
        raise BackendError("no interpreter could run the model: "
                           + "; ".join(f"{run['backend']}: {run['error']}" for run in runs))
    alone = [entry for entry in models if not entry[1].parts]
    for run, whole, model in alone:
        say(f"path of {whole.path.name}, {run['backend']}", done, total)
        done += 1
        _measure_path(run, model, steps, seconds)
    _measure_together(alone, steps)
    say("other packages", total - 1, total)
    return {"machine": machine(), "runs": runs,
            "others": other_costs(alone[0][2], steps) if alone else {}}


def _measure_path(run: dict[str, Any], model: StepModel, steps: int, seconds: float) -> None:
    share = EMULATOR_SHARE if run["backend"] == "emulator" else 1
    run["times_real_time_in_blocks"] = blocks_cost(model, max(1.0, seconds / share))
    run["startup"] = startup_cost(Path(run["model"]), run["backend"])


def _measure_together(entries: list[tuple[dict[str, Any], Any, StepModel]], steps: int) -> None:
    """The stages of all models in turns; the emulator by itself, as nobody could wait for it."""
    for slow in (False, True):
        these = {str(i): (run, model) for i, (run, _, model) in enumerate(entries)
                 if (run["backend"] == "emulator") is slow}
        if these:
            count = _share(steps, "emulator" if slow else "")
            costs = path_costs({key: model for key, (_, model) in these.items()}, count)
            for key, (run, _) in these.items():
                run["path"] = costs[key]


def _share(steps: int, backend: str) -> int:
    return max(LEAST, steps // (EMULATOR_SHARE if backend == "emulator" else 1))
