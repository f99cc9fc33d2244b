"""MNIST: 8,000 digits, pixels from 0 to 1, one softmax; alpha as is best for the other 2,000."""

from __future__ import annotations

import numpy as np

from bench.quality.recipes import recipes
from bench.quality.task import Task

from . import _files

NAME = "mnist"
DESCRIPTION = "MNIST, dense float32, 8,000 x 784, softmax over 10 classes, alpha 3e-3"
RECIPES = recipes((32, 64, 256), sgd=(0.3, 1.0), nesterov=(0.03, 0.1, 0.2), adam=(0.01, 0.02))
ROWS = 8000


def make(scale: float) -> Task:
    """Return the problem; real data have one size."""
    pixels = np.frombuffer(_files.read("mnist10k-images-idx3-ubyte.gz"), np.uint8, offset=16).reshape(-1, 784)
    labels = np.frombuffer(_files.read("mnist10k-labels-idx1-ubyte.gz"), np.uint8, offset=8)
    X = pixels[:ROWS].astype(np.float32) / np.float32(255)
    return Task(X, labels[:ROWS].astype(np.int64), "multinomial", 3e-3, RECIPES)
