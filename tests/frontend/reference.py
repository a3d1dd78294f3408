"""Log-mel energies in floats, written from the definition and from nothing of edgernn."""

import numpy as np


def float_codes(samples, rate=16000, window=480, hop=320, mels=40, low_hz=60, high_hz=7600):
    """256 * (log2 energy - 12), float64, shape (rows, mels); -inf for silence."""
    points = max(128, 1 << (window - 1).bit_length())
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), window)[::hop]
    power = np.abs(np.fft.rfft(frames * hann, points)) ** 2 * (240 / hann.sum()) ** 2

    def mel(hz):
        return 2595 * np.log10(1 + np.asarray(hz) / 700)

    edges = np.linspace(mel(low_hz), mel(high_hz), mels + 2)
    bins = mel(np.arange(points // 2 + 1) * rate / points)
    weights = np.stack([np.interp(bins, edges[i:i + 3], [0, 1, 0]) for i in range(mels)])
    with np.errstate(divide="ignore"):
        return 256 * (np.log2(power @ weights.T) - 12)
