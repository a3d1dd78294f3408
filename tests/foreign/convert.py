"""Run by test_converted.py in a process of its own: a GRU, by TensorFlow's converter.

    python convert.py OUT explicit|float|variable|stacked
"""

import sys

import numpy as np
import tensorflow as tf

FEATURES, UNITS, LABELS = 10, 16, 4


class Gru(tf.Module):
    """One step, its state given and returned, or kept in a variable."""

    def __init__(self):
        rng = np.random.default_rng(0)

        def weights(*shape):
            return tf.constant(rng.normal(0, 0.4, shape).astype(np.float32))

        self.kernels, self.recurrents, self.head = (
            weights(FEATURES, 3 * UNITS), weights(UNITS, 3 * UNITS), weights(UNITS, LABELS))
        self.h = tf.Variable(np.full((1, UNITS), 0.25, np.float32))

    def next(self, x, h):
        """The next state."""
        a, b = tf.split(x @ self.kernels, 3, 1), tf.split(h @ self.recurrents, 3, 1)
        z, r = tf.sigmoid(a[0] + b[0]), tf.sigmoid(a[1] + b[1])
        return z * h + (1 - z) * tf.tanh(a[2] + r * b[2])

    def answer(self, h):
        """Scores."""
        return tf.nn.softmax(h @ self.head)

    @tf.function(input_signature=[tf.TensorSpec([1, FEATURES]), tf.TensorSpec([1, UNITS])])
    def explicit(self, x, h):
        """The state is an input and an output."""
        h = self.next(x, h)
        return {"y": self.answer(h), "next_h": h}

    @tf.function(input_signature=[tf.TensorSpec([1, FEATURES]), tf.TensorSpec([2, 1, UNITS])])
    def stacked(self, x, state):
        """Two states in one tensor."""
        first = self.next(x, state[0])
        second = state[1] * 0.75 + first * 0.25
        return {"y": self.answer(second), "new_state": tf.stack([first, second])}

    @tf.function(input_signature=[tf.TensorSpec([1, FEATURES])])
    def variable(self, x):
        """The state is within."""
        self.h.assign(self.next(x, self.h))
        return {"y": self.answer(self.h)}


def main(out, kind):
    """Write one model."""
    model, rng = Gru(), np.random.default_rng(1)
    function = {"float": model.explicit}.get(kind) or getattr(model, kind)
    concrete = function.get_concrete_function()
    tf.saved_model.save(model, out + ".saved", signatures=concrete)
    converter = tf.lite.TFLiteConverter.from_saved_model(out + ".saved")
    converter.optimizations = [tf.lite.Optimize.DEFAULT]

    def frames():
        for _ in range(100):
            x = {"x": rng.normal(0, 1, (1, FEATURES)).astype(np.float32)}
            if kind in ("explicit", "float"):
                x["h"] = np.tanh(rng.normal(0, 0.5, (1, UNITS))).astype(np.float32)
            elif kind == "stacked":
                x["state"] = np.tanh(rng.normal(0, 0.5, (2, 1, UNITS))).astype(np.float32)
            yield x

    converter.representative_dataset = frames
    if kind != "float":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with open(out, "wb") as file:
        file.write(converter.convert())


if __name__ == "__main__":
    main(*sys.argv[1:])
