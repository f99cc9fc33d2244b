"""Layers of `NeuralClassifier` and `NeuralRegressor`: small immutable descriptions, put in a list.

>>> from fusedgrad.layers import BatchNorm, Dense, Dropout, Residual
>>> layers = [Dense(64), BatchNorm(), Residual([Dense(64, "gelu"), Dropout(0.1), Dense(64)])]
>>> layers[0]
Dense(64)

A layer is made for one row; the shape of a row has any number of dimensions, the last of which are the features (or
channels): images are (height, width, channels), sequences (time, features). What layers have learned belongs to the
estimator, so the same list can serve many of them.
"""

# ruff: noqa: F403
from . import _dense, _norms, _sequences, _windows
from ._dense import *
from ._layer import Layer, activations, initializers
from ._layer import Shape as Shape
from ._layer import assemble as assemble
from ._layer import checked as checked
from ._layer import walk as walk
from ._norms import *
from ._sequences import *
from ._windows import *

# A class of a family enters by the `__all__` of its file.
__all__ = ["Layer", "activations", "initializers"]
__all__ += _dense.__all__
__all__ += _norms.__all__
__all__ += _sequences.__all__
__all__ += _windows.__all__
