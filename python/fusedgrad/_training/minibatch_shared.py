"""What linear models that are trained in one pass have in common: rows, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.metrics import r2_score

from .. import _core, losses
from .arrays import batch_sizes, inside
from .records import Task, Validation
from .smoothness import spread
from .units import Columns, Targets, columns_of, targets_of_numbers


def _key(weight: NDArray[Any] | None) -> Any:
    return None if weight is None else weight.__array_interface__["data"][0]


def largest_of(X: Any) -> tuple[int, float]:
    """The column of the largest number, and that number, without its sign where X is dense."""
    if sp.issparse(X):
        at = int(np.abs(X.data).argmax()) if X.nnz else 0
        return (int(X.indices[at]), float(X.data[at])) if X.nnz else (0, 0.0)
    each = np.maximum(X.max(axis=0), -X.min(axis=0))
    column = int(each.argmax())
    return column, float(each[column])


class Shared:
    """What the tasks of a pass have in common, each found once."""

    def __init__(self, task: Task, check: Callable[[], None], threads: int):
        assert task.batches is not None
        self.task, self.check, self.threads = task, check, threads
        held_out = None if task.validation is None else task.validation.held_out
        self.rows: NDArray[Any] | None
        if task.rows is not None:
            self.rows = task.rows if held_out is None else task.rows[~held_out[task.rows]]
        else:
            self.rows = None if held_out is None else np.flatnonzero(~held_out)
        if self.rows is not None:
            self.rows = self.rows.astype(np.uint32)
        self.n = task.X.shape[0] if self.rows is None else len(self.rows)
        self.rows_counted = task.X.shape[0] if task.rows is None else len(task.rows)  # as `t_` counts
        self.sizes = batch_sizes(self.n, task.batches.size)
        X = task.X
        sparse = sp.issparse(X)
        self.row_bytes = X.nnz * (X.dtype.itemsize + X.indices.itemsize) // X.shape[0] if sparse else X[:1].nbytes
        self.length = X.nnz / X.shape[0] if sparse else float(X.shape[1])  # entries of a row
        self._columns: dict[Any, Columns] = {}
        self._targets: dict[Any, Targets] = {}
        self._spreads: dict[Any, tuple[Columns, float]] = {}  # columns: so that no other has their id
        self._totals: dict[Any, Any] = {}
        self._scorer: Any = None

    def largest(self) -> str:
        """A sentence that names the column of X with the largest number."""
        column, value = self._largest()
        return f"The largest number of X is {abs(value):g}, in column {column}."

    def _largest(self) -> tuple[int, float]:
        return largest_of(self.task.X)

    def of_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """Those of the rows to train on."""
        return values if self.rows is None else values[self.rows]

    def columns(self, weight: NDArray[Any] | None, *, centred: bool) -> Columns:
        """`columns_of` X."""
        key = (_key(weight), centred)
        if key not in self._columns:
            self._columns[key] = columns_of(self.task.X, self.rows, weight, centred=centred, threads=self.threads)
        return self._columns[key]

    def targets(self, weight: NDArray[Any] | None, loss: losses.Loss) -> Targets:
        """`targets_of_numbers`, of y."""
        key = (_key(weight), loss)
        if key not in self._targets:
            of_rows = None if weight is None else self.of_rows(weight)
            self._targets[key] = targets_of_numbers(loss, self.of_rows(self.task.y), of_rows)
        return self._targets[key]

    def spread(self, weight: NDArray[Any] | None, relative: float, columns: Columns) -> float:
        """`spread` of X in units, with sample weights times a number."""
        key = (_key(weight), relative, id(columns.spread))
        if key not in self._spreads:
            weight = None if weight is None else np.asarray(self.of_rows(weight), dtype=np.float64) * relative
            batch = int(self.sizes[0])
            self._spreads[key] = columns, spread(self.task.X, weight, columns, batch=batch, rows=self.rows)
        return self._spreads[key][1]

    def totals(self, weight: NDArray[Any] | None) -> Any:
        """Weight of the rows of each class code."""
        key = _key(weight)
        if key not in self._totals:
            weight = None if weight is None else self.of_rows(weight)
            codes = self.of_rows(self.task.y).astype(np.intp)
            self._totals[key] = np.bincount(codes, weights=weight, minlength=max(2, len(self.task.labels)))
        return self._totals[key]

    def mean_weight(self, weight: NDArray[Any]) -> float:
        """Of the rows."""
        return float(self.of_rows(weight).mean(dtype=np.float64))

    @property
    def tells(self) -> bool:
        """Whether the optimum of the rows at hand is that of all."""
        return True

    def scorer(self, task: Task, multinomial: bool) -> Scorer:
        """Of the validation rows; copies of them are shared."""
        self._scorer = Scorer(task, multinomial, self.threads, like=self._scorer)
        return self._scorer


class Scorer:
    """Score and mean loss of the validation rows; `like` may have them already."""

    def __init__(self, task: Task, multinomial: bool, threads: int, like: Scorer | None = None):
        validation = task.validation or Validation()
        if validation.held_out is None:
            self.X, self.y, self.weight = validation.X, validation.y, validation.sample_weight
        else:
            rows = np.flatnonzero(validation.held_out)
            self.X, self.y = (task.X[rows], task.y[rows]) if like is None else (like.X, like.y)
            self.weight = None if task.sample_weight is None else task.sample_weight[rows]
        self.coded, self.multinomial, self.threads = task.labels[0] >= 0, multinomial, threads
        self.loss = losses.get(task.objective.loss, **task.objective.loss_parameters)
        self.link = np.exp if task.objective.loss in losses.LOG_LINK else np.asarray

    def __call__(self, coef: NDArray[Any], intercept: NDArray[np.float64]) -> tuple[float, float]:
        if sp.issparse(self.X):
            product = self.X @ coef.T
        else:  # not by BLAS, whose threads would spin beside the next epoch's
            product = _core.product(np.ascontiguousarray(self.X), np.ascontiguousarray(coef), self.threads)
        raw = np.asarray(product, dtype=np.float64) + intercept
        n_outputs = raw.shape[1]
        if not self.coded:
            y = np.asarray(self.y, dtype=np.float64).reshape(raw.shape)
            score = r2_score(y, self.link(raw), sample_weight=self.weight) if len(y) > 1 else np.nan
            return float(score), float(np.average(self.loss.value(y, raw).mean(axis=1), weights=self.weight))
        code = np.asarray(self.y).astype(np.intp)
        found = raw[:, 0] > 0 if n_outputs == 1 else raw.argmax(axis=1)
        score = np.average(found == code, weights=self.weight)
        if self.multinomial:
            values = -log_softmax(raw, axis=1)[np.arange(len(code)), code]
        else:
            values = self.loss.value(np.where(inside(code, n_outputs), 1.0, self.loss.negative), raw).mean(axis=1)
        return float(score), float(np.average(values, weights=self.weight))
