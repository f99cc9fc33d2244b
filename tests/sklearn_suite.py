"""scikit-learn's own tests, read from the installed package and run against fusedgrad.

The source stays where it is; only its imports are pointed elsewhere: `linear_model` becomes a module that holds
fusedgrad's SGD estimators and everything else of `sklearn.linear_model`; of `neural_network` the estimators are
fusedgrad's. Private optimizers and losses are stood for by adapters around public parts of fusedgrad.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import fusedgrad.linear_model
import fusedgrad.neural_network
import numpy as np
import sklearn.linear_model
from fusedgrad import losses, optimizers
from fusedgrad._training import rates as _rates
from scipy.special import expit, logit, softmax
from sklearn.base import is_classifier


class _PrivateLoss:
    """A loss of ours in the clothes of scikit-learn's private loss objects."""

    def __init__(self, name: str, **fields: float):
        self.loss = losses.get(name, **fields)

    def py_loss(self, p: float, y: float) -> float:
        return float(self.loss.value(y, p))

    def py_dloss(self, p: float, y: float) -> float:
        return float(self.loss.slope(y, p))


def _sgd_fast() -> types.SimpleNamespace:
    """Stands for `sklearn.linear_model._sgd_fast`, of which the tests use the losses."""
    return types.SimpleNamespace(
        Hinge=lambda threshold: _PrivateLoss({1.0: "hinge", 0.0: "perceptron"}[threshold]),
        SquaredHinge=lambda threshold: _PrivateLoss("squared_hinge"),
        ModifiedHuber=lambda: _PrivateLoss("modified_huber"),
        EpsilonInsensitive=lambda epsilon: _PrivateLoss("epsilon_insensitive", epsilon=epsilon),
        SquaredEpsilonInsensitive=lambda epsilon: _PrivateLoss("squared_epsilon_insensitive", epsilon=epsilon),
    )


def linear_model() -> types.ModuleType:
    module = types.ModuleType("fusedgrad_as_sklearn.linear_model")
    module.__dict__.update(sklearn.linear_model.__dict__)
    for name in fusedgrad.linear_model.__all__:
        setattr(module, name, getattr(fusedgrad.linear_model, name))
    module._sgd_fast = _sgd_fast()  # type: ignore[attr-defined]
    return module


def neural_network() -> dict[str, Any]:
    """Stands for what the tests import from `sklearn.neural_network`."""
    return {name: getattr(fusedgrad.neural_network, name) for name in ("MLPClassifier", "MLPRegressor")}


class _Optimizer:
    """Stands for scikit-learn's `BaseOptimizer`: an optimizer of ours with a source of learning rates."""

    t = 0  # steps made

    def __init__(self, rate: float):
        self.source: Any = _rates.Source(lambda step: rate)

    @property
    def learning_rate(self) -> float:
        return float(self.source.table(self.t, np.ones(1, dtype=np.int64), 1.0)[0])

    def trigger_stopping(self, message: str, verbose: bool) -> bool:
        return not self.source.goes_on()

    def rule(self) -> optimizers.Optimizer:
        raise NotImplementedError

    def slots(self) -> tuple[list[Any], ...]:
        """What the rule remembers, in our form: one list of arrays for each of its slots."""
        raise NotImplementedError

    def update_params(self, params: list[Any], grads: list[Any]) -> None:
        rule = self.rule()
        slots = list(zip(*self.slots(), strict=True)) or [() for _ in params]
        rule.step(params, grads, optimizers.State(rule.rule[0], slots, self.t))


class _SGD(_Optimizer):
    def __init__(
        self,
        params: list[Any],
        rate: float,
        lr_schedule: str = "constant",
        momentum: float = 0.9,
        nesterov: bool = True,
    ):
        super().__init__(rate)
        if lr_schedule == "adaptive":
            self.source = _rates.Adaptive(rate, ())
        self.momentum, self.nesterov = float(momentum), nesterov
        self.velocities = [np.zeros_like(param) for param in params]
        self.t = 1  # in the first step of all there is no velocity yet

    def rule(self) -> optimizers.Optimizer:
        return optimizers.SGD(self.learning_rate, momentum=self.momentum, nesterov=self.nesterov, rate_inside=True)

    def slots(self) -> tuple[list[Any], ...]:
        return ([-velocity for velocity in self.velocities],) if self.momentum else ()  # ours are subtracted


class _Adam(_Optimizer):
    def __init__(self, params: list[Any], rate: float, beta_1: float, beta_2: float, epsilon: float):
        super().__init__(rate)
        self.betas, self.epsilon = (float(beta_1), float(beta_2)), epsilon
        self.ms = [np.zeros_like(param) for param in params]
        self.vs = [np.zeros_like(param) for param in params]

    def rule(self) -> optimizers.Optimizer:
        beta_1, beta_2 = self.betas
        return optimizers.Adam(self.learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=self.epsilon, epsilon_hat=True)

    def slots(self) -> tuple[list[Any], ...]:
        return [m.copy() for m in self.ms], [v.copy() for v in self.vs]


def stochastic_optimizers() -> dict[str, Any]:
    """Stands for `sklearn.neural_network._stochastic_optimizers`. Steps fuse products and sums: rounding differs."""

    def assert_equal(expected: Any, found: Any) -> None:
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)

    return {
        "BaseOptimizer": _Optimizer,
        "SGDOptimizer": _SGD,
        "AdamOptimizer": _Adam,
        "assert_array_equal": assert_equal,
    }


def loss_of(model: Any, raw: Any, y: Any, sample_weight: Any = None) -> float:
    """The loss that an epoch of a network without hidden layers reports for these raw predictions.

    `model` must be unfitted; its weights become the unit matrix.
    """
    model.set_params(hidden_layer_sizes=(), solver="sgd", alpha=0.0, batch_size="full", learning_rate_init=1e-9)
    raw = np.asarray(raw, dtype=float)
    classes = {"classes": np.arange(raw.shape[1])} if is_classifier(model) and raw.shape[1] > 1 else {}
    classes = {"classes": [0, 1]} if is_classifier(model) and raw.shape[1] == 1 else classes
    model.partial_fit(raw, y, sample_weight, **classes)
    model.coefs_, model.intercepts_ = [np.eye(raw.shape[1])], [np.zeros(raw.shape[1])]
    return float(model.partial_fit(raw, y, sample_weight).loss_curve_[-1])


def _raw_of(probabilities: Any) -> Any:
    """Raw predictions, all finite, of which the probabilities are made to rounding, 0 and 1 exactly."""
    if probabilities.shape[1] == 1:
        with np.errstate(divide="ignore"):
            raw = np.clip(logit(probabilities), -800.0, 800.0)
        np.testing.assert_allclose(expit(raw), probabilities, rtol=1e-12)
    else:
        with np.errstate(divide="ignore"):
            raw = np.maximum(np.log(probabilities), -800.0)
        np.testing.assert_allclose(softmax(raw, axis=1), probabilities, rtol=1e-12)
    return raw


def _log_loss(y_true: Any, y_prob: Any) -> float:
    codes = y_true.ravel() if y_true.shape[1] == 1 else y_true.argmax(axis=1)
    return loss_of(fusedgrad.neural_network.MLPClassifier(), _raw_of(y_prob), codes)


def _poisson_loss(y_true: Any, y_pred: Any, sample_weight: Any) -> float:
    return loss_of(fusedgrad.neural_network.MLPRegressor("poisson"), np.log(y_pred)[:, None], y_true, sample_weight)


def network_losses() -> dict[str, Any]:
    """Stands for the losses of `sklearn.neural_network._base`."""
    return {"binary_log_loss": _log_loss, "log_loss": _log_loss, "poisson_loss": _poisson_loss}


def load(test_module: str, replace: dict[str, str], namespace: dict[str, Any]) -> dict[str, Any]:
    """Execute scikit-learn's `test_module` with the given import lines replaced; return its names."""
    spec = importlib.util.find_spec(test_module)
    if spec is None or spec.origin is None:
        raise ImportError(f"{test_module} is not part of this installation of scikit-learn")
    source = Path(spec.origin).read_text()
    for line, substitute in replace.items():
        if line not in source:
            raise ImportError(f"{test_module} has no line {line!r}: it is another version than this suite knows")
        source = source.replace(line, substitute)
    module = types.ModuleType(test_module.replace(".", "_") + "_on_fusedgrad")
    sys.modules[module.__name__] = module  # so that what it defines can be pickled
    module.__dict__.update(namespace)
    exec(compile(source, spec.origin, "exec"), module.__dict__)
    return module.__dict__
