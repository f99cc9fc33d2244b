"""Linear models whose rows are on the workers of a Dask cluster."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from sklearn.metrics import accuracy_score, r2_score

from .. import linear_model
from .._estimator import available_if
from .._sources import remember_names
from .._training.records import Task
from .._training.shared_shards import totals_of
from ..data import Source
from ._cluster import Cluster, client_of
from ._predictions import by_partitions, plain_has
from ._raw import Raw, encoded, encoder
from ._rows import is_collection
from ._shards import Remote

if TYPE_CHECKING:
    import os

    from distributed import Client
    from typing_extensions import Self


class Distributed(NamedTuple):
    """The rows of a fit, and where they are: raw shards."""

    source: Any
    shards: Remote


def with_default(init: Any, **defaults: Any) -> Any:
    """A constructor like another one, some of whose parameters have other defaults."""
    made = types.FunctionType(init.__code__, init.__globals__, init.__name__, init.__defaults__, init.__closure__)
    made.__kwdefaults__ = {**init.__kwdefaults__, **defaults}
    made.__annotations__ = init.__annotations__
    return made


class OnWorkers:
    """What both estimators have in common: a mixin before the plain one."""

    _local: ClassVar[type]
    _classification: bool

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        resume: str | os.PathLike[str] | None = None,
        client: Client | None = None,
        retries: int = 2,
    ) -> Self:
        """Train on the workers of a cluster.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features), or source
            Training rows: chunks of numbers or of SciPy's sparse matrices; columns of numbers; or a source of
            `fusedgrad.data` with known groups (`Parquet`), which workers read from a path that all of them see. Arrays
            of NumPy and SciPy are trained on where the client is.
        y : dask.array.Array, dask.dataframe.Series or array-like of shape (n_samples,)
            Targets; None where the source has them.
        sample_weight : the same, default=None
            Weights of the rows, at least 0.
        X_val, y_val, sample_weight_val : default=None
            Validation rows, which are brought to the client.
        resume : path-like, default=None
            A file that `fusedgrad.callbacks.Checkpoint` wrote in a fit like this one, to go on from.
        client : distributed.Client, default=None
            The cluster's; None: Dask's current one.
        retries : int, default=2
            How often a part that raises an error is tried again. (What dies with its worker is made again in any case.)

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For parameters or data out of range, and for what needs all rows in one place. The estimator is then as
            before the call.
        RuntimeError
            If no worker or no scheduler is left, or workers die of a part one after the other.
        KeyboardInterrupt
            After Ctrl-C. The weights reached so far are kept.
        """
        validation = local_rows(X_val), local_rows(y_val), local_rows(sample_weight_val)
        if not is_collection(X) and not isinstance(X, Source):
            given = dict(zip(("X_val", "y_val", "sample_weight_val"), validation, strict=True))
            return super().fit(X, y, sample_weight=sample_weight, resume=resume, **given)  # type: ignore[misc]
        self._check_parameters()
        self._check_distributed(validated=X_val is not None)
        raw = Raw.of(self, X, y, sample_weight, Cluster(client_of(client), retries))
        validation = _nameless(validation[0], raw.kind.names), *validation[1:]
        if raw.are_gathered(self._optimizer()):
            rows = raw.rows()
            self._fit(rows.X, rows.y, None, None, rows.weight, validation, resume)
        else:
            self._fit_raw(raw, X, validation, resume)
        remember_names(self, raw.kind.names)
        return self

    def _fit_raw(
        self, raw: Raw, source: Any, validation: tuple[Any, Any, Any] = (None,) * 3, resume: Any = None
    ) -> None:
        some = raw.some()
        weight = None if some.weight is None else np.ones(len(some.y))
        self._fit(some.X, some.y, None, None, weight, validation, resume, Distributed(source, raw.shards))

    @property
    def partial_fit(self) -> Any:
        """Not on a cluster: a call's rows are in one place."""
        raise AttributeError("partial_fit takes rows in one place: to_local().partial_fit(...).")

    @property
    def path(self) -> Any:
        """Not on a cluster: fit with warm_start=True for one strength after the other."""
        raise AttributeError("path takes rows in one place: to_local().path(...), or fit with warm_start=True.")

    def _check_distributed(self, *, validated: bool) -> None:
        """Raise the error if a fit needs rows in turn."""
        if not self._is_solved():
            raise ValueError(
                f"optimizer={self.optimizer!r} takes rows in turn, which machines cannot share. Use optimizer='auto' "
                "or LBFGS(), whose passes over all rows are sums; or to_local().fit(...) with rows in one place."
            )
        if self.early_stopping and not validated:
            raise ValueError(
                "early_stopping=True keeps rows aside, for which they must be in one place. Give validation rows: "
                "X_val and y_val."
            )

    def _streaming(self, task: Task, streamed: Any) -> Task:
        """The task for the rows of all shards, in place of that for a sample of them."""
        if not isinstance(streamed, Distributed):
            return super()._streaming(task, streamed)  # type: ignore[misc]
        shards = streamed.shards.become(encoded, encoder(self, self.__dict__.get("classes_")), task.X.dtype)
        weights = None
        if self._classification and self.class_weight is not None:
            (totals,) = shards.map_sum(totals_of, len(self.classes_))
            weights = self._side_weights_of_stream(totals)
        return task._replace(shards=shards, side_weights=task.side_weights if weights is None else weights)

    def _lazily(self, name: str, X: Any) -> Any:
        """What a method of the plain estimator says: for a collection a lazy array."""
        return by_partitions(self.to_local(), name, X) if is_collection(X) else getattr(self.to_local(), name)(X)

    def predict(self, X: Any) -> Any:
        """Predict: lazily, for a collection.

        Parameters
        ----------
        X : dask.array.Array, dask.dataframe.DataFrame, {array-like, sparse matrix} or source
            Rows of shape (n_samples, n_features).

        Returns
        -------
        y : dask.array.Array or ndarray of shape (n_samples,)
            Of a collection an array of Dask, in the partitions of X.
        """
        return self._lazily("predict", X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or the coefficient of determination R² of a regressor.

        Parameters
        ----------
        X : as for `predict`
        y : dask.array.Array, dask.dataframe.Series or array-like of shape (n_samples,)
            What should be predicted.
        sample_weight : the same, default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Targets and predictions are brought to the client.
        """
        y, sample_weight = local_rows(y), local_rows(sample_weight)
        if not is_collection(X):
            return float(self.to_local().score(X, y, sample_weight))
        metric = accuracy_score if self._classification else r2_score
        return float(metric(y, self.predict(X).compute(), sample_weight=sample_weight))

    def to_local(self) -> Any:
        """Return the plain estimator of the same name, with the same parameters and weights.

        Returns
        -------
        model : object
        """
        model = self._local(**self.get_params(deep=False))
        parameters = set(self._get_param_names())
        vars(model).update({name: value for name, value in vars(self).items() if name not in parameters})
        return model


def local_rows(rows: Any) -> Any:
    return rows.compute() if is_collection(rows) else rows


def _nameless(X_val: Any, names: list[str] | None) -> Any:
    """Validation rows as an array, after a look at the names of their columns."""
    if names is None or not hasattr(X_val, "columns"):
        return X_val
    if list(X_val.columns) != names:
        raise ValueError(f"The columns of X_val are {list(X_val.columns)}, but those of X are {names}.")
    return X_val.to_numpy()


class SGDClassifier(OnWorkers, linear_model.SGDClassifier):  # type: ignore[misc]
    """`fusedgrad.linear_model.SGDClassifier` for rows on the workers of a Dask cluster.

    The passes of ``optimizer="auto"`` (the default here) and ``LBFGS()`` over all rows are sums over shards of them,
    which workers find where the rows are. A shard is some rows in their order, as many as the number of columns says;
    sums are added up in a fixed order. So the coefficients are the same bits for any number of workers, for any
    partitions, if a worker dies, and as those of the plain estimator for the same rows in one place.

    Parameters are those of `fusedgrad.linear_model.SGDClassifier`; `n_jobs` are threads of each call on a worker, one
    by default, since Dask makes as many calls side by side as the worker has threads.

    Notes
    -----
    A fit makes 10 to 30 passes. Each takes what the rows of a worker take, and some 10 ms for Dask's part. Partitions
    need not be of the size of shards; those that are not are put together anew, which holds rows twice for a moment.
    Shards are about 128 MB (of float32), of sparse rows 262,144 rows. Data of one shard are brought to the client, and
    so are wide sparse rows (more than 1,000 columns, fewer than two rows a column) up to 2 GB, for dual coordinate
    ascent takes them in turn; beyond that L-BFGS trains on them, whose bits are its own.

    Until a fit ends its shards are kept in the memory of the workers. Dask makes those of a dead worker again from what
    X is made of: let workers read or make X, for what was scattered from the client is lost with its worker.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from fusedgrad.dask import SGDClassifier
    >>> with Client(processes=False, dashboard_address=":0") as client:
    ...     X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1000, 5))
    ...     model = SGDClassifier("log_loss").fit(X, X[:, 0] > 0, client=client)
    ...     model.predict(X).compute().mean().round(1)
    np.float64(0.5)
    """

    _local = linear_model.SGDClassifier
    __init__ = with_default(linear_model.SGDClassifier.__init__, optimizer="auto")

    def decision_function(self, X: Any) -> Any:
        """Return the distance of each row from the separating hyperplane of each class: lazily, for a collection.

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
        """Return the probability of each class: lazily, for a collection.

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


class SGDRegressor(OnWorkers, linear_model.SGDRegressor):  # type: ignore[misc]
    """`fusedgrad.linear_model.SGDRegressor` for rows on the workers of a Dask cluster.

    As `SGDClassifier`, which says how the work is shared. Parameters are those of
    `fusedgrad.linear_model.SGDRegressor`, with ``optimizer="auto"`` by default.

    Notes
    -----
    Of losses whose base is a median or a quantile, those of 65,536 targets stand for those of all.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from fusedgrad.dask import SGDRegressor
    >>> with Client(processes=False, dashboard_address=":0") as client:
    ...     X = da.random.default_rng(0).normal(size=(10_000, 2), chunks=(1000, 2))
    ...     model = SGDRegressor(alpha=0.0).fit(X, X[:, 0] - 2 * X[:, 1], client=client)
    >>> model.coef_.round(2)
    array([ 1., -2.])
    """

    _local = linear_model.SGDRegressor
    __init__ = with_default(linear_model.SGDRegressor.__init__, optimizer="auto")
