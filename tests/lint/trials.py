"""Run each model of a file of models in a real interpreter; print 1, 0, or end with a signal.

Not a test itself: `python tests/lint/trials.py tflm FILE FIRST` tries from that number on.
"""

import contextlib
import os
import pickle
import sys
from pathlib import Path


def runs(backend, data, inputs):
    """Whether a model runs at all, on ones: of 0 an RSQRT has no root."""
    import numpy as np

    with contextlib.suppress(Exception):
        if backend == "tflm":
            from tflite_micro.python.tflite_micro import runtime

            interpreter = runtime.Interpreter.from_bytes(data, arena_size=100_000)
            for i in range(inputs):
                each = interpreter.get_input_details(i)
                interpreter.set_input(np.ones(each["shape"], each["dtype"]), i)
            interpreter.invoke()
        else:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType

            interpreter = Interpreter(model_content=data, experimental_op_resolver_type=(
                OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES))
            interpreter.allocate_tensors()
            for each in interpreter.get_input_details():
                interpreter.set_tensor(each["index"], np.ones(each["shape"], each["dtype"]))
            interpreter.invoke()
        return True
    return False


if __name__ == "__main__":
    answers = os.dup(1)  # what the interpreters print goes elsewhere
    os.dup2(2, 1)
    models = pickle.loads(Path(sys.argv[2]).read_bytes())
    for model, inputs in models[int(sys.argv[3]):]:
        os.write(answers, b"1" if runs(sys.argv[1], model, inputs) else b"0")
