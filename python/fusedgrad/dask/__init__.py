"""Estimators for rows on the workers of a Dask cluster: plain estimators, to the bit, whoever holds which rows."""

from ._linear import SGDClassifier, SGDRegressor
from ._search import SGDClassifierCV, SGDRegressorCV

__all__ = ["SGDClassifier", "SGDClassifierCV", "SGDRegressor", "SGDRegressorCV"]
