"""The gradient-descent engine for people who use scikit-learn."""

from . import layers, linear_model, losses, neural_network, optimizers, schedules
from ._config import __version__, show_config
from .linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor
from .neural_network import MLPClassifier, MLPRegressor, NeuralClassifier, NeuralRegressor

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "NeuralClassifier",
    "NeuralRegressor",
    "SGDClassifier",
    "SGDOneClassSVM",
    "SGDRegressor",
    "__version__",
    "layers",
    "linear_model",
    "losses",
    "neural_network",
    "optimizers",
    "schedules",
    "show_config",
]
