"""`SGDClassifierCV`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ..._estimator import available_if
from ...optimizers import Optimizer, Solver
from .._classifier import SGDClassifier, has_probabilities
from ._base import GridCV
from ._rules import rules_of


def _can_have_probabilities(estimator: SGDClassifierCV) -> bool:
    """Whether the chosen loss has probabilities; before `fit`, whether all losses of the grid have."""
    if "best_estimator_" in vars(estimator):
        return has_probabilities(estimator.best_estimator_)
    losses = [estimator.loss] if estimator.losses is None else estimator.losses
    return all(has_probabilities(SGDClassifier(loss=loss)) for loss in losses)


class SGDClassifierCV(ClassifierMixin, GridCV):  # type: ignore[misc]
    """`SGDClassifier` with `alpha` and others chosen by cross-validation.

    The cells of the grid `alphas` x `eta0s` x `l1_ratios` x `losses` are trained on the training rows of each fold, and
    X is never copied. With the default ``optimizer='auto'`` each model ends as near to its optimum as `tol` says, and
    starts where that of the next larger alpha has ended. With an optimizer that makes steps (``optimizer='sgd'`` and
    others), the models of a fold read the same rows in the same order, so that X is read once for all of them, and
    every model is (to rounding) what `SGDClassifier` with the same parameters learns from them. Scores are those of
    ``sklearn.model_selection.cross_val_score``.

    Parameters
    ----------
    loss : {'hinge', 'squared_hinge', 'perceptron', 'log_loss', 'modified_huber', 'squared_error', 'huber', \
'epsilon_insensitive', 'squared_epsilon_insensitive'}, default='hinge'
        The loss, see `fusedgrad.losses`. 'hinge' is the linear SVM, 'log_loss' is logistic regression, 'modified_huber'
        tolerates outliers and has probabilities too; the last four are losses of regression.
    alphas : int in [1, 1000000] or array-like of floats in (0, inf), default=10
        Strengths of the penalty; an int: so many from 1e-6 to 1e-1, evenly on a logarithmic scale. They also set the
        rate of ``learning_rate='optimal'``.
    l1_ratios : array-like of floats in [0, 1] or None, default=None
        Shares of L1; they have an effect with ``penalty='elasticnet'`` only. None: 0.15.
    eta0s : array-like of floats in (0, inf) or None, default=None
        Initial rates, ``eta0``; they have an effect with the learning rates 'constant', 'invscaling' and 'adaptive'.
        None: 0.01.
    losses : array-like of str or None, default=None
        Losses. None: `loss`.
    cv : int, splitter, iterable of (training rows, test rows) or None, default=None
        The folds; an int: so many, stratified. None: 5. Every class must be among the training rows of every fold.
    scoring : str, callable or None, default=None
        A name of ``sklearn.metrics.get_scorer_names()``, or ``scorer(estimator, X, y) -> float``. None: accuracy.
        'accuracy', 'neg_log_loss' and, for two classes, 'roc_auc' are computed for all models at once.
    refit : bool, default=True
        Whether to train the best cell on all rows. False: `coef_` and `intercept_` are means over its folds.
    halving : bool, default=False
        Whether to drop the worse half of the cells (by their mean score over the folds; the better half is rounded up)
        after 1, 2, 4, 8, ... epochs, until one is left or all have ended: successive halving, see the references. Much
        less work, but a cell that learns slowly may be dropped too early.
    error_score : float or 'raise', default=nan
        Score of a model whose weights overflow, with a warning; NaN ranks last. 'raise': an error that names it.
    penalty : {'l2', 'l1', 'elasticnet', None}, default='l2'
        The penalty on the weights; the intercept is never penalised.
    fit_intercept : bool, default=True
        Whether to learn an intercept.
    max_iter : int in [1, inf), default=1000
        Epochs of a model at most.
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
        Above 0, print the size of the grid, what memory it takes, and a line a fold; above 1, what the fits print.
    epsilon : float in [0, inf), default=0.1
        Where 'huber' becomes linear; the width of the epsilon-insensitive tubes.
    n_jobs : int or None, default=None
        Threads at most, shared by all models; fewer are used where that is measured to be faster. None: as many as the
        process may use (``OMP_NUM_THREADS``, threadpoolctl, its processors, its container's quota;
        `fusedgrad.show_config` tells); -1: the same; -2: one less, ... Results are the same bits for any number.
    random_state : int, RandomState or None, default=None
        Of shuffling and of the rows that `early_stopping` keeps aside, the same for all cells and folds; None: a seed
        that is drawn once in each `fit`. Splitters have their own.
    learning_rate : str, float, schedule or callable, default='optimal'
        One of scikit-learn's names, with the rate at step t: 'constant' ``eta0``; 'optimal' ``1 / (alpha * (t + t0))``
        with t0 by Bottou's heuristic; 'invscaling' ``eta0 / t ** power_t``; 'adaptive' ``eta0``, divided by 5 whenever
        training would stop, until 1e-6; 'pa1', 'pa2' the passive-aggressive steps PA-I and PA-II (loss 'hinge' and one
        sample a step only) with aggressiveness ``eta0``.

        Or, with the mini-batch engine: a float, which is a constant rate; an object of `fusedgrad.schedules`; any
        callable ``step -> rate``, which gets the number of steps made so far; or the name of a schedule. 'cosine',
        'linear', 'polynomial' and 'one_cycle' begin with ``eta0`` and are as long as `max_iter` epochs (with
        ``tol=None`` training reaches their end); 'inverse_scaling' and 'reduce_on_plateau' begin with ``eta0``.

        With mini-batches 'optimal' and 'invscaling' need no tuning. Their steps are in the data's own units: weights
        are measured by the spread of their column and of the targets, and dense columns from their means, so `X` and y
        may have any scale. A batch has the sum of the rates of its rows, at most what an estimate of the smoothness of
        the objective allows, and a quarter of it after each epoch that improves the best objective by less than a
        thousandth. With an adaptive optimizer, 'optimal' is its usual rate for linear models (`Optimizer.linear_rate`)
        and 'invscaling' is ``linear_rate * (eta0 / 0.01) / step ** power_t``, both reduced alike. Other rates count for
        weights as they are.
    power_t : float, default=0.5
        The exponent of 'invscaling'. Negative values are deprecated in scikit-learn.
    early_stopping : bool, default=False
        Stop each model by accuracy on a stratified share of its training rows.
    validation_fraction : float in (0, 1), default=0.1
        The share of the training rows that `early_stopping` sets aside.
    n_iter_no_change : int in [1, inf), default=5
        Epochs without improvement before training stops.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, multiplied with sample weights; a class that is not in the dict has weight 1.
        'balanced': the classes weigh the same, each row of class k ``sum(w) / (n_classes * sum(w of class k))``, with
        the sample weights w (1 without them) of the training rows of each fold. A class whose rows weigh nothing has no
        influence.
    average : bool or int, default=False
        Use the mean of the weights over all steps (an int: from that step on; a mini-batch is one step) as `coef_` and
        `intercept_`.
    intercept_decay : float in [0, inf) or None, default=None
        Factor on the intercept's steps. None: 1 for dense and 0.01 for sparse X, as in scikit-learn, where it cannot be
        changed; set 1.0 to fit sparse and dense X alike. With mini-batches None is 1, and the factor is one on the
        intercept's gradient.
    restore_best_weights : bool, default=False
        Keep the weights of the epoch with the best validation score, rather than the last.
    batch_size : int in [1, inf) or 'full', default=256
        Rows of a step; the gradient is the mean over the batch. 'full': all rows (batch gradient descent). Models
        trained with 1 cannot share a pass; they are trained one by one.
    optimizer : str, Optimizer or Solver, default='auto'
        The update rule: a name or an object of `fusedgrad.optimizers`. If the object has a `learning_rate`, it takes
        precedence over the estimator's. Anything but plain 'sgd' uses the mini-batch engine.
        ``set_params(optimizer__beta_1=0.8)`` makes an object of a name.

        Or a solver: 'auto' needs no tuning (see `fusedgrad.optimizers.Auto`). It looks at samples, then at all rows,
        about ten times, and ends when the objective is proven to be within `tol` of its optimum; `max_iter` counts its
        iterations. 'lbfgs' is L-BFGS. Batches, rates, shuffling and averages have no effect on solvers. Each model
        starts where that of the next larger alpha has ended: it ends as near to its optimum as a fit of its own, but
        not at the same bits.
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
    alpha_, eta0_, l1_ratio_ : float
        Values of the best cell.
    loss_ : str
        The loss of the best cell.
    best_index_ : int
        The best cell: of the highest mean score, the first of equals; with `halving` of those that were not dropped.
    best_params_ : dict
        Its ``alpha``, ``eta0``, ``l1_ratio`` and ``loss``.
    best_score_ : float
        Its mean score.
    scores_ : ndarray of shape (n_cells, n_folds)
        Score of each cell on the test rows of each fold; of a dropped cell, when it was dropped. Cells are in the order
        of ``sklearn.model_selection.ParameterGrid``: alpha, eta0, l1_ratio, loss, the last one moving fastest.
    cv_results_ : dict of ndarray
        As `GridSearchCV`'s, with epochs as ``split0_n_iter``, ..., ``mean_n_iter``; a fit time is the time of the pass
        divided by its models. With `halving`, those that were dropped later rank higher.
    coefs_paths_ : ndarray of shape (n_cells, n_folds, n_outputs, n_features + 1), of X's dtype
        The weights of all models, intercepts last; NaN where they overflowed.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights of the best model.
    intercept_ : ndarray of shape (1,) or (n_classes,), float64
        Its intercepts.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_iter_ : int
        Epochs of the best model; without `refit`, the most over the folds.
    best_estimator_ : SGDClassifier
        The best model.
    n_splits_ : int
        Folds.
    refit_time_ : float
        Seconds of the last fit, on all rows; only with `refit`.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    SGDRegressorCV : The same for regression.
    SGDClassifier : One such model.

    Notes
    -----
    **Differences from scikit-learn.** ``GridSearchCV(SGDClassifier(...), ...)`` gives the same scores, but: a scorer
    that raises is an error; a fold that lacks a class is an error, for its models would not know it; NaN as mean score
    of every cell is an error; scorers get arrays or CSR matrices, never data frames; without `random_state` all cells
    see the rows in the same order.

    References
    ----------
    K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from fusedgrad.linear_model import SGDClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = SGDClassifierCV("log_loss", alphas=[1e-4, 1e-2, 10], random_state=0).fit(scale(X), y)
    >>> clf.alpha_ < 10, clf.scores_.shape
    (True, (3, 5))
    >>> clf.score(scale(X), y) > 0.97
    True
    """

    _cell_class = SGDClassifier
    _default_scoring = "accuracy"
    _rules = rules_of(SGDClassifier)

    def __init__(
        self,
        loss: str = "hinge",
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
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: str | float | Callable[[int], float] = "optimal",
        power_t: float = 0.5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Mapping[Any, float] | str | None = None,
        average: bool | int = False,
        intercept_decay: float | None = None,
        restore_best_weights: bool = False,
        batch_size: int | str = 256,
        optimizer: str | Optimizer | Solver = "auto",
        multi_class: str = "ovr",
        positive: bool = False,
        base_score: bool = True,
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
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.average = average
        self.intercept_decay = intercept_decay
        self.restore_best_weights = restore_best_weights
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.multi_class = multi_class
        self.positive = positive
        self.base_score = base_score

    score = GridCV.score  # not the mixin's, which is the accuracy

    def decision_function(self, X: Any) -> Any:
        """Return the raw predictions w·x + b of the best model, positive for ``classes_[1]``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.best_estimator_.decision_function(X)

    @available_if(_can_have_probabilities)
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, as `SGDClassifier.predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), columns as in `classes_`
        """
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    @available_if(_can_have_probabilities)
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`; -inf where that is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.best_estimator_.predict_log_proba(X)
