"""The gradient-descent engine for people who use scikit-learn."""

from . import callbacks, dask, data, exceptions, layers, linear_model, losses, neural_network, optimizers, schedules
from ._config import __version__, show_config
from ._public import publish, skops_trusted_types
from .linear_model import SGDClassifier, SGDClassifierCV, SGDOneClassSVM, SGDRegressor, SGDRegressorCV, fit_many
from .neural_network import MLPClassifier, MLPRegressor, NeuralClassifier, NeuralRegressor

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "NeuralClassifier",
    "NeuralRegressor",
    "SGDClassifier",
    "SGDClassifierCV",
    "SGDOneClassSVM",
    "SGDRegressor",
    "SGDRegressorCV",
    "__version__",
    "callbacks",
    "dask",
    "data",
    "exceptions",
    "fit_many",
    "layers",
    "linear_model",
    "losses",
    "neural_network",
    "optimizers",
    "schedules",
    "show_config",
    "skops_trusted_types",
]

publish()
del publish
