"""The wake words of several models, by the names that clients know them by."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from edgernn.detect import Detection
from edgernn.ensemble import Ensemble, Gate
from edgernn.errors import ModelError
from edgernn.spec import DetectorSpec, DriftSpec
from edgernn.step import StepModel
from edgernn.stream import Listener


@dataclass(frozen=True)
class WakeWord:
    """Something a client may ask for."""

    name: str
    """What it is asked for by: its label, or MODEL/LABEL where several models have that."""
    model: str
    label: str

    @property
    def phrase(self) -> str:
        """What is said."""
        return self.label.replace("_", " ")


class WakeWords:
    """Opened models, and a listener of its own for each client.

    Parameters
    ----------
    models : mapping of str to StepModel
        By name, one or more, all of which hear audio at the same rate.
    detectors : mapping of str to DetectorSpec
        By the same names; the labels that have a threshold are the wake words.
    drift : mapping of str to DriftSpec
    gate : callable, optional
        Makes the gate that a client's models wait behind.

    Attributes
    ----------
    words : dict of str to WakeWord
        By name.
    rate_hz : int
        Samples per second of what the models hear.

    Raises
    ------
    ModelError
        If a model does not hear audio or has nothing to detect, or they do not go together.
    """

    def __init__(self, models: Mapping[str, StepModel], detectors: Mapping[str, DetectorSpec],
                 drift: Mapping[str, DriftSpec], gate: Callable[[], Gate] | None = None) -> None:
        self.models, self.detectors = dict(models), dict(detectors)
        self._drift, self._gate = dict(drift), gate
        for name, model in self.models.items():
            if not hasattr(model.spec.frontend, "sample_rate_hz"):
                raise ModelError(f"the model {name} takes {model.spec.frontend.kind!r}; audio was "
                                 "needed. Serve a model that was trained on recordings")
            if not self.detectors[name].thresholds:
                raise ModelError(f"the model {name} has no threshold for any of its labels; a wake "
                                 "word was needed. Set one: --threshold LABEL=0.5")
        self.words = _named({name: tuple(self.detectors[name].thresholds) for name in self.models})
        self._names = {(word.model, word.label): word.name for word in self.words.values()}
        self.rate_hz = int(next(iter(self.ensemble().listeners.values())).rate_hz)

    def ensemble(self, names: Collection[str] | None = None) -> Ensemble:
        """A fresh stream of all models, which detects these words; None: all."""
        made = {name: Listener(model.fork(), self._detector(name, names), drift=self._drift[name])
                for name, model in self.models.items()}
        return Ensemble(made, self._gate() if self._gate else None)

    def choose(self, ensemble: Ensemble, names: Collection[str] | None) -> None:
        """Have a stream detect these words from now on; None: all.  No audio is lost."""
        for name, listener in ensemble.listeners.items():
            assert isinstance(listener, Listener)
            listener.replace(listener.model, self._detector(name, names))

    def name(self, found: Detection) -> str:
        """What a client calls what was detected."""
        return self._names[found.model or next(iter(self.models)), found.label]

    def _detector(self, model: str, names: Collection[str] | None) -> DetectorSpec:
        whole = self.detectors[model]
        if names is None:
            return whole
        # Left out rather than ignored later: a word that nobody waits for must not silence
        # the others for a refractory time.
        return dataclasses.replace(whole, thresholds={
            label: p for label, p in whole.thresholds.items()
            if self._names[model, label] in names})


def _named(labels: Mapping[str, tuple[str, ...]]) -> dict[str, WakeWord]:
    every = [label for of in labels.values() for label in of]
    words = [WakeWord(label if every.count(label) == 1 else f"{model}/{label}", model, label)
             for model, of in labels.items() for label in of]
    return {word.name: word for word in words}
