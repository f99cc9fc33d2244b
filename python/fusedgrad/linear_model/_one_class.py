"""`SGDOneClassSVM`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import OutlierMixin

from .._atomic import settle_all, shallow_copy
from .._sources import by_blocks, takes_sources
from .._training.records import Task
from .._validation.arrays import check_X
from .._validation.parameters import Number, OneOf
from .._validation.weights import check_weights
from . import _seeds
from ._base import SGD, Trained, loss_functions

if TYPE_CHECKING:
    from typing_extensions import Self


class SGDOneClassSVM(OutlierMixin, SGD):  # type: ignore[misc]
    """Linear one-class support vector machine trained by stochastic gradient descent.

    Finds w and rho that minimise ``||w||² / 2 - rho + mean(max(0, rho - w·x)) / nu``; rows with w·x < rho are
    outliers. With a kernel approximation before it (`sklearn.kernel_approximation`) it approximates
    `sklearn.svm.OneClassSVM` in time linear in the number of rows.

    Parameters
    ----------
    nu : float in (0, 1], default=0.5
        An upper bound on the share of training rows that are outliers.
    fit_intercept : bool, default=True
        Whether to learn the offset rho (else it stays 0, or where it was set to start).
    max_iter : int in [1, inf), default=1000
        Epochs at most; `partial_fit` always makes one.
    tol : float in [0, inf) or None, default=1e-3
        Training stops when for 5 epochs the mean objective was above its best minus `tol`; None: after `max_iter`.
    shuffle : bool, default=True
        Whether to visit the rows in a new order each epoch.
    verbose : int, default=0
        Above 0, print norms, losses and times of each epoch.
    random_state : int, RandomState or None, default=None
        Shuffling.
    learning_rate : {'constant', 'optimal', 'invscaling', 'adaptive'}, default='optimal'
        The rate at step t: 'constant' ``eta0``; 'optimal' ``1 / (nu * (t + t0))`` with t0 by Bottou's heuristic;
        'invscaling' ``eta0 / t ** power_t``; 'adaptive' ``eta0``, divided by 5 whenever training would stop, until
        1e-6.
    eta0 : float in (0, inf), default=0.01
        The initial rate.
    power_t : float, default=0.5
        The exponent of 'invscaling'. Negative values are deprecated in scikit-learn.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit.
    average : bool or int, default=False
        Use the mean of the weights over all steps (an int: from that step on).
    intercept_decay : float in [0, inf) or None, default=None
        Factor on the offset's steps. None: 1 for dense and 0.01 for sparse X, as in scikit-learn.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Weights, of X's dtype (float32 or float64).
    offset_ : ndarray of shape (1,), float64
        The offset rho: ``decision_function = score_samples - offset_``.
    n_iter_ : int
        Epochs run.
    t_ : float
        Rows trained on so far, plus one.
    loss_curve_ : list of float
        Mean objective of each epoch (times nu, plus nu). `partial_fit` and `fit` with `warm_start` append.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'interrupted'}
        Why training ended; 'early_stopping' where one of scikit-learn's callbacks asked for it.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    Notes
    -----
    **Differences from scikit-learn 1.9.** As for `SGDClassifier`; and NumPy's global random state is left alone.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.linear_model import SGDOneClassSVM
    >>> X = np.array([[-1, -1], [-2, -1], [1, 1], [2, 1]])
    >>> svm = SGDOneClassSVM(random_state=42, tol=None).fit(X)
    >>> svm.predict([[4, 4]])
    array([1], dtype=int32)
    """

    _classification = True  # the hinge loss
    _no_checkpoints = (
        "Checkpoints are for training in mini-batches and by solvers; SGDOneClassSVM makes one step a sample."
    )
    n_iter_no_change = 5
    epsilon = 0.1
    loss_functions = loss_functions("hinge")
    _rules = {
        **SGD._rules,
        "nu": Number(low=0, high=1, open_low=True),
        "learning_rate": OneOf("constant", "optimal", "invscaling", "adaptive", hidden=("pa1", "pa2")),
    }

    def __init__(
        self,
        nu: float = 0.5,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        verbose: bool | int = 0,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: str = "optimal",
        eta0: float = 0.01,
        power_t: float = 0.5,
        warm_start: bool = False,
        average: bool | int = False,
        *,
        intercept_decay: float | None = None,
    ):
        self.nu = nu
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.warm_start = warm_start
        self.average = average
        self.intercept_decay = intercept_decay

    @property
    def _offset_rate(self) -> float:  # type: ignore[override]
        return float(self.nu)

    def _loss(self) -> str:
        return "hinge"

    def _alpha(self) -> float:
        return float(self.nu)

    def _penalty(self) -> str | None:
        return "l2"

    def _l1_ratio(self) -> float | None:
        return 0.0

    # The engine's intercept is 1 - rho.
    def _intercept_name(self) -> str:
        return "offset_"

    def _to_intercept(self, value: Any) -> Any:
        return 1.0 - value

    _from_intercept = _to_intercept

    @takes_sources
    def fit(
        self,
        X: Any,
        y: Any = None,
        coef_init: ArrayLike | None = None,
        offset_init: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train from the start, or with `warm_start` from the weights of the last fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; or a source of them (`fusedgrad.data`, tables of polars, pyarrow and DuckDB), which need not
            fit in memory.
        y : ignored
            Present for the sake of pipelines.
        coef_init : array-like of shape (n_features,), default=None
            Weights to start from.
        offset_init : array-like of shape (1,), default=None
            Offset to start from.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples' gradients.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For parameters or data out of range, or weights that overflow. The estimator is then as before the call.
        KeyboardInterrupt
            After Ctrl-C. The weights reached so far are kept.
        """
        self._check_parameters()
        model, raw = shallow_copy(self), (X, y)
        coef_init, offset_init = model._initial_weights(coef_init, offset_init)
        X = check_X(model, X, reset=True)
        trained = model._learn(X, coef_init, offset_init, sample_weight, raw=raw, partial=False)
        model._warn(trained.warning)
        settle_all([(self, vars(model))])
        self._raise_if_interrupted()
        return self

    @takes_sources
    def partial_fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on these rows, starting from the weights so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from.
        y : ignored
            Present for the sake of pipelines.
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
        X = check_X(model, X, dtypes=model._dtypes(), reset=first)
        trained = model._learn(X, None, None, sample_weight, raw=raw, partial=True)
        settle_all([(self, vars(model))], trained.in_place)
        return self

    def _learn(
        self,
        X: Any,
        coef_init: Any,
        offset_init: Any,
        sample_weight: Any,
        *,
        raw: tuple[Any, Any],
        partial: bool,
    ) -> Trained:
        sample_weight = check_weights(sample_weight, X, zeros=partial)
        start = self._start(X, 1, coef_init, offset_init, keep=partial)
        return self._train(
            Task(
                objective=self._objective(),
                rates=self._rate_parameters(),
                stopping=self._stopping(partial=partial),
                X=X,
                y=np.ones(X.shape[0], dtype=X.dtype),
                sample_weight=sample_weight,
                start=start,
                labels=[-1],
                side_weights=[(1.0, 1.0)],
                seeds=_seeds.one_class(self.random_state),
                intercept_decay=self._decay_of_intercept(X),
                shuffle=self.shuffle,
            ),
            raw=raw,
            partial=partial,
        )

    @by_blocks
    def score_samples(self, X: Any) -> Any:
        """Return w·x, the score before the offset.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
        """
        return np.ravel(self._raw_prediction(X))

    @by_blocks
    def decision_function(self, X: Any) -> Any:
        """Return the signed distance w·x - rho: negative for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        distances : ndarray of shape (n_samples,)
        """
        return self.score_samples(X) - self.offset_

    @by_blocks
    def predict(self, X: Any) -> Any:
        """Return 1 for inliers and -1 for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of int32, shape (n_samples,)
        """
        return np.where(self.decision_function(X) >= 0, 1, -1).astype(np.int32)
