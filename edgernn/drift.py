"""What keeps the state of an endless stream from drifting: when a model begins anew."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError, ModelError
from edgernn.quant import QType
from edgernn.spec import DRIFT_POLICIES, DriftSpec, LogMelSpec
from edgernn.step import StepModel

CODES_A_DB = 256 / (10 * np.log10(2))
"""Log-mel codes that are one decibel: 256 are a doubling of energy."""


class Carrier(Protocol):
    """What carries a state from frame to frame: a `StepModel`, or one with a policy."""

    def step(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """See `StepModel.step`."""

    def hold(self) -> NDArray[np.float32]:
        """See `StepModel.hold`."""

    def reset(self) -> None:
        """See `StepModel.reset`."""

    def state(self) -> dict[str, NDArray[Any]]:
        """See `StepModel.state`."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `StepModel.restore`."""


def carrier(model: StepModel, drift: DriftSpec, step_s: float) -> Carrier:
    """A model that carries its state as `drift` has it.

    Parameters
    ----------
    model : StepModel
    drift : DriftSpec
    step_s : float
        Seconds from one step to the next.

    Raises
    ------
    ConfigError
        If the policy is unknown, or a time makes no sense.
    ModelError
        If it listens for silence and the model does not listen to sound.
    """
    if drift.policy not in DRIFT_POLICIES:
        raise ConfigError(f"the state is to be reset {drift.policy!r}; one of "
                          f"{', '.join(DRIFT_POLICIES)} was needed. Choose one of these")
    if drift.policy == "silence":
        return ResetOnSilence(model, drift, step_s)
    if drift.policy == "overlap":
        return Overlapped(model, drift, step_s)
    return model


class ResetOnSilence:
    """Begin anew after a silence, as a person does with a new sentence.

    It is silent while the mean log-mel energy of the frames stays within `quiet_db` of the
    quietest lately: a floor that falls to any frame below it at once, and rises by
    `RISE_DB_A_S` otherwise.  So the loudness of the room does not matter.  The state is
    reset once for every silence of `silence_ms`, before the step that comes after it.
    """

    RISE_DB_A_S = 1.0

    def __init__(self, model: StepModel, drift: DriftSpec, step_s: float) -> None:
        if not isinstance(model.spec.frontend, LogMelSpec):
            raise ModelError(f"the model listens to {model.spec.frontend.kind!r}, where silence "
                             "means nothing; a model of audio was needed. Reset its state never, "
                             "or by overlap")
        if drift.silence_ms <= 0 or drift.quiet_db <= 0:
            raise ConfigError(f"a silence of {drift.silence_ms} ms within {drift.quiet_db:g} dB; "
                              "both must be above 0")
        self._model = model
        # Of the sum of a frame's codes as the model gets them: 1 / 1024 a frontend's code.
        decibel = CODES_A_DB * model.width / 1024 / _scale(model)
        self._margin, self._rise = drift.quiet_db * decibel, self.RISE_DB_A_S * step_s * decibel
        self._wanted = max(1, round(drift.silence_ms / 1000 / step_s))
        self._floor, self._quiet = np.inf, 0
        self.hold, self.state, self.restore = model.hold, model.state, model.restore

    def step(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Take a frame as codes."""
        if self._quiet == self._wanted:
            self._model.reset()
        level = float(features.sum(dtype=np.int64))
        self._floor = min(level, self._floor + self._rise)
        self._quiet = self._quiet + 1 if level <= self._floor + self._margin else 0
        return self._model.step(features)

    def reset(self) -> None:
        """Forget everything but how loud the room is."""
        self._quiet = 0
        self._model.reset()


class Overlapped:
    """Two states in turns: each begins anew, hears `overlap_s`, and answers for `period_s`.

    No answer is then older than `period_s` + `overlap_s`, and none comes from a state that has
    heard nothing; it costs ``1 + overlap_s / period_s`` times the steps.
    """

    def __init__(self, model: StepModel, drift: DriftSpec, step_s: float) -> None:
        if not 0 < drift.overlap_s <= drift.period_s:
            raise ConfigError(f"two states overlap by {drift.overlap_s:g} s in a period of "
                              f"{drift.period_s:g} s; more than 0 and at most the period was "
                              "needed")
        self._answers, self._listens = model, model.fork()
        self._period = max(1, round(drift.period_s / step_s))
        self._overlap = max(1, round(drift.overlap_s / step_s))
        self._age = 0

    def step(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Take a frame."""
        if self._age == self._period:
            self._answers, self._listens = self._listens, self._answers
            self._age = 0
        self._age += 1
        if self._age == self._period - self._overlap + 1:
            self._listens.reset()
        if self._age > self._period - self._overlap:
            self._listens.step(features)
        return self._answers.step(features)

    def hold(self) -> NDArray[np.float32]:
        """Let a frame pass; neither state grows older."""
        return self._answers.hold()

    def reset(self) -> None:
        """Forget everything."""
        self._answers.reset()
        self._age = 0

    def state(self) -> dict[str, NDArray[Any]]:
        """Of the one that answers."""
        return self._answers.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from it; the period begins again."""
        self._answers.restore(state)
        self._age = 0


def _scale(model: StepModel) -> float:
    q: QType = model.graph.tensor(model.spec.input).qtype
    return q.scale
