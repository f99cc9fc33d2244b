"""MNIST: the first 8,000 of the 10,000 digits of the test set, pixels from 0 to 1, dense float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.quality.recipes import recipes

from . import _files

FORM = "dense float32, 8,000 x 784, softmax over 10 classes"
RECIPES = recipes((32, 64, 256), sgd=(0.3, 1.0), nesterov=(0.03, 0.1, 0.2), adam=(0.01, 0.02))
ROWS = 8000


def data() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return X and labels 0 to 9."""
    pixels = np.frombuffer(_files.read("mnist10k-images-idx3-ubyte.gz"), np.uint8, offset=16).reshape(-1, 784)
    labels = np.frombuffer(_files.read("mnist10k-labels-idx1-ubyte.gz"), np.uint8, offset=8)
    return pixels[:ROWS].astype(np.float32) / np.float32(255), labels[:ROWS].astype(np.int64)
