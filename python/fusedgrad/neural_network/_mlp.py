"""`MLPClassifier` and `MLPRegressor`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import shuffle

from .. import layers, losses, optimizers, schedules
from .._estimator import available_if
from .._training import rates
from .._training.callbacks import Epochs
from .._training.net import Arrays, Net
from .._training.network import Goal, Result, Settings, Training, Weights
from .._validation import ignored
from .._validation.parameters import BOOLEAN, Either, Instance, InvalidParameterError, Number, OneOf
from ._common import ENDLESS, Neural, longer
from ._targets import REGRESSION_LOSSES, Classification, Regression

if TYPE_CHECKING:
    from typing_extensions import Self

_NORM_PIECES = ("scale", "shift")
_NORM_STATISTICS = ("mean", "variance")


class _Activations:
    """A rule: a name of `layers.activations`, or a list of them."""

    names = tuple(layers.activations())

    def allows(self, value: object) -> bool:
        if isinstance(value, (list, tuple)):
            return all(isinstance(name, str) and name in layers.activations() for name in value)
        return isinstance(value, str) and value in layers.activations()

    def __str__(self) -> str:
        return f"one of {', '.join(map(repr, layers.activations()))}, or a list of them, one a hidden layer"


class _Patience:
    """A rule: a whole number from 1, or infinity."""

    def allows(self, value: object) -> bool:
        return Number(Integral, 1).allows(value) or (isinstance(value, float) and value == math.inf)

    def __str__(self) -> str:
        return "an int in the range [1, inf) or inf"


def _is_stochastic(estimator: MLP) -> bool:
    if isinstance(estimator.solver, str) and estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic: it needs all rows at "
            "once."
        )
    return True


_RATES = ("constant", "invscaling", "adaptive")  # scikit-learn's


class MLP(Neural):
    """What `MLPClassifier` and `MLPRegressor` share."""

    _rules = {
        **Neural._rules,
        "activation": _Activations(),
        "solver": Either(OneOf("lbfgs", *optimizers.names()), *Neural._OPTIMIZER.rules[1:]),
        "batch_size": Either(Number(Integral, 1), OneOf("auto", "full")),
        "learning_rate": schedules.learning_rate_rule(*_RATES),
        "learning_rate_init": Number(low=0, high=np.inf, open_low=True, open_high=True),
        "power_t": Number(low=0, high=np.inf, open_high=True),
        "max_iter": Number(Integral, 1),
        "tol": Number(low=0, high=np.inf, open_high=True),
        "momentum": Number(low=0, high=1),
        "nesterovs_momentum": BOOLEAN,
        "validation_fraction": Number(low=0, high=1, open_high=True),
        "beta_1": Number(low=0, high=1, open_high=True),
        "beta_2": Number(low=0, high=1, open_high=True),
        "epsilon": Number(low=0, high=np.inf, open_low=True, open_high=True),
        "n_iter_no_change": _Patience(),
        "max_fun": Number(Integral, 1),
        "dropout": Number(low=0, high=1, open_high=True),
        "batch_norm": BOOLEAN,
        "init": OneOf(*layers.initializers()),
        "restore_best_weights": Either(BOOLEAN, OneOf(None)),
    }

    _idle = ignored.PERCEPTRON
    _fitted_by = "coefs_"
    _held_by = ("coefs_", "intercepts_", "norms_")
    coefs_: Arrays
    intercepts_: Arrays

    # ---- what the network is ----

    def _sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if isinstance(sizes, Iterable) and not isinstance(sizes, str) else [sizes]
        if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
            raise InvalidParameterError(
                f"The 'hidden_layer_sizes' parameter of {type(self).__name__} must be whole numbers, one a hidden "
                f"layer. Got {self.hidden_layer_sizes!r} instead."
            )
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [int(size) for size in sizes]

    def _activations(self) -> list[str]:
        sizes = self._sizes()
        if isinstance(self.activation, str):
            return [self.activation] * len(sizes)
        if len(self.activation) != len(sizes):
            raise ValueError(
                f"activation has {len(self.activation)} names for {len(sizes)} hidden layers; give one a layer, or a "
                f"single one for all. Got {self.activation!r}."
            )
        return list(self.activation)

    def _layers(self, shape: tuple[int, ...]) -> list[layers.Layer]:
        made: list[layers.Layer] = []
        init = "zeros" if self.init == "auto" else self.init  # scikit-learn's weights come later, see _fresh
        for size, activation in zip(self._sizes(), self._activations(), strict=True):
            if self.batch_norm:
                made += [layers.Dense(size, init=init), layers.BatchNorm(), layers.Activation(activation)]
            else:
                made.append(layers.Dense(size, activation, init=init))
            if self.dropout:
                made.append(layers.Dropout(float(self.dropout)))
        return [*made, layers.Dense(self.n_outputs_, init=init)]

    def _stages(self) -> list[int]:
        made = self._net.layers  # of the last fit, whatever the parameters are now
        return [k for k in range(len(made)) if k + 1 == len(made) or isinstance(made[k + 1], layers.Dense)]

    def _fresh(self, net: Net, rng: Any, dtype: Any) -> Weights:
        """scikit-learn's initial weights: Glorot's uniform bound, or a smaller one for 'logistic', biases included."""
        weights = super()._fresh(net, rng, dtype)
        if self.init != "auto":
            return weights
        hidden = self._activations()
        at = 0
        for name in [*hidden, hidden[-1] if hidden else self.activation]:
            shape = weights.trained[at].shape
            bound = math.sqrt((2.0 if name == "logistic" else 6.0) / sum(shape))
            weights.trained[at] = rng.uniform(-bound, bound, shape).astype(dtype)
            weights.trained[at + 1] = rng.uniform(-bound, bound, (1, shape[1])).astype(dtype)
            at += 4 if self.batch_norm else 2
        return weights

    # ---- weights ----

    def _weights(self) -> Weights:
        norms = self.__dict__.get("norms_", [])
        trained: Arrays = []
        for k, (coef, intercept) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            trained += [np.ascontiguousarray(coef), np.ascontiguousarray(intercept).reshape(1, -1)]
            if k < len(norms):
                trained += [norms[k][name].reshape(1, -1) for name in _NORM_PIECES]
        return Weights(trained, [norm[name].reshape(1, -1) for norm in norms for name in _NORM_STATISTICS])

    def _keep_weights(self, weights: Weights) -> dict[str, Any]:
        step = 4 if weights.kept else 2
        trained = weights.answer
        kept: dict[str, Any] = {"coefs_": trained[::step], "intercepts_": [b.ravel() for b in trained[1::step]]}
        if weights.kept:
            norms = []
            for k in range(len(weights.kept) // 2):
                pieces = dict(zip(_NORM_PIECES, trained[4 * k + 2 : 4 * k + 4], strict=True))
                statistics = dict(zip(_NORM_STATISTICS, weights.kept[2 * k : 2 * k + 2], strict=True))
                norms.append({name: values.ravel() for name, values in {**pieces, **statistics}.items()})
            kept["norms_"] = norms
        return kept

    # ---- how it is trained ----

    def _check_parameters(self, *, partial: bool = False) -> None:
        super()._check_parameters(partial=partial)
        self._activations()
        if self._is_lbfgs():
            for name in ("dropout", "batch_norm", "weight_decay", "clip_norm"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name}={getattr(self, name)!r} needs steps, which solver='lbfgs' does not make. Use 'adam', "
                        "'sgd' or another optimizer, or leave it out."
                    )
            if self.restore_best_weights:
                raise ValueError(
                    "restore_best_weights=True needs epochs, which solver='lbfgs' does not have: use another solver."
                )

    def _is_lbfgs(self) -> bool:
        return isinstance(self.solver, str) and self.solver == "lbfgs"

    def _splits(self) -> bool:
        return bool(self.early_stopping) and not self._is_lbfgs()  # which scikit-learn gives all rows

    def _restores_best(self) -> bool:
        return False if self.restore_best_weights is None else bool(self.restore_best_weights)

    def _rule(self) -> optimizers.Optimizer:
        """The optimizer; of scikit-learn's solvers in scikit-learn's form."""
        if isinstance(self.solver, optimizers.Optimizer):
            return self.solver
        if self.solver == "sgd":
            momentum = min(float(self.momentum), 1 - 2.0**-53)
            return optimizers.SGD(
                momentum=momentum, nesterov=bool(self.nesterovs_momentum) and momentum > 0, rate_inside=True
            )
        if self.solver == "adam":
            return optimizers.Adam(
                beta_1=float(self.beta_1), beta_2=float(self.beta_2), epsilon=float(self.epsilon), epsilon_hat=True
            )
        if self.solver == "lbfgs":
            return optimizers.SGD()
        return optimizers.get(self.solver)

    def _object_of(self, name: str) -> Any:
        if name == "solver" and not self._is_lbfgs():
            return self._rule()
        return super()._object_of(name)

    def _carries_on(self) -> bool:
        """scikit-learn's solvers begin a warm start anew."""
        return not (isinstance(self.solver, str) and self.solver in ("sgd", "adam", "lbfgs"))

    def _most_epochs(self) -> int:
        return int(self.max_iter)

    def _settings(self, X: Any, goal: Goal, rng: Any, *, partial: bool, going_on: bool) -> Settings:
        n = X.shape[0]
        optimizer = self._rule()
        self._check_optimizer(optimizer)
        before = self.__dict__ if going_on else {}
        state = before.get("_optimizer") if partial or self._carries_on() else None
        rate = self.learning_rate
        if goal.loss == "squared_error":
            goal.factor = 1.0 if self._is_lbfgs() else 1.0 / goal.outputs  # scikit-learn reports the mean over targets
        size = (
            n
            if self.batch_size == "full" or self._is_lbfgs()
            else min(200, n)
            if self.batch_size == "auto"
            else int(self.batch_size)
        )
        if size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=6
            )
        if isinstance(rate, str) and rate == "invscaling" and optimizer.learning_rate is None:
            source: Any = rates.InverseScaling(float(self.learning_rate_init), float(self.power_t))
        else:
            steps = None if partial else self._most_epochs() * -(-n // size)
            source = self._source(rate, float(self.learning_rate_init), optimizer, state, steps, _RATES)
        seed = int(rng.randint(2**31 - 1)) if self.dropout else 0
        validated = self._splits()
        best_score = before.get("best_validation_score_") if validated else None
        best_loss = before.get("best_loss_")
        return Settings(
            optimizer=optimizer,
            source=source,
            batch_size=size,
            max_epochs=1 if partial else min(self._most_epochs(), ENDLESS),
            l2=float(self.alpha),
            l2_of_batch=True,
            tol=float(self.tol),
            patience=float(min(self.n_iter_no_change, ENDLESS)) + 1,
            order=None if not self.shuffle or self._is_lbfgs() else _shuffled(n, size, rng),
            seed=seed,
            decay=float(self.weight_decay),
            clip_norm=self.clip_norm,
            restore_best=validated if self.restore_best_weights is None else bool(self.restore_best_weights),
            by_score=validated,
            say=self._say if self.verbose else None,
            t=float(before.get("t_", 0)),
            idle=before.get("_no_improvement_count", 0) if partial else 0,
            best_loss=np.inf if best_loss is None else best_loss,
            best_score=-np.inf if best_score is None else best_score,
        )

    def _say(self, epoch: int, loss: float, score: float | None) -> None:
        """What ``verbose`` prints: scikit-learn's lines."""
        print(f"Iteration {epoch}, loss = {loss:.8f}")
        if score is not None:
            print(f"Validation score: {score:f}")

    def _minimise(self, training: Training, epochs: Epochs) -> Result | None:
        """L-BFGS by SciPy, with our loss and gradient."""
        if not self._is_lbfgs():
            return None
        gradient = np.zeros_like(training.flat)
        reached = 0, training.flat.astype(np.float64)  # iterations, and the weights after them
        curve: list[float] = []

        def loss_gradient(theta: Any) -> tuple[float, Any]:
            training.flat[:] = theta
            gradient[:] = 0
            loss, penalty = training.loss_gradient(gradient)
            return loss + penalty, gradient.astype(np.float64)

        def after(intermediate_result: Any) -> None:
            nonlocal reached
            curve.append(float(intermediate_result.fun))
            reached = len(curve), intermediate_result.x.copy()
            training.flat[:] = intermediate_result.x
            training.validate_now()
            if self.verbose:
                print(f"Iteration {len(curve)}, loss = {curve[-1]:.8f}")

        epochs.begin()
        reason = "converged"
        options = {
            "maxfun": int(min(self.max_fun, 2**31 - 1)),
            "maxiter": int(min(self.max_iter, 2**31 - 1)),
            "gtol": float(self.tol),
        }
        try:
            found = scipy.optimize.minimize(
                loss_gradient, reached[1], method="L-BFGS-B", jac=True, options=options, callback=after
            )
            training.flat[:] = found.x
            loss, steps = float(found.fun), int(found.nit)
            if found.status == 1:
                reason = "max_iter"
            elif found.status != 0:
                warnings.warn(f"lbfgs stopped early: {found.message}", ConvergenceWarning, stacklevel=8)
        except KeyboardInterrupt:  # between two iterations the weights are those of a trial
            steps, training.flat[:] = reached
            if steps == 0:
                raise
            curve, loss, reason = curve[:steps], curve[steps - 1], "interrupted"
        training.curve, training.stop_reason = curve, reason
        if reason != "interrupted" and not (training.is_finite() and np.isfinite(loss)):
            training.stop_reason = reason = "diverged"
        training.stopping.best_loss = loss
        training.t += steps * training.n
        result = training.result()
        result.n_iter = min(steps, int(self.max_iter))
        epochs.end(None if reason == "interrupted" else lambda: self._keep_weights(training.weights))
        return result

    def _history(self, result: Result, *, going_on: bool) -> dict[str, Any]:
        before = self.__dict__ if going_on else {}
        curve = result.loss_curve
        out: dict[str, Any] = {
            "n_iter_": result.n_iter,
            "t_": int(result.t),
            "n_layers_": len(self._sizes()) + 2,
            "loss_curve_": longer(before.get("loss_curve_"), curve),
            "loss_": result.best_loss if self._is_lbfgs() else curve[-1] if curve else math.nan,
            "stop_reason_": result.stop_reason,
            "_no_improvement_count": result.idle,
        }
        out["best_loss_"] = None if self.early_stopping and not self._is_lbfgs() else result.best_loss
        for name, values in (
            ("validation_scores_", result.scores),
            ("validation_loss_curve_", result.validation_loss_curve),
        ):
            out[name] = None if values is None else longer(before.get(name), values)
        out["best_validation_score_"] = None if result.scores is None else float(result.best_score)
        return out

    def _owed(self) -> str | None:
        if self._is_lbfgs() and self.stop_reason_ == "max_iter":
            return (
                f"lbfgs failed to converge after {self.n_iter_} iteration(s) (max_iter={self.max_iter}, "
                f"max_fun={self.max_fun}). Increase them to improve the convergence, or scale the data."
            )
        return super()._owed()


class MLPClassifier(ClassifierMixin, Classification, MLP):  # type: ignore[misc]
    """Multi-layer perceptron: fully connected layers, trained on the cross-entropy.

    scikit-learn's estimator of this name with its parameters, defaults and results, several times faster; and, keyword
    by keyword, what it does not have. The loss of a batch is
    ``(sum of weighted losses + alpha / 2 * sum of ||W||²) / sum of weights``: softmax for several classes, sigmoid for
    two and for each label of an indicator matrix.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, or int, default=(100,)
        Units of each hidden layer, from the first to the last. Empty: none, which makes a linear model.
    activation : str or list of str, default='relu'
        The activation of the hidden layers, or one for each: 'identity', 'logistic', 'tanh', 'relu', and 'elu', 'gelu',
        'hard_swish', 'leaky_relu', 'mish', 'selu', 'silu', 'softplus'.
    solver : str or Optimizer, default='adam'
        'lbfgs' (SciPy's L-BFGS-B, on all rows at once), 'sgd', 'adam' (both in scikit-learn's form), or any other name
        or object of `fusedgrad.optimizers`. If the object has a `learning_rate`, it takes precedence over the
        estimator's. ``set_params(solver__beta_1=0.8)`` makes an object of a name.
    alpha : float in [0, inf), default=0.0001
        Strength of the L2 penalty on weights (not on biases), which is divided by the weight of the batch.
    batch_size : int in [1, inf), 'auto' or 'full', default='auto'
        Rows of a batch; 'auto': 200, or all if there are fewer. 'full': all. Not used by 'lbfgs'.
    learning_rate : str, float, schedule or callable, default='constant'
        'constant' is `learning_rate_init`; 'invscaling' ``learning_rate_init / (t + 1) ** power_t``, with t the rows
        seen before the epoch; 'adaptive' `learning_rate_init`, divided by 5 whenever training would stop, until 1e-6.
        Or a float (a constant rate), an object of `fusedgrad.schedules`, or any callable ``step -> rate``, which gets
        the number of steps made so far. Or the name of a schedule: 'cosine', 'linear', 'polynomial' and 'one_cycle'
        begin with `learning_rate_init` and are as long as `max_iter` epochs (`partial_fit` cannot know that, and needs
        an object), 'inverse_scaling' and 'reduce_on_plateau' begin with `learning_rate_init`.
    learning_rate_init : float in (0, inf), default=0.001
        The (first) learning rate.
    power_t : float in [0, inf), default=0.5
        The exponent of 'invscaling'.
    max_iter : int in [1, inf), default=200
        Epochs at most; with 'lbfgs' iterations.
    shuffle : bool, default=True
        Whether to visit the rows in a new order each epoch.
    random_state : int, RandomState or None, default=None
        Initial weights, the validation split, the order of rows and dropout.
    tol : float in [0, inf), default=1e-4
        An epoch counts as idle if the loss did not fall below its best by `tol` (with `early_stopping`: if the
        validation score did not rise so). With 'lbfgs' it is the largest entry of the gradient at which to stop.
    verbose : bool or int, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit.
    momentum : float in [0, 1], default=0.9
        The momentum of 'sgd'.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
    early_stopping : bool, default=False
        Stop by the score (accuracy) on validation rows: those given to `fit`, else a share of the training rows, to
        which each class gives its share (one of a single row gives none; of indicator matrices any rows are taken). The
        weights of the best epoch are kept. Not used by 'lbfgs'.
    validation_fraction : float in [0, 1), default=0.1
        The share of the training rows that `early_stopping` sets aside.
    beta_1, beta_2 : float in [0, 1), default=0.9 and 0.999
        Decays of Adam's means.
    epsilon : float in (0, inf), default=1e-8
        Adam's epsilon (added before bias correction, as in scikit-learn).
    n_iter_no_change : int in [1, inf) or inf, default=10
        Training stops when more epochs than this were idle in a row.
    max_fun : int in [1, inf), default=15000
        Evaluations of loss and gradient at most, for 'lbfgs'.
    dropout : float in [0, 1), default=0.0
        In training each hidden unit is zero with this probability, after its activation.
    batch_norm : bool, default=False
        Whether hidden layers are normalised over the batch, before their activation.
    init : str, default='auto'
        Initial weights: a name of `fusedgrad.layers.initializers`, with biases of zero; 'auto' is scikit-learn's way.
    weight_decay : float in [0, inf), default=0.0
        Decoupled decay: weights shrink by ``rate * weight_decay`` in each step, whatever the optimizer.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, multiplied with sample weights; classes that a dict leaves out have weight 1.
        'balanced': ``sum(w) / (n_classes * sum of w in the class)``, with w the sample weights of the rows trained on.
        For an indicator matrix a list, one dict such as ``{0: 1.0, 1: 2.0}`` a column, or 'balanced', column by column;
        the weight of a row is the product over its columns.
    clip_norm : float in (0, inf) or None, default=None
        The gradient, of all parameters together, is shortened to this Euclidean norm.
    label_smoothing : float in [0, 1), default=0.0
        The share of each target that is spread over all classes.
    restore_best_weights : bool or None, default=None
        Keep the weights of the epoch with the best validation score. None: with `early_stopping`, as scikit-learn does.
    n_jobs : int or None, default=None
        Threads at most; fewer are used where that is measured to be faster. None: as many as the process may use, see
        `fusedgrad.show_config`; -1: the same; -2: one less, ... Results are the same bits for any number.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; for an indicator matrix the numbers of its columns.
    coefs_ : list of ndarray of shape (n_inputs, n_units)
        Weights of each layer.
    intercepts_ : list of ndarray of shape (n_units,)
        Biases of each layer.
    norms_ : list of dict
        With `batch_norm`: 'scale', 'shift', 'mean' and 'variance' of each hidden layer.
    loss_ : float
        The loss of the last epoch.
    best_loss_ : float or None
        The smallest loss of an epoch; None with `early_stopping`.
    loss_curve_ : list of float
        The loss of each epoch, penalty included; with 'lbfgs' after each iteration.
    validation_scores_, validation_loss_curve_ : list of float or None
        Accuracy and cross-entropy of the validation rows after each epoch; None without such rows.
    best_validation_score_ : float or None
        The best of the scores.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'diverged', 'interrupted'}
        Why training ended. 'diverged' needs a validation set, whose best weights are kept; without one it is a
        `DivergedError`. 'interrupted' is left behind by a Ctrl-C.
    t_ : int
        Rows seen so far.
    n_iter_ : int
        Epochs of the last fit.
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
        Units of the output layer.
    out_activation_ : {'softmax', 'logistic'}
        The function that turns its outputs into probabilities.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    MLPRegressor : The same for regression.
    NeuralClassifier : Networks of any layers.

    Notes
    -----
    Dense float32 and float64 arrays in C order and CSR matrices are used without a copy; training and predictions have
    the type of X at the first fit. With an optimizer or a schedule that scikit-learn does not have, a UserWarning
    names parameters that were set and have no effect, such as `beta_1` with ``solver='rmsprop'``.

    Ctrl-C ends a fit within about 0.1 s: the weights and curves so far are kept (a validation score that is missing is
    NaN), `stop_reason_` is 'interrupted', and KeyboardInterrupt is raised, so that searches and loops end, too. After
    an interrupt within a callback, before the first step, and within `partial_fit`, the estimator is as before the
    call.

    The names that `set_output` gives to the features of `transform` are 'mlpclassifier0', 'mlpclassifier1', ...

    **Differences from scikit-learn 1.9.** The same ``random_state`` gives the same weights to rounding, except:

    * `learning_rate` acts with every solver (scikit-learn: with 'sgd' alone);
    * a warm start does not inherit the idle epochs of the fit before, so it can train for more than one epoch; with
      'invscaling' it goes on with the rate (scikit-learn: one epoch at the first rate); with early stopping it keeps
      the best weights (scikit-learn: those that it has just trained);
    * `partial_fit` is not there with ``solver='lbfgs'``, for regression too;
    * losses are exact: scikit-learn cuts probabilities at the precision of the type before their logarithm;
    * 'lbfgs' has a `loss_curve_`;
    * the rows that `early_stopping` keeps aside are the same for two classes that have two rows each or more, and for
      indicator matrices; more classes are stratified, too (scikit-learn: not, so that a rare one can be lost), and a
      class of one row is trained on (scikit-learn: an error, for two classes);
    * one class alone is an error, as in the linear classifiers (scikit-learn: always predicted);
    * dates, times and strings are errors (scikit-learn: made numbers, where NumPy can);
    * Ctrl-C raises KeyboardInterrupt when the weights are kept (scikit-learn: a warning);
    * training that diverges raises `fusedgrad.exceptions.DivergedError`, or with a validation set ends with the best
      weights and a warning.

    References
    ----------
    Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 1986. Glorot & Bengio,
    "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010. Kingma & Ba, "Adam: a
    method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fusedgrad.neural_network import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = MLPClassifier((64,), activation="gelu", dropout=0.1, max_iter=30, learning_rate_init=0.01, random_state=0)
    >>> clf.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.85
    True
    >>> clf.transform(X[:3] / 16).shape
    (3, 64)
    """

    _rules = {
        **MLP._rules,
        "class_weight": Either(
            OneOf("balanced", None), Instance(dict, "a dict of weights"), Instance(list, "a list of dicts")
        ),
        "label_smoothing": Number(low=0, high=1, open_high=True),
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Iterable[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str | optimizers.Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | float | Callable[[int], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        batch_norm: bool = False,
        init: str = "auto",
        weight_decay: float = 0.0,
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | str | None = None,
        clip_norm: float | None = None,
        label_smoothing: float = 0.0,
        restore_best_weights: bool | None = None,
        n_jobs: int | None = None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.init = init
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.clip_norm = clip_norm
        self.label_smoothing = label_smoothing
        self.restore_best_weights = restore_best_weights
        self.n_jobs = n_jobs

    @available_if(_is_stochastic)
    def partial_fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on these rows, starting from the weights so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As for `fit`; also if `classes` is missing in the first call or changes later, or if y has another label.
        """
        return self._partial(X, y, sample_weight, classes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, Regression, MLP):  # type: ignore[misc]
    """Multi-layer perceptron for regression: fully connected layers, trained on one of several losses.

    scikit-learn's estimator of this name with its parameters, defaults and results, several times faster; and, keyword
    by keyword, what it does not have. The loss of a batch is
    ``(sum of weighted losses + alpha / 2 * sum of ||W||²) / sum of weights``.

    Parameters
    ----------
    loss : str or Loss, default='squared_error'
        'squared_error' (half of it), 'absolute_error', 'huber', 'quantile', or 'poisson' and 'gamma', which take the
        output for the logarithm of the mean; or an object of `fusedgrad.losses`, such as
        ``losses.Quantile(quantile=0.9)``.
    hidden_layer_sizes : array-like of int, or int, default=(100,)
        Units of each hidden layer, from the first to the last. Empty: none, which makes a linear model.
    activation : str or list of str, default='relu'
        The activation of the hidden layers, or one for each; see `MLPClassifier`.
    solver : str or Optimizer, default='adam'
        'lbfgs', 'sgd', 'adam', or any other name or object of `fusedgrad.optimizers`; see `MLPClassifier`.
    alpha : float in [0, inf), default=0.0001
        Strength of the L2 penalty on weights (not on biases), which is divided by the weight of the batch.
    batch_size : int in [1, inf), 'auto' or 'full', default='auto'
        Rows of a batch; 'auto': 200, or all if there are fewer. 'full': all. Not used by 'lbfgs'.
    learning_rate : str, float, schedule or callable, default='constant'
        How the rate changes; see `MLPClassifier`.
    learning_rate_init : float in (0, inf), default=0.001
        The (first) learning rate.
    power_t : float in [0, inf), default=0.5
        The exponent of 'invscaling'.
    max_iter : int in [1, inf), default=200
        Epochs at most; with 'lbfgs' iterations.
    shuffle : bool, default=True
        Whether to visit the rows in a new order each epoch.
    random_state : int, RandomState or None, default=None
        Initial weights, the validation split, the order of rows and dropout.
    tol : float in [0, inf), default=1e-4
        An epoch counts as idle if the loss did not fall below its best by `tol` (with `early_stopping`: if the
        validation score did not rise so). With 'lbfgs' it is the largest entry of the gradient at which to stop.
    verbose : bool or int, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit.
    momentum : float in [0, 1], default=0.9
        The momentum of 'sgd'.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
    early_stopping : bool, default=False
        Stop by the score (R²) on validation rows: those given to `fit`, else a share of the training rows. The weights
        of the best epoch are kept. Not used by 'lbfgs'.
    validation_fraction : float in [0, 1), default=0.1
        The share of the training rows that `early_stopping` sets aside.
    beta_1, beta_2 : float in [0, 1), default=0.9 and 0.999
        Decays of Adam's means.
    epsilon : float in (0, inf), default=1e-8
        Adam's epsilon (added before bias correction, as in scikit-learn).
    n_iter_no_change : int in [1, inf) or inf, default=10
        Training stops when more epochs than this were idle in a row.
    max_fun : int in [1, inf), default=15000
        Evaluations of loss and gradient at most, for 'lbfgs'.
    dropout : float in [0, 1), default=0.0
        In training each hidden unit is zero with this probability, after its activation.
    batch_norm : bool, default=False
        Whether hidden layers are normalised over the batch, before their activation.
    init : str, default='auto'
        Initial weights: a name of `fusedgrad.layers.initializers`, with biases of zero; 'auto' is scikit-learn's way.
    weight_decay : float in [0, inf), default=0.0
        Decoupled decay: weights shrink by ``rate * weight_decay`` in each step, whatever the optimizer.
    clip_norm : float in (0, inf) or None, default=None
        The gradient, of all parameters together, is shortened to this Euclidean norm.
    restore_best_weights : bool or None, default=None
        Keep the weights of the epoch with the best validation score. None: with `early_stopping`, as scikit-learn does.
    n_jobs : int or None, default=None
        Threads at most; fewer are used where that is measured to be faster. None: as many as the process may use, see
        `fusedgrad.show_config`; -1: the same; -2: one less, ... Results are the same bits for any number.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_inputs, n_units)
        Weights of each layer.
    intercepts_ : list of ndarray of shape (n_units,)
        Biases of each layer.
    norms_ : list of dict
        With `batch_norm`: 'scale', 'shift', 'mean' and 'variance' of each hidden layer.
    loss_ : float
        The loss of the last epoch.
    best_loss_ : float or None
        The smallest loss of an epoch; None with `early_stopping`.
    loss_curve_ : list of float
        The loss of each epoch, penalty included; with 'lbfgs' after each iteration.
    validation_scores_, validation_loss_curve_ : list of float or None
        R² and loss of the validation rows after each epoch; None without such rows.
    best_validation_score_ : float or None
        The best of the scores.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'diverged', 'interrupted'}
        Why training ended. 'diverged' needs a validation set, whose best weights are kept; without one it is a
        `DivergedError`. 'interrupted' is left behind by a Ctrl-C.
    t_ : int
        Rows seen so far.
    n_iter_ : int
        Epochs of the last fit.
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
        Units of the output layer.
    out_activation_ : {'identity', 'exp'}
        The function that turns its outputs into predictions.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    MLPClassifier : The same for classification, with notes, references and the differences from scikit-learn.
    NeuralRegressor : Networks of any layers.

    Notes
    -----
    With several targets the gradient is that of the sum of their losses, as in scikit-learn. `loss_` of 'squared_error'
    is the mean over targets for 'sgd' and 'adam', as in scikit-learn; with 'lbfgs' it is the sum, which is what is
    minimised (scikit-learn's loss there does not fit its gradient).

    Ctrl-C ends a fit as that of `MLPClassifier`. A validation set of one row, for which R² has no value, is an error
    where the score decides.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from fusedgrad.neural_network import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = MLPRegressor("huber", (20,), learning_rate_init=0.01, n_iter_no_change=30, random_state=0)
    >>> reg.fit(scale(X), scale(y)).score(scale(X), scale(y)) > 0.5
    True
    """

    _rules = {
        **MLP._rules,
        "loss": Either(OneOf(*REGRESSION_LOSSES), Instance(losses.Loss, "an object of fusedgrad.losses")),
    }

    def __init__(
        self,
        loss: str | losses.Loss = "squared_error",
        hidden_layer_sizes: int | Iterable[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str | optimizers.Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | float | Callable[[int], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        batch_norm: bool = False,
        init: str = "auto",
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        restore_best_weights: bool | None = None,
        n_jobs: int | None = None,
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.init = init
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.restore_best_weights = restore_best_weights
        self.n_jobs = n_jobs

    @available_if(_is_stochastic)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
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
        return self._partial(X, y, sample_weight)


def _shuffled(n: int, batch_size: int, rng: Any) -> Any:
    """scikit-learn's orders of rows: each is the last one shuffled again."""
    if batch_size >= n:  # one batch has all rows, in whatever order
        return None
    state = {"order": np.arange(n)}

    def order(epoch: int) -> Any:
        state["order"] = shuffle(state["order"], random_state=rng)
        return state["order"].astype(np.uint32)

    return order
