"""What the two estimators that search a grid share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from ..._atomic import settle_all, shallow_copy
from ..._estimator import Estimator
from ..._sources import takes_sources
from ..._training.callbacks import CallbackSupport, Epochs, with_callbacks
from ..._training.resuming import Resumable
from ..._validation.arrays import check_X_y
from ..._validation.parameters import check_parameters
from ..._validation.weights import check_weights
from .._base import NO_CHECKPOINTS
from ._data import Data
from ._grid import cell_of, cells_of, values_of, warn_of_unused
from ._refit import mean_of_folds, refitted
from ._results import results_of, warn_of_fits
from ._scoring import Scorer
from ._splits import splits_of
from ._training import Search

if TYPE_CHECKING:
    from typing_extensions import Self


class GridCV(CallbackSupport, Estimator):  # type: ignore[misc]
    """What the two estimators share: the grid, the folds, the choice, and what is delegated to the best model."""

    _cell_class: Any
    _rules: dict[str, Any]
    _default_scoring: str

    @takes_sources
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train every cell on every fold, choose the best by its mean score, and train it on all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; or a source of them (`fusedgrad.data`, tables of polars, pyarrow and DuckDB), which need not
            fit in memory. y and weights are then named, as columns, or are the source's own.
        y : array-like of shape (n_samples,), for regressors also (n_samples, n_targets)
            Class labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples' gradients; scores are not weighted.
        groups : array-like of shape (n_samples,), default=None
            The group of each row, for splitters such as ``GroupKFold``.
        resume : path-like, default=None
            A file that `fusedgrad.callbacks.Checkpoint` wrote in a fit like this one, to go on from.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For parameters or data out of range, folds without rows or without one of the classes, R² of a fold of one
            row, a scorer that fails, a checkpoint of another fit, or if weights overflow in every cell (with
            ``error_score='raise'`` in any). It names cell and fold. The estimator is then as before the call.
        KeyboardInterrupt
            After Ctrl-C. The estimator is as before the call.
        """
        check_parameters(self, self._rules)
        model = shallow_copy(self)
        model._search(X, y, sample_weight, groups, resume)
        settle_all([(self, vars(model))])
        return self

    @with_callbacks  # type: ignore[untyped-decorator]
    def _search(self, X: Any, y: Any, sample_weight: Any, groups: Any, resume: Any) -> None:
        scoring = self._scoring()
        params = list(ParameterGrid(values_of(self)))
        cells = cells_of(self, params, scoring)
        warn_of_unused(self)
        data = self._check_data(X, y, sample_weight)
        splits = splits_of(self.cv, data, groups, scoring=scoring)
        first = next(iter(cells.values()))
        epochs = Epochs(self, len(splits), X, y, sample_weight, "fold")
        refusal = "" if first._is_batched() else NO_CHECKPOINTS
        resumable = Resumable.if_asked(self, epochs.keepers, resume, lambda: data.known(splits), refusal)
        scorer = Scorer(scoring, first, data)
        search = Search(cells, data, splits, scorer, self.error_score, int(self.verbose), epochs, resumable)
        if self.halving:
            search.halve()
        else:
            search.run()
        self.__dict__.update(results_of(search, params))
        warn_of_fits(search, self.error_score)
        self._take_best(search)
        epochs.close()

    def _take_best(self, search: Search) -> None:
        if self.refit:
            best, self.refit_time_ = refitted(search, self.best_index_)
        else:
            self.__dict__.pop("refit_time_", None)
            best = mean_of_folds(search, self.best_index_)
        if hasattr(self, "feature_names_in_"):
            best.feature_names_in_ = self.feature_names_in_
        self.best_estimator_ = best
        self.coef_, self.intercept_, self.n_iter_ = best.coef_, best.intercept_, best.n_iter_

    def _scoring(self) -> Any:
        return self._default_scoring if self.scoring is None else self.scoring

    def _check_data(self, X: Any, y: Any, sample_weight: Any) -> Data:
        regression = not self._cell_class._classification
        several = regression and cell_of(self)._is_batched()
        X, y = check_X_y(self, X, y, reset=True, multi_output=several)
        weight = check_weights(sample_weight, X)
        if regression:
            return Data(X, y, np.asarray(y, dtype=np.float64), weight)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"The number of classes has to be greater than one; got {len(self.classes_)} class")
        return Data(X, y, codes.astype(np.float64), weight, self.classes_)

    # ---- what the best model does ----

    def predict(self, X: Any) -> Any:
        """Return the predictions of the best model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,), or (n_samples, n_targets) for a two-dimensional y
        """
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    @takes_sources
    def score(self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the score of the best model, with the scorer of `scoring`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        scorer = check_scoring(self.best_estimator_, scoring=self._scoring())
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(self.best_estimator_, X, y, **weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
