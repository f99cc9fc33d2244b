"""The gradient-descent engine for people who use scikit-learn."""

from . import linear_model, losses, optimizers, schedules
from ._config import __version__, show_config
from .linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor

__all__ = [
    "SGDClassifier",
    "SGDOneClassSVM",
    "SGDRegressor",
    "__version__",
    "linear_model",
    "losses",
    "optimizers",
    "schedules",
    "show_config",
]
