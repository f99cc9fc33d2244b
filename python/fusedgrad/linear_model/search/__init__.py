"""`SGDClassifierCV` and `SGDRegressorCV`: a grid of models, cross-validated in as few passes over X as possible.

A *cell* is a combination of the grid's values. All cells of a fold are trained together (`_training`), so a search has
no estimator of its own to clone and fit one by one.
"""

from ._base import GridCV as GridCV
from ._classifier import SGDClassifierCV
from ._data import Data as Data
from ._regressor import SGDRegressorCV

__all__ = ["SGDClassifierCV", "SGDRegressorCV"]
