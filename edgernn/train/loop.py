"""Training, one epoch after another, until the streaming metric no longer improves."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.train import models
from edgernn.train.architecture import Architecture
from edgernn.train.batches import Batch, Lesson, batches
from edgernn.train.carried import States, begun, pieces, updates
from edgernn.train.checkpoint import Checkpoint
from edgernn.train.class_weights import ClassWeights
from edgernn.train.config import TrainConfig
from edgernn.train.losses import loss
from edgernn.train.material import Material
from edgernn.train.workers import ALONE, Workers

Arrays = dict[str, NDArray[np.float32]]
ONE_LABEL = ("classify", "spot", "label")
"""Tasks in which one label is right on a frame."""


@dataclass(frozen=True)
class Epoch:
    """One line of history.csv."""

    epoch: int
    loss: float
    """Mean cross-entropy per unit of weight, nats."""
    reset: float
    """The task's metric on validation data, the state reset for each sequence; NaN without."""
    carry: float
    """The same with the state carried over from sequence to sequence."""
    seconds: float
    """Since training began, without the time in which it did not run."""


Judge = Callable[[Arrays], tuple[Mapping[str, float], tuple[float, float]]]
"""From weights to `reset` and `carry`, and what epochs are compared by: more is better."""


class Loop:
    """A training under way.

    All that it remembers from one epoch to the next is in `checkpoint`: a run that was
    killed goes on with `restore` and ends with the same weights, to the byte.  That holds
    for a teacher who draws everything from the generator it is given.

    Parameters
    ----------
    config : TrainConfig
    architecture : Architecture
    material : Material
    judge : Judge or None
        Which epoch is best; without, the last.
    start : dict of arrays, optional
        Weights to begin with, as weights.npz holds them, of a network that answers with labels.
    trained : int
        Last layers that learn; 0: all.
    workers : Workers
        Who learns together; alone by default.
    """

    def __init__(
        self, config: TrainConfig, architecture: Architecture, material: Material,
        judge: Judge | None, start: Arrays | None = None, trained: int = 0,
        workers: Workers = ALONE,
    ) -> None:
        keras = models.import_keras()
        import tensorflow as tf

        # Kernels that add in a fixed order: same seed, same weights, on the CPU.
        tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(config.seed)
        self.config, self.architecture = config, architecture
        self.teacher, self.judge = material.teacher, judge
        self.rng = np.random.default_rng(config.seed)
        self._weights = ClassWeights.of(config.class_weights, architecture.labels,
                                        one_label=config.task in ONE_LABEL)
        self._build = partial(models.build, config, architecture.features, architecture.layers,
                              material.units)
        self.workers = workers
        with workers.scope():
            self.model = self._build(carried=bool(config.tbptt or config.carry))
            if start is not None:
                models.assign(self.model, architecture.layers, start)
            if trained:
                models.freeze(self.model, architecture.layers[:-trained])
        self.lessons = self._lessons()
        """Those of the epoch to come."""
        steps = config.epochs * updates(self.lessons, config.batch, config.tbptt)
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, max(steps, 1), 0.05)
        with workers.scope():
            self.optimizer = keras.optimizers.Adam(
                rate, 0.9, 0.999, clipnorm=None if workers.strategy else config.clipnorm)
            self.optimizer.build(self.model.trainable_variables)
        self.loss = loss(keras, config.task, bool(material.vocabulary), material.units[1])
        self.average = Average(config.average, self.model.get_weights())
        self.history: list[Epoch] = []
        self._best = 0
        self._best_key = (-np.inf, 0.0)
        self._best_weights = self.model.get_weights()
        self._drawn = True
        self._began = time.monotonic()
        self._graphs: dict[str, Any] = {}

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept."""
        return self.history[self._best]

    @property
    def done(self) -> bool:
        """Whether all epochs are over, or `patience` of them without a better one."""
        epochs = len(self.history)
        return epochs >= self.config.epochs or \
            (epochs > 0 and epochs - self.best.epoch >= self.config.patience)

    def epoch(self) -> Epoch:
        """Go once through new lessons."""
        if not self._drawn:
            self.lessons = self._lessons()
        self._drawn = False
        total, weight = 0.0, 0.0
        left: States = []
        for batch in batches(self.lessons, self.config.batch, self.rng):
            states = self.begin(len(batch.lengths), left)
            for piece in pieces(batch, self.config.tbptt):
                counted = float(piece.weights.sum())
                mean, states = self.update(piece, states)
                total, weight = total + mean * counted, weight + counted
            left = states
        self._judge(total / max(weight, 1.0))
        return self.history[-1]

    def begin(self, size: int, left: States) -> States:
        """States of a batch of `size` lessons, of which some go on with what others `left`."""
        widths = [state.shape[1] for state in self.model.inputs[1:]]
        return begun(widths, size, left, self.config.carry, self.rng)

    def update(self, batch: Batch, states: States) -> tuple[float, States]:
        """Change the weights by one batch, or by one piece of it.

        Returns
        -------
        float
            Mean loss per unit of weight.
        States
            As the batch left them; none if the model does not carry any.
        """
        if not self._graphs:
            self._graphs = self._traced(batch)
        counted = float(batch.weights.sum())
        if not counted and states:
            # No gradient, but an update would still follow Adam's momentum.
            return 0.0, [after.numpy() for after in self._graphs["listen"](batch.features, *states)]
        # Divided here, so that a batch of short lessons steps as far as one of long ones.
        batch = self.workers.filled(batch)
        scaled = batch.weights / np.float32(max(counted, 1.0))
        mean, *after = self._graphs["learn"](batch.features, batch.targets, scaled, *states)
        self.average.update(self.model.get_weights())
        return float(mean), [state.numpy() for state in after]

    def finish(self) -> Any:
        """The model, with the weights that did best."""
        self.model.set_weights(self._best_weights)
        if len(self.model.inputs) == 1:
            return self.model
        plain = self._build()
        for layer in self.model.layers:
            if layer.weights:
                plain.get_layer(layer.name).set_weights(layer.get_weights())
        return plain

    def _lessons(self) -> list[Lesson]:
        return self._weights.on(self.teacher.lessons(self.rng))

    def _traced(self, batch: Batch) -> dict[str, Any]:
        """An update, and running on without one, as TensorFlow functions.

        They are traced once, for lengths of all kinds: a run that goes on must not compute
        with another graph only because another batch came first.
        """
        import tensorflow as tf

        features, targets, weights = (
            tf.TensorSpec((None, None, *array.shape[2:]), array.dtype)
            for array in (batch.features, batch.targets, batch.weights))
        states = [tf.TensorSpec((None, state.shape[1])) for state in self.model.inputs[1:]]

        def run(features: Any, *states: Any) -> Any:
            if not states:
                return [self.model(features, training=True)]
            return self.model([features, *states], training=True)

        def slopes(features: Any, targets: Any, weights: Any, *states: Any
                   ) -> tuple[Any, list[Any], list[Any]]:
            with tf.GradientTape() as tape:
                scores, *after = run(features, *states)
                mean = self.loss(targets, scores, sample_weight=weights)
            return mean, tape.gradient(mean, self.model.trainable_variables), after

        @tf.function(input_signature=[features, targets, weights, *states])
        def learn(features: Any, targets: Any, weights: Any, *states: Any) -> Any:
            variables = self.model.trainable_variables
            if self.workers.strategy:
                return (self.workers.update(slopes, self.optimizer, variables,
                                            self.config.clipnorm, features, targets, weights),)
            mean, own, after = slopes(features, targets, weights, *states)
            self.optimizer.apply(own, variables)
            return mean, *after

        @tf.function(input_signature=[features, *states])
        def listen(features: Any, *states: Any) -> Any:
            return run(features, *states)[1:]

        return {"learn": learn, "listen": listen}

    def _judge(self, mean_loss: float) -> None:
        """Write an epoch into the history, and keep its weights if they are the best."""
        number = len(self.history) + 1
        latest = self.model.get_weights()
        self.model.set_weights(self.average.weights)
        found: Mapping[str, float] = {"reset": np.nan, "carry": np.nan}
        key = (float(number), 0.0)
        if self.judge:
            found, key = self.judge(models.arrays(self.model, self.architecture.layers))
            same = self.workers.agreed({**found, "key": key[0], "then": key[1]})
            key, found = (same.pop("key"), same.pop("then")), same
        self.history.append(Epoch(number, mean_loss, found["reset"], found["carry"],
                                  time.monotonic() - self._began))
        if number == 1 or key > self._best_key:
            self._best, self._best_key = number - 1, key
            self._best_weights = self.model.get_weights()
        self.model.set_weights(latest)

    def checkpoint(self, origin: Mapping[str, str]) -> Checkpoint:
        """All that the epochs to come depend on.

        Parameters
        ----------
        origin : mapping
            What the run is made of; see `Checkpoint`.
        """
        state = {"rng": self.rng.bit_generator.state, "averaged": self.average.updates,
                 "history": [asdict(epoch) for epoch in self.history],
                 "best": self._best, "best_key": list(self._best_key)}
        return Checkpoint(dict(origin), state, {
            "variable": [v.numpy() for v in self._variables()],
            "average": self.average.weights, "best": self._best_weights})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Be as the loop was that gave `checkpoint`.

        Raises
        ------
        OutputError
            If its arrays are not this network's.
        """
        state = checkpoint.state
        variables = self._variables()
        for variable, value in zip(variables, checkpoint.like("variable", variables), strict=True):
            variable.assign(value)
        self.average.weights = checkpoint.like("average", self.average.weights)
        self.average.updates = state["averaged"]
        self._best_weights = checkpoint.like("best", self._best_weights)
        self._best, self._best_key = state["best"], tuple(state["best_key"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.rng.bit_generator.state = state["rng"]
        self._drawn = False
        self._began = time.monotonic() - self.history[-1].seconds

    def _variables(self) -> list[Any]:
        """Weights, the seeds of dropout and noise, and what the optimizer remembers."""
        own = [v for layer in self.model.layers for v in layer.variables]
        return [*own, *self.optimizer.variables]


class Average:
    """A moving average over the updates of the weights (Polyak and Juditsky 1992).

    It does better on voices never heard than any one update's weights.
    """

    def __init__(self, share: float, weights: list[NDArray[np.float32]]) -> None:
        self.share = share
        self.weights = [w.copy() for w in weights]
        self.updates = 0

    def update(self, weights: list[NDArray[np.float32]]) -> None:
        """Take the weights after one update; early ones are averaged over fewer."""
        self.updates += 1
        kept = np.float32(min(self.share, 1 - 1 / self.updates))
        self.weights = [kept * mean + (1 - kept) * w
                        for mean, w in zip(self.weights, weights, strict=True)]
