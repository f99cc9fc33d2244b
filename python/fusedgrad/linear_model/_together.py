"""Many linear models in one pass over X."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state

from .._atomic import settle_all, shallow_copy
from .._threads import threads_for
from .._training.curvature.chain import Chain, kind_of
from .._training.minibatch import Pass, stream_of
from .._training.records import Task
from .._training.resuming import never
from .._training.stopping import DROPPED, MAX_ITER
from .._validation import ignored
from .._validation.arrays import aligned, check_finite, check_X_y
from .._validation.classes import classes_of
from .._validation.warn import warn
from .._validation.weights import check_not_negative, check_weights
from ._base import NEGATIVE_POWER
from ._supervised import Supervised

_DATA_ATTRIBUTES = {"n_features_in_", "feature_names_in_", "classes_", "_y_ndim", "_grows"}  # what data leaves behind
_STREAM = ("batch_size", "shuffle", "random_state", "the rows that early_stopping keeps aside", "epochs made before")


class FittedModels(list[Any]):
    """The estimators that `fit_many` has fitted, in their order, and how they shared the work.

    Attributes
    ----------
    passes : list of list of int
        The places in the list of the models that were trained together, pass by pass.
    alone : dict of int to str
        The models that shared no pass with another, and why.
    """

    passes: list[list[int]]
    alone: dict[int, str]


def fit_many(estimators: Sequence[Any], X: Any, y: ArrayLike, sample_weights: ArrayLike | None = None) -> FittedModels:
    """Fit linear estimators on the same rows in as few passes over X as possible.

    Each estimator is as after its own ``fit(X, y, sample_weight)``, with the same bits. Those that are trained in
    mini-batches and agree in `batch_size`, `shuffle` and `random_state` see the same rows at the same time, and share
    a pass: a mini-batch meets all of them while it is in the cache. They may differ in everything else: `loss`,
    `penalty`, `alpha`, `l1_ratio`, `eta0`, `learning_rate`, `optimizer`, `class_weight`, `tol`, `max_iter`, ...

    Parameters
    ----------
    estimators : list of SGDClassifier or SGDRegressor
        What to fit, in place; each object once.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Class labels or targets.
    sample_weights : array-like of shape (n_samples,) or (n_samples, n_models), default=None
        Weights of the samples, the same for all or a column for each: with the counts of bootstrap samples this is
        bagging.

    Returns
    -------
    models : FittedModels
        The estimators, with `passes` and `alone`, which say who shared with whom, and who could not.

    Raises
    ------
    TypeError
        If there is something else in the list.
    ValueError
        As `fit`, with the place of the model in the list. All estimators are then as before the call.
    KeyboardInterrupt
        After Ctrl-C; all estimators are as before.

    Warns
    -----
    ConvergenceWarning
        If some model has reached `max_iter` before it converged.

    References
    ----------
    Qin & Rusu, "Speculative approximations for terascale distributed gradient descent optimization", 2014: many
    configurations in one pass. Breiman, "Bagging predictors", 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from fusedgrad import SGDClassifier, fit_many
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> alphas = np.logspace(-4, 0, 9)
    >>> models = [SGDClassifier("log_loss", alpha=alpha, batch_size=32, random_state=0) for alpha in alphas]
    >>> fit_many(models, scale(X), y).passes
    [[0, 1, 2, 3, 4, 5, 6, 7, 8]]
    >>> bool(np.linalg.norm(models[0].coef_) > np.linalg.norm(models[-1].coef_))
    True
    """
    models = FittedModels(estimators)
    together = Together(models, X, y, sample_weights)
    together.finish()
    models.passes, models.alone = together.passes, together.alone
    warn_of(models, [f"{k}" for k in range(len(models))], together.owed)
    return models


def warn_of(models: Sequence[Any], names: Sequence[str], owed: Mapping[int, str]) -> None:
    """The warnings that finished fits owe, once for all; `owed`: what some of them say of how training ended."""
    if any(model.power_t < 0 for model in models):
        warn(NEGATIVE_POWER, FutureWarning)
    idle: dict[str, list[str]] = {}
    for model, name in zip(models, names, strict=True):
        for parameter, reason in ignored.unused(model, model._idle).items():
            text = ignored.message(parameter, getattr(model, parameter), reason)
            idle.setdefault(text, []).append(name)
    for text, affected in idle.items():
        warn(f"{text} (Models: {_few(affected)}.)", UserWarning)
    if owed:
        affected = [names[k] for k in owed]
        warn(
            f"Training ended where it should not in {len(owed)} of {len(models)} models: {_few(affected)}. Of the "
            f"first: {next(iter(owed.values()))}",
            ConvergenceWarning,
        )
    late = [
        name
        for model, name in zip(models, names, strict=True)
        if model.tol is not None and model.stop_reason_ == MAX_ITER
    ]
    if late:
        warn(
            f"Maximum number of iteration reached before convergence by {len(late)} of {len(models)} models: "
            f"{_few(late)}. Consider increasing max_iter to improve the "
            "fit.",
            ConvergenceWarning,
        )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


Place = Callable[[Task], Task]


def here(task: Task) -> Task:
    """A task whose rows are where they are given."""
    return task


class Together:
    """Training of linear estimators on some rows of one X, in as few passes as possible.

    It works on copies; the estimators stay as they are until `settle`.

    Parameters
    ----------
    estimators : list of SGDClassifier or SGDRegressor
    X, y
        As for `fit_many`.
    sample_weights : array-like of shape (n_samples,) or (n_samples, n_models), default=None
        Of all rows of X.
    rows : ndarray of int, default=None
        The rows to train on, of an X that has been checked. None: all, and X is checked here.
    names : list of str, default=None
        What messages call each model.
    chained : bool, default=False
        Whether models of a solver may start from one another, in the order of their penalties: they are then not quite
        what `fit` makes of them, but as near to the optimum. False: each is fitted alone.
    threads : int, default=None
        None: what the estimators' `n_jobs` ask for.
    verbose : int, default=None
        Above 0, print a line an epoch and model. None: what the estimators' `verbose` asks for.
    place : callable
        What makes of each task one that says where its rows are.

    Attributes
    ----------
    passes, alone
        As of `FittedModels`.
    owed : dict of int to str
        What models say of how their training ended, once they are settled.
    """

    def __init__(
        self,
        estimators: Sequence[Any],
        X: Any,
        y: Any,
        sample_weights: Any = None,
        *,
        rows: NDArray[Any] | None = None,
        names: Sequence[str] | None = None,
        chained: bool = False,
        threads: int | None = None,
        verbose: int | None = None,
        place: Place = here,
    ):
        self.estimators, self.rows = list(estimators), rows
        self.names = [f"model {k}" for k in range(len(self.estimators))] if names is None else list(names)
        self._verbose = verbose
        self._check_estimators()
        self._models = [shallow_copy(estimator) for estimator in self.estimators]
        self._trainings: dict[int, Any] = {}
        self._fits: dict[int, Callable[[], Any]] = {}  # of models that cannot share, while they wait
        self._failed: dict[int, Exception] = {}
        self.passes: list[list[int]] = []
        self.alone: dict[int, str] = {}
        self.owed: dict[int, str] = {}
        given = X, y
        X, y, targets = self._check_data(X, y)
        weights = self._check_weights(sample_weights, X)
        tasks: dict[int, Task] = {}
        splits: dict[Any, Any] = {}
        # All that leave the seed to chance get the same one, so that they can share.
        seed = int(check_random_state(None).randint(np.iinfo(np.int32).max))
        for k, model in enumerate(self._models):
            reason = _reason_alone(model, chained=chained)
            if reason:
                self.alone[k] = reason
                has_callbacks = rows is None and _has_callbacks(model)  # callbacks see the data as it was given
                self._fits[k] = self._fit_of(k, model, *(given if has_callbacks else (X, y)), weights[k])
                continue
            random_state = model.random_state
            if random_state is None:
                model.random_state = seed
            with self._named(k):
                start = model._initial_weights(None, None)
                keep = model._continues(None, None)
                tasks[k] = place(model._task(X, targets, *start, weights[k], keep=keep, rows=rows, splits=splits))
            model.random_state = random_state
        work = float(X.nnz if sp.issparse(X) else X.size) * len(self._models)
        self._threads = threads or max(threads_for(model.n_jobs, None, work) for model in self._models)
        self._passes = [self._pass(tasks, each) for each in self._streams(tasks)]

    # ---- what comes in ----

    def _check_estimators(self) -> None:
        if not self.estimators:
            raise ValueError("There are no estimators to fit: the list is empty.")
        for k, estimator in enumerate(self.estimators):
            if not isinstance(estimator, Supervised):
                raise TypeError(
                    f"{self.names[k]} is {estimator!r}. Only SGDClassifier and SGDRegressor can be fitted together."
                )
            if estimator._classification != self.estimators[0]._classification:
                raise TypeError(
                    f"{self.names[k]} is {estimator!r}, {self.names[0]} is {self.estimators[0]!r}. Classifiers and "
                    "regressors have different targets; fit them in two calls."
                )
            with self._named(k):
                estimator._check_parameters()
        if len(set(map(id, self.estimators))) < len(self.estimators):
            raise ValueError("An estimator stands in the list twice. Make another one with sklearn.base.clone.")

    def _check_data(self, X: Any, y: Any) -> tuple[Any, Any, Any]:
        """X, y and encoded targets; every model learns what X looks like."""
        first, rows = self._models[0], slice(None) if self.rows is None else self.rows
        if self.rows is None:
            finite = not all(model._is_checked_in_training() for model in self._models)
            several = all(model._is_batched() for model in self._models) and not first._classification
            X, y = check_X_y(first, X, y, reset=True, multi_output=several, finite=finite)
        else:
            y = np.asarray(y)
            first.n_features_in_ = X.shape[1]
        known = y[rows]
        if first._classification:
            first.classes_ = classes_of(known)
            first.__dict__.pop("_grows", None)
        else:
            first._y_ndim = np.ndim(y)
            known = aligned(np.ascontiguousarray(known, dtype=X.dtype))
        targets = first._targets(known, X.dtype, "y") if first._classification else known
        self._data_attributes = {name: first.__dict__[name] for name in _DATA_ATTRIBUTES if name in first.__dict__}
        for k, model in enumerate(self._models):
            self._set_data_attributes(model)
            with self._named(k):
                model._check_validation_rows(None)
                if not first._classification:
                    model._targets(known, X.dtype, "y")
        if self.rows is not None:  # what the other rows hold is never looked at
            everywhere = np.zeros(y.shape, dtype=X.dtype)
            everywhere[rows] = targets
            targets = everywhere
        return X, y, targets

    def _set_data_attributes(self, model: Any) -> None:
        """Give a model what the data leaves behind."""
        model.__dict__.update(self._data_attributes)
        for name in _DATA_ATTRIBUTES - self._data_attributes.keys():
            model.__dict__.pop(name, None)

    def _check_weights(self, weights: Any, X: Any) -> list[Any]:
        """Sample weights of each model."""
        count = len(self._models)
        if np.ndim(weights) < 2:
            weights = check_weights(weights, X, name="sample_weights", zeros=True)
        else:
            weights = check_array(weights, dtype=X.dtype, order="C", input_name="sample_weights")
            if weights.shape != (X.shape[0], count):
                raise ValueError(
                    f"sample_weights.shape == {weights.shape}, expected {(X.shape[0], count)}: a row for each row of X "
                    "and a column for each model; or one column for all."
                )
            check_not_negative(weights, "sample_weights")
            weights = aligned(weights)
        if weights is None:
            return [None] * count
        used = (weights if self.rows is None else weights[self.rows]).any(axis=0)
        for k, model in enumerate(self._models):
            if not (used if used.ndim == 0 else used[k]) and not model.early_stopping:
                raise ValueError(f"{self.names[k]}: its sample_weights are zero for every sample.")
        return [weights] * count if weights.ndim == 1 else list(weights.T)

    @contextmanager
    def _named(self, k: int) -> Iterator[None]:
        """Errors say which model they are about."""
        try:
            yield
        except ValueError as error:
            raise type(error)(f"{self.names[k]}: {error}") from error

    def _fit_of(self, k: int, model: Any, X: Any, y: Any, weight: Any) -> Callable[[], Any]:
        if self.rows is not None:
            X, y, weight = X[self.rows], y[self.rows], None if weight is None else weight[self.rows]

        def fit() -> None:
            model._warn = lambda warning: self._note(k, warning)  # whoever asked for the models warns, once for all
            try:
                model.fit(X, y, sample_weight=weight)
            finally:
                del model._warn
            self._set_data_attributes(model)  # the names of X's columns too, which are gone by now

        return fit

    # ---- who shares with whom ----

    def _streams(self, tasks: dict[int, Task]) -> list[list[int]]:
        chains: dict[Any, list[int]] = {}
        streams: dict[Any, list[int]] = {}
        for k, task in tasks.items():
            if self._models[k]._is_solved():
                chains.setdefault(kind_of(task), []).append(k)
            else:
                streams.setdefault(stream_of(task), []).append(k)
        for stream, members in streams.items():
            if len(members) > 1 or len(tasks) == 1:
                continue
            largest = max(streams, key=lambda each: len(streams[each]))
            other = largest if stream != largest else next(each for each in streams if each != stream)
            differs = [name for name, own, others in zip(_STREAM, stream, other, strict=True) if own != others]
            self.alone[members[0]] = f"it differs from the others in {' and '.join(differs)}"
        return [*chains.values(), *streams.values()]

    def _pass(self, tasks: dict[int, Task], members: list[int]) -> Pass | Chain:
        task = tasks[members[0]]
        kind = Chain if self._models[members[0]]._is_solved() else Pass
        together = kind(
            [tasks[k] for k in members],
            check=lambda: check_finite(task.X, self._models[members[0]]),
            threads=self._threads,
            verbose=[int(self._models[k].verbose) if self._verbose is None else self._verbose for k in members],
            names=[self.names[k] for k in members],
        )
        self._trainings.update(zip(members, together.trainings, strict=True))
        self.passes.append(members)
        return together

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of all weights, of the optimizers' state, and of the values of one batch."""
        total = {"weights": 0, "optimizer state": 0, "batch": 0}
        for each in self._passes:
            for part, size in each.memory.items():
                total[part] = total[part] + size if part != "batch" else max(total[part], size)
        return total

    # ---- training ----

    @property
    def made(self) -> tuple[float, float]:
        """Rows and epochs of all passes, so far."""
        made = [each.made for each in self._passes]
        return sum(rows for rows, _ in made), sum(epochs for _, epochs in made)

    def snapshot(self) -> list[Any]:
        """All that changes while models are trained, if none of them must be trained alone."""
        return [each.snapshot() for each in self._passes]

    def restore(self, saved: list[Any]) -> None:
        """Stand as when `snapshot` was taken."""
        for each, state in zip(self._passes, saved, strict=True):
            each.restore(state)

    def run(self, epochs: int | None = None, pause: Callable[[], bool] = never) -> None:
        """Train each model to its end, or for so many epochs more at most; models that cannot share always to the end.

        `pause` is asked after each epoch (or iteration of a solver) whether to leave it there, for now.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C.
        """
        for k, fit in self._fits.items():
            try:
                fit()
            except ValueError as error:
                self._failed[k] = error
        self._fits = {}
        for each in self._passes:
            each.run(epochs, pause)
            if epochs is None and not each.ended:
                return

    def stop(self) -> None:
        """Interrupt `run` in another thread."""
        for each in self._passes:
            each.stop()

    @property
    def ended(self) -> bool:
        return not self._fits and all(each.ended for each in self._passes)

    @property
    def errors(self) -> list[Exception | None]:
        """Why a model has no result: its weights have overflowed."""
        failed = {k: training.error for k, training in self._trainings.items()} | self._failed
        return [_about(name, failed.get(k)) for k, name in enumerate(self.names)]

    def drop(self, indices: Sequence[int]) -> None:
        """Let these models leave, with the weights that they have."""
        for k in indices:
            if k in self._trainings and not self._trainings[k].ended:
                self._trainings[k].stop_reason = DROPPED

    def weights(self, k: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return (n_outputs, n_features) and (n_outputs,): a model as it is now."""
        if k in self._trainings:
            return self._trainings[k].prediction_weights()
        return np.atleast_2d(self._models[k].coef_), self._models[k].intercept_

    def finish(self) -> None:
        """Train to the end, and give the estimators what they have learned, if none has failed."""
        self.run()
        for error in self.errors:
            if error is not None:
                raise error
        self.settle()

    def _note(self, k: int, warning: str) -> None:
        if warning:
            self.owed[k] = warning

    def settle(self) -> None:
        """Give the estimators what they have learned, all in one step, but for those with errors."""
        settled = []
        for k, (estimator, model, error) in enumerate(zip(self.estimators, self._models, self.errors, strict=True)):
            if error is None:
                if k in self._trainings:
                    trained = model._take(self._trainings[k].task.start, self._trainings[k].result())
                    self._note(k, trained.warning)
                settled.append((estimator, vars(model)))
        settle_all(settled)


def _about(name: str, error: Exception | None) -> Exception | None:
    return None if error is None else type(error)(f"{name}: {error}")


def _has_callbacks(estimator: Any) -> bool:
    return bool(getattr(estimator, "_skl_callbacks", None))


def _reason_alone(estimator: Any, *, chained: bool) -> str:
    if _has_callbacks(estimator):
        return "it has callbacks, which follow one fit"
    if not estimator._is_batched():
        return "it is trained one sample a step (batch_size=1 with plain SGD), which no two models can share"
    if estimator._is_solved() and not chained:
        return f"{ignored.shown(estimator, 'optimizer')} looks at the rows whenever its own steps need it"
    return ""
