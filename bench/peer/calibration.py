"""What the ranges of activations are found with: the benchmark's own picture and labels (bench/native.js), and random ones."""
import numpy as np

RANDOM = np.random.default_rng(0)

def pictures(side):
    wave = np.rint(128 + 115 * np.sin(.37 * np.arange(4 * side * side))).reshape(side, side, 4)[:, :, :3]
    noise = [np.clip(RANDOM.normal(0, .5, (1, 3, side, side)), -1, 1) for _ in range(2)]
    return [np.ascontiguousarray(x, np.float32) for x in (wave.transpose(2, 0, 1)[None] / 127.5 - 1, *noise)]

def texts(count, length, vocabulary):
    at = np.arange(count * length)
    own = np.where(at % length < 8, 3 + at * 7919 % (vocabulary - 3), 1).reshape(count, length)
    return [own] + [np.where(own == 1, 1, RANDOM.integers(3, vocabulary, own.shape)) for _ in range(2)]
