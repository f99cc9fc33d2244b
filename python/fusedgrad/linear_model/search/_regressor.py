"""`SGDRegressorCV`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from ...losses import LOG_LINK
from ...optimizers import Optimizer
from .._regressor import SGDRegressor
from ._base import GridCV
from ._grid import cell_of
from ._rules import rules_of


class SGDRegressorCV(RegressorMixin, GridCV):  # type: ignore[misc]
    """`SGDRegressor` with `alpha` and others chosen by cross-validation, all models of a fold trained in one pass.

    As `SGDClassifierCV`, for regression.

    Parameters
    ----------
    loss : str, default='squared_error'
        As for `SGDRegressor`.
    alphas : int in [1, 1000000] or array-like of floats in (0, inf), default=10
        Strengths of the penalty; an int: so many from 1e-6 to 1e-1, evenly on a logarithmic scale.
    l1_ratios : array-like of floats in [0, 1] or None, default=None
        Shares of L1; they have an effect with ``penalty='elasticnet'`` only. None: 0.15.
    eta0s : array-like of floats in (0, inf) or None, default=None
        Initial rates; they have an effect with the learning rates 'constant', 'invscaling' and 'adaptive'. None: 0.01.
    losses : array-like of str or None, default=None
        Losses. None: `loss`.
    cv : int, splitter, iterable of (training rows, test rows) or None, default=None
        The folds; an int: so many. None: 5.
    scoring : str, callable or None, default=None
        A name of ``sklearn.metrics.get_scorer_names()``, or ``scorer(estimator, X, y) -> float``. None: R².
        'r2', 'neg_mean_squared_error' and 'neg_root_mean_squared_error' are computed for all models at once.
    refit, halving, error_score : see `SGDClassifierCV`
        The same parameters, with the same defaults.
    penalty, fit_intercept, max_iter, tol, shuffle : see `SGDRegressor`
        Parameters of the models, with the defaults of `SGDRegressor`.
    verbose : int, default=0
        Above 0, print the size of the grid, what memory it takes, and a line a fold; above 1, what the fits print.
    epsilon : float in [0, inf), default=0.1
        As for `SGDRegressor`.
    random_state : int, RandomState or None, default=None
        Of shuffling, the same for all cells and folds; None: a seed that is drawn once in each `fit`.
    learning_rate, power_t, early_stopping, validation_fraction, n_iter_no_change : see `SGDRegressor`
        Parameters of the models, with the defaults of `SGDRegressor`.
    average, intercept_decay, restore_best_weights, quantile : see `SGDRegressor`
        Parameters of the models, with the defaults of `SGDRegressor`.
    batch_size : int in [1, inf) or 'full', default=256
        Rows of a step, as for `SGDRegressor`. Models trained with 1 cannot share a pass; they are trained one by one.
    optimizer, n_jobs, positive : see `SGDRegressor`
        Parameters of the models, with the defaults of `SGDRegressor`.

    Attributes
    ----------
    alpha_, eta0_, l1_ratio_ : float
        Values of the best cell.
    loss_ : str
        The loss of the best cell.
    best_index_, best_params_, best_score_, scores_, cv_results_, coefs_paths_, n_splits_, refit_time_ : various
        As `SGDClassifierCV`'s.
    coef_ : ndarray of shape (n_features,), or (n_targets, n_features) for a two-dimensional y
        Weights of the best model, of X's dtype.
    intercept_ : ndarray of shape (1,) or (n_targets,), float64
        Its intercept.
    n_iter_ : int
        Epochs of the best model; without `refit`, the most over the folds.
    best_estimator_ : SGDRegressor
        The best model.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    SGDClassifierCV : The same for classification; its notes and references hold here too.
    SGDRegressor : One such model.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from fusedgrad.linear_model import SGDRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = SGDRegressorCV(alphas=[1e-4, 1e-2, 10], batch_size=32, random_state=0).fit(scale(X), y)
    >>> reg.alpha_ < 10, reg.scores_.shape
    (True, (3, 5))
    >>> reg.score(scale(X), y) > 0.5
    True
    """

    _cell_class = SGDRegressor
    _default_scoring = "r2"
    _rules = rules_of(SGDRegressor)

    def __init__(
        self,
        loss: str = "squared_error",
        *,
        alphas: int | ArrayLike = 10,
        l1_ratios: ArrayLike | None = None,
        eta0s: ArrayLike | None = None,
        losses: Sequence[str] | None = None,
        cv: Any = None,
        scoring: str | Callable[..., float] | None = None,
        refit: bool = True,
        halving: bool = False,
        error_score: float | str = np.nan,
        penalty: str | None = "l2",
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool | Literal["rows"] = True,
        verbose: bool | int = 0,
        epsilon: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: str | float | Callable[[int], float] = "invscaling",
        power_t: float = 0.25,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        average: bool | int = False,
        intercept_decay: float | None = None,
        restore_best_weights: bool = False,
        quantile: float = 0.5,
        batch_size: int | str = 256,
        optimizer: str | Optimizer = "sgd",
        n_jobs: int | None = None,
        positive: bool = False,
    ):
        self.loss = loss
        self.alphas = alphas
        self.l1_ratios = l1_ratios
        self.eta0s = eta0s
        self.losses = losses
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.halving = halving
        self.error_score = error_score
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.average = average
        self.intercept_decay = intercept_decay
        self.restore_best_weights = restore_best_weights
        self.quantile = quantile
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.n_jobs = n_jobs
        self.positive = positive

    score = GridCV.score  # not the mixin's, which is R2

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.losses is None and self.loss in LOG_LINK
        tags.target_tags.multi_output = cell_of(self)._is_batched()
        return tags
