"""Neural networks: scikit-learn's multi-layer perceptrons on a compiled core, and networks of any layers.

`MLPClassifier` and `MLPRegressor` keep scikit-learn's names, parameters, defaults and results (scikit-learn 1.9, same
``random_state``: equal to rounding). What they add is keyword-only; where they differ, "Differences from scikit-learn"
in the docstring of `MLPClassifier` says so. `NeuralClassifier` and `NeuralRegressor` take a list of
`fusedgrad.layers`.
"""

from ._mlp_classifier import MLPClassifier
from ._mlp_regressor import MLPRegressor
from ._neural_classifier import NeuralClassifier
from ._neural_regressor import NeuralRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "NeuralClassifier", "NeuralRegressor"]
