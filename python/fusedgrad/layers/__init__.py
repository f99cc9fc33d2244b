"""Layers of `NeuralClassifier` and `NeuralRegressor`: small immutable descriptions, put in a list.

>>> from fusedgrad.layers import BatchNorm, Dense, Dropout, Residual
>>> layers = [Dense(64), BatchNorm(), Residual([Dense(64, "gelu"), Dropout(0.1), Dense(64)])]
>>> layers[0]
Dense(64)

A layer is made for one row; the shape of a row has any number of dimensions, the last of which are the features (or
channels): images are (height, width, channels), sequences (time, features). What layers have learned belongs to the
estimator, so the same list can serve many of them.
"""

from ._dense import Activation, Dense, Dropout, Flatten, Residual
from ._layer import Layer, activations, initializers
from ._layer import Shape as Shape
from ._layer import assemble as assemble
from ._layer import checked as checked
from ._layer import walk as walk
from ._norms import BatchNorm, LayerNorm
from ._sequences import GRU, LSTM, Embedding, Masking, SimpleRNN
from ._windows import AvgPool2D, Conv1D, Conv2D, GlobalAvgPool2D, MaxPool2D

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
    "Residual",
    "SimpleRNN",
    "activations",
    "initializers",
]
