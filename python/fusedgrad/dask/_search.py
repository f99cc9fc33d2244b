"""Searches of a grid whose rows are on the workers of a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.metrics import check_scoring
from sklearn.utils.validation import check_is_fitted

from .. import linear_model
from .._atomic import settle_all, shallow_copy
from .._estimator import available_if
from .._sources import remember_names
from .._training.margins import margins
from .._training.records import Task
from .._training.shards import Shard, digests_of
from .._training.snapshots import digests
from .._validation.parameters import check_parameters
from ..data import Source
from ..linear_model.search import Data
from ..optimizers import Solver
from ..optimizers import get as optimizer_of
from ._cluster import Cluster, client_of
from ._linear import SGDClassifier, SGDRegressor, local_rows
from ._predictions import by_partitions, plain_has
from ._raw import Raw, encoded, encoder
from ._rows import is_collection

if TYPE_CHECKING:
    import os

    from distributed import Client
    from typing_extensions import Self


class RawData(Data):
    """What a search learns from, whose X is on workers: in its place is an array of its shape without its numbers."""

    def __init__(self, known: Data, raw: Raw, cell: Any):
        super().__init__(**{**vars(known), "X": _outline(raw)})
        self.raw = raw
        self._encoded = raw.shards.become(encoded, encoder(cell, known.classes), raw.kind.dtype)

    def known(self, splits: list[tuple[Any, Any]]) -> list[Any]:
        """What tells them, and the folds, from others."""
        return [self.raw.shards.map(digests_of), [digests(*split) for split in splits]]

    def together(self, models: list[Any], rows: Any, names: list[str], threads: int, place: Any = None) -> Any:
        """Models that are trained together on some of the rows."""
        shards = self._encoded.restricted(np.sort(rows))

        def on_workers(task: Task) -> Task:
            return task._replace(shards=shards)

        return super().together(models, rows, names, threads, place=on_workers)

    def margins(self, rows: Any, coef: Any, intercept: Any) -> Any:
        """``X @ coef.T + intercept`` of some rows, whose products are found on workers."""
        order = np.argsort(rows, kind="stable")
        each = self.raw.shards.divided(rows[order])
        places = [k for k, own in enumerate(each) if len(own)]
        parts = self.raw.shards.only(places).map(_margins_at, coef, intercept, each=[each[k] for k in places])
        found = np.empty((len(rows), len(coef)))
        found[order] = np.concatenate(parts)
        return found

    def scored(self, model: Any, rows: Any) -> tuple[Any, Any]:
        """What a scorer gets: a model of margins, and the margins of some rows."""
        return on_margins(model), self.margins(rows, np.atleast_2d(model.coef_), model.intercept_)

    def fit(self, model: Any, resume: Any) -> Any:
        """Train on all rows."""
        kind = SGDRegressor if self.classes is None else SGDClassifier
        on_cluster = kind(**model.get_params(deep=False))
        callbacks = model.__dict__.get("_skl_callbacks")
        if callbacks is not None:
            on_cluster.set_callbacks(*callbacks)
        on_cluster._idle = model._idle
        on_cluster._fit_raw(self.raw, None, resume=resume)
        return on_cluster.to_local()


def _outline(raw: Raw) -> Any:
    """An X of the shape, storage and type of the rows, which takes no room."""
    shape, dtype = (raw.shards.n, raw.kind.features), raw.kind.dtype
    if raw.kind.sparse:
        return sp.csr_array(shape, dtype=dtype)
    return np.broadcast_to(np.zeros((), dtype), shape)


def _margins_at(shard: Shard, threads: int, coef: Any, intercept: Any, rows: NDArray[np.intp]) -> Any:
    return margins(shard.X, rows, coef, intercept)


def on_margins(model: Any) -> Any:
    """A model that makes of margins what another one makes of rows."""
    outputs = len(np.atleast_2d(model.coef_))
    found = shallow_copy(model)
    found.__dict__.pop("feature_names_in_", None)
    found.n_features_in_ = outputs
    found.coef_ = model._shape_coef(np.eye(outputs))
    found.intercept_ = np.zeros_like(model.intercept_)
    return found


def _margins_of(model: Any, X: Any) -> Any:
    raw = model._raw_prediction(X).reshape(X.shape[0], -1)
    return raw + model.intercept_


class SearchesOnWorkers:
    """What both searches have in common: a mixin before the plain one."""

    _local: ClassVar[type]

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        resume: str | os.PathLike[str] | None = None,
        client: Client | None = None,
        retries: int = 2,
    ) -> Self:
        """Train every cell on every fold on the workers of a cluster, choose the best, and train it on all rows.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features), or source
            Training rows, as for `SGDClassifier.fit`.
        y : dask.array.Array, dask.dataframe.Series or array-like of shape (n_samples,)
            Targets; None where the source has them. They are brought to the client, which cuts the folds.
        sample_weight : the same, default=None
            Weights of the rows, at least 0; they are brought to the client, too.
        groups : the same, default=None
            The group of each row, for splitters such as ``GroupKFold``.
        resume : path-like, default=None
            A file that `fusedgrad.callbacks.Checkpoint` wrote in a fit like this one, to go on from.
        client : distributed.Client, default=None
            The cluster's; None: Dask's current one.
        retries : int, default=2
            How often a part that raises an error is tried again.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As of the plain estimator; for a function as `scoring`, which might ask for rows, and for what
            `SGDClassifier.fit` refuses.
        RuntimeError
            If no worker or no scheduler is left, or workers die of a part one after the other.
        KeyboardInterrupt
            After Ctrl-C. The estimator is as before the call.
        """
        groups = local_rows(groups)
        if not is_collection(X) and not isinstance(X, Source):
            return super().fit(X, y, sample_weight, groups=groups, resume=resume)  # type: ignore[misc]
        check_parameters(self, self._rules)
        self._check_distributed()
        raw = Raw.of(self, X, y, sample_weight, Cluster(client_of(client), retries))
        if raw.are_gathered(self._solver()):
            rows = raw.rows()
            super().fit(rows.X, rows.y, rows.weight, groups=groups, resume=resume)  # type: ignore[misc]
        else:
            model = shallow_copy(self)
            model._search(raw, *raw.targets(), groups, resume)
            settle_all([(self, vars(model))])
        remember_names(self, raw.kind.names)
        return self

    def _solver(self) -> Any:
        return optimizer_of(self.optimizer) if isinstance(self.optimizer, str) else self.optimizer

    def _check_distributed(self) -> None:
        if not isinstance(self._solver(), Solver):
            raise ValueError(
                f"optimizer={self.optimizer!r} takes rows in turn, which machines cannot share. Use optimizer='auto' "
                "or LBFGS(), whose passes over all rows are sums; or to_local().fit(...) with rows in one place."
            )
        if self.early_stopping:
            raise ValueError("early_stopping=True keeps rows aside, for which they must be in one place.")
        if callable(self.scoring) and not hasattr(self.scoring, "_score_func"):
            raise ValueError(
                "scoring: a function may ask for rows, which are not in one place. Give a name, or what "
                "sklearn.metrics.make_scorer returns."
            )

    def _check_data(self, X: Any, y: Any, sample_weight: Any) -> Data:
        if not isinstance(X, Raw):
            return super()._check_data(X, y, sample_weight)  # type: ignore[misc]
        one_column = np.zeros((X.shards.n, 1), X.kind.dtype)
        known = super()._check_data(one_column, y, sample_weight)  # type: ignore[misc]
        self.n_features_in_ = X.kind.features
        return RawData(known, X, self._cell_class(self.loss))

    def predict(self, X: Any) -> Any:
        """Predict by the best model: lazily, for a collection.

        Parameters
        ----------
        X : dask.array.Array, dask.dataframe.DataFrame, {array-like, sparse matrix} or source
            Rows of shape (n_samples, n_features).

        Returns
        -------
        y : dask.array.Array or ndarray of shape (n_samples,)
        """
        return self._lazily("predict", X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the score of the best model, with the scorer of `scoring`.

        Parameters
        ----------
        X : as for `predict`
        y : dask.array.Array, dask.dataframe.Series or array-like of shape (n_samples,)
        sample_weight : the same, default=None

        Returns
        -------
        score : float
            Of a collection what is predicted is brought to the client.
        """
        y, sample_weight = local_rows(y), local_rows(sample_weight)
        if not is_collection(X):
            return float(super().score(X, y, sample_weight))  # type: ignore[misc]
        check_is_fitted(self)
        model = on_margins(self.best_estimator_)
        scorer = check_scoring(model, scoring=self._scoring())
        found = by_partitions(self.best_estimator_, _margins_of, X).compute()
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(model, found, y, **weights))

    def _lazily(self, name: str, X: Any) -> Any:
        check_is_fitted(self)
        if is_collection(X):
            return by_partitions(self.best_estimator_, name, X)
        return getattr(self.to_local(), name)(X)

    def to_local(self) -> Any:
        """Return the plain estimator of the same name, with the same parameters and results.

        Returns
        -------
        model : object
        """
        model = self._local(**self.get_params(deep=False))
        parameters = set(self._get_param_names())
        vars(model).update({name: value for name, value in vars(self).items() if name not in parameters})
        return model


class SGDClassifierCV(SearchesOnWorkers, linear_model.SGDClassifierCV):
    """`fusedgrad.linear_model.SGDClassifierCV` for rows on the workers of a Dask cluster.

    Cells and folds are those of the plain estimator, with the same bits; their passes are made as `SGDClassifier`
    makes them, several folds side by side. Parameters are those of `fusedgrad.linear_model.SGDClassifierCV`.

    Notes
    -----
    Targets and weights are brought to the client, which cuts the folds, and margins of the test rows, which it scores.
    Scores are those of rows in one place to rounding.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from fusedgrad.dask import SGDClassifierCV
    >>> with Client(processes=False, dashboard_address=":0") as client:
    ...     X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1000, 5))
    ...     model = SGDClassifierCV("log_loss", alphas=[1e-4, 10]).fit(X, X[:, 0] > 0, client=client)
    >>> model.alpha_
    0.0001
    """

    _local = linear_model.SGDClassifierCV

    def decision_function(self, X: Any) -> Any:
        """Return the raw predictions w·x + b of the best model: lazily, for a collection.

        Parameters
        ----------
        X : as for `predict`

        Returns
        -------
        scores : dask.array.Array or ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._lazily("decision_function", X)

    @available_if(plain_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, by the best model: lazily, for a collection.

        Parameters
        ----------
        X : as for `predict`

        Returns
        -------
        probabilities : dask.array.Array or ndarray of shape (n_samples, n_classes)
        """
        return self._lazily("predict_proba", X)

    @available_if(plain_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`: lazily, for a collection.

        Parameters
        ----------
        X : as for `predict`

        Returns
        -------
        log_probabilities : dask.array.Array or ndarray of shape (n_samples, n_classes)
        """
        return self._lazily("predict_log_proba", X)


class SGDRegressorCV(SearchesOnWorkers, linear_model.SGDRegressorCV):
    """`fusedgrad.linear_model.SGDRegressorCV` for rows on the workers of a Dask cluster.

    As `SGDClassifierCV`, which says how the work is shared. Parameters are those of
    `fusedgrad.linear_model.SGDRegressorCV`.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from fusedgrad.dask import SGDRegressorCV
    >>> with Client(processes=False, dashboard_address=":0") as client:
    ...     X = da.random.default_rng(0).normal(size=(10_000, 2), chunks=(1000, 2))
    ...     model = SGDRegressorCV(alphas=[1e-6, 1.0]).fit(X, X[:, 0] - 2 * X[:, 1], client=client)
    >>> model.coef_.round(2)
    array([ 1., -2.])
    """

    _local = linear_model.SGDRegressorCV
