"""`SGDRegressor`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from .._atomic import settle_all, shallow_copy
from .._sources import Scores, by_blocks, takes_sources
from .._training.records import Validation
from .._training.streams.survey import Streamed
from .._validation.arrays import aligned, check_X_y
from .._validation.parameters import Number, OneOf
from .._validation.weights import check_weights
from ..losses import LOG_LINK
from ..optimizers import Optimizer, Solver
from . import _seeds
from ._base import Trained, loss_functions
from ._path import WithPath
from ._supervised import REGRESSION_LOSSES, SUPERVISED_RULES, Supervised

if TYPE_CHECKING:
    from typing_extensions import Self


class SGDRegressor(Scores, RegressorMixin, WithPath, Supervised):  # type: ignore[misc]
    """Linear regression trained by stochastic gradient descent.

    One sample or mini-batch, one step, on
    ``mean(loss(y, w·x + b)) + alpha * ((1 - l1_ratio) / 2 * ||w||² + l1_ratio * ||w||₁)``.

    Parameters
    ----------
    loss : {'squared_error', 'huber', 'epsilon_insensitive', 'squared_epsilon_insensitive', 'absolute_error', \
'quantile', 'poisson', 'gamma'}, default='squared_error'
        The loss, see `fusedgrad.losses`. 'absolute_error' predicts the median and 'quantile' any quantile. 'poisson'
        (for y >= 0) and 'gamma' (for y > 0) take w·x + b for the logarithm of the mean, so `predict` returns ``exp(w·x
        + b)``.
    penalty : {'l2', 'l1', 'elasticnet', None}, default='l2'
        The penalty on the weights; the intercept is never penalised.
    alpha : float in [0, inf), default=0.0001
        Strength of the penalty; also sets the rate of ``learning_rate='optimal'``, which needs alpha > 0.
    l1_ratio : float in [0, 1] or None, default=0.15
        Share of L1 in ``penalty='elasticnet'``; ignored for other penalties.
    fit_intercept : bool, default=True
        Whether to learn an intercept.
    max_iter : int in [1, inf), default=1000
        Epochs at most; `partial_fit` always makes one.
    tol : float in [0, inf) or None, default=1e-3
        Training stops when for `n_iter_no_change` epochs the mean training objective was above its best minus `tol`
        (with `early_stopping`: the validation score, R², below its best plus `tol`). With the mini-batch engine `tol`
        is a share of the best objective, and where that is more than 1 % above its optimum, automatic rates change and
        training goes on; what is left ends as 'stalled', with a warning. With a solver training ends where the
        objective is at most this share of it above its optimum. None: after `max_iter` epochs.
    shuffle : bool or 'rows', default=True
        Whether to visit the rows in a new order each epoch. The mini-batch engine then shuffles blocks of a few
        adjacent rows (at most a sixteenth of a batch, about 4 KB), which memory likes better; 'rows' shuffles single
        rows there.
    verbose : int, default=0
        Above 0, print norms, losses and times of each epoch; a line an epoch with the mini-batch engine.
    epsilon : float in [0, inf), default=0.1
        Where 'huber' becomes linear; the width of the epsilon-insensitive tubes.
    random_state : int, RandomState or None, default=None
        Shuffling and the validation split. Same value, same result, on any number of threads.
    learning_rate : str, float, schedule or callable, default='invscaling'
        One of scikit-learn's names, with the rate at step t: 'constant' ``eta0``; 'optimal' ``1 / (alpha * (t + t0))``
        with t0 by Bottou's heuristic; 'invscaling' ``eta0 / t ** power_t``; 'adaptive' ``eta0``, divided by 5 whenever
        training would stop, until 1e-6; 'pa1', 'pa2' the passive-aggressive steps PA-I and PA-II (loss
        'epsilon_insensitive' and one sample a step only) with aggressiveness ``eta0``.

        Or, with the mini-batch engine: a float, which is a constant rate; an object of `fusedgrad.schedules`; any
        callable ``step -> rate``, which gets the number of steps made so far; or the name of a schedule. 'cosine',
        'linear', 'polynomial' and 'one_cycle' begin with ``eta0`` and are as long as `max_iter` epochs (with
        ``tol=None`` training reaches their end; `partial_fit` does not know the end, and needs an object);
        'inverse_scaling' and 'reduce_on_plateau' begin with ``eta0``.

        With mini-batches 'optimal' and 'invscaling' need no tuning. Their steps are in the data's own units: weights
        are measured by the spread of their column and of the targets, and dense columns from their means, so `X` and y
        may have any scale. A batch has the sum of the rates of its rows, at most what an estimate of the smoothness of
        the objective allows, and a quarter of it after each epoch that improves the best objective by less than a
        thousandth. With an adaptive optimizer, 'optimal' is its usual rate for linear models (`Optimizer.linear_rate`)
        and 'invscaling' is ``linear_rate * (eta0 / 0.01) / step ** power_t``, both reduced alike. Other rates count for
        weights as they are.
    eta0 : float in (0, inf), default=0.01
        The initial rate, or the aggressiveness of 'pa1' and 'pa2'.
    power_t : float, default=0.25
        The exponent of 'invscaling'. Negative values are deprecated in scikit-learn.
    early_stopping : bool, default=False
        Stop by R² on validation rows: those given to `fit`, else a share of the training rows. R² needs two rows.
    validation_fraction : float in (0, 1), default=0.1
        The share of the training rows that `early_stopping` sets aside.
    n_iter_no_change : int in [1, inf), default=5
        Epochs without improvement before training stops.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit.
    average : bool or int, default=False
        Use the mean of the weights over all steps (an int: from that step on; a mini-batch is one step) as `coef_` and
        `intercept_`.
    intercept_decay : float in [0, inf) or None, default=None
        Factor on the intercept's steps. None: 1 for dense and 0.01 for sparse X, as in scikit-learn, where it cannot be
        changed; set 1.0 to fit sparse and dense X alike. With mini-batches None is 1, and the factor is one on the
        intercept's gradient.
    restore_best_weights : bool, default=False
        Keep the weights of the epoch with the best validation score, rather than the last.
    quantile : float in (0, 1), default=0.5
        Which quantile 'quantile' predicts.
    batch_size : int in [1, inf) or 'full', default=1
        Rows of a step. 1: one sample, one step, with scikit-learn's results. More: the mini-batch engine, which uses
        every core; the gradient is the mean over the batch. 'full': all rows (batch gradient descent).
    optimizer : str, Optimizer or Solver, default='sgd'
        The update rule: a name or an object of `fusedgrad.optimizers`. If the object has a `learning_rate`, it takes
        precedence over the estimator's. Anything but plain 'sgd' uses the mini-batch engine.
        ``set_params(optimizer__beta_1=0.8)`` makes an object of a name.

        Or a solver: 'auto' needs no tuning (see `fusedgrad.optimizers.Auto`). It looks at samples, then at all rows,
        about ten times, and ends when the objective is proven to be within `tol` of its optimum; `max_iter` counts its
        iterations. 'lbfgs' is L-BFGS. Batches, rates, shuffling and averages have no effect on solvers. `partial_fit`
        then steps by `Adagrad`, 32 rows at a time.
    n_jobs : int or None, default=None
        Threads at most with mini-batches, where fewer are used if that is measured to be faster. None: as many as the
        process may use (``OMP_NUM_THREADS``, threadpoolctl, its processors, its container's quota;
        `fusedgrad.show_config` tells); -1: the same; -2: one less, ... Results are the same bits for any number.
    positive : bool, default=False
        Whether to keep the coefficients at 0 or above, by projection after each step of the mini-batch engine.
    base_score : bool, default=True
        Whether intercepts start, with the mini-batch engine, at the constant that costs least: the mean of y, its
        median or quantile, the logarithm of its mean ('poisson', 'gamma'), the log odds of a class. False: at 0. Not
        where the intercept is given or goes on from a fit.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,), or (n_targets, n_features) for a two-dimensional y
        Weights, of X's dtype (float32 or float64).
    intercept_ : ndarray of shape (1,) or (n_targets,), float64
        The intercept.
    n_iter_ : int
        Epochs run.
    t_ : float
        Rows trained on so far, plus one, as scikit-learn counts (a mini-batch counts its rows, not one step).
    loss_curve_ : list of float
        Mean training objective of each epoch, each sample at its own time. `partial_fit` and `fit` with `warm_start`
        append, whereas `n_iter_` counts the epochs of the last call.
    validation_scores_, validation_loss_curve_ : list of float or None
        R² and mean loss on the validation rows after each epoch; None without them.
    optimality_gap_ : float
        With a solver only: how far the objective is above its optimum, as a share of it (less what any predictions
        cost at least, and counted as no less than a thousandth of what a poor one costs).
    gap_kind_ : {'bound', 'estimate'}
        Whether that is an upper bound, the duality gap (rounding of float32 aside), or an estimate, Newton's decrement:
        without a penalty there is no bound, and extreme columns can make it worth less.
    gap_curve_, passes_ : list of float
        With a solver only, after each iteration: the gap (infinite while only a sample is looked at), and how many
        times all rows have been looked at so far, samples by their share.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'stalled', 'diverged', 'interrupted'}
        Why training ended; 'early_stopping' also where one of scikit-learn's callbacks asked for it. With mini-batches
        'converged' means within 1 % of the optimum's objective, as far as can be told; 'stalled' that the objective no
        longer falls but is farther away, 'diverged' that it rose for good. Both come with a warning.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    SGDClassifier : The same for classification; its notes on differences from scikit-learn and its references
        hold here too.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from fusedgrad.linear_model import SGDRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = SGDRegressor(random_state=0).fit(scale(X), y)
    >>> reg.score(scale(X), y) > 0.5
    True
    """

    _curves = ("loss_curve", "validation_scores", "validation_loss_curve")
    loss_functions = loss_functions(*REGRESSION_LOSSES, "absolute_error", "quantile", *LOG_LINK)
    _rules = {
        **SUPERVISED_RULES,
        "loss": OneOf(*loss_functions),
        "quantile": Number(low=0, high=1, open_low=True, open_high=True),
    }

    def __init__(
        self,
        loss: str = "squared_error",
        *,
        penalty: str | None = "l2",
        alpha: float = 0.0001,
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool | Literal["rows"] = True,
        verbose: bool | int = 0,
        epsilon: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: str | float | Callable[[int], float] = "invscaling",
        eta0: float = 0.01,
        power_t: float = 0.25,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        warm_start: bool = False,
        average: bool | int = False,
        intercept_decay: float | None = None,
        restore_best_weights: bool = False,
        quantile: float = 0.5,
        batch_size: int | str = 1,
        optimizer: str | Optimizer | Solver = "sgd",
        n_jobs: int | None = None,
        positive: bool = False,
        base_score: bool = True,
    ):
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.average = average
        self.intercept_decay = intercept_decay
        self.restore_best_weights = restore_best_weights
        self.quantile = quantile
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.n_jobs = n_jobs
        self.positive = positive
        self.base_score = base_score

    def _shape_coef(self, coef: Any) -> Any:
        return coef if self._y_ndim > 1 else coef.ravel()

    @takes_sources
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train from the start, or with `warm_start` from the weights of the last fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; or a source of them (`fusedgrad.data`, tables of polars, pyarrow and DuckDB), which need not
            fit in memory. y and weights are then named, as columns, or are the source's own.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets; several a row with the mini-batch engine. A column is one target a row (with a
            DataConversionWarning).
        coef_init : array-like of shape (n_features,) or (n_targets, n_features), default=None
            Weights to start from.
        intercept_init : array-like of shape (1,) or (n_targets,), default=None
            Intercept to start from.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples' gradients, at least 0.
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
            For parameters or data out of range (y < 0 with 'poisson' or 'gamma' too), validation rows that are too few
            for R², or weights that overflow. The estimator is then as before the call.
        KeyboardInterrupt
            After Ctrl-C. The weights reached so far are kept.
        """
        return self._fit(X, y, coef_init, intercept_init, sample_weight, (X_val, y_val, sample_weight_val), resume)

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        several, finite = self._is_batched(), not self._is_checked_in_training()
        X, y = check_X_y(self, X, y, reset=True, multi_output=several, finite=finite)
        self._y_ndim = np.ndim(y)
        return X, y

    @takes_sources
    def partial_fit(self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on these rows, starting from the weights so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As for `fit`.
        """
        first = "coef_" not in self.__dict__
        self._check_parameters(partial=first)
        model, raw = shallow_copy(self), (X, y)
        several, finite = model._is_batched(), not model._is_checked_in_training()
        X, y = check_X_y(model, X, y, dtypes=model._dtypes(), reset=first, multi_output=several, finite=finite)
        if first:
            model._y_ndim = np.ndim(y)
        trained = model._learn(X, y, None, None, sample_weight, None, raw=raw, keep=True, partial=True)
        settle_all([(self, vars(model))], trained.in_place)
        return self

    def _learn(
        self,
        X: Any,
        y: Any,
        coef_init: Any,
        intercept_init: Any,
        sample_weight: Any,
        given: Validation | None,
        *,
        raw: tuple[Any, Any],
        keep: bool,
        partial: bool,
        resume: Any = None,
        streamed: Streamed | None = None,
    ) -> Trained:
        y = self._targets(y, X.dtype, "y")
        if given is not None:
            given.y = self._targets(given.y, X.dtype, "y_val")
        sample_weight = check_weights(sample_weight, X, zeros=partial)
        task = self._task(X, y, coef_init, intercept_init, sample_weight, given, keep=keep, partial=partial)
        if streamed is not None:
            task = self._streaming(task, streamed)
        return self._train(task, raw=raw, partial=partial, threads=self._threads(task), resume=resume)

    def _labels(self, targets: Any) -> list[int]:
        return [-1] * (1 if targets.ndim == 1 else targets.shape[1])

    def _draw_seeds(self, split: Callable[[], Validation | None]) -> tuple[list[int], Validation | None]:
        return _seeds.regression(self.random_state, split)

    def _link_to_fit(self) -> str:
        return "exp" if self.loss in LOG_LINK else "identity"

    def _side_weights(self, targets: Any, sample_weight: Any) -> list[tuple[float, float]]:
        return [(1.0, 1.0)] * len(self._labels(targets))

    def _side_weights_of_stream(self, totals: Any) -> None:
        return None

    def _targets(self, y: Any, dtype: Any, name: str) -> Any:
        y = aligned(np.ascontiguousarray(y, dtype=dtype))
        least = {"poisson": ">= 0", "gamma": "> 0"}.get(self.loss)
        if least and ((y < 0) if self.loss == "poisson" else (y <= 0)).any():
            raise ValueError(
                f"{name} must be {least} with loss={self.loss!r}, but its smallest value is {y.min()}. Use another "
                "loss, such as 'squared_error'."
            )
        return y

    @by_blocks
    def predict(self, X: Any) -> Any:
        """Return the predictions: w·x + b, or exp(w·x + b) with ``loss='poisson'`` and 'gamma'.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        raw = self._raw_prediction(X)
        raw = (raw if self._y_ndim > 1 else np.ravel(raw)) + self.intercept_
        return np.exp(np.clip(raw, -708, 708)) if self._link == "exp" else raw  # cut as in training

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss in LOG_LINK
        tags.target_tags.multi_output = self._is_batched()
        return tags
