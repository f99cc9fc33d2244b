"""Layers of networks in float64 NumPy, forward and back by the formulas of the papers.

A layer has `forward(x, training)` and `backward(dy)`, which returns dx and leaves the slopes of its parameters in
`gradients`, in the order of `weights`; `kept` holds what is not trained. A row of x may have any number of dimensions,
the last of which are the features: images are (height, width, channels), sequences (time, features). At a kink the
slope is torch's: the one from the left, but for hard_swish at 3; of equal numbers in a window the first is the largest.

Padding of sequences: `told(mask)` tells a layer which steps of its input are padding, (rows, steps) or None, and
returns that of its output.

``of(layer, shape, given)`` makes the reference's twin of a layer of `fusedgrad.layers` for rows of a shape; see
`..layers.Given`.
"""

from .dense import Activation, Dense, Dropout, Flatten, Residual
from .layer import Layer
from .network import Network, cross_entropy, score
from .norms import BatchNorm, LayerNorm
from .sequences import GRU, LSTM, Embedding, Masking, Recurrent, SimpleRNN
from .windows import AvgPool2D, Conv1D, Conv2D, GlobalAvgPool2D, MaxPool2D, Window

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "AvgPool2D",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool2D",
    "Layer",
    "LayerNorm",
    "Masking",
    "MaxPool2D",
    "Network",
    "Recurrent",
    "Residual",
    "SimpleRNN",
    "Window",
    "cross_entropy",
    "score",
]
