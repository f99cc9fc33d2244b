"""Coefficients along strengths of the penalty."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._atomic import shallow_copy
from .._sources import takes_sources
from ._together import Together, warn_of

MOST_ALPHAS = 1_000_000  # of a path or a grid, where a number of them is asked for


class WithPath:
    """What the estimators have besides `fit`."""

    @takes_sources
    def path(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        alphas: int | ArrayLike = 100,
        sample_weight: ArrayLike | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.float64]]:
        """Return the coefficients for many strengths of the penalty, to be plotted against them.

        The models have this estimator's parameters, but for `alpha`, and each is what `fit` would make of it. In
        mini-batches they are trained in one pass; a solver (``optimizer='auto'``) starts each model where that of the
        next larger alpha ended, and so ends as near to the optimum by other steps. This estimator is not changed.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,), for regressors also (n_samples, n_targets)
            Class labels or targets.
        alphas : int in [1, 1000000] or array-like of floats in (0, inf), default=100
            Strengths of the penalty; an int: so many from 1e-6 to 1, evenly on a logarithmic scale.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        alphas : ndarray of shape (n_alphas,)
            In descending order, as scikit-learn's paths are.
        coefs : ndarray of shape (n_features, n_alphas), or (n_outputs, n_features, n_alphas) for several outputs
            The coefficients.
        intercepts : ndarray of shape (n_alphas,), or (n_outputs, n_alphas)
            The intercepts.

        Raises
        ------
        ValueError
            As `fit`, or for alphas out of range; it names the alpha.
        KeyboardInterrupt
            After Ctrl-C.
        """
        if isinstance(alphas, Integral) and 0 < int(alphas) <= MOST_ALPHAS:
            alphas = np.logspace(-6, 0, int(alphas))
        elif isinstance(alphas, Integral):
            raise ValueError(f"alphas must be an int in [1, {MOST_ALPHAS}] or a list of values > 0. Got {alphas!r}.")
        values = np.atleast_1d(np.asarray(alphas, dtype=float))
        if values.ndim != 1 or not values.size or not np.all((values > 0) & np.isfinite(values)):
            raise ValueError(
                f"alphas must be an int of at least 1, or a list of at least one value > 0. Got {alphas!r}."
            )
        values = np.sort(values)[::-1]
        models = [self._with_alpha(float(alpha)) for alpha in values]
        names = [f"alpha={alpha:g}" for alpha in values]
        together = Together(models, X, y, sample_weight, names=names, chained=True)
        together.finish()
        warn_of(models, names, together.owed)
        coefs = np.stack([np.atleast_2d(model.coef_) for model in models], axis=-1)
        intercepts = np.stack([model.intercept_ for model in models], axis=-1)
        return (values, coefs[0], intercepts[0]) if len(coefs) == 1 else (values, coefs, intercepts)

    def _with_alpha(self, alpha: float) -> Any:
        """This model from its start, with another alpha. Its parameters are its attributes, as a subclass sets them."""
        model: Any = shallow_copy(self)
        model.alpha, model.warm_start, model.random_state = alpha, False, copy.deepcopy(model.random_state)
        return model
