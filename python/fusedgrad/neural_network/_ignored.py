"""Parameters of neural estimators that a fit may not use, and why."""

from __future__ import annotations

from typing import Any

from .._validation.ignored import Reason, shown

_SOLVERS, _RATES = ("lbfgs", "sgd", "adam"), ("constant", "invscaling", "adaptive")  # scikit-learn's


def _is_ours(model: Any, name: str, theirs: tuple[str, ...]) -> bool:
    value = getattr(model, name)
    return not (isinstance(value, str) and value in theirs)


def _of_solver(model: Any) -> str:
    """For the parameters of scikit-learn's solvers, which the others do not use."""
    return f"{shown(model, 'solver')} does not use it" if _is_ours(model, "solver", _SOLVERS) else ""


def _solver_rate(model: Any) -> str:
    if model._is_lbfgs():
        return "solver='lbfgs' makes no steps" if _is_ours(model, "learning_rate", _RATES) else ""
    own = model._rule().learning_rate is not None
    return f"the optimizer has a learning_rate of its own ({shown(model, 'solver')})" if own else ""


def _rate_init(model: Any) -> str:
    used = isinstance(model.learning_rate, str) and model.learning_rate != "auto"
    return _solver_rate(model) or ("" if used else f"{shown(model, 'learning_rate')} does not use it")


def _mlp_power_t(model: Any) -> str:
    if not (_is_ours(model, "solver", _SOLVERS) or _is_ours(model, "learning_rate", _RATES)):
        return ""
    used = isinstance(model.learning_rate, str) and model.learning_rate == "invscaling"
    return _solver_rate(model) or ("" if used else f"{shown(model, 'learning_rate')} does not use it")


def _patience(model: Any) -> str:
    """For what compares losses, which the schedule of 'auto' does not wait for."""
    if not model._has_own_schedule() or model.early_stopping:
        return ""
    return "learning_rate='auto' goes to the end of its schedule, unless early_stopping=True ends it"


PERCEPTRON: dict[str, Reason] = {
    "learning_rate": _solver_rate,
    "learning_rate_init": _rate_init,
    "power_t": _mlp_power_t,
    "tol": _patience,
    "n_iter_no_change": _patience,
    **dict.fromkeys(("momentum", "nesterovs_momentum", "beta_1", "beta_2", "epsilon", "max_fun"), _of_solver),
}


def _network_rate(model: Any) -> str:
    own = model._rule().learning_rate is not None
    return f"the optimizer has a learning_rate of its own ({shown(model, 'optimizer')})" if own else ""


LAYERED: dict[str, Reason] = {
    "learning_rate": _network_rate,
    "validation_fraction": lambda model: "" if model.early_stopping else "early_stopping=False splits no rows off",
    "tol": lambda model: "" if model.tol is None else _patience(model),
    "n_iter_no_change": lambda model: (
        _patience(model) if model.tol is not None else "with tol=None epochs are not compared"
    ),
}
