"""What a search learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.base import clone

from ..._training.margins import margins
from ..._training.snapshots import digests
from .._together import Place, Together, here


@dataclass
class Data:
    """What is learned from, checked."""

    X: Any
    y: Any  # as the estimators take it
    targets: Any  # as the metrics take it: codes of classes, or y in float64
    sample_weight: Any
    classes: Any = None  # None: a regression

    @property
    def outputs(self) -> int:
        if self.classes is not None:
            return 1 if len(self.classes) == 2 else len(self.classes)
        return 1 if self.y.ndim == 1 else self.y.shape[1]

    def known(self, splits: list[tuple[Any, Any]]) -> list[Any]:
        """What tells them, and the folds, from others."""
        return [digests(self.X, self.targets, self.sample_weight), [digests(*split) for split in splits]]

    def together(self, models: list[Any], rows: Any, names: list[str], threads: int, place: Place = here) -> Together:
        """Models that are trained together on some of the rows; `place` says of their tasks where the rows are."""
        X, y, weight = self.X, self.y, self.sample_weight
        return Together(models, X, y, weight, rows=rows, names=names, chained=True, threads=threads, place=place)

    def margins(self, rows: Any, coef: Any, intercept: Any) -> Any:
        """``X @ coef.T + intercept`` of some rows."""
        return margins(self.X, rows, coef, intercept)

    def scored(self, model: Any, rows: Any) -> tuple[Any, Any]:
        """What a scorer gets: a model, and some rows as it takes them."""
        return model, self.X[rows]

    def fit(self, model: Any, resume: Any) -> Any:
        """Train on all rows."""
        return model.fit(self.X, self.y, sample_weight=self.sample_weight, resume=resume)

    def fitted(self, estimator: Any, coef: Any, intercept: Any) -> Any:
        """Return an estimator with these weights, which predicts."""
        model = clone(estimator)
        if self.classes is None:
            model._y_ndim = self.y.ndim
        else:
            model.classes_ = self.classes
        model.n_features_in_ = self.X.shape[1]
        model.coef_, model.intercept_ = model._shape_coef(coef), intercept
        model._fitted_link = model._link_to_fit()
        return model
