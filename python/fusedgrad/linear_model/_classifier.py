"""`SGDClassifier`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from .._atomic import settle_all, shallow_copy
from .._estimator import available_if
from .._sources import Scores, by_blocks, takes_sources
from .._training import growing
from .._training.records import Result, Validation
from .._training.stopping import MAX_ITER
from .._training.streams.survey import Streamed
from .._validation.arrays import check_finite, check_X_y
from .._validation.classes import classes_of
from .._validation.parameters import Either, Instance, OneOf
from .._validation.weights import balanced_weights, check_weights
from ..optimizers import Optimizer, Solver
from . import _seeds
from ._base import Trained, loss_functions
from ._path import WithPath
from ._supervised import REGRESSION_LOSSES, SUPERVISED_RULES, Supervised

if TYPE_CHECKING:
    from typing_extensions import Self

_PROBABILITIES = {"log_loss": "sigmoid", "modified_huber": "modified_huber"}  # losses that have some, and their links


def has_probabilities(estimator: SGDClassifier) -> bool:
    """Whether the fitted loss has probabilities; before `fit`, the loss to be fitted."""
    if estimator._link == "identity":
        loss = estimator.loss
        which = f"loss={loss!r}" if loss not in _PROBABILITIES else "the loss that was fitted"
        raise AttributeError(
            f"probability estimates are not available for {which}; use loss='log_loss' or 'modified_huber', or wrap "
            "the classifier in sklearn.calibration.CalibratedClassifierCV"
        )
    return True


class SGDClassifier(Scores, ClassifierMixin, WithPath, Supervised):  # type: ignore[misc]
    """Linear classifiers (SVM, logistic regression and others) trained by stochastic gradient descent.

    One sample or mini-batch, one step: for targets y in {-1, 1} (or {0, 1} for the log loss) and predictions
    p = w·x + b the classifier minimises
    ``mean(loss(y, p)) + alpha * ((1 - l1_ratio) / 2 * ||w||² + l1_ratio * ||w||₁)``. With more than two classes, one
    classifier is trained for each class against the rest, or with `multi_class` one softmax over all.

    Parameters
    ----------
    loss : {'hinge', 'squared_hinge', 'perceptron', 'log_loss', 'modified_huber', 'squared_error', 'huber', \
'epsilon_insensitive', 'squared_epsilon_insensitive'}, default='hinge'
        The loss, see `fusedgrad.losses`. 'hinge' is the linear SVM, 'log_loss' is logistic regression, 'modified_huber'
        tolerates outliers and has probabilities too; the last four are losses of regression.
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
        (with `early_stopping`: the validation score, accuracy, below its best plus `tol`). With the mini-batch engine
        `tol` is a share of the best objective, and where that is more than 1 % above its optimum, automatic rates
        change and training goes on; what is left ends as 'stalled', with a warning. With a solver training ends where
        the objective is at most this share of it above its optimum. None: after `max_iter` epochs.
    shuffle : bool or 'rows', default=True
        Whether to visit the rows in a new order each epoch. The mini-batch engine then shuffles blocks of a few
        adjacent rows (at most a sixteenth of a batch, about 4 KB), which memory likes better; 'rows' shuffles single
        rows there.
    verbose : int, default=0
        Above 0, print norms, losses and times of each epoch; a line an epoch with the mini-batch engine.
    epsilon : float in [0, inf), default=0.1
        Where 'huber' becomes linear; the width of the epsilon-insensitive tubes.
    n_jobs : int or None, default=None
        Threads at most: for the classes of a multi-class fit, and for everything with mini-batches, where fewer are
        used if that is measured to be faster. None: as many as the process may use (``OMP_NUM_THREADS``, threadpoolctl,
        its processors, its container's quota; `fusedgrad.show_config` tells); -1: the same; -2: one less, ... Results
        are the same bits for any number.
    random_state : int, RandomState or None, default=None
        Shuffling and the validation split. Same value, same result, on any number of threads.
    learning_rate : str, float, schedule or callable, default='optimal'
        One of scikit-learn's names, with the rate at step t: 'constant' ``eta0``; 'optimal' ``1 / (alpha * (t + t0))``
        with t0 by Bottou's heuristic; 'invscaling' ``eta0 / t ** power_t``; 'adaptive' ``eta0``, divided by 5 whenever
        training would stop, until 1e-6; 'pa1', 'pa2' the passive-aggressive steps PA-I and PA-II (loss 'hinge' and one
        sample a step only) with aggressiveness ``eta0``.

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
    power_t : float, default=0.5
        The exponent of 'invscaling'. Negative values are deprecated in scikit-learn.
    early_stopping : bool, default=False
        Stop by accuracy on validation rows: those given to `fit`, else a stratified share of the training rows.
    validation_fraction : float in (0, 1), default=0.1
        The share of the training rows that `early_stopping` sets aside.
    n_iter_no_change : int in [1, inf), default=5
        Epochs without improvement before training stops.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, multiplied with sample weights; a class that is not in the dict has weight 1.
        'balanced': the classes weigh the same, each row of class k ``sum(w) / (n_classes * sum(w of class k))``, with
        the sample weights w (1 without them). A class whose rows weigh nothing has no influence.
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
    multi_class : {'ovr', 'multinomial'}, default='ovr'
        With more than two classes: one classifier for each class against the rest, or one softmax over all classes
        (needs ``loss='log_loss'``). 'multinomial' uses the mini-batch engine for any number of classes; with two it
        minimises the same objective as 'ovr'.
    positive : bool, default=False
        Whether to keep the coefficients at 0 or above, by projection after each step of the mini-batch engine.
    base_score : bool, default=True
        Whether intercepts start, with the mini-batch engine, at the constant that costs least: the mean of y, its
        median or quantile, the logarithm of its mean ('poisson', 'gamma'), the log odds of a class. False: at 0. Not
        where the intercept is given or goes on from a fit.

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
        Rows trained on so far, plus one, as scikit-learn counts (a mini-batch counts its rows, not one step):
        ``1 + n_iter_ * n_samples`` after `fit`.
    loss_curve_ : list of float
        Mean training objective of each epoch, each sample at its own time (without sample and class weights, as
        the stopping rule sees it); with several classes the mean over them, each with its last value once it has
        stopped. With mini-batches it is weighted, and the penalty is measured up to 16 times an epoch. `partial_fit`
        and `fit` with `warm_start` append, whereas `n_iter_` counts the epochs of the last call.
    validation_scores_, validation_loss_curve_ : list of float or None
        Accuracy and mean loss on the validation rows after each epoch (one against the rest; with mini-batches of the
        predicted classes); None without them. They go on as `loss_curve_` does.
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
    SGDRegressor : The same for regression.
    SGDOneClassSVM : The same for outliers.

    Notes
    -----
    Features should have about zero mean and unit variance. float32 and float64 arrays in C order and CSR matrices
    (int32 or int64 indices) are used without a copy; other inputs are converted.

    Ctrl-C ends `fit` within about 0.1 s with a KeyboardInterrupt. The weights reached so far are kept, with
    ``stop_reason_ = 'interrupted'``, and ``warm_start=True`` goes on from there; before the first epoch is complete, or
    in a callback, everything may be as before the call. `partial_fit`, `path`, `fit_many` and the searches leave
    everything as before.

    **Differences from scikit-learn 1.9.** Results are equal to rounding (the order of summation differs), except:

    * early stopping scores the true weights (scikit-learn forgets the scale factor of L2 decay, and scores the
      log loss with labels that never match the negative class);
    * for sparse X the stopping rule sees the norm of all weights (scikit-learn: of the last row's features), and
      after L1 truncation the norm of the truncated weights;
    * with `average`, `partial_fit` continues from the last intercept (scikit-learn restarts it), an average that is
      switched on later is one of later weights, and a warm start begins from `coef_`, with a new mean;
    * ``class_weight='balanced'`` counts sample weights (scikit-learn counts rows, and a class whose rows weigh more is
      then weighed twice);
    * negative sample weights, and X of dates or of strings, are errors in `fit` (scikit-learn converts the latter
      to numbers, and refuses them in `predict`);
    * `partial_fit` may change between float32 and float64 and keeps the dtype of the first call; a label that is
      not among the classes is an error, or with ``classes='grow'``, which scikit-learn does not have, a new class.

    Kept as it is, because results should be equal: the order of rows in each epoch is the last one permuted by the
    same permutation, and the average with an L1 penalty does not see truncation.

    **Mini-batches.** The objective is the weighted mean of the losses plus the penalty, and a step's gradient is its
    mean over the batch: weights count relative to their mean (in `partial_fit` unchanged, because the mean over all
    calls is not known).
    L1 is a proximal step in the metric of the update rule, so that every rule ends at the optimum of the objective.
    The state of the optimizer is kept between calls of `partial_fit`, by `warm_start` and by pickling: continued
    training gives the same bits as training without a break. A UserWarning names parameters that were set and have no
    effect with mini-batches, such as `eta0` with ``learning_rate='optimal'``.

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
    _grows = False  # whether labels that are new become classes in `partial_fit`
    _curves = ("loss_curve", "validation_scores", "validation_loss_curve")
    loss_functions = loss_functions(
        "hinge", "squared_hinge", "perceptron", "log_loss", "modified_huber", *REGRESSION_LOSSES
    )
    _rules = {
        **SUPERVISED_RULES,
        "loss": OneOf(*loss_functions),
        "multi_class": OneOf("ovr", "multinomial"),
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
        shuffle: bool | Literal["rows"] = True,
        verbose: bool | int = 0,
        epsilon: float = 0.1,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: str | float | Callable[[int], float] = "optimal",
        eta0: float = 0.01,
        power_t: float = 0.5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Mapping[Any, float] | str | None = None,
        warm_start: bool = False,
        average: bool | int = False,
        intercept_decay: float | None = None,
        restore_best_weights: bool = False,
        batch_size: int | str = 1,
        optimizer: str | Optimizer | Solver = "sgd",
        multi_class: str = "ovr",
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
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.multi_class = multi_class
        self.positive = positive
        self.base_score = base_score

    def _is_batched(self) -> bool:
        return super()._is_batched() or self.multi_class == "multinomial"

    def _check_parameters(self, *, partial: bool = False) -> None:
        super()._check_parameters(partial=partial)
        if self.multi_class == "multinomial" and self.loss != "log_loss":
            raise ValueError(
                f"multi_class='multinomial' is a loss of its own, the softmax cross-entropy: it needs loss='log_loss'. "
                f"Got loss={self.loss!r}."
            )

    def _shape_coef(self, coef: Any) -> Any:
        return coef

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
        y : array-like of shape (n_samples,)
            Class labels: numbers, strings or booleans.
        coef_init : array-like of shape (n_classes, n_features), or (1, n_features) or (n_features,) for two classes
            Weights to start from.
        intercept_init : array-like of shape (n_classes,), or (1,) for two classes
            Intercepts to start from.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples' gradients, at least 0, multiplied with `class_weight`.
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
            For parameters or data out of range, one class only, or weights that overflow. The estimator is then as
            before the call.
        KeyboardInterrupt
            After Ctrl-C. The weights reached so far are kept.
        """
        return self._fit(X, y, coef_init, intercept_init, sample_weight, (X_val, y_val, sample_weight_val), resume)

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = check_X_y(self, X, y, reset=True, finite=not self._is_checked_in_training())
        self._drop_single_class()
        self.__dict__.pop("_grows", None)
        self.classes_ = classes_of(y)
        return X, y

    @takes_sources
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on these rows, starting from the weights so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from.
        y : array-like of shape (n_samples,)
            Their class labels.
        classes : array-like of shape (n_classes,) or 'grow', default=None
            All classes that will ever come; needed in the first call. Or 'grow', in any call: from then on, until the
            next `fit`, labels that are new become classes, see the notes; an array of labels may then add some, too.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As for `fit`; also if `classes` is missing in the first call or changes later, or if y has another label
            (with 'grow': if `classes` lacks one that is known, or if some labels are strings and some numbers).

        Notes
        -----
        **New classes.** With ``classes='grow'`` a label that is new gets a row of `coef_` and `intercept_`, which
        starts at zero, and so do its part of the optimizer's state and its means of `average`. `classes_` stays sorted:
        the rows of known classes move to their new places with the same values, so that their scores change by
        training alone. Of two classes the single row w becomes the rows -w and w (with ``multi_class='multinomial'``
        -w/2 and w/2): relative to each other they stay as likely as they were. (With `positive` what is negative in -w
        becomes 0.) Steps and rates go on. A dict of `class_weight` may name classes that are yet to come.

        Rows of one class alone teach nothing and are not counted: `predict` returns this class, `coef_` is zero, and
        training starts with the call that brings a second class.

        Examples
        --------
        >>> from fusedgrad.linear_model import SGDClassifier
        >>> clf = SGDClassifier(random_state=0).partial_fit([[0.0], [1.0]], ["bee", "fly"], classes="grow")
        >>> clf.partial_fit([[4.0], [5.0]], ["ant", "ant"]).classes_
        array(['ant', 'bee', 'fly'], dtype='<U3')
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
            raise ValueError(growing.NO_CLASSES)
        model, raw = shallow_copy(self), (X, y)
        if growing.is_asked(classes):
            model._grows, classes = True, None
        listed = None if classes is None else model._listed(classes)
        finite = not model._is_checked_in_training()
        X, targets = check_X_y(model, X, y, dtypes=model._dtypes(), reset=first, finite=finite)
        if first and targets.dtype.kind not in "biuUS":
            check_classification_targets(targets)
        if model._grows:
            model._meet(targets, listed)
        elif first:
            model.classes_ = listed
        if model._grows and len(model.classes_) == 1:
            trained = model._wait(X, sample_weight)
        else:
            trained = model._learn(X, targets, None, None, sample_weight, None, raw=raw, keep=True, partial=True)
        settle_all([(self, vars(model))], trained.in_place)
        return self

    # ---- classes of a stream ----

    def _listed(self, classes: Any) -> Any:
        """The labels of the argument `classes`, if they may be the classes."""
        labels, known = growing.labels_of(classes), self.__dict__.get("classes_")
        if growing.may_be_given(labels, known, grows=self._grows):
            return labels
        raise ValueError(f"`classes={labels!r}` is not the same as on last call to partial_fit, was: {known!r}")

    def _meet(self, y: Any, listed: Any) -> None:
        """Take labels of y, and those `listed`, for classes; the weights of known ones move to their places."""
        known = self.__dict__.get("classes_")
        met = classes_of(y) if known is None else growing.union(known, y)
        met = met if listed is None else growing.union(met, listed)
        if known is not None and len(met) > len(known):
            self._drop_single_class()
            if "coef_" in self.__dict__:
                self._move(growing.Moves.between(known, met, softmax=self.multi_class == "multinomial"))
        self.classes_ = met

    def _move(self, moves: growing.Moves) -> None:
        before = self.__dict__
        for name in {"coef_", "_standard_coef", "_average_coef"} & before.keys():
            coef = before[name].toarray() if sp.issparse(before[name]) else before[name]
            moved = moves.weights(coef.T).T
            before[name] = np.maximum(moved, 0.0) if self.positive else moved
        for name in {"intercept_", "_standard_intercept", "_average_intercept"} & before.keys():
            before[name] = moves.weights(before[name])
        if before.get("_optimizer_state") is not None:
            before["_optimizer_state"] = moves.state(before["_optimizer_state"])

    def _wait(self, X: Any, sample_weight: Any) -> Trained:
        """Take note of rows of a single class."""
        check_finite(X, self)
        check_weights(sample_weight, X, zeros=True)
        return self._take(self._start(X, 1, None, None, keep=True), Result(0, MAX_ITER, [], None, None), partial=True)

    def _drop_single_class(self) -> None:
        """Forget the weights of a model that has met one class only: there was nothing to learn."""
        if len(self.__dict__.get("classes_", ())) == 1:
            self.__dict__.pop("coef_", None)

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
        sample_weight = check_weights(sample_weight, X, zeros=partial or (self.early_stopping and given is None))
        codes = self._targets(y, X.dtype, "y")
        if given is not None:
            given.y = self._targets(given.y, X.dtype, "y_val")
        task = self._task(X, codes, coef_init, intercept_init, sample_weight, given, keep=keep, partial=partial)
        if streamed is not None:
            task = self._streaming(task, streamed)
        return self._train(
            task,
            raw=raw,
            partial=partial,
            threads=self._threads(task),
            resume=resume,
            names=("",) if len(self.classes_) == 2 else tuple(f" (class {label})" for label in self.classes_),
        )

    def _labels(self, targets: Any) -> list[int]:
        n_classes = len(self.classes_)
        return [1] if n_classes == 2 else list(range(n_classes))

    def _is_multinomial(self) -> bool:
        n_classes = len(self.__dict__.get("classes_", ()))
        return self.multi_class == "multinomial" and n_classes > 2  # of two classes, it is the binary model

    def _draw_seeds(self, split: Callable[[], Validation | None]) -> tuple[list[int], Validation | None]:
        if len(self.classes_) == 2:
            return _seeds.binary(self.random_state, split)
        return _seeds.multiclass(self.random_state, len(self.classes_), split)

    def _link_to_fit(self) -> str:
        return "softmax" if self._is_multinomial() else _PROBABILITIES.get(self.loss, "identity")

    def _side_weights(self, codes: Any, sample_weight: Any) -> list[tuple[float, float]]:
        class_weight = self._class_weights(codes, sample_weight)
        if len(self.classes_) == 2:
            return [(class_weight[0], class_weight[1])]
        outside = class_weight[0] if self._is_multinomial() else 1.0
        return [(outside, weight) for weight in class_weight]

    def _class_weights(self, codes: Any, sample_weight: Any) -> list[float]:
        """The weight of each class."""
        n_classes = len(self.classes_)
        given: Any = self.class_weight
        if given is None:
            return [1.0] * n_classes
        if given != "balanced":
            given = growing.weights_of_known(self.classes_, given) if self._grows else given
            return list(compute_class_weight(given, classes=self.classes_, y=self.classes_).tolist())
        missing = np.setdiff1d(np.arange(n_classes), codes)
        if missing.size:  # in partial_fit
            raise ValueError(
                f"class_weight='balanced' weighs the classes by the rows of the call, but y has no row of class "
                f"{self.classes_.tolist()[missing[0]]!r}. Give class_weight a dict of weights."
            )
        return list(balanced_weights(codes, n_classes, sample_weight).tolist())

    def _side_weights_of_stream(self, totals: Any) -> list[tuple[float, float]]:
        return self._side_weights(np.arange(len(totals)), totals)

    def _targets(self, y: Any, dtype: Any, name: str) -> Any:
        """Class codes 0, 1, ... in X's dtype."""
        if len(self.classes_) < 2:
            raise ValueError(f"The number of classes has to be greater than one; got {len(self.classes_)} class")
        if len(self.classes_) == 2:
            positive = y == self.classes_[1]
            codes = positive.astype(dtype)
            known = positive | (y == self.classes_[0])
        else:
            found = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
            codes = found.astype(dtype)
            known = self.classes_[found] == y
        if not np.all(known):
            unknown = np.unique(np.asarray(y)[~known])
            raise ValueError(
                f"{name} has labels {unknown[:5]} that are not among the classes {self.classes_}. "
                "Pass all labels that will come as `classes` in the first call of partial_fit, or classes='grow'."
            )
        return codes

    @by_blocks
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

    @by_blocks
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

    @available_if(has_probabilities)
    @by_blocks
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
        if len(self.classes_) == 1:
            return np.ones((len(scores), 1))
        if self._link == "softmax":
            return softmax(scores, axis=1)
        positive = expit(scores) if self._link == "sigmoid" else (np.clip(scores, -1, 1) + 1) / 2
        if positive.ndim == 1:
            return np.column_stack([1 - positive, positive])
        total = positive.sum(axis=1, keepdims=True)
        nothing = total[:, 0] == 0
        positive[nothing], total[nothing] = 1, positive.shape[1]
        return positive / total

    @available_if(has_probabilities)
    @by_blocks
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
