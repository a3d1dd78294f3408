"""Training of an encoder and a decoder, one epoch after another."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.frontend.tokens import FIRST
from edgernn.train import models
from edgernn.train.checkpoint import Checkpoint
from edgernn.train.config import TrainConfig
from edgernn.train.loop import Average
from edgernn.train.pairs import Pairs
from edgernn.train.transducer import START, pad

Numbers = NDArray[np.int32]
SORTED = 16
"""Batches that are sorted by length together, so that one has little padding."""


@dataclass(frozen=True)
class Epoch:
    """One line of history.csv."""

    epoch: int
    loss: float
    """Mean cross-entropy per token, nats; with smoothed labels it cannot reach 0."""
    error: float
    """Token error rate of the validation split, greedily decoded on floats; may exceed 1."""
    seconds: float
    """Since training began, without the time in which it did not run."""


class PairLoop:
    """A training under way; `edgernn.train.resume.run` drives it.

    Parameters
    ----------
    config : TrainConfig
    data : Pairs
    model : keras.Model
        As `edgernn.train.transduction.build` makes it.
    judge : callable
        Token error rate on validation data of the model as it is.
    """

    def __init__(self, config: TrainConfig, data: Pairs, model: Any,
                 judge: Callable[[Any], float]) -> None:
        keras = models.import_keras()
        self.config, self.model, self.judge = config, model, judge
        self.rng = np.random.default_rng(config.seed)
        pairs = data.of_split("train")
        self._sources, self._targets = data.sources(pairs), data.targets(pairs)
        updates = config.epochs * -(-len(pairs) // config.batch)
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, updates, alpha=0.02)
        self._optimizer = keras.optimizers.Adam(rate, clipnorm=config.clipnorm)
        self._optimizer.build(model.trainable_variables)
        self._loss = keras.losses.CategoricalCrossentropy(
            label_smoothing=config.label_smoothing, reduction="sum")
        self._average = Average(config.average, model.get_weights())
        self._learn = self._traced()
        self.history: list[Epoch] = []
        self._best = 0
        self._best_weights = model.get_weights()
        self._began = time.monotonic()

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept."""
        return self.history[self._best]

    @property
    def done(self) -> bool:
        """Whether all epochs are over, or `patience` of them without a better one."""
        epochs = len(self.history)
        return epochs >= self.config.epochs or (
            epochs > 0 and epochs - self.best.epoch >= self.config.patience)

    def epoch(self) -> Epoch:
        """One pass over the pairs, those of like length together."""
        total, count = 0.0, 0.0
        chunks = self._chunks()
        for at in self.rng.permutation(len(chunks)):
            loss, tokens = self.update(chunks[at])
            total, count = total + loss * tokens, count + tokens
        self._judge(total / count)
        return self.history[-1]

    def update(self, chosen: Sequence[int]) -> tuple[float, float]:
        """Change the weights by one batch; gives its mean loss per token, and its tokens."""
        labels = self.model.output_shape[-1]
        source, given, wanted, weights = _batch([self._sources[i] for i in chosen],
                                                [self._targets[i] for i in chosen],
                                                self.config.token_noise, labels, self.rng)
        tokens = float(weights.sum())
        loss = self._learn(source, given, np.eye(labels, dtype=np.float32)[wanted],
                           weights / np.float32(tokens))
        self._average.update(self.model.get_weights())
        return float(loss), tokens

    def finish(self) -> Any:
        """The model, with the weights that did best."""
        self.model.set_weights(self._best_weights)
        return self.model

    def _chunks(self) -> list[list[int]]:
        """Batches of pairs of like length, drawn anew for every epoch."""
        order = self.rng.permutation(len(self._sources))
        size, big = self.config.batch, self.config.batch * SORTED
        chunks = []
        for start in range(0, len(order), big):
            near = sorted(order[start:start + big],
                          key=lambda i: (len(self._sources[i]), len(self._targets[i])))
            chunks += [near[i:i + size] for i in range(0, len(near), size)]
        return chunks

    def _traced(self) -> Any:
        """An update as a TensorFlow function.

        Traced once, for lengths of all kinds: a run that goes on must not compute with another
        graph only because another batch came first.
        """
        import tensorflow as tf

        tokens, labels = tf.TensorSpec((None, None), tf.int32), self.model.output_shape[-1]

        @tf.function(input_signature=[tokens, tokens, tf.TensorSpec((None, None, labels)),
                                      tf.TensorSpec((None, None))])
        def learn(source: Any, given: Any, wanted: Any, weights: Any) -> Any:
            with tf.GradientTape() as tape:
                scores = self.model([source, given], training=True)
                mean = self._loss(wanted, scores, sample_weight=weights)
            variables = self.model.trainable_variables
            self._optimizer.apply(tape.gradient(mean, variables), variables)
            return mean

        return learn

    def _judge(self, loss: float) -> None:
        """Write an epoch into the history, and keep its weights if they are the best."""
        latest = self.model.get_weights()
        self.model.set_weights(self._average.weights)
        found = self.judge(self.model)
        self.history.append(Epoch(len(self.history) + 1, loss, found,
                                  time.monotonic() - self._began))
        if len(self.history) == 1 or found < self.best.error:
            self._best = len(self.history) - 1
            self._best_weights = self.model.get_weights()
        self.model.set_weights(latest)

    def checkpoint(self, origin: Mapping[str, str]) -> Checkpoint:
        """See `edgernn.train.resume.Resumable`."""
        state = {"rng": self.rng.bit_generator.state, "averaged": self._average.updates,
                 "history": [asdict(epoch) for epoch in self.history], "best": self._best}
        return Checkpoint(dict(origin), state, {
            "variable": [v.numpy() for v in self._variables()],
            "average": self._average.weights, "best": self._best_weights})

    def restore(self, checkpoint: Checkpoint) -> None:
        """See `edgernn.train.resume.Resumable`."""
        state, variables = checkpoint.state, self._variables()
        for variable, value in zip(variables, checkpoint.like("variable", variables), strict=True):
            variable.assign(value)
        self._average.weights = checkpoint.like("average", self._average.weights)
        self._average.updates = state["averaged"]
        self._best_weights = checkpoint.like("best", self._best_weights)
        self._best = state["best"]
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.rng.bit_generator.state = state["rng"]
        self._began = time.monotonic() - self.history[-1].seconds

    def _variables(self) -> list[Any]:
        """Weights, the seeds of dropout, and what the optimizer remembers."""
        own = [v for layer in self.model.layers for v in layer.variables]
        return [*own, *self._optimizer.variables]


def _batch(sources: list[Numbers], targets: list[Numbers], share: float, labels: int,
           rng: np.random.Generator) -> tuple[Numbers, Numbers, Numbers, NDArray[np.float32]]:
    """Padded sources, tokens given to the decoder, labels wanted of it, and their weights."""
    source, given = pad(sources, 4), pad([np.append(START, row) for row in targets], 4)
    wanted = pad([row - 1 for row in targets], 4) if max(map(len, targets)) else given * 0
    wanted = np.pad(wanted, ((0, 0), (0, given.shape[1] - wanted.shape[1])))
    weights = (given > 0).astype(np.float32)
    noise = (rng.random(given.shape) < share) & (given > START)
    given[noise] = rng.integers(FIRST, labels + 1, int(noise.sum()))
    return source, given, wanted, weights
