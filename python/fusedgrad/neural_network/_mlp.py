"""What `MLPClassifier` and `MLPRegressor` share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import shuffle

from .. import layers, optimizers, schedules
from .._training import rates
from .._training.callbacks import Epochs
from .._training.net import Arrays, Net
from .._training.network import Training
from .._training.network_records import Goal, Result, Settings, Weights
from .._training.stopping import MAX_ITER, STALLED
from .._validation.parameters import BOOLEAN, Either, InvalidParameterError, Number, OneOf
from .._validation.warn import warn
from . import _defaults, _ignored
from ._base import ENDLESS, Neural
from ._history import extended
from ._lbfgs import lbfgs

if TYPE_CHECKING:
    pass

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


def is_stochastic(estimator: MLP) -> bool:
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
        "learning_rate": schedules.learning_rate_rule("auto", *_RATES),
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

    _idle = _ignored.PERCEPTRON
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
        trained = weights.for_prediction
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

    def _steps(self) -> bool:
        return not self._is_lbfgs()

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
        return optimizers.get(str(self.solver))

    def _object_of(self, name: str) -> Any:
        if name == "solver" and not self._is_lbfgs():
            return self._rule()
        return super()._object_of(name)

    def _carries_on(self) -> bool:
        """scikit-learn's solvers begin a warm start anew."""
        return not (isinstance(self.solver, str) and self.solver in ("sgd", "adam", "lbfgs"))

    def _is_auto(self) -> bool:
        """Whether the defaults are those of `NeuralClassifier` and `NeuralRegressor`, in place of scikit-learn's."""
        return _defaults.is_auto(self.learning_rate) and not self._is_lbfgs()

    def _standardises(self) -> bool:
        return self._is_auto()

    def _has_own_schedule(self) -> bool:
        """Whether rates decay to nothing by themselves, so that the last epoch is the end."""
        return self._is_auto() and self._rule().learning_rate is None

    def _wants_convergence(self) -> bool:
        return not self._has_own_schedule()

    def _batch_size(self, n: int) -> int:
        if self.batch_size == "full" or self._is_lbfgs():
            return n
        if self.batch_size == "auto":
            return _defaults.batch_rows(n) if self._is_auto() else min(200, n)
        return int(self.batch_size)

    def _settings(self, n: int, goal: Goal, rng: Any, *, partial: bool, going_on: bool) -> Settings:
        optimizer = self._rule()
        self._check_optimizer(optimizer)
        before = self.__dict__ if going_on else {}
        state = before.get("_optimizer") if partial or self._carries_on() else None
        rate = self.learning_rate
        if goal.loss == "squared_error":
            goal.factor = 1.0 if self._is_lbfgs() else 1.0 / goal.outputs  # scikit-learn reports the mean over targets
        size = self._batch_size(n)
        if size > n:
            warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
        if isinstance(rate, str) and rate == "invscaling" and optimizer.learning_rate is None:
            source: Any = rates.InverseScaling(float(self.learning_rate_init), float(self.power_t))
        else:
            steps = None if partial else int(self.max_iter) * -(-n // size)
            source = self._source(rate, float(self.learning_rate_init), optimizer, state, steps, ("auto", *_RATES))
        seed = int(rng.randint(2**31 - 1)) if self.dropout else 0
        validated = self._splits()
        best_score = before.get("best_validation_score_") if validated else None
        best_loss = before.get("best_loss_")
        return Settings(
            optimizer=optimizer,
            source=source,
            batch_size=size,
            max_epochs=1 if partial else min(int(self.max_iter), ENDLESS),
            l2=float(self.alpha),
            l2_of_batch=True,
            tol=None if self._has_own_schedule() and not validated else float(self.tol),
            relative=self._is_auto(),
            patience=float(min(self.n_iter_no_change, ENDLESS)) + 1,
            order=None if not self.shuffle or self._is_lbfgs() else _shuffled(n, size, rng),
            seed=seed,
            decay=float(self.weight_decay),
            clip_norm=self.clip_norm,
            restore_best=validated if self.restore_best_weights is None else bool(self.restore_best_weights),
            by_score=validated,
            report=self._print_epoch if self.verbose else None,
            t=float(before.get("t_", 0)),
            idle=before.get("_no_improvement_count", 0) if partial else 0,
            best_loss=np.inf if best_loss is None else best_loss,
            best_score=-np.inf if best_score is None else best_score,
        )

    def _print_epoch(self, epoch: int, loss: float, score: float | None) -> None:
        """What ``verbose`` prints: scikit-learn's lines."""
        print(f"Iteration {epoch}, loss = {loss:.8f}")
        if score is not None:
            print(f"Validation score: {score:f}")

    def _minimise(self, training: Training, epochs: Epochs) -> Result | None:
        if not self._is_lbfgs():
            return None
        return lbfgs(
            training,
            epochs,
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            gtol=float(self.tol),
            fitted=lambda: self._keep_weights(training.weights),
            verbose=bool(self.verbose),
        )

    def _history(self, result: Result, *, going_on: bool) -> dict[str, Any]:
        before = self.__dict__ if going_on else {}
        curve = result.loss_curve
        out: dict[str, Any] = {
            "n_iter_": result.n_iter,
            "t_": int(result.t),
            "n_layers_": len(self._sizes()) + 2,
            "loss_curve_": extended(before.get("loss_curve_"), curve),
            "loss_": result.best_loss if self._is_lbfgs() else curve[-1] if curve else math.nan,
            "stop_reason_": result.stop_reason,
            "_no_improvement_count": result.idle,
        }
        out["best_loss_"] = None if self.early_stopping and not self._is_lbfgs() else result.best_loss
        for name, values in (
            ("validation_scores_", result.scores),
            ("validation_loss_curve_", result.validation_loss_curve),
        ):
            out[name] = None if values is None else extended(before.get(name), values)
        out["best_validation_score_"] = None if result.scores is None else float(result.best_score)
        return out

    def _convergence_warning(self, result: Result) -> str | None:
        if self._is_lbfgs() and self.stop_reason_ == STALLED:
            return None  # SciPy's own words were told
        if self._is_lbfgs() and self.stop_reason_ == MAX_ITER:
            return (
                f"lbfgs failed to converge after {self.n_iter_} iteration(s) (max_iter={self.max_iter}, "
                f"max_fun={self.max_fun}). Increase them to improve the convergence, or scale the data."
            )
        return super()._convergence_warning(result)


def _shuffled(n: int, batch_size: int, rng: Any) -> Any:
    """scikit-learn's orders of rows: each is the last one shuffled again."""
    if batch_size >= n:  # one batch has all rows, in whatever order
        return None
    state = {"order": np.arange(n)}

    def order(epoch: int) -> Any:
        state["order"] = shuffle(state["order"], random_state=rng)
        return state["order"].astype(np.uint32)

    return order
