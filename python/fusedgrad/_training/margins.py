"""Scores of many linear models on the same rows: one product gives all margins, and the core scores them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .. import _core
from .._threads import threads_for

Floats = NDArray[np.float64]

# scikit-learn's scorers that margins suffice for: the core's metric, and the sign that makes more better
METRICS = {
    "accuracy": ("accuracy", 1),
    "neg_log_loss": ("log_loss", -1),
    "roc_auc": ("roc_auc", 1),
    "r2": ("r2", 1),
    "neg_mean_squared_error": ("mse", -1),
    "neg_root_mean_squared_error": ("rmse", -1),
}
_BLOCK = 16 << 20  # bytes of X that are copied at a time
_MARGINS = 64 << 20  # bytes of margins at a time


def score(
    scorer: str,
    margins_of: Callable[[Any, Any], Floats],
    y: Floats,
    weights: Sequence[tuple[Any, Any]],
    *,
    link: str,
    n_jobs: int | None = None,
) -> Floats:
    """Return the score of each model on some rows.

    Parameters
    ----------
    scorer : str
        A name of `METRICS`.
    margins_of : callable
        What `margins` returns of those rows for coef and intercept.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        Codes of classes or targets of those rows.
    weights : sequence of (coef (n_outputs, n_features), intercept (n_outputs,))
        The models.
    link : {'identity', 'exp', 'sigmoid', 'modified_huber', 'softmax'}
        What makes predictions or probabilities of margins.
    n_jobs : int or None
        Threads of the metrics, as for the estimators.

    Returns
    -------
    scores : ndarray of shape (n_models,)
    """
    metric, sign = METRICS[scorer]
    outputs = weights[0][0].shape[0]
    at_once = max(1, _MARGINS // (8 * len(y) * outputs))
    scores = []
    for first in range(0, len(weights), at_once):
        some = weights[first : first + at_once]
        table = margins_of(np.concatenate([coef for coef, _ in some]), np.concatenate([b for _, b in some]))
        threads = threads_for(n_jobs, len(some), table.size)
        scores.append(sign * _core.score_margins(metric, table, np.ascontiguousarray(y), outputs, link, threads))
    return np.concatenate(scores)


def margins(X: Any, rows: NDArray[np.intp], coef: Any, intercept: Any) -> Floats:
    """``X[rows] @ coef.T + intercept``, rounded as the estimators' predictions, without a copy of all those rows."""
    row_bytes = (X.data.nbytes + X.indices.nbytes if sp.issparse(X) else X.nbytes) / X.shape[0]
    block = int(max(1, _BLOCK // max(row_bytes, 1)))
    table = np.empty((len(rows), len(coef)))
    for first in range(0, len(rows), block):
        table[first : first + block] = X[rows[first : first + block]] @ coef.T
    table += intercept
    return table
