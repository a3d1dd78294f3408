"""Training and quantizing.

`models` and `fit` import TensorFlow, inside; the rest (data, calibration, the
FlatBuffer writer, evaluation) needs numpy and the packages of the extra `train`.
"""
