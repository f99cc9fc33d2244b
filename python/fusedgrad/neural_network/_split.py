"""The rows that early stopping keeps aside."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split


class Rows:
    """Validation rows, with targets as users give them."""

    def __init__(self, X: Any, y: Any, weight: Any):
        self.X, self.y, self.weight = X, y, weight


def set_aside(X: Any, y: Any, weight: Any, strata: Any, fraction: float, rng: Any) -> tuple[Any, Any, Any, Rows]:
    """Return the rows to train on, and those to validate with; see `stratified_split`.

    Raises
    ------
    ValueError
        If the latter are less than two, or weigh nothing.
    """
    train, held = stratified_split(X.shape[0], strata, fraction, rng)
    if len(held) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    if weight is not None and not np.any(weight[held]):
        raise ValueError(
            "sample_weight is zero for every row that early_stopping keeps aside to validate with. Increase "
            "'validation_fraction', choose the rows yourself (X_val), or give more rows a positive weight."
        )
    rows = Rows(X[held], y[held], None if weight is None else weight[held])
    return X[train], y[train], None if weight is None else weight[train], rows


def stratified_split(n: int, strata: Any, fraction: float, rng: Any) -> tuple[Any, Any]:
    """Row numbers to train on, and to validate with; of classes (`strata`, codes or None) each part has its share.

    Where every class has two rows and each part has room for all classes, it is scikit-learn's stratified split for the
    same `rng`. A class of one row is trained on; and where there is no room, one row of each class is.
    """
    rows = np.arange(n)
    kept = rows[:0]
    if strata is not None:
        alone = np.bincount(strata)[strata] == 1
        kept, rows = rows[alone], rows[~alone]
        held = math.ceil(fraction * len(rows))
        classes = len(np.unique(strata[rows]))
        strata = strata[rows]
        if len(rows) and not classes <= min(held, len(rows) - held):
            order = rng.permutation(len(rows))
            firsts = order[np.unique(strata[order], return_index=True)[1]]
            kept, rows, strata = np.r_[kept, rows[firsts]], np.delete(rows, firsts), None
    if len(rows) < 2:
        return np.r_[rows, kept], rows[:0]
    train, held = train_test_split(rows, random_state=rng, test_size=fraction, stratify=strata)
    return np.r_[train, kept], held
