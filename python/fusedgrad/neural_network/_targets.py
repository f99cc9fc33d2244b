"""What is predicted: classes or numbers, as the core takes them and as users see them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit, log_softmax, xlogy
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight

from .. import losses
from .._atomic import shallow_copy
from .._sources import by_blocks, takes_sources
from .._training import growing
from .._training.net import Net
from .._training.network_records import Goal
from .._training.streams.survey import Survey
from .._validation.arrays import numbers_of
from .._validation.weights import balanced_weights
from ..layers import Dense
from ._classes import Classes
from ._scaling import target_units

if TYPE_CHECKING:
    from typing_extensions import Self

REGRESSION_LOSSES = ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma")


def _softmax(raw: Any) -> Any:
    """Of each row. (SciPy's takes half as long as a small network for a single row; so do the methods of arrays.)"""
    share = raw - np.maximum.reduce(raw, axis=1, keepdims=True)
    np.exp(share, out=share)
    share /= np.add.reduce(share, axis=1, keepdims=True)
    return share


class Classification(Classes):
    """Labels of two classes, of several, or several labels a row (an indicator matrix)."""

    _sparse_y: bool  # whether labels come as a sparse matrix
    label_smoothing: float
    class_weight: Any
    _fit: Callable[..., Any]
    _raw: Callable[..., Any]

    def _goal(self, y: Any, dtype: Any, name: str = "y") -> Goal:
        """The targets of rows with labels y."""
        smoothing = float(self.label_smoothing)
        if self._y_kind == "multilabel":
            if y.ndim != 2 or y.shape[1] != self.n_outputs_:
                raise ValueError(
                    f"{name} has shape {y.shape}, but the model was made for an indicator matrix of {self.n_outputs_} "
                    "labels a row."
                )
            values = np.ascontiguousarray(y, dtype=dtype)
        else:
            codes = self._codes(y, name)
            if self._y_kind == "multiclass":
                return Goal(
                    codes.astype(dtype),
                    self.n_outputs_,
                    "log_loss",
                    coded=True,
                    multinomial=True,
                    smoothing=smoothing,
                )
            values = codes.astype(dtype)
        if smoothing:
            values = values * (1 - smoothing) + smoothing / 2
        return Goal(np.ascontiguousarray(values), self.n_outputs_, "log_loss")

    def _weights_of(self, y: Any, sample_weight: Any, dtype: Any) -> Any:
        """Sample weights times class weights."""
        if self.class_weight is None:
            return sample_weight
        weights = self._class_weights(y, sample_weight).astype(dtype)
        return weights if sample_weight is None else weights * sample_weight

    def _of_stream(self, survey: Survey) -> Any:
        if self.class_weight != "balanced":
            return self
        if survey.labels is None:
            raise ValueError(
                "class_weight='balanced' of an indicator matrix needs all rows in memory. Give a list of dicts, one a "
                "column, for a source that is larger."
            )
        model, weights = (
            shallow_copy(self),
            balanced_weights(np.arange(len(survey.labels)), len(survey.labels), survey.totals),
        )
        model.class_weight = dict(zip(survey.labels.tolist(), weights.tolist(), strict=True))
        return model

    def _class_weights(self, y: Any, sample_weight: Any) -> Any:
        """The weight of each row's class; of several labels a row, the product of their weights."""
        weights = np.ones(len(y))
        for codes, labels, table in self._columns_of_weights(y):
            if isinstance(table, str):
                weighty = int(np.count_nonzero(np.bincount(codes, sample_weight)))  # classes whose rows weigh something
                of_class = balanced_weights(codes, len(labels), sample_weight) * (len(labels) / max(weighty, 1))
            else:  # all labels are known, whether or not y has them
                of_class = compute_class_weight(table, classes=labels, y=labels)
            if not (np.isfinite(of_class).all() and (of_class >= 0).all()):
                raise ValueError(f"class_weight must be finite and not negative; got {self.class_weight!r}.")
            weights *= of_class[codes]
        return weights

    def _columns_of_weights(self, y: Any) -> list[tuple[Any, Any, Any]]:
        """(codes of the rows, labels, 'balanced' or a dict) of each column of y."""
        given = self.class_weight
        if self._y_kind != "multilabel":
            if isinstance(given, list):
                raise ValueError(f"class_weight must be a dict or 'balanced' for one label a row; got {given!r}.")
            if self._grows and isinstance(given, dict):
                given = growing.weights_of_known(self.classes_, given)
            return [(self._codes(y, "y"), self.classes_, given)]
        if isinstance(given, dict) or (isinstance(given, list) and len(given) != self.n_outputs_):
            raise ValueError(
                f"For an indicator matrix class_weight must be 'balanced' or a list of {self.n_outputs_} dicts such as "
                f"{{0: 1.0, 1: 2.0}}, one a column; got {given!r}."
            )
        tables = [given] * self.n_outputs_ if isinstance(given, str) else given
        columns = np.asarray(y).T.astype(np.intp)
        return [(codes, np.array([0, 1]), table) for codes, table in zip(columns, tables, strict=True)]

    def _constants(self, y: Any) -> Any:
        return None

    def _strata(self, y: Any) -> Any:
        """The classes that both parts of a split should have, as codes; None: there are none."""
        return None if self._y_kind == "multilabel" else self._codes(y, "y")

    def _check_scores(self, given: Any) -> None:
        """Accuracy has a value for any rows."""

    # ---- predictions; raw: what the last layer gives, (n, n_outputs) ----

    @property
    def _link(self) -> str:
        return "softmax" if self._y_kind == "multiclass" else "logistic"

    def _probabilities(self, raw: Any) -> Any:
        """Of each class, or of each label."""
        if self._waits:
            return np.ones_like(raw)
        if self._y_kind == "multiclass":
            return _softmax(raw)
        positive = expit(raw)
        return positive if self._y_kind == "multilabel" else np.hstack([1 - positive, positive])

    def _labels(self, raw: Any) -> Any:
        if self._waits:
            return np.repeat(self.classes_, len(raw))
        if self._y_kind == "multilabel":
            return (raw > 0).astype(int)
        if self._y_kind == "multiclass":
            return self.classes_[raw.argmax(axis=1)]
        return self.classes_[(raw[:, 0] > 0).astype(np.intp)]

    def _score_loss(self, raw: Any, y: Any, weight: Any) -> tuple[float, float]:
        """Accuracy (of all labels of a row) and mean cross-entropy."""
        if not np.isfinite(raw).all():
            return np.nan, np.nan
        correct = self._labels(raw) == y
        score = np.average(correct.all(axis=1) if correct.ndim > 1 else correct, weights=weight)
        raw = raw.astype(np.float64)
        if self._y_kind == "multiclass":
            values = -log_softmax(raw, axis=1)[np.arange(len(y)), self._codes(y, "y_val")]
        else:
            target = y if self._y_kind == "multilabel" else self._codes(y, "y_val")[:, None]
            values = -(target * log_expit(raw) + (1 - target) * log_expit(-raw)).sum(axis=1)
        return float(score), float(np.average(values, weights=weight))

    def _check_y(self, y: Any) -> Any:
        if sp.issparse(y):
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return y

    # ---- what users call ----

    @takes_sources
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train from the start, or with `warm_start` from the last fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or array-like of shape (n_samples, ...)
            Training rows; or a source of them (`fusedgrad.data`, tables of polars, pyarrow and DuckDB), which need not
            fit in memory. y and weights are then named, as columns, or are the source's own.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels; or an indicator matrix (0 and 1), for several labels a row.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, relative to those of their batch.
        X_val, y_val, sample_weight_val : default=None
            Validation rows: scored after every epoch, and used by `early_stopping` in place of a split.
        resume : path-like, default=None
            A file that `fusedgrad.callbacks.Checkpoint` wrote in a fit like this one, to go on from.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For parameters or data out of range, or layers that do not fit. The estimator is then as before the call.
        DivergedError
            If weights or loss overflow, a ValueError of `fusedgrad.exceptions`. The estimator is as before the call.
        KeyboardInterrupt
            After Ctrl-C, when the weights reached so far are kept; see the notes.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, resume)

    @by_blocks
    def predict(self, X: Any) -> Any:
        """Return the class of each row; of an indicator matrix, its labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or array-like of shape (n_samples, ...)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            A CSR matrix, if the model was trained on a sparse indicator matrix.
        """
        labels = self._labels(self._raw(X))
        sparse = self._y_kind == "multilabel" and self.__dict__.get("_sparse_y", False)
        return sp.csr_matrix(labels) if sparse else labels

    @by_blocks
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class; of an indicator matrix, of each label by itself.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or array-like of shape (n_samples, ...)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), columns as in `classes_`
        """
        return self._probabilities(self._raw(X))

    @by_blocks
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`; -inf where that is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or array-like of shape (n_samples, ...)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


class Regression:
    """One number a row, or several."""

    loss: Any
    n_outputs_: int
    out_activation_: str
    target_mean_: Any
    target_scale_: Any
    _net: Net
    _fit: Callable[..., Any]
    _raw: Callable[..., Any]

    def _learn_targets(self, y: Any, classes: Any = None) -> None:
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.target_mean_ = self.target_scale_ = None

    def _check_same_classes(self, y: Any) -> None:
        """What a warm start needs of y is seen when it becomes a goal."""

    def _check_classes(self, y: Any, classes: Any, *, first: bool) -> None:
        if first:
            self._learn_targets(y)

    def _object_of(self, name: str) -> Any:
        return self._loss if name == "loss" else super()._object_of(name)  # type: ignore[misc]

    @property
    def _loss(self) -> losses.Loss:
        return losses.get(self.loss) if isinstance(self.loss, str) else self.loss

    def _goal(self, y: Any, dtype: Any, name: str = "y") -> Goal:
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if outputs != self.n_outputs_:
            raise ValueError(f"{name} has {outputs} targets a row, but the model was made for {self.n_outputs_}.")
        loss = self._loss
        if loss.name == "poisson" and np.any(y < 0):
            raise ValueError(f"loss='poisson' needs {name} >= 0; the smallest value is {y.min()}.")
        if loss.name == "gamma" and np.any(y <= 0):
            raise ValueError(f"loss='gamma' needs {name} > 0; the smallest value is {y.min()}.")
        return Goal(np.ascontiguousarray(self._in_target_units(y), dtype), outputs, loss.name, dict(loss.fields))

    def _learn_target_units(self, y: Any, weight: Any) -> None:
        """Outputs that have an activation have its range, so their targets stay as they are."""
        last = self._net.layers[-1]
        if isinstance(last, Dense) and last.activation not in (None, "identity"):
            return
        self.target_mean_, self.target_scale_ = target_units(y, weight, log_link=self._link == "exp")

    def _in_target_units(self, y: Any) -> Any:
        """Targets as the network learns them."""
        scale = self.__dict__.get("target_scale_")
        return y if scale is None else (np.asarray(y, dtype=np.float64) - self.target_mean_) / scale

    def _constants(self, y: Any) -> Any:
        """What the core leaves out of the half Poisson deviance, row by row."""
        if self._loss.name != "poisson":
            return None
        y = np.asarray(self._in_target_units(y), dtype=np.float64).reshape(len(y), -1)
        return (xlogy(y, y) - y).sum(axis=1)

    def _weights_of(self, y: Any, sample_weight: Any, dtype: Any) -> Any:
        return sample_weight

    def _strata(self, y: Any) -> Any:
        return None

    def _check_scores(self, given: Any) -> None:
        rows = len(given.y) if given.weight is None else int(np.count_nonzero(given.weight))
        if rows < 2:
            raise ValueError(
                f"The validation set has {rows} row, but early_stopping and restore_best_weights go by R2, which needs "
                "two. Give more rows (X_val, sample_weight_val, validation_fraction), or stop by the loss: "
                "early_stopping=False, restore_best_weights=False."
            )

    @property
    def _link(self) -> str:
        return "exp" if self._loss.name in losses.LOG_LINK else "identity"

    def _values(self, raw: Any) -> Any:
        values = np.exp(raw) if self.out_activation_ == "exp" else raw
        if (scale := self.__dict__.get("target_scale_")) is not None:
            values = (values * scale + self.target_mean_).astype(raw.dtype)
        return values.ravel() if values.shape[1] == 1 else values

    def _score_loss(self, raw: Any, y: Any, weight: Any) -> tuple[float, float]:
        """R² and mean loss (summed over the targets of a row), in the units of the network."""
        with np.errstate(over="ignore"):
            predicted = self._values(raw)
        if not np.isfinite(predicted).all():
            return np.nan, np.nan
        score = r2_score(y, predicted, sample_weight=weight) if len(y) > 1 else np.nan
        y = np.asarray(self._in_target_units(y), dtype=np.float64).reshape(raw.shape)
        value = self._loss.value(y, raw.astype(np.float64))
        return float(score), float(np.average(value.sum(axis=1), weights=weight))

    def _check_y(self, y: Any) -> Any:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = numbers_of(y, "y")
        return y if y.dtype.kind == "f" else y.astype(np.float64)

    # ---- what users call ----

    @takes_sources
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train from the start, or with `warm_start` from the last fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or array-like of shape (n_samples, ...)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, relative to those of their batch.
        X_val, y_val, sample_weight_val : default=None
            Validation rows: scored after every epoch, and used by `early_stopping` in place of a split.
        resume : path-like, default=None
            A file that `fusedgrad.callbacks.Checkpoint` wrote in a fit like this one, to go on from.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For parameters or data out of range, or layers that do not fit. The estimator is then as before the call.
        DivergedError
            If weights or loss overflow, a ValueError of `fusedgrad.exceptions`. The estimator is as before the call.
        KeyboardInterrupt
            After Ctrl-C, when the weights reached so far are kept; see the notes.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, resume)

    @by_blocks
    def predict(self, X: Any) -> Any:
        """Return the prediction for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or array-like of shape (n_samples, ...)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        return self._values(self._raw(X))
