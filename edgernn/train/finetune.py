"""Fine-tuning in integers: what a profile rounds away, training can learn to do without.

Every step is run in the emulator, so what goes forward is what a device will compute, to the
byte.  What comes back is the gradient of the float step at those very values, passed
straight through each rounding (Bengio et al. 2013, arXiv 1308.3432), and stopped where an
integer was at the end of its range.  Cells are differentiated as they are described
(`edgernn.train.diagnose.tape`), so every one of them can be fine-tuned.  No TensorFlow.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError
from edgernn.frontend import make_frontend
from edgernn.quant import QType, dequantize
from edgernn.train import folder
from edgernn.train.architecture import Architecture
from edgernn.train.blocks import BLOCKS
from edgernn.train.blocks.ops import Array
from edgernn.train.calibrate import Ranges, calibrate
from edgernn.train.diagnose.tape import Node, Real, gradients
from edgernn.train.emulated import EmulatedModel
from edgernn.train.lessons import asked
from edgernn.train.measure import METRICS, measure
from edgernn.train.network import Network, read_arrays
from edgernn.train.profile import Profile, get_profile
from edgernn.train.reference import FloatModel, FloatOps
from edgernn.train.sequences import Sequences, calibration_rows, load_sequences

Arrays = dict[str, Array]
SMALLEST = 1e-4
"""Probabilities are taken as at least this in the loss."""


@dataclass(frozen=True)
class Tuning:
    """How to fine-tune."""

    profile: str = "int8"
    """Whose rounding is trained with: int8, int8x16 or int16x8."""
    epochs: int = 10
    learning_rate: float = 5e-4
    """Of Adam at the start; a cosine takes it to 5 %."""
    batch: int = 16
    """Sequences side by side."""
    tbptt: int = 100
    """Frames that gradients go back; the state goes on."""
    judge: str = "both"
    """Which result an epoch is judged by: with the state `reset`, `carry` (carried), or both."""
    seed: int = 0
    """Of the order of sequences."""


JUDGES = {"both": ("reset", "carry"), "reset": ("reset",), "carry": ("carry",)}


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to."""

    epoch: int
    loss: float
    """Mean over what was asked, of the integer step's scores."""
    reset: float
    """The task's metric of the integer step on what epochs are judged by; see `Tuner.split`."""
    carry: float


class SnappedOps(FloatOps):
    """Float operations whose every result is replaced by what the emulator made of it.

    Parameters
    ----------
    types : dict of QType
        By tensor name.
    """

    def __init__(self, types: Mapping[str, QType]) -> None:
        super().__init__()
        self._types = types
        self.traced: Mapping[str, Array] = {}
        """Real values of the present step's tensors, by name; see `EmulatedModel.trace`."""

    def keep(self, name: str, value: Any) -> Any:
        """The emulator's value, with the gradient of the float one.

        The scores are left as the float head gives them: their logarithm is the loss.
        """
        name = self.prefix + name
        if name == "scores" or name not in self.traced or not isinstance(value, Node):
            return value
        q = self._types[name]
        low, high = ((end - q.zero_point) * q.scale for end in (q.low, q.high))
        inside = (value.value >= low) & (value.value <= high)
        return Node(self.traced[name].reshape(value.shape), [(value, lambda g: g * inside)])


class Adam:
    """Kingma and Ba 2015 (arXiv 1412.6980), betas 0.9 and 0.999, with a gradient norm of at
    most 1 and a cosine from the first rate to a twentieth of it."""

    def __init__(self, rate: float, updates: int) -> None:
        self._rate, self._updates, self._count = rate, max(updates, 1), 0
        self._mean: dict[str, Real] = {}
        self._square: dict[str, Real] = {}

    def update(self, arrays: Arrays, slopes: Mapping[str, Real]) -> Arrays:
        """New arrays from old ones and the loss's gradient at them."""
        norm = float(np.sqrt(sum((g**2).sum() for g in slopes.values())))
        share = min(self._count / self._updates, 1.0)
        rate = self._rate * (0.05 + 0.95 * (1 + np.cos(np.pi * share)) / 2)
        self._count += 1
        made = {}
        for name, slope in slopes.items():
            g = slope / max(norm, 1.0)
            self._mean[name] = 0.9 * self._mean.get(name, 0.0) + 0.1 * g
            self._square[name] = 0.999 * self._square.get(name, 0.0) + 0.001 * g**2
            mean = self._mean[name] / (1 - 0.9**self._count)
            square = self._square[name] / (1 - 0.999**self._count)
            step = rate * mean / (np.sqrt(square) + 1e-7)
            made[name] = (arrays[name] - step).astype(np.float32)
        return made


def finetune(run: Path, out: Path, tuning: Tuning,
             progress: Callable[[Epoch], None] = lambda epoch: None,
             overwrite: bool = False) -> dict[str, Any]:
    """Fine-tune a run for one integer profile, and write a new run folder.

    Parameters
    ----------
    run : Path
        Folder written by `edgernn train`.  Its sequences.npz is what is learned from: the
        training sequences kept to calibrate on, as they are, without augmentation.
    out : Path
        Folder to make, for `edgernn quantize --profile`; it has no model.keras, since its
        weights are no longer Keras's.
    tuning : Tuning
    progress : callable
        Told of each epoch.
    overwrite : bool
        Whether to replace `out` if it is a run folder, other than `run`.

    Returns
    -------
    dict
        finetune.json: the settings, and the integer metric before and after, as `reset` and
        `carry`, on validation data, or the training data where there is no validation.

    Raises
    ------
    ModelError, QuantizeError, ConfigError, OutputError
    """
    network = Network.load(run)
    architecture = network.architecture
    if architecture.task not in METRICS or network.contexts:
        raise ConfigError(f"{run} is a run of task {architecture.task}; one step of its own was "
                          f"needed, of task {', '.join(METRICS)}. Fine-tune another")
    arrays = read_arrays(run)
    tuner = Tuner(architecture, arrays, load_sequences(run, network.architecture.features), tuning)
    with folder.making(out, overwrite, [run]) as place:
        before = tuner.measured()
        best, best_arrays = before, arrays
        for number in range(1, tuning.epochs + 1):
            loss = tuner.epoch()
            found = tuner.measured()
            progress(Epoch(number, loss, found["reset"], found["carry"]))
            if tuner.better(found, best):
                best, best_arrays = found, dict(tuner.arrays)
        said = {**vars(tuning), "metric": METRICS[architecture.task].name,
                "measured_on": tuner.split, "before": before, "after": best}
        _write(place.run, run, tuner, best_arrays, said)
    return said


def _write(out: Path, run: Path, tuner: "Tuner", arrays: Arrays, said: dict[str, Any]) -> None:
    for name in ("config.yaml", "architecture.json", "sequences.npz"):
        if (run / name).exists():
            shutil.copy(run / name, out / name)
    np.savez(out / "weights.npz", **arrays)  # type: ignore[arg-type]  # keys are layer/array
    floats = measure(tuner.architecture, FloatModel.build(tuner.architecture, arrays),
                     tuner.features(tuner.held_out), tuner.held_out)
    for name, tree in (("metrics.json", {f"{tuner.split}_float_{k}": v
                                         for k, v in floats.items()}), ("finetune.json", said)):
        (out / name).write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")


class Tuner:
    """A network's weights on their way to being good integers."""

    def __init__(self, architecture: Architecture, arrays: Arrays, sequences: Sequences,
                 tuning: Tuning) -> None:
        self.architecture, self.tuning = architecture, tuning
        self._profile: Profile = get_profile(tuning.profile)
        self._frontend = make_frontend(architecture.frontend)
        self._train = sequences.of_split("train")
        if not len(self._train):
            raise ConfigError("the run keeps no training sequence; some were needed to learn "
                              "from. Train again: edgernn train")
        # Never the test data: epochs are chosen by it, and its result would then be the best of
        # many looks at what nobody should have looked at.
        self.split = "validation" if "validation" in sequences.split else "train"
        """What `measured` is of."""
        self.held_out = sequences.of_split(self.split)
        self._calibration = [self._frontend.features(rows)
                             for rows in calibration_rows(sequences)]
        self._rng = np.random.default_rng(tuning.seed)
        batches = -(-len(self._train) // tuning.batch)
        self._adam = Adam(tuning.learning_rate, tuning.epochs * batches)
        self.take(arrays)

    def take(self, arrays: Arrays) -> None:
        """Go on with these weights, and with the ranges that they give."""
        self.arrays = dict(arrays)
        self.ranges: Ranges = calibrate(Network.build(self.architecture, arrays),
                                        self._calibration)

    def features(self, sequences: Sequences) -> list[NDArray[Any]]:
        """Features of each sequence."""
        return [self._frontend.features(rows) for rows in sequences]

    def measured(self) -> dict[str, float]:
        """The task's metric of the integer step with the present weights."""
        model = self._emulated()
        rows = [model.encode(rows) for rows in self.held_out]
        return measure(self.architecture, model, rows, self.held_out)

    def better(self, found: Mapping[str, float], best: Mapping[str, float]) -> bool:
        """Whether one result is better than another; see `Tuning.judge`."""
        sign = 1 if METRICS[self.architecture.task].higher_is_better else -1
        counted = JUDGES[self.tuning.judge]
        return sign * sum(found[key] - best[key] for key in counted) > 0

    def epoch(self) -> float:
        """Go through the training sequences once; gives the mean loss."""
        order = self._rng.permutation(len(self._train))
        total = count = 0.0
        for start in range(0, len(order), self.tuning.batch):
            batch = self._train.where(order[start:start + self.tuning.batch])
            for loss, counted in self._learn(batch):
                total, count = total + loss, count + counted
        self.take(self.arrays)
        return total / max(count, 1.0)

    def _emulated(self) -> EmulatedModel:
        network = Network.build(self.architecture, self.arrays)
        return EmulatedModel.of(network, self.ranges, self._profile)

    def _learn(self, batch: Sequences) -> Iterator[tuple[float, float]]:
        """One update per `tbptt` frames; gives the loss and what it counts."""
        targets, weights = asked(batch)
        cuts = batch.ends[:-1]
        frames = int(batch.lengths.max())
        rows = _padded(np.split(batch.rows, cuts), frames)
        wanted, counts = (_padded(np.split(one, cuts), frames) for one in (targets, weights))
        states = None
        for start in range(0, frames, self.tuning.tbptt):
            part = slice(start, start + self.tuning.tbptt)
            if not counts[:, part].any() and start + self.tuning.tbptt >= frames:
                return
            model = self._emulated()
            leaves = {name: Node(value) for name, value in self.arrays.items()}
            outputs, states = self._forward(model, leaves, rows[:, part], states)
            loss, slopes = self._loss(outputs, wanted[:, part], counts[:, part])
            if counts[:, part].any():
                found = gradients(list(zip(outputs, slopes, strict=True)), list(leaves.values()))
                self.arrays |= self._adam.update(
                    self.arrays, dict(zip(leaves, found, strict=True)))
            yield loss, float(counts[:, part].sum())

    def _forward(self, model: EmulatedModel, leaves: Mapping[str, Node], rows: NDArray[Any],
                 states: Any) -> tuple[list[Node], Any]:
        """Scores of every frame as nodes, and the emulator's states after the last."""
        network = Network(self.architecture, _split(self.architecture, leaves))
        types = {t.name: t.qtype for t in model.graph.tensors if len(t.scales) == 1}
        ops = SnappedOps(types)
        if states is None:
            states = model.initial(len(rows))
        before = {name: Node(dequantize(states[f"{name}_in"], types[f"{name}_in"]))
                  for name in network.states}
        shape = rows.shape
        codes = model.encode(rows.reshape(-1, shape[2])).reshape(shape)
        real = dequantize(codes, types["x"])
        outputs = []
        for t in range(shape[1]):
            ops.traced, states = model.trace(codes[:, t], states)
            scores, before = network.step(ops, real[:, t], before)
            outputs.append(scores)
        return outputs, states

    def _loss(self, outputs: list[Node], wanted: NDArray[Any], counts: NDArray[Any]
              ) -> tuple[float, list[Real]]:
        """Summed loss, and its gradient (of the mean) at the scores of each frame."""
        scale = 1.0
        if self.architecture.task == "regress":
            assert self._train.targets is not None
            scale = float(np.nanvar(self._train.targets)) or 1.0
        total, slopes = 0.0, []
        whole = max(float(counts.sum()), 1.0)
        for t, node in enumerate(outputs):
            p, y, w = node.value, wanted[:, t], counts[:, t]
            if self.architecture.task == "regress":
                each, slope = ((p - y)**2).mean(axis=1) / scale, 2 * (p - y) / scale / p.shape[1]
            elif y.ndim == 2:
                safe = np.clip(p, SMALLEST, 1 - SMALLEST)
                each = -(y * np.log(safe) + (1 - y) * np.log(1 - safe)).sum(axis=1)
                slope = (safe - y) / (safe * (1 - safe))
            else:
                right = np.arange(len(p)), y.astype(np.int64)
                safe = np.maximum(p[right], SMALLEST)
                each, slope = -np.log(safe), np.zeros_like(p)
                slope[right] = -1 / safe
            total += float((each * w).sum())
            slopes.append(slope * (w / whole)[:, None])
        return total, slopes


def _split(architecture: Architecture, leaves: Mapping[str, Any]) -> Any:
    """Each layer's matrices out of Keras's arrays, as nodes."""
    found = []
    for index, layer in enumerate(architecture.layers):
        own = {key.split("/")[1]: value for key, value in leaves.items()
               if key.startswith(f"{index}/")}
        try:
            found.append(BLOCKS[layer.kind].split(layer, own))
        except TypeError as problem:
            raise ConfigError(f"layer {index} is a {layer.kind}, whose weights cannot be followed "
                              f"back to Keras's ({problem}). Fine-tune a network without it") \
                from problem
        if layer.kind == "layer_norm":
            raise ConfigError(f"layer {index} is a layer_norm, whose gamma and beta live in the "
                              "next layer. Fine-tune a network without it, or of ln_gru, ln_lstm")
    return tuple(found)


def _padded(parts: list[NDArray[Any]], frames: int) -> NDArray[Any]:
    """Sequences side by side, zeros after their ends, shape (sequences, frames, ...)."""
    out = np.zeros((len(parts), frames, *parts[0].shape[1:]), parts[0].dtype)
    for row, part in zip(out, parts, strict=True):
        row[:len(part)] = part
    return out
