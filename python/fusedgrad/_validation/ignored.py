"""Which parameters a fit does not use, and why: one table for each kind of estimator, asked once a fit.

Only what is fusedgrad's own is told: where scikit-learn's estimator silently ignores a parameter, so does ours.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

Reason = Callable[[Any], str]  # estimator -> what makes a parameter idle; "" where it is used


@cache
def _defaults(kind: Any) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}


def is_set(estimator: Any, name: str) -> bool:
    """Whether a parameter has another value than its default."""
    kind: Any = type(estimator)
    defaults = _defaults(kind)
    if name not in defaults:
        return False
    value = getattr(estimator, name)
    return not (value is defaults[name] or (type(value) is type(defaults[name]) and value == defaults[name]))


def unused(estimator: Any, table: dict[str, Reason]) -> dict[str, str]:
    """The parameters that were set in vain, each with the reason."""
    reasons = {name: table[name](estimator) for name in table if is_set(estimator, name)}
    return {name: reason for name, reason in reasons.items() if reason}


def message(name: str, value: object, reason: str) -> str:
    return f"{name}={value!r} has no effect, because {reason}."


def warn_of(estimator: Any, table: dict[str, Reason]) -> None:
    """Warn the caller of the package of each parameter that was set in vain."""
    for name, reason in unused(estimator, table).items():
        level, frame = 2, sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("fusedgrad."):
            level, frame = level + 1, frame.f_back
        warnings.warn(message(name, getattr(estimator, name), reason), UserWarning, stacklevel=level)


def _shown(estimator: Any, name: str) -> str:
    return f"{name}={getattr(estimator, name)!r}"


# ---- linear models ----


def _own_rate(model: Any) -> str:
    own = model._optimizer().learning_rate is not None
    return f"the optimizer has a learning_rate of its own ({_shown(model, 'optimizer')})" if own else ""


def _in_batches(reason: Reason) -> Reason:
    """A reason that counts where the mini-batch engine trains."""
    return lambda model: reason(model) if model._is_batched() else ""


def _eta0(model: Any) -> str:
    used = isinstance(model.learning_rate, str) and model.learning_rate != "optimal"
    remedy = "set learning_rate='constant', 'invscaling' or 'adaptive', or leave it out"
    return _own_rate(model) or ("" if used else f"{_shown(model, 'learning_rate')} does not use it: {remedy}")


def _power_t(model: Any) -> str:
    used = isinstance(model.learning_rate, str) and model.learning_rate == "invscaling"
    return _own_rate(model) or ("" if used else f"{_shown(model, 'learning_rate')} does not use it")


def _field_of_loss(name: str) -> Reason:
    return lambda model: "" if name in model._loss_parameters() else f"{_shown(model, 'loss')} does not use it"


def _alpha(model: Any) -> str:
    """Without a penalty it still sets the rate of 'optimal', for optimizers that have no usual one."""
    optimal = isinstance(model.learning_rate, str) and model.learning_rate == "optimal"
    used = optimal and not _own_rate(model) and model._optimizer().linear_rate is None
    return "" if used or model.penalty is not None else "penalty=None does not use it"


def _l1_ratio(model: Any) -> str:
    remedy = "set penalty='elasticnet', or leave it out"
    return "" if model.penalty == "elasticnet" else f"{_shown(model, 'penalty')} does not use it: {remedy}"


LINEAR: dict[str, Reason] = {
    "learning_rate": _own_rate,
    "eta0": _in_batches(_eta0),
    "power_t": _in_batches(_power_t),
    "quantile": _field_of_loss("quantile"),
    "intercept_decay": lambda model: "" if model.fit_intercept else "with fit_intercept=False there is no intercept",
}

# Grids of values that make no difference are told of, too.
GRID: dict[str, Reason] = {**LINEAR, "alpha": _alpha, "l1_ratio": _l1_ratio}


# ---- multi-layer perceptrons ----

_SOLVERS, _RATES = ("lbfgs", "sgd", "adam"), ("constant", "invscaling", "adaptive")  # scikit-learn's


def _is_ours(model: Any, name: str, theirs: tuple[str, ...]) -> bool:
    value = getattr(model, name)
    return not (isinstance(value, str) and value in theirs)


def _of_solver(model: Any) -> str:
    """For the parameters of scikit-learn's solvers, which the others do not use."""
    return f"{_shown(model, 'solver')} does not use it" if _is_ours(model, "solver", _SOLVERS) else ""


def _solver_rate(model: Any) -> str:
    if model._is_lbfgs():
        return "solver='lbfgs' makes no steps" if _is_ours(model, "learning_rate", _RATES) else ""
    own = model._rule().learning_rate is not None
    return f"the optimizer has a learning_rate of its own ({_shown(model, 'solver')})" if own else ""


def _rate_init(model: Any) -> str:
    used = isinstance(model.learning_rate, str)
    return _solver_rate(model) or ("" if used else f"{_shown(model, 'learning_rate')} does not use it")


def _mlp_power_t(model: Any) -> str:
    if not (_is_ours(model, "solver", _SOLVERS) or _is_ours(model, "learning_rate", _RATES)):
        return ""
    used = isinstance(model.learning_rate, str) and model.learning_rate == "invscaling"
    return _solver_rate(model) or ("" if used else f"{_shown(model, 'learning_rate')} does not use it")


PERCEPTRON: dict[str, Reason] = {
    "learning_rate": _solver_rate,
    "learning_rate_init": _rate_init,
    "power_t": _mlp_power_t,
    **dict.fromkeys(("momentum", "nesterovs_momentum", "beta_1", "beta_2", "epsilon", "max_fun"), _of_solver),
}


# ---- networks of layers ----


def _network_rate(model: Any) -> str:
    own = model._rule().learning_rate is not None
    return f"the optimizer has a learning_rate of its own ({_shown(model, 'optimizer')})" if own else ""


LAYERED: dict[str, Reason] = {
    "learning_rate": _network_rate,
    "validation_fraction": lambda model: "" if model.early_stopping else "early_stopping=False splits no rows off",
    "n_iter_no_change": lambda model: "" if model.tol is not None else "with tol=None epochs are not compared",
}
