"""Linear models trained by stochastic gradient descent: scikit-learn's estimators on a compiled core.

The classes keep scikit-learn's names, parameters, defaults and results (scikit-learn 1.9, same
``random_state``: equal to rounding). What they add is keyword-only; where they differ, "Differences from
scikit-learn" in the docstring says so.
"""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, OutlierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from . import _fit, losses
from ._checks import (
    BOOLEAN,
    Either,
    Instance,
    InvalidParameterError,
    Number,
    OneOf,
    check_parameters,
    check_X,
    check_X_y,
    check_weights,
    unchanged_on_error,
)

__all__ = ["SGDClassifier", "SGDOneClassSVM", "SGDRegressor"]

_MAX_INT = np.iinfo(np.int32).max
_SPARSE_INTERCEPT_DECAY = 0.01  # scikit-learn's: sparse features change rarely, the intercept always
_REGRESSION_LOSSES = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive")
_RATES = ("constant", "optimal", "invscaling", "adaptive", "pa1", "pa2")


def _loss_functions(*names: str) -> dict[str, tuple[Any, ...]]:
    """scikit-learn's table: each loss with its class and the defaults of its parameters."""
    return {name: (type(losses.get(name)), *losses.get(name).fields.values()) for name in names}


class _SGD(BaseEstimator):  # type: ignore[misc]
    """What the three estimators share: rules, validation split, training, weights that outlive a call."""

    _classification = False
    _offset_rate = 0.0  # slope of the objective in the intercept; the one-class SVM's nu
    _rules: dict[str, Any] = {
        "fit_intercept": BOOLEAN,
        "max_iter": Number(Integral, 1),
        "tol": Number(low=0, none=True),
        "shuffle": BOOLEAN,
        "verbose": Either(Number(Integral, 0), BOOLEAN),
        "random_state": Either(Number(Integral, 0, 2**32 - 1, none=True), Instance(np.random.RandomState, "a RandomState")),
        "warm_start": BOOLEAN,
        "average": Either(Number(Integral, 0, open_low=True), BOOLEAN),
        "eta0": Number(low=0, open_low=True, high=np.inf, open_high=True),
        "power_t": Number(open_low=True, open_high=True),
        "learning_rate": OneOf(*_RATES),
        "intercept_decay": Number(low=0, high=np.inf, open_high=True, none=True),
    }

    # The estimators differ in their targets; these names let the shared code speak of one kind of model.
    loss: str
    n_iter_no_change: int

    def _check_parameters(self, *, partial: bool = False) -> None:
        check_parameters(self, self._rules)
        early_stopping = getattr(self, "early_stopping", False)
        if early_stopping and partial:
            raise ValueError("early_stopping should be False with partial_fit")
        if self.learning_rate == "optimal" and self._alpha() == 0:
            raise ValueError(
                "alpha must be > 0 since learning_rate is 'optimal'. alpha is used to compute the optimal learning "
                "rate. Set alpha, or another learning_rate."
            )
        if self.learning_rate in ("pa1", "pa2"):
            needed = "hinge" if self._classification else "epsilon_insensitive"
            if self._loss() != needed:
                raise ValueError(f"Learning rate '{self.learning_rate}' only works with loss '{needed}'.")
        if self._penalty() == "elasticnet" and self._l1_ratio() is None:
            raise ValueError("l1_ratio must be set when penalty is 'elasticnet'")

    def _loss(self) -> str:
        return self.loss

    def _alpha(self) -> float:
        return float(self.alpha)

    def _penalty(self) -> str | None:
        return self.penalty  # type: ignore[no-any-return]

    def _l1_ratio(self) -> float | None:
        return self.l1_ratio  # type: ignore[no-any-return]

    def _plan(self, X: Any, *, max_iter: int) -> dict[str, Any]:
        alpha, penalty = self._alpha(), self._penalty()
        ratio = {"l2": 0.0, "l1": 1.0, "elasticnet": self._l1_ratio()}.get(penalty or "")
        decay = self.intercept_decay
        if decay is None:
            decay = _SPARSE_INTERCEPT_DECAY if sp.issparse(X) else 1.0
        name = self._loss()
        fields = losses.get(name).fields
        return {
            "loss": name,
            "loss_parameters": {"epsilon": float(self.epsilon)} if "epsilon" in fields else {},
            "l2": 0.0 if ratio is None else (1.0 - ratio) * alpha,
            "l1": 0.0 if ratio is None else ratio * alpha,
            "intercept_decay": float(decay) if self.fit_intercept else 0.0,
            "offset_rate": self._offset_rate,
            "average_from": float(self.average),
            "learning_rate": self.learning_rate,
            "eta0": float(self.eta0),
            "power_t": float(self.power_t),
            "alpha": alpha,
            "shuffle": bool(self.shuffle),
            "early_stopping": bool(getattr(self, "early_stopping", False)),
            "restore_best_weights": bool(getattr(self, "restore_best_weights", False)),
            "regression": not self._classification,
            "max_iter": int(max_iter),
            "n_iter_no_change": int(self.n_iter_no_change),
            "tol": None if self.tol is None else float(self.tol),
        }

    # ---- weights: (n_outputs, n_features) and (n_outputs,) inside, each estimator's shapes outside ----

    def _shape_coef(self, coef: Any) -> Any:
        return coef.ravel()

    def _intercept_name(self) -> str:
        return "intercept_"

    def _to_intercept(self, value: Any) -> Any:
        return value

    _from_intercept = _to_intercept

    def _start(self, X: Any, n_outputs: int, coef_init: Any, intercept_init: Any, *, keep: bool) -> _fit.Start:
        """Where training starts: from `coef_init`, from the weights so far (`keep`), or from zero."""
        n_features = X.shape[1]
        before = self.__dict__
        t = before.get("t_", 1.0) if keep else 1.0
        averages = keep and "_average_coef" in before
        if keep:
            coef_init = before["_standard_coef"] if averages else before["coef_"]
            intercept_init = before["_standard_intercept"] if averages else before[self._intercept_name()]
        if sp.issparse(coef_init):
            coef_init = coef_init.toarray()

        coef = np.zeros((n_outputs, n_features), dtype=X.dtype)
        if coef_init is not None:
            coef_init = np.asarray(coef_init)
            allowed = [(n_outputs, n_features)] + ([(n_features,)] if n_outputs == 1 else [])
            if coef_init.shape not in allowed:
                raise ValueError(
                    f"Provided coef_init does not match dataset. Its shape is {coef_init.shape}, "
                    f"expected {' or '.join(map(str, allowed))}."
                )
            coef[:] = coef_init.reshape(n_outputs, n_features)
        intercept = np.zeros(n_outputs)
        if intercept_init is not None:
            intercept_init = np.asarray(intercept_init, dtype=float)
            allowed = [(n_outputs,)] + ([()] if n_outputs == 1 else [])
            if intercept_init.shape not in allowed:
                raise ValueError(
                    f"Provided {self._intercept_name()[:-1]}_init does not match dataset. Its shape is "
                    f"{intercept_init.shape}, expected {' or '.join(map(str, allowed))}."
                )
            intercept[:] = intercept_init
            if not averages:
                intercept = self._to_intercept(intercept)
        elif self._offset_rate:
            intercept = self._to_intercept(intercept)
        for name, values in (("coef_init", coef), (f"{self._intercept_name()[:-1]}_init", intercept)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name} contains NaN or infinity; initial weights must be finite.")

        start = _fit.Start(coef, intercept, t=t)
        if self.average:
            if averages:
                start.average_coef = before["_average_coef"].reshape(coef.shape).astype(X.dtype)
                start.average_intercept = before["_average_intercept"].astype(float)
            else:
                start.average_coef = np.zeros_like(coef)
                start.average_intercept = np.zeros(n_outputs)
        return start

    def _train(self, task: _fit.Task, *, keep: bool, threads: int = 1, names: tuple[str, ...] = ("",)) -> None:
        """Run the task and take over its weights and its history."""
        result = _fit.run(task, threads=threads, verbose=int(self.verbose), names=names)
        start, before = task.start, self.__dict__

        if self.average:
            self._standard_coef = self._shape_coef(start.coef)
            self._standard_intercept = start.intercept
            self._average_coef = self._shape_coef(start.average_coef)
            self._average_intercept = start.average_intercept
        else:
            for name in ("_standard_coef", "_standard_intercept", "_average_coef", "_average_intercept"):
                before.pop(name, None)
        reached = self.average and self.average <= start.t - 1.0
        coef = self._average_coef if reached else self._shape_coef(start.coef)
        old = before.get("coef_")
        if keep and not self.average and isinstance(old, np.ndarray) and old.shape == coef.shape and old.flags.writeable:
            old[:] = coef  # scikit-learn's promise: partial_fit keeps the array
        else:
            self.coef_ = coef
        setattr(
            self,
            self._intercept_name(),
            self._from_intercept(self._average_intercept if reached else start.intercept),
        )
        self.t_ = start.t
        self.n_iter_ = result.n_iter
        self.stop_reason_ = result.stop_reason
        for name in ("loss_curve", "validation_scores", "validation_loss_curve"):
            curve = getattr(result, name)
            if keep and before.get(f"{name}_") is not None and curve is not None:
                before[f"{name}_"].extend(curve)
            else:
                setattr(self, f"{name}_", curve)

    def _warn(self) -> None:
        """The warnings that a finished `fit` owes."""
        if self.stop_reason_ == "interrupted":
            warnings.warn(
                f"Training interrupted after {self.n_iter_} epochs; the weights reached so far are kept. "
                "Fit again with warm_start=True to go on.",
                ConvergenceWarning,
                stacklevel=3,
            )
        elif self.tol is not None and self.stop_reason_ == "max_iter":
            warnings.warn(
                "Maximum number of iteration reached before convergence. Consider increasing max_iter to improve the fit.",
                ConvergenceWarning,
                stacklevel=3,
            )
        if self.power_t < 0:
            warnings.warn(
                "Negative values for `power_t` are deprecated in version 1.8 and will raise an error in 1.10. "
                "Use values in the range [0.0, inf) instead.",
                FutureWarning,
                stacklevel=3,
            )

    # ---- validation rows ----

    def _split(self, y: Any, sample_weight: Any) -> _fit.Validation | None:
        """The rows that early stopping keeps aside: scikit-learn's split for the same `random_state`."""
        if not self.early_stopping:
            return None
        n = y.shape[0]
        splitter = StratifiedShuffleSplit if self._classification else ShuffleSplit
        cv = splitter(test_size=self.validation_fraction, random_state=self.random_state)
        train, held = next(cv.split(np.zeros((n, 1)), y))
        if sample_weight is not None and not np.any(sample_weight[held] > 0):
            raise ValueError(
                "The sample weights for validation set are all zero, consider using a different random state."
            )
        if train.shape[0] == 0 or held.shape[0] == 0:
            raise ValueError(
                f"Splitting {n} samples into a train set and a validation set with "
                f"validation_fraction={self.validation_fraction!r} led to an empty set ({train.shape[0]} and "
                f"{held.shape[0]} samples). Please either change validation_fraction, increase number of samples, "
                "or disable early_stopping."
            )
        mask = np.zeros(n, dtype=np.bool_)
        mask[held] = True
        return _fit.Validation(held_out=mask)

    def _given_validation(self, X: Any, X_val: Any, y_val: Any, sample_weight_val: Any) -> _fit.Validation | None:
        """The user's own validation set, in X's storage; targets are encoded by the estimator."""
        if X_val is None:
            if y_val is not None or sample_weight_val is not None:
                raise ValueError("y_val and sample_weight_val belong to X_val, which was not given.")
            return None
        if y_val is None:
            raise ValueError("X_val was given without y_val.")
        X_val, y_val = check_X_y(self, X_val, y_val, dtypes=(X.dtype.type,), name="X_val")
        weights = check_weights(sample_weight_val, X_val, name="sample_weight_val")
        if sp.issparse(X):
            X_val = sp.csr_array(X_val)
            for name in ("indices", "indptr"):
                setattr(X_val, name, getattr(X_val, name).astype(X.indices.dtype, copy=False))
        elif sp.issparse(X_val):
            X_val = np.ascontiguousarray(X_val.toarray())
        return _fit.Validation(X=X_val, y=y_val, sample_weight=weights)

    def _wants_validation(self, given: _fit.Validation | None) -> None:
        if self.restore_best_weights and given is None and not self.early_stopping:
            raise ValueError(
                "restore_best_weights=True needs a validation set: give X_val and y_val to fit, or set early_stopping=True."
            )

    # ---- after the fit ----

    def densify(self) -> Any:
        """Convert `coef_` back to a dense array, which training needs; see `sparsify`.

        Returns
        -------
        self : object
        """
        check_is_fitted(self, "coef_", msg="Estimator, %(name)s, must be fitted before densifying.")
        if sp.issparse(self.coef_):
            self.coef_ = self._shape_coef(self.coef_.toarray())
        return self

    def sparsify(self) -> Any:
        """Convert `coef_` to a CSR matrix, which for L1 penalties can save memory and time in prediction.

        Calling `fit` or `partial_fit` afterwards works and makes it dense again.

        Returns
        -------
        self : object
        """
        check_is_fitted(self, "coef_", msg="Estimator, %(name)s, must be fitted before sparsifying.")
        self.coef_ = sp.csr_matrix(np.atleast_2d(self.coef_)) if not sp.issparse(self.coef_) else self.coef_
        return self

    def _raw_prediction(self, X: Any) -> Any:
        """X @ coef, without the intercept, of shape (n_samples,) or (n_samples, n_outputs)."""
        check_is_fitted(self, "coef_")
        X = check_X(self, X)
        product = X @ self.coef_.T
        return product.toarray() if sp.issparse(product) else product

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


_SUPERVISED_RULES: dict[str, Any] = {
    **_SGD._rules,
    "penalty": OneOf("l2", "l1", "elasticnet", None),
    "alpha": Number(low=0, high=np.inf, open_high=True),
    "l1_ratio": Number(low=0, high=1, none=True),
    "epsilon": Number(low=0, high=np.inf, open_high=True),
    "early_stopping": BOOLEAN,
    "validation_fraction": Number(low=0, high=1, open_low=True, open_high=True),
    "n_iter_no_change": Number(Integral, 1),
    "restore_best_weights": BOOLEAN,
}


def _has_probabilities(estimator: SGDClassifier) -> bool:
    if estimator.loss not in ("log_loss", "modified_huber"):
        raise AttributeError(
            f"probability estimates are not available for loss={estimator.loss!r}; use loss='log_loss' or "
            "'modified_huber', or wrap the classifier in sklearn.calibration.CalibratedClassifierCV"
        )
    return True


class SGDClassifier(ClassifierMixin, _SGD):  # type: ignore[misc]
    """Linear classifiers (SVM, logistic regression and others) trained by stochastic gradient descent.

    One sample, one step: for targets y in {-1, 1} (or {0, 1} for the log loss) and predictions p = w·x + b the
    classifier minimises ``mean(loss(y, p)) + alpha * ((1 - l1_ratio) / 2 * ||w||² + l1_ratio * ||w||₁)``. With more
    than two classes, one classifier is trained for each class against the rest.

    Parameters
    ----------
    loss : {'hinge', 'log_loss', 'modified_huber', 'squared_hinge', 'perceptron', 'squared_error', 'huber', \
'epsilon_insensitive', 'squared_epsilon_insensitive'}, default='hinge'
        The loss, see `fusedgrad.losses`. 'hinge' is the linear SVM, 'log_loss' is logistic regression,
        'modified_huber' tolerates outliers and has probabilities too; the last four are losses of regression.
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
        Training stops when for `n_iter_no_change` epochs the mean training objective was above its best minus
        `tol` (with `early_stopping`: the validation score below its best plus `tol`). None: after `max_iter` epochs.
    shuffle : bool, default=True
        Whether to visit the rows in a new order each epoch.
    verbose : int, default=0
        Above 0, print norms, losses and times of each epoch.
    epsilon : float in [0, inf), default=0.1
        Where 'huber' becomes linear; the width of the epsilon-insensitive tubes.
    n_jobs : int or None, default=None
        Threads for the classes of a multi-class fit. None: as many as pay, at most what OpenMP allows
        (``OMP_NUM_THREADS``, threadpoolctl); -1: all of those. The result does not depend on it.
    random_state : int, RandomState or None, default=None
        Shuffling and the validation split. Same value, same result, on any number of threads.
    learning_rate : {'constant', 'optimal', 'invscaling', 'adaptive', 'pa1', 'pa2'}, default='optimal'
        The rate at step t: ``eta0``; ``1 / (alpha * (t + t0))`` with t0 by Bottou's heuristic;
        ``eta0 / t ** power_t``; ``eta0``, divided by 5 whenever training would stop, until 1e-6; the
        passive-aggressive steps PA-I and PA-II (loss 'hinge' only) with aggressiveness ``eta0``.
    eta0 : float in (0, inf), default=0.01
        The initial rate, or the aggressiveness of 'pa1' and 'pa2'.
    power_t : float in (-inf, inf), default=0.5
        The exponent of 'invscaling'. Negative values are deprecated in scikit-learn.
    early_stopping : bool, default=False
        Stop by the score on validation rows: those given to `fit`, else a stratified share of the training rows.
    validation_fraction : float in (0, 1), default=0.1
        That share.
    n_iter_no_change : int in [1, inf), default=5
        Epochs without improvement before training stops.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, multiplied with sample weights; 'balanced': inversely to their frequency.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit.
    average : bool or int, default=False
        Use the mean of the weights over all steps (an int: from that step on) as `coef_` and `intercept_`.
    intercept_decay : float in [0, inf) or None, default=None
        Factor on the intercept's steps. None: 1 for dense and 0.01 for sparse X, as in scikit-learn, where it
        cannot be changed; set 1.0 to fit sparse and dense X alike.
    restore_best_weights : bool, default=False
        Keep the weights of the epoch with the best validation score, rather than the last.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights, of X's dtype (float32 or float64).
    intercept_ : ndarray of shape (1,) or (n_classes,), float64
        Intercepts.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_iter_ : int
        Epochs run (the largest number over the classes).
    t_ : float
        Steps counted so far, plus one: ``1 + n_iter_ * n_samples`` after `fit`.
    loss_curve_ : list of float
        Mean training objective of each epoch, each sample at its own time (without sample and class weights, as
        the stopping rule sees it); with several classes the mean over them, each with its last value once it has
        stopped. `partial_fit` appends.
    validation_scores_, validation_loss_curve_ : list of float or None
        Accuracy and mean loss on the validation rows after each epoch (one against the rest); None without them.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'interrupted'}
        Why training ended.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    SGDRegressor : The same for regression.
    SGDOneClassSVM : The same for outliers.

    Notes
    -----
    Features should have about zero mean and unit variance. float32 and float64 arrays in C order and CSR matrices
    (int32 or int64 indices) are used without a copy; other inputs are converted. Ctrl-C ends a fit within about 0.1 s,
    with the weights so far and a warning.

    **Differences from scikit-learn 1.9.** Results are equal to rounding (the order of summation differs), except:

    * early stopping scores the true weights (scikit-learn forgets the scale factor of L2 decay, and scores the
      log loss with labels that never match the negative class);
    * for sparse X the stopping rule sees the norm of all weights (scikit-learn: of the last row's features), and
      after L1 truncation the norm of the truncated weights;
    * with `average`, `partial_fit` continues from the last intercept (scikit-learn restarts it);
    * `partial_fit` may change between float32 and float64 and keeps the dtype of the first call; a label that is
      not among the classes is an error.

    Kept as it is, because results should be equal: the order of rows in each epoch is the last one permuted by the
    same permutation, and the average with an L1 penalty does not see truncation.

    References
    ----------
    L. Bottou, "Stochastic gradient descent tricks", 2012. Y. Tsuruoka, J. Tsujii, S. Ananiadou, "Stochastic gradient
    descent training for L1-regularized log-linear models with cumulative penalty", ACL 2009. K. Crammer et al.,
    "Online passive-aggressive algorithms", JMLR 7, 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from fusedgrad.linear_model import SGDClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = SGDClassifier(loss="log_loss", random_state=0).fit(scale(X), y)
    >>> clf.score(scale(X), y) > 0.97
    True
    >>> clf.stop_reason_
    'converged'
    """

    _classification = True
    loss_functions = _loss_functions(
        "hinge", "squared_hinge", "perceptron", "log_loss", "modified_huber", *_REGRESSION_LOSSES
    )
    _rules = {
        **_SUPERVISED_RULES,
        "loss": OneOf(*loss_functions),
        "n_jobs": Number(Integral, none=True),
        "class_weight": Either(OneOf("balanced", None), Instance(dict, "a dict of weights")),
    }

    def __init__(
        self,
        loss: str = "hinge",
        *,
        penalty: str | None = "l2",
        alpha: float = 0.0001,
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        verbose: int = 0,
        epsilon: float = 0.1,
        n_jobs: int | None = None,
        random_state: Any = None,
        learning_rate: str = "optimal",
        eta0: float = 0.01,
        power_t: float = 0.5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        warm_start: bool = False,
        average: bool | int = False,
        intercept_decay: float | None = None,
        restore_best_weights: bool = False,
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
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.average = average
        self.intercept_decay = intercept_decay
        self.restore_best_weights = restore_best_weights

    def _check_parameters(self, *, partial: bool = False) -> None:
        super()._check_parameters(partial=partial)
        if self.n_jobs == 0:
            raise InvalidParameterError("n_jobs == 0 has no meaning: use None, 1, or -1 for all threads.")

    def _shape_coef(self, coef: Any) -> Any:
        return coef

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> SGDClassifier:
        """Train from the start, or with `warm_start` from the weights of the last fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Class labels: numbers, strings or booleans.
        coef_init : array-like of shape (n_classes, n_features), or (1, n_features) or (n_features,) for two classes
            Weights to start from.
        intercept_init : array-like of shape (n_classes,), or (1,) for two classes
            Intercepts to start from.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples' gradients, multiplied with `class_weight`.
        X_val, y_val, sample_weight_val : default=None
            Validation rows: scored after every epoch, and used by `early_stopping` in place of a split.

        Returns
        -------
        self : SGDClassifier

        Raises
        ------
        ValueError
            For parameters or data out of range, one class only, or weights that overflow. The estimator is then as
            before the call.
        """
        self._check_parameters()
        with unchanged_on_error(self):
            keep = self.warm_start and hasattr(self, "coef_")
            if keep:
                coef_init = self.coef_ if coef_init is None else coef_init
                intercept_init = self.intercept_ if intercept_init is None else intercept_init
            X, y = check_X_y(self, X, y, reset=True)
            check_classification_targets(y)
            self.classes_ = _classes(y)
            given = self._given_validation(X, X_val, y_val, sample_weight_val)
            self._wants_validation(given)
            self._learn(X, y, coef_init, intercept_init, sample_weight, given, max_iter=self.max_iter, keep=False)
            self._warn()
        return self

    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> SGDClassifier:
        """Train for one epoch on these rows, starting from the weights so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from.
        y : array-like of shape (n_samples,)
            Their class labels.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : SGDClassifier

        Raises
        ------
        ValueError
            As for `fit`; also if `classes` is missing in the first call or changes later, or if y has another label.
        """
        first = "classes_" not in self.__dict__
        self._check_parameters(partial=first)
        if first and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. In order to use 'balanced' weights, use "
                "compute_class_weight('balanced', classes=classes, y=y). In place of y you can use a large enough "
                "sample of the full training set target to properly estimate the class frequency distributions. "
                "Pass the resulting weights as the class_weight parameter."
            )
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        with unchanged_on_error(self):
            if classes is not None:
                classes = np.unique(np.asarray(classes))
                if first:
                    self.classes_ = classes
                elif not np.array_equal(classes, self.classes_):
                    raise ValueError(
                        f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
                    )
            dtypes = {} if first else {"dtypes": (self.coef_.dtype.type,)}
            X, y = check_X_y(self, X, y, reset=first, **dtypes)
            if first:
                check_classification_targets(y)
            self._learn(X, y, None, None, sample_weight, None, max_iter=1, keep=not first)
        return self

    def _learn(
        self,
        X: Any,
        y: Any,
        coef_init: Any,
        intercept_init: Any,
        sample_weight: Any,
        given: _fit.Validation | None,
        *,
        max_iter: int,
        keep: bool,
    ) -> None:
        n_classes = len(self.classes_)
        if n_classes < 2:
            raise ValueError(f"The number of classes has to be greater than one; got {n_classes} class")
        codes = self._encode(y, X.dtype, "y")
        if given is not None:
            given.y = self._encode(given.y, X.dtype, "y_val")
        class_weight = [1.0] * n_classes
        if self.class_weight is not None:
            class_weight = compute_class_weight(self.class_weight, classes=self.classes_, y=y).tolist()
        early = self.early_stopping and given is None and not keep
        sample_weight = check_weights(sample_weight, X, zeros=early)

        binary = n_classes == 2
        labels = [1] if binary else list(range(n_classes))
        start = self._start(X, len(labels), coef_init, intercept_init, keep=keep)
        # scikit-learn's order of draws: a number it does not use, the split, the seed; with several classes the
        # split, a seed for each class, and of a generator with that seed the second number.
        rng = check_random_state(self.random_state)
        if binary:
            rng.randint(1, _MAX_INT)
        split = self._split(codes, sample_weight) if early else None
        if binary:
            seeds = [rng.randint(_MAX_INT)]
        else:
            seeds = [_second_draw(seed) for seed in rng.randint(_MAX_INT, size=n_classes)]
        self._train(
            _fit.Task(
                plan=self._plan(X, max_iter=max_iter),
                X=X,
                y=codes,
                sample_weight=sample_weight,
                start=start,
                labels=labels,
                side_weights=[(class_weight[0], class_weight[1])] if binary else [(1.0, w) for w in class_weight],
                seeds=seeds,
                validation=given or split,
            ),
            keep=keep,
            threads=_fit.threads_for(self.n_jobs, len(labels), float(X.nnz if sp.issparse(X) else X.size)),
            names=("",) if binary else tuple(f" (class {label})" for label in self.classes_),
        )

    def _encode(self, y: Any, dtype: Any, name: str) -> Any:
        """Class codes 0, 1, ... in X's dtype."""
        if len(self.classes_) == 2:
            positive = y == self.classes_[1]
            codes = positive.astype(dtype)
            known = positive | (y == self.classes_[0])
        else:
            found = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
            codes = found.astype(dtype)
            known = self.classes_[found] == y
        if not np.all(known):
            strangers = np.unique(np.asarray(y)[~known])
            raise ValueError(
                f"{name} has labels {strangers[:5]} that are not among the classes {self.classes_}. "
                "Pass all labels that will come as `classes` in the first call of partial_fit."
            )
        return codes

    def decision_function(self, X: Any) -> Any:
        """Return the raw predictions w·x + b, positive for ``classes_[1]``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        scores = self._raw_prediction(X) + self.intercept_
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> Any:
        """Return the class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)]

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class; for the losses 'log_loss' and 'modified_huber'.

        With several classes, the probabilities of the one-against-the-rest models are normalised to sum to 1
        (uniform where all are 0). For 'modified_huber' they are ``(clip(p, -1, 1) + 1) / 2``, which is often 0 or 1
        exactly; Zadrozny & Elkan, "Transforming classifier scores into multiclass probability estimates", KDD 2002.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), columns as in `classes_`
        """
        scores = self.decision_function(X)
        positive = expit(scores) if self.loss == "log_loss" else (np.clip(scores, -1, 1) + 1) / 2
        if positive.ndim == 1:
            return np.column_stack([1 - positive, positive])
        total = positive.sum(axis=1, keepdims=True)
        nothing = total[:, 0] == 0
        positive[nothing], total[nothing] = 1, positive.shape[1]
        return positive / total

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`; -inf where that is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


class SGDRegressor(RegressorMixin, _SGD):  # type: ignore[misc]
    """Linear regression trained by stochastic gradient descent.

    One sample, one step, on ``mean(loss(y, w·x + b)) + alpha * ((1 - l1_ratio) / 2 * ||w||² + l1_ratio * ||w||₁)``.

    Parameters
    ----------
    loss : {'squared_error', 'huber', 'epsilon_insensitive', 'squared_epsilon_insensitive'}, default='squared_error'
        The loss, see `fusedgrad.losses`.
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
        As for `SGDClassifier`; the validation score is R².
    shuffle : bool, default=True
        Whether to visit the rows in a new order each epoch.
    verbose : int, default=0
        Above 0, print norms, losses and times of each epoch.
    epsilon : float in [0, inf), default=0.1
        Where 'huber' becomes linear; the width of the epsilon-insensitive tubes.
    random_state : int, RandomState or None, default=None
        Shuffling and the validation split.
    learning_rate : {'constant', 'optimal', 'invscaling', 'adaptive', 'pa1', 'pa2'}, default='invscaling'
        As for `SGDClassifier`; 'pa1' and 'pa2' need the loss 'epsilon_insensitive'.
    eta0 : float in (0, inf), default=0.01
        The initial rate, or the aggressiveness of 'pa1' and 'pa2'.
    power_t : float in (-inf, inf), default=0.25
        The exponent of 'invscaling'. Negative values are deprecated in scikit-learn.
    early_stopping : bool, default=False
        Stop by R² on validation rows: those given to `fit`, else a share of the training rows.
    validation_fraction : float in (0, 1), default=0.1
        That share.
    n_iter_no_change : int in [1, inf), default=5
        Epochs without improvement before training stops.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit.
    average : bool or int, default=False
        Use the mean of the weights over all steps (an int: from that step on) as `coef_` and `intercept_`.
    intercept_decay : float in [0, inf) or None, default=None
        Factor on the intercept's steps. None: 1 for dense and 0.01 for sparse X, as in scikit-learn.
    restore_best_weights : bool, default=False
        Keep the weights of the epoch with the best validation score, rather than the last.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Weights, of X's dtype (float32 or float64).
    intercept_ : ndarray of shape (1,), float64
        The intercept.
    n_iter_ : int
        Epochs run.
    t_ : float
        Steps counted so far, plus one.
    loss_curve_ : list of float
        Mean training objective of each epoch, each sample at its own time. `partial_fit` appends.
    validation_scores_, validation_loss_curve_ : list of float or None
        R² and mean loss on the validation rows after each epoch; None without them.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'interrupted'}
        Why training ended.
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

    loss_functions = _loss_functions(*_REGRESSION_LOSSES)
    _rules = {**_SUPERVISED_RULES, "loss": OneOf(*loss_functions)}

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
        shuffle: bool = True,
        verbose: int = 0,
        epsilon: float = 0.1,
        random_state: Any = None,
        learning_rate: str = "invscaling",
        eta0: float = 0.01,
        power_t: float = 0.25,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        warm_start: bool = False,
        average: bool | int = False,
        intercept_decay: float | None = None,
        restore_best_weights: bool = False,
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

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> SGDRegressor:
        """Train from the start, or with `warm_start` from the weights of the last fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Targets.
        coef_init : array-like of shape (n_features,), default=None
            Weights to start from.
        intercept_init : array-like of shape (1,), default=None
            Intercept to start from.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples' gradients.
        X_val, y_val, sample_weight_val : default=None
            Validation rows: scored after every epoch, and used by `early_stopping` in place of a split.

        Returns
        -------
        self : SGDRegressor

        Raises
        ------
        ValueError
            For parameters or data out of range, or weights that overflow. The estimator is then as before the call.
        """
        self._check_parameters()
        with unchanged_on_error(self):
            if self.warm_start and hasattr(self, "coef_"):
                coef_init = self.coef_ if coef_init is None else coef_init
                intercept_init = self.intercept_ if intercept_init is None else intercept_init
            X, y = check_X_y(self, X, y, reset=True)
            given = self._given_validation(X, X_val, y_val, sample_weight_val)
            self._wants_validation(given)
            self._learn(X, y, coef_init, intercept_init, sample_weight, given, max_iter=self.max_iter, keep=False)
            self._warn()
        return self

    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> SGDRegressor:
        """Train for one epoch on these rows, starting from the weights so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from.
        y : array-like of shape (n_samples,)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : SGDRegressor

        Raises
        ------
        ValueError
            As for `fit`.
        """
        first = "coef_" not in self.__dict__
        self._check_parameters(partial=first)
        with unchanged_on_error(self):
            dtypes = {} if first else {"dtypes": (self.coef_.dtype.type,)}
            X, y = check_X_y(self, X, y, reset=first, **dtypes)
            self._learn(X, y, None, None, sample_weight, None, max_iter=1, keep=not first)
        return self

    def _learn(
        self,
        X: Any,
        y: Any,
        coef_init: Any,
        intercept_init: Any,
        sample_weight: Any,
        given: _fit.Validation | None,
        *,
        max_iter: int,
        keep: bool,
    ) -> None:
        y = np.ascontiguousarray(y, dtype=X.dtype)
        if given is not None:
            given.y = np.ascontiguousarray(given.y, dtype=X.dtype)
        sample_weight = check_weights(sample_weight, X)
        start = self._start(X, 1, coef_init, intercept_init, keep=keep)
        # scikit-learn's order of draws: the split, the seed, a number it does not use
        split = self._split(y, sample_weight) if given is None and max_iter > 1 else None
        rng = check_random_state(self.random_state)
        seed = rng.randint(0, _MAX_INT)
        rng.randint(1, _MAX_INT)
        self._train(
            _fit.Task(
                plan=self._plan(X, max_iter=max_iter),
                X=X,
                y=y,
                sample_weight=sample_weight,
                start=start,
                labels=[-1],
                side_weights=[(1.0, 1.0)],
                seeds=[seed],
                validation=given or split,
            ),
            keep=keep,
        )

    def predict(self, X: Any) -> Any:
        """Return the predictions w·x + b.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        return np.ravel(self._raw_prediction(X)) + self.intercept_


class SGDOneClassSVM(OutlierMixin, _SGD):  # type: ignore[misc]
    """Linear one-class support vector machine trained by stochastic gradient descent.

    Finds w and rho that minimise ``||w||² / 2 - rho + mean(max(0, rho - w·x)) / nu``; rows with w·x < rho are
    outliers. With a kernel approximation before it (`sklearn.kernel_approximation`) it approximates
    `sklearn.svm.OneClassSVM` in time linear in the number of rows.

    Parameters
    ----------
    nu : float in (0, 1], default=0.5
        An upper bound on the share of training rows that are outliers.
    fit_intercept : bool, default=True
        Whether to learn the offset rho (else it is 1).
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
        As for `SGDClassifier`, with nu in the place of alpha.
    eta0 : float in (0, inf), default=0.01
        The initial rate.
    power_t : float in (-inf, inf), default=0.5
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
        Steps counted so far, plus one.
    loss_curve_ : list of float
        Mean objective of each epoch (times nu, plus nu). `partial_fit` appends.
    stop_reason_ : {'converged', 'max_iter', 'interrupted'}
        Why training ended.
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
    n_iter_no_change = 5
    epsilon = 0.1
    loss_functions = _loss_functions("hinge")
    _rules = {
        **_SGD._rules,
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
        verbose: int = 0,
        random_state: Any = None,
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

    def fit(
        self,
        X: Any,
        y: Any = None,
        coef_init: ArrayLike | None = None,
        offset_init: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> SGDOneClassSVM:
        """Train from the start, or with `warm_start` from the weights of the last fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
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
        self : SGDOneClassSVM

        Raises
        ------
        ValueError
            For parameters or data out of range, or weights that overflow. The estimator is then as before the call.
        """
        self._check_parameters()
        with unchanged_on_error(self):
            if self.warm_start and hasattr(self, "coef_"):
                coef_init = self.coef_ if coef_init is None else coef_init
                offset_init = self.offset_ if offset_init is None else offset_init
            X = check_X(self, X, reset=True)
            self._learn(X, coef_init, offset_init, sample_weight, max_iter=self.max_iter, keep=False)
            self._warn()
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> SGDOneClassSVM:
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
        self : SGDOneClassSVM

        Raises
        ------
        ValueError
            As for `fit`.
        """
        first = "coef_" not in self.__dict__
        self._check_parameters(partial=first)
        with unchanged_on_error(self):
            X = check_X(self, X, reset=True) if first else check_X(self, X, dtypes=(self.coef_.dtype.type,))
            self._learn(X, None, None, sample_weight, max_iter=1, keep=not first)
        return self

    def _learn(
        self, X: Any, coef_init: Any, offset_init: Any, sample_weight: Any, *, max_iter: int, keep: bool
    ) -> None:
        sample_weight = check_weights(sample_weight, X)
        start = self._start(X, 1, coef_init, offset_init, keep=keep)
        seed = check_random_state(self.random_state).randint(0, _MAX_INT)
        self._train(
            _fit.Task(
                plan=self._plan(X, max_iter=max_iter),
                X=X,
                y=np.ones(X.shape[0], dtype=X.dtype),
                sample_weight=sample_weight,
                start=start,
                labels=[-1],
                side_weights=[(1.0, 1.0)],
                seeds=[seed],
            ),
            keep=keep,
        )

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


def _second_draw(seed: int) -> int:
    rng = np.random.RandomState(seed)
    rng.randint(1, _MAX_INT)
    return int(rng.randint(_MAX_INT))


def _classes(y: Any) -> Any:
    """``np.unique(y)``, without sorting where y holds whole numbers of a small range."""
    if y.dtype.kind in "iu" and y.size:
        low, high = y.min(), y.max()
        if int(high) - int(low) < 1 << 16:
            return (np.flatnonzero(np.bincount(np.subtract(y, low, dtype=np.int64))) + int(low)).astype(y.dtype)
    return np.unique(y)
