"""Runs of random weights, some with ills that are known."""


import numpy as np

from edgernn.train.architecture import Layer
from edgernn.train.diagnose import diagnose
from edgernn.train.sequences import Sequences
from tests import networks

GRU, LSTM, RNN = Layer("gru", 8), Layer("lstm", 8), Layer("simple_rnn", 8)


def write_run(folder, *layers, edit=lambda arrays: None, count=24, longest=40):
    """A run folder of random weights, changed by `edit`."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = networks.architecture(*layers)
    arrays = networks.arrays(shape.layers, shape.features)
    edit(arrays)
    (folder / "architecture.json").write_text(shape.to_json())
    np.savez(folder / "weights.npz", **arrays)
    rows = networks.sequences(shape.features, count=count, longest=longest)
    split = np.array(["train", "test"] * (count // 2))
    Sequences(np.concatenate(rows), np.array([len(r) for r in rows]), np.arange(count) % 4,
              split).save(folder / "sequences.npz")
    return folder


def scaled(factor):
    """A SimpleRNN that is nearly linear, and multiplies its state by `factor` each frame."""
    def edit(arrays):
        arrays["0/kernel"] *= 1e-5
        arrays["0/bias"] *= 0
        arrays["0/recurrent_kernel"] = np.eye(8, dtype=np.float32) * factor

    return edit


def examined(tmp_path, *layers, edit=lambda arrays: None, **options):
    return diagnose(write_run(tmp_path / "run", *layers, edit=edit, **options))
