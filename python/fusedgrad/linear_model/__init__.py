"""Linear models trained by stochastic gradient descent: scikit-learn's estimators on a compiled core.

The classes keep scikit-learn's names, parameters, defaults and results (scikit-learn 1.9, same ``random_state``: equal
to rounding). What they add is keyword-only; where they differ, "Differences from scikit-learn" in the docstring of
`SGDClassifier` says so.
"""

from ._classifier import SGDClassifier
from ._one_class import SGDOneClassSVM
from ._regressor import SGDRegressor
from ._together import FittedModels as FittedModels
from ._together import fit_many
from .search import SGDClassifierCV, SGDRegressorCV

__all__ = ["SGDClassifier", "SGDClassifierCV", "SGDOneClassSVM", "SGDRegressor", "SGDRegressorCV", "fit_many"]
