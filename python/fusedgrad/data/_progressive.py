"""Progressive validation: every block is scored before it is learned, so that one pass trains and tests."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError
from sklearn.metrics import check_scoring
from sklearn.utils.validation import check_is_fitted

from ._frames import source_of


@dataclass(frozen=True)
class ProgressiveScores:
    """What `progressive_validation` returns.

    Attributes
    ----------
    rows : ndarray of shape (blocks,)
        Rows of each block.
    scores : ndarray of shape (blocks,)
        Score of each block, by a model that had not learned it yet; NaN of the first, for a model that was not fitted.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Mean of the scores, each counted by its rows; NaN without any."""
        known = np.isfinite(self.scores)
        return float(np.average(self.scores[known], weights=self.rows[known])) if known.any() else float("nan")


def progressive_validation(
    model: Any,
    source: Any,
    y: str | list[str] | None = None,
    *,
    sample_weight: str | None = None,
    classes: ArrayLike | None = None,
    scoring: str | Callable[..., float] | None = None,
) -> ProgressiveScores:
    """Learn a source in one pass by `partial_fit`, and score every block before it is learned.

    No row is kept aside, and none is predicted by a model that has seen it: what Vowpal Wabbit and river report of a
    stream.

    Parameters
    ----------
    model : estimator
        With `partial_fit`: any of scikit-learn's, too. It is trained, block after block.
    source : Source, or what `fit` takes as one
        Rows and targets.
    y : str or list of str, default=None
        Column of the targets, where the source does not say.
    sample_weight : str, default=None
        Column of the weights, likewise. They count in training, and in scores of `scoring` that take them.
    classes : array-like or 'grow', default=None
        All classes that will come, for the first `partial_fit` of a classifier; 'grow', for this package's, if they are
        not known. A class counts as predicted wrongly until it is learned.
    scoring : str or callable, default=None
        A scorer's name, or ``scorer(model, X, y) -> float``; None: the model's own `score`. (Those of probabilities
        raise an error for a block with labels that the model does not know.)

    Returns
    -------
    scores : ProgressiveScores

    Raises
    ------
    ValueError
        If there are no rows or no targets.

    References
    ----------
    A. Blum, A. Kalai, J. Langford, "Beating the hold-out: bounds for K-fold and progressive cross-validation",
    COLT 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad import SGDClassifier
    >>> from fusedgrad.data import Array, progressive_validation
    >>> X = np.random.default_rng(0).normal(size=(3_000, 4))
    >>> source = Array(X, X[:, 0] > 0, group=500)
    >>> found = progressive_validation(SGDClassifier(batch_size=32, random_state=0), source, classes=[False, True])
    >>> found.rows.tolist()
    [500, 500, 500, 500, 500, 500]
    >>> bool(found.scores[-1] > 0.95)
    True

    A class that comes late, with ``classes="grow"``:

    >>> source = Array(X, np.where(X[:, 0] > 0, 1, 0) + 2 * (np.arange(3_000) >= 2_000), group=500)
    >>> model = SGDClassifier("log_loss", batch_size=32, random_state=0)
    >>> float(progressive_validation(model, source, classes="grow").scores[4])
    0.0
    >>> model.classes_
    array([0, 1, 2, 3])
    """
    found = source_of(source, target=y, weight=sample_weight)
    if found is None:
        raise TypeError(f"source must be a source of rows, such as Array(X, y), not {type(source).__name__}.")
    scorer = check_scoring(model, scoring)
    takes_weights = not callable(scoring) or "sample_weight" in inspect.signature(scoring).parameters
    first: dict[str, Any] = {} if classes is None else {"classes": classes}
    rows: list[int] = []
    scores: list[float] = []
    for block in found:
        if block.y is None:
            raise ValueError(f"{found} has no targets. Say which column they are: y='name'.")
        weight = {} if block.weight is None else {"sample_weight": block.weight}
        rows.append(len(block))
        told = weight if takes_weights else {}
        scores.append(float(scorer(model, block.X, block.y, **told)) if _is_fitted(model) else float("nan"))
        model.partial_fit(block.X, block.y, **weight, **first)
        first = {}
    if not rows:
        raise ValueError(f"{found} has no rows.")
    return ProgressiveScores(np.array(rows), np.array(scores))


def _is_fitted(model: Any) -> bool:
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True
