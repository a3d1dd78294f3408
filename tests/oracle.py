"""Thousands of steps without a reset, in the emulator and in TensorFlow Lite Micro."""

import numpy as np

from edgernn.interpreter import open_runtime

AT_ONCE = 1000
"""Steps that the emulator makes side by side."""


def differing(data, model, pairs, feeds):
    """How many bytes differ, of scores and of states, over steps without a reset.

    TFLM carries its own states from step to step.  The emulator makes each of those steps
    from the states that TFLM had before it, many side by side: if every step is equal,
    both went through the same states from the first to the last.

    Parameters
    ----------
    data : bytes
        The FlatBuffer.
    model : EmulatedModel
    pairs : tuple of StatePair
    feeds : dict of arrays, shape (steps, ...)
        Every input that is no state, by tensor name.
    """
    graph = model.graph
    tflm = open_runtime("tflm", data, graph, None)
    names = [graph.tensors[i].name for i in graph.inputs]
    outputs = [graph.tensors[i].name for i in graph.outputs]
    steps = len(next(iter(feeds.values())))
    states = model.initial(1)
    before = {name: np.empty((steps, *value.shape[1:]), value.dtype)
              for name, value in states.items()}
    made = {name: [] for name in outputs}
    for t in range(steps):
        for name, value in states.items():
            before[name][t] = value[0]
        given = tflm.invoke([states[name] if name in states else feeds[name][t:t + 1]
                             for name in names])
        for name, value in zip(outputs, given, strict=True):
            made[name].append(value)
        states = {pair.input: given[outputs.index(pair.output)] for pair in pairs}
    count = 0
    for start in range(0, steps, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        found = model._emulator.run({name: (before.get(name, feeds.get(name)))[part]
                                     for name in names})
        count += sum(int(np.count_nonzero(found[name] != np.concatenate(made[name][part])))
                     for name in outputs)
    return count
