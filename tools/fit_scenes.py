"""Training on scenes: a label and a weight for every frame."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from edgernn.frontend.logmel import CODE_ZERO
from edgernn.train.architecture import Architecture
from edgernn.train.sequences import Sequences

BATCH = 64
LEARNING_RATE = 2e-3
WORD_WEIGHT = 1.5
"""A frame of a wake word counts so much more than any other."""
DROPOUT = 0.2
SCALE = np.float32(1 / 32)
"""Real feature per step of a scene's int8."""


def fit(
    architecture: Architecture, features: NDArray[np.int8], labels: NDArray[np.int8],
    weights: NDArray[np.float32], epochs: int, seed: int,
) -> tuple[dict[str, NDArray[np.float32]], list[float]]:
    """Train; give the weights by name as in weights.npz, and the loss of each epoch.

    Parameters
    ----------
    features, labels, weights : arrays
        Shapes (scenes, frames, 40), (scenes, frames), (scenes, frames).
    """
    import keras

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = _build(architecture)
    steps = len(features) // BATCH
    rate = keras.optimizers.schedules.CosineDecay(
        1e-4, max(1, steps * epochs - 100), alpha=0.01, warmup_target=LEARNING_RATE,
        warmup_steps=100)
    # The average over some epochs of weights does better on voices not heard than the last.
    optimizer = keras.optimizers.Adam(rate, clipnorm=1.0, use_ema=True, ema_momentum=0.995)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy())
    weights = np.where(labels > 0, weights * np.float32(WORD_WEIGHT), weights)
    losses = []
    with Progress(transient=True) as bars:
        task = bars.add_task("training", total=steps * epochs)
        for epoch in range(epochs):
            order, total = rng.permutation(len(features)), 0.0
            for step in range(steps):
                chosen = np.sort(order[step * BATCH:(step + 1) * BATCH])
                x = varied(rng, features[chosen].astype(np.float32) * SCALE)
                total = float(model.train_on_batch(x, labels[chosen],
                                                   sample_weight=weights[chosen]))
                bars.advance(task)
            losses.append(total)  # Keras gives the mean over the epoch so far
            print(json.dumps({"epoch": epoch + 1, "loss": round(total, 5)}), flush=True)
            model.reset_metrics()
    optimizer.finalize_variable_values(model.trainable_variables)
    return _arrays(model), losses


def _build(architecture: Architecture):  # type: ignore[no-untyped-def]
    import keras

    x = inputs = keras.Input((None, architecture.features))
    for layer in architecture.layers:
        if layer.kind == "gru":
            x = keras.layers.GRU(layer.units, return_sequences=True)(x)
            x = keras.layers.Dropout(DROPOUT)(x)
        else:
            x = keras.layers.Dense(layer.units, layer.activation)(x)
    return keras.Model(inputs, x)


def _arrays(model) -> dict[str, NDArray[np.float32]]:  # type: ignore[no-untyped-def]
    names = {2: ("kernel", "bias"), 3: ("kernel", "recurrent_kernel", "bias")}
    with_weights = [layer.get_weights() for layer in model.layers if layer.get_weights()]
    return {f"{i}/{name}": array for i, arrays in enumerate(with_weights)
            for name, array in zip(names[len(arrays)], arrays, strict=True)}


def varied(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """SpecAugment (Park et al. 2019), a warped mel axis (other vocal tracts), and gain.

    x has shape (scenes, frames, mels) and is changed in place.
    """
    _, frames, mels = x.shape
    centre = mels / 2
    for rows in x:
        if rng.random() < 0.7:
            moved = (np.arange(mels) - centre) * rng.uniform(0.9, 1.1) + centre
            at = np.clip(moved + rng.uniform(-1, 1), 0, mels - 1.001)
            low = at.astype(int)
            share = (at - low).astype(np.float32)
            rows[:] = rows[:, low] * (1 - share) + rows[:, low + 1] * share
        if rng.random() < 0.5:
            rows += np.float32(rng.uniform(-0.6, 0.6))
        for _ in range(int(rng.integers(0, 3))):
            width = int(rng.integers(0, 8))
            first = int(rng.integers(0, mels - width))
            rows[:, first:first + width] = rng.uniform(-3, 1)
        for _ in range(int(rng.integers(0, 4))):
            width = int(rng.integers(1, 6))
            first = int(rng.integers(1, frames - width))
            rows[first:first + width] = rows[first - 1]
    return x


def write_run(
    run: Path, architecture: Architecture, arrays: dict[str, NDArray[np.float32]],
    losses: list[float], sequences: Sequences,
) -> None:
    """Write the run folder that `edgernn quantize` reads."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "architecture.json").write_text(architecture.to_json(), encoding="utf-8")
    np.savez_compressed(run / "weights.npz", **arrays)  # type: ignore[arg-type]
    rows = "".join(f"{i + 1},{loss:.6f}\n" for i, loss in enumerate(losses))
    (run / "history.csv").write_text("epoch,loss\n" + rows, encoding="utf-8")
    sequences.save(run / "sequences.npz")


def as_sequences(features: NDArray[np.int8], labels: NDArray[np.int8]) -> Sequences:
    """Scenes as the log-mel codes that give the same features; labelled by their first word."""
    scenes, frames, mels = features.shape
    codes = (features.astype(np.int16) << 5) + np.int16(CODE_ZERO)
    first = np.array([row[row > 0][0] if (row > 0).any() else 0 for row in labels], np.int64)
    return Sequences(codes.reshape(-1, mels), np.full(scenes, frames, np.int64), first,
                     np.full(scenes, "train"))


def joined(*parts: Sequences) -> Sequences:
    """One after the other."""
    whole = parts[0]
    for part in parts[1:]:
        whole = replace(whole, rows=np.concatenate([whole.rows, part.rows]),
                        lengths=np.concatenate([whole.lengths, part.lengths]),
                        labels=np.concatenate([whole.labels, part.labels]),
                        split=np.concatenate([whole.split, part.split]))
    return whole
