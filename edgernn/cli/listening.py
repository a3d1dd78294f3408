"""The options of `edgernn stream` that say what listens, and the models they mean, opened."""

import contextlib
import dataclasses
import functools
import itertools
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgernn.cli.models import BUNDLED, VOICE, ModelPath, state_option
from edgernn.cli.numbers import FiniteRange
from edgernn.cli.sections import section
from edgernn.ensemble import BEFORE_S, OPEN_S
from edgernn.errors import BackendError, EdgernnError, StateError
from edgernn.interpreter import BACKENDS
from edgernn.spec import DRIFT_POLICIES

NUMBERS = ("regress", "next")
"""Tasks whose every score is wanted, and none is a detection."""
LONGEST_MS = 60_000
"""A minute: more smoothing or silence than that is a slip of the keyboard."""
SAVE_S = 10.0
"""Seconds between writings of the state file."""


@dataclass(frozen=True)
class WantedModels:
    """What the command line asked to listen."""

    models: tuple[Path, ...]
    thresholds: tuple[str, ...]
    smoothing_ms: int | None
    hysteresis: float | None
    refractory_ms: int | None
    backend: str
    fallback: str | None
    reset_state: str | None
    gate: str | None
    gate_open_s: float
    gate_before_s: float
    states: dict[str, str]
    watch: bool = False
    state_file: Path | None = None
    rate_hz: float | None = None

    def read(self, path: Path) -> Any:
        """Read a model; its bundle then knows the rate of rows if the command line says it.

        Raises
        ------
        click.UsageError
            If it is no model of rows, or knows another rate.
        """
        from edgernn import bundle
        from edgernn.spec import StandardizeSpec

        if self.states and (self.gate or self.models[1:]):
            raise click.UsageError("--state names tensors of one model, and there are several; "
                                   "run that one alone")
        parts = bundle.read(path, self.states)
        if self.rate_hz is None:
            return parts
        frontend = parts.spec.frontend
        if not isinstance(frontend, StandardizeSpec):
            raise click.UsageError(f"--rate is of sensor rows; {path.name} takes none")
        if frontend.rate_hz not in (0.0, self.rate_hz):
            raise click.UsageError(f"--rate {self.rate_hz:g}: {path.name} was trained on "
                                   f"{frontend.rate_hz:g} rows per second, and knows it. "
                                   "Leave --rate out")
        told = dataclasses.replace(frontend, rate_hz=self.rate_hz)
        return dataclasses.replace(parts, spec=dataclasses.replace(parts.spec, frontend=told))

    def open(self, path: Path) -> Any:
        """Open a model that steps."""
        from edgernn.step import StepModel

        parts = self.read(path)
        try:
            return StepModel.load(parts, self.backend)
        except BackendError as problem:
            if self.fallback is None:
                raise
            print(f"edgernn: {problem}; --fallback: {self.fallback} runs it", file=sys.stderr)
            return StepModel.load(parts, self.fallback)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The models' files: without any, that of the bundled model."""
        return self.models or (BUNDLED,)

    @property
    def gate_path(self) -> Path | None:
        """The gate's file, if there is to be one."""
        return VOICE if self.gate == "voice" else Path(self.gate) if self.gate else None

    def refuse(self, model: str) -> None:
        """Say that a model of texts, or one that reads both ways, has no use for an option."""
        for option, given in (("--gate", self.gate), ("--state-file", self.state_file),
                              ("--reset-state", self.reset_state), ("--watch", self.watch),
                              ("a second --model", self.models[1:])):
            if given:
                raise click.UsageError(f"{option} is for models that step through a stream; "
                                       f"{model} does not. Leave it out")


def _options(streaming: bool) -> list[Callable[..., Any]]:
    options = [
        click.option("--model", "models", multiple=True, type=ModelPath(),
                     help='The .tflite, or the .json manifest of a wake word, to run, or '
                          '`digits`, which comes with edgernn; several may listen together '
                          '(default: the bundled one for "computer" and "alexa").'),
        click.option("--threshold", "thresholds", multiple=True, metavar="P|LABEL=P",
                     help="Fire when the smoothed score reaches P, 0 to 1; for one label or for "
                          "all; may be repeated (default: the values stored in the model; "
                          "`edgernn info` shows them)."),
        click.option("--smoothing-ms", type=click.IntRange(0, LONGEST_MS),
                     help="Milliseconds over which scores are averaged (default: stored in the "
                          "model)."),
        click.option("--hysteresis", type=FiniteRange(0, 1),
                     help="How far below its threshold a score must fall before it may fire "
                          "again, 0 to 1 (default: stored in the model)."),
        click.option("--refractory-ms", type=click.IntRange(0, LONGEST_MS),
                     help="Milliseconds of silence after a detection (default: stored in the "
                          "model)."),
        click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True,
                     help="The interpreter to run the model in; auto is the fastest installed."),
        click.option("--fallback", type=click.Choice(BACKENDS),
                     help="What to run it in where --backend cannot; otherwise that is an error."),
        click.option("--reset-state", type=click.Choice(tuple(DRIFT_POLICIES)),
                     help="When the state begins anew: never, after a silence, or by two states "
                          "that overlap (default: stored in the model)."),
        click.option("--gate", metavar="voice|MODEL",
                     help="A small model, the bundled one of voice activity or your own; the "
                          "others listen only while it hears something."),
        click.option("--gate-open-s", type=FiniteRange(0, min_open=True), default=OPEN_S,
                     show_default=True, help="Seconds for which the gate stays open after that."),
        click.option("--gate-before-s", type=FiniteRange(0, 60), default=BEFORE_S,
                     show_default=True, help="Seconds of what came before that it lets through."),
        state_option,
    ]
    if not streaming:
        return options
    return [
        *options,
        click.option("--watch", is_flag=True,
                     help="Take up a model, or its thresholds, when the file changes. SIGHUP does "
                          "it once, without this too."),
        click.option("--state-file", type=click.Path(path_type=Path, dir_okay=False),
                     metavar="FILE", help="Keep the states here, and go on from them."),
        click.option("--rate", "rate_hz", metavar="HZ", type=FiniteRange(0, min_open=True),
                     help="Sensor rows per second the model expects, if it does not know: rows "
                          "with times are then brought to it (`edgernn info` shows it)."),
    ]


def model_options(command: Callable[..., None], *, streaming: bool = True) -> Callable[..., None]:
    """Give a command the options; it gets them as one argument, `wanted_models`.

    `streaming` adds those for one stream that goes on for ever.
    """
    @functools.wraps(command)
    def gathered(*given: Any, **named: Any) -> None:
        wanted = WantedModels(**{name: named.pop(name) for name in WantedModels.__dataclass_fields__
                                 if name in named})
        command(*given, wanted_models=wanted, **named)

    return section("Models", *_options(streaming))(gathered)


class Listening:
    """Models, opened, and what listens for them to each input.

    Parameters
    ----------
    wanted : WantedModels
    inputs : sequence of str
        What each input is called.
    on_scores : callable or None
        Told the scores of every step, where one model listens to one input.
    """

    def __init__(self, wanted: WantedModels, inputs: Sequence[str], on_scores: Any) -> None:
        from edgernn.ensemble import Ensemble, Gate

        self.wanted, self.inputs = wanted, list(inputs)
        self.models = {name: wanted.open(path) for name, path in named(wanted.paths).items()}
        check_thresholds(wanted.thresholds, list(self.models.values()))
        self._listeners = {name: [self._listener(model, on_scores) for _ in inputs]
                           for name, model in self.models.items()}
        gate = wanted.open(wanted.gate_path) if wanted.gate_path else None
        self.ensembles = [
            Ensemble({name: listeners[number] for name, listeners in self._listeners.items()},
                     Gate(gate.fork(), wanted.gate_open_s, wanted.gate_before_s) if gate else None)
            for number in range(len(self.inputs))]
        self._reloaders: dict[str, Any] = {}
        self._saved_s = time.monotonic()

    def _listener(self, model: Any, on_scores: Any) -> Any:
        from edgernn.stream import Listener

        return Listener(model.fork(), detector_of(model.spec, model.labels, self.wanted),
                        on_scores, drift_of(model.spec, self.wanted))

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Go on from saved states and save them; take up models that change."""
        self._restore()
        with self._reloading():
            try:
                yield
            finally:
                self._save()

    def look_after(self) -> None:
        """Do what is due between two frames."""
        for name, reloader in self._reloaders.items():
            try:
                model = reloader.take()
                if model is not None:
                    self._replace(name, model)
            except (EdgernnError, OSError, click.ClickException) as problem:
                said = getattr(problem, "message", problem)  # of click's own
                print(f"edgernn: {reloader.path} has changed, but {said}; the model that runs "
                      "goes on", file=sys.stderr)
        if self.wanted.state_file and time.monotonic() - self._saved_s >= SAVE_S:
            self._save()

    def choose(self, thresholds: Mapping[str, float]) -> None:
        """Take up other thresholds, by label, from the next frame on; reloading keeps them."""
        for listener in itertools.chain.from_iterable(self._listeners.values()):
            spec = listener.detector.spec
            mine = {label: p for label, p in thresholds.items() if label in spec.thresholds}
            listener.replace(listener.model, dataclasses.replace(
                spec, thresholds={**spec.thresholds, **mine}))
        kept = [each for each in self.wanted.thresholds if _threshold(each)[0] not in thresholds]
        self.wanted = dataclasses.replace(self.wanted, thresholds=(
            *kept, *(f"{label}={p}" for label, p in thresholds.items())))

    def _replace(self, name: str, model: Any) -> None:
        detector = detector_of(model.spec, model.labels, self.wanted)
        same = model.spec.model_sha256 == self.models[name].spec.model_sha256
        for listener in self._listeners[name]:
            listener.replace(model.fork(), detector)
        self.models[name] = model
        print(f"edgernn: {self._reloaders[name].path} has changed: "
              + ("the same model, detector as now stored" if same else "the new model runs"),
              file=sys.stderr)

    @contextlib.contextmanager
    def _reloading(self) -> Iterator[None]:
        from edgernn.reload import Reloader

        self._reloaders = {name: Reloader(path, self.wanted.open, watch=self.wanted.watch)
                           for name, path in named(self.wanted.paths).items()}

        def ask(*_: object) -> None:
            for reloader in self._reloaders.values():
                reloader.ask()

        before = signal.signal(signal.SIGHUP, ask) if hasattr(signal, "SIGHUP") else None
        try:
            yield
        finally:
            if before is not None:
                signal.signal(signal.SIGHUP, before)
            for reloader in self._reloaders.values():
                reloader.close()

    def _streams(self) -> dict[str, Any]:
        """What listens, by the names that a state file has: of several inputs, with the input."""
        if len(self.inputs) == 1:
            return {name: listeners[0] for name, listeners in self._listeners.items()}
        return {f"{name} at {at}": listener for name, listeners in self._listeners.items()
                for at, listener in zip(self.inputs, listeners, strict=True)}

    def _restore(self) -> None:
        path = self.wanted.state_file
        if path is None:
            return
        from edgernn import state_file

        try:
            age_s = state_file.restore(path, self._streams())
        except StateError as problem:
            kept = path.with_name(path.name + ".old")
            path.replace(kept)
            print(f"edgernn: {problem}. The states begin anew; the file is now {kept}",
                  file=sys.stderr)
            return
        if age_s is not None:
            print(f"edgernn: going on from {path}, saved {age_s:.0f} s ago", file=sys.stderr)

    def _save(self) -> None:
        from edgernn import state_file

        self._saved_s = time.monotonic()
        if self.wanted.state_file:
            try:
                state_file.save(self.wanted.state_file, self._streams())
            except EdgernnError as problem:
                print(f"edgernn: the states are not saved: {problem}", file=sys.stderr)


def drift_of(spec: Any, wanted: WantedModels) -> Any:
    """The stored policy, or the one of the command line."""
    if wanted.reset_state is None:
        return spec.drift
    return dataclasses.replace(spec.drift, policy=wanted.reset_state)


def detector_of(spec: Any, labels: tuple[str, ...], wanted: WantedModels) -> Any:
    """The stored detector with what the command line changes; a number is never detected."""
    from edgernn.spec import DetectorSpec

    detector = spec.detector or DetectorSpec({})
    if spec.task in NUMBERS:
        return detector
    chosen = dict(detector.thresholds) or dict.fromkeys(labels, 0.5)
    for given in wanted.thresholds:
        name, p = _threshold(given)
        if not name:
            chosen = dict.fromkeys(chosen, p)
        elif name in labels:
            chosen[name] = p
    changes = {key: getattr(wanted, key) for key in ("smoothing_ms", "hysteresis", "refractory_ms")}
    return dataclasses.replace(detector, thresholds=chosen, **{
        key: value for key, value in changes.items() if value is not None})


def check_thresholds(thresholds: tuple[str, ...], models: list[Any]) -> None:
    labels = [label for model in models for label in model.labels]
    for given in thresholds:
        name, _ = _threshold(given)
        if name and name not in labels:
            raise click.UsageError(f"--threshold {given}: the model has no label {name!r}; it has "
                                   f"{', '.join(labels)}")


def _threshold(given: str) -> tuple[str, float]:
    name, _, value = given.rpartition("=")
    try:
        p = float(value)
    except ValueError:
        raise click.UsageError(f"--threshold {given}: {value!r} is no number; "
                               "P or LABEL=P was needed, P from 0 to 1") from None
    if not 0 < p <= 1:
        raise click.UsageError(f"--threshold {given}: {p} is not above 0 and at most 1")
    return name, p


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Paths by the names that their detections tell: as short as they can be apart."""
    short = [path.stem for path in paths]
    names = short if len(set(short)) == len(short) else [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise click.UsageError("--model names the same file twice; different ones were needed")
    return dict(zip(names, paths, strict=True))
