"""Scores of models on rows."""

from __future__ import annotations

from numbers import Number as AnyNumber
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import check_scoring

from ..._training import margins
from ._data import Data


class Scorer:
    """Scores models on rows: by one product where the margins say it all, else one after the other."""

    def __init__(self, name: Any, estimator: Any, data: Data):
        self.name, self.data = name, data
        self.call = check_scoring(estimator, scoring=name)

    def __call__(self, models: list[Any], names: list[str], rows: NDArray[np.intp]) -> list[float]:
        if not self._is_fast(rows):
            return [self._call(model, name, rows) for model, name in zip(models, names, strict=True)]
        links = [self._link(model) for model in models]
        scores = np.empty(len(models))
        for link in {*links}:
            of_link = [k for k, other in enumerate(links) if other == link]
            weights = [(np.atleast_2d(models[k].coef_), models[k].intercept_) for k in of_link]
            scores[of_link] = margins.score(
                self.name,
                lambda coef, intercept: self.data.margins(rows, coef, intercept),
                self.data.targets[rows],
                weights,
                link=link,
                n_jobs=models[0].n_jobs,
            )
        return scores.tolist()

    def _is_fast(self, rows: NDArray[np.intp]) -> bool:
        """Whether the core's metric is the scorer's; where that is undefined, scikit-learn says what comes of it."""
        if not isinstance(self.name, str) or self.name not in margins.METRICS:
            return False
        classes = self.data.classes
        if (classes is None) != (self.name == "r2" or self.name.endswith("squared_error")):
            return False
        if self.name == "roc_auc" and len(classes) > 2:
            return False
        if self.name in ("roc_auc", "neg_log_loss"):
            return len(np.unique(self.data.targets[rows])) == len(classes)
        return self.name != "r2" or len(rows) > 1

    def _link(self, model: Any) -> str:
        link = str(model._link)
        return "sigmoid" if self.data.classes is not None and link == "identity" else link  # accuracy needs none

    def _call(self, model: Any, name: str, rows: NDArray[np.intp]) -> float:
        try:
            score = self.call(*self.data.scored(model, rows), self.data.y[rows])
        except Exception as error:
            raise ValueError(f"The scorer failed for {name}: {type(error).__name__}: {error}") from error
        score = score.item() if hasattr(score, "item") and np.ndim(score) == 0 else score
        if not isinstance(score, AnyNumber) or isinstance(score, complex):
            raise ValueError(
                f"scoring must return a number; for {name} it returned {score!r}, a {type(score).__name__}."
            )
        return float(score)  # type: ignore[arg-type]
