"""Parameters of linear models that a fit may not use, and why."""

from __future__ import annotations

from typing import Any

from .._validation.ignored import Reason, shown


def _solved(model: Any) -> str:
    """A solver has neither batches nor rates."""
    return f"{shown(model, 'optimizer')} looks at all rows and needs no rates" if model._is_solved() else ""


def _own_rate(model: Any) -> str:
    if model._is_solved():
        return _solved(model)
    own = model._optimizer().learning_rate is not None
    return f"the optimizer has a learning_rate of its own ({shown(model, 'optimizer')})" if own else ""


def _in_batches(reason: Reason) -> Reason:
    """A reason that counts where the mini-batch engine trains."""
    return lambda model: reason(model) if model._is_batched() else ""


def _eta0(model: Any) -> str:
    used = isinstance(model.learning_rate, str) and model.learning_rate != "optimal"
    remedy = "set learning_rate='constant', 'invscaling' or 'adaptive', or leave it out"
    return _own_rate(model) or ("" if used else f"{shown(model, 'learning_rate')} does not use it: {remedy}")


def _power_t(model: Any) -> str:
    used = isinstance(model.learning_rate, str) and model.learning_rate == "invscaling"
    return _own_rate(model) or ("" if used else f"{shown(model, 'learning_rate')} does not use it")


def _field_of_loss(name: str) -> Reason:
    return lambda model: "" if name in model._loss_parameters() else f"{shown(model, 'loss')} does not use it"


def _alpha(model: Any) -> str:
    """Without a penalty it still sets the rate of 'optimal', for optimizers that have no usual one."""
    optimal = isinstance(model.learning_rate, str) and model.learning_rate == "optimal"
    used = optimal and not _own_rate(model) and model._optimizer().linear_rate is None  # and so no solver
    return "" if used or model.penalty is not None else "penalty=None does not use it"


def _l1_ratio(model: Any) -> str:
    remedy = "set penalty='elasticnet', or leave it out"
    return "" if model.penalty == "elasticnet" else f"{shown(model, 'penalty')} does not use it: {remedy}"


def _intercept_decay(model: Any) -> str:
    if not model.fit_intercept:
        return "with fit_intercept=False there is no intercept"
    return _solved(model) if model.intercept_decay else ""  # 0 holds the intercept where it is


def _patience(model: Any) -> str:
    return "" if model.early_stopping else _solved(model)


def _base_score(model: Any) -> str:
    if not model._is_batched():
        return "one sample a step starts at 0, as scikit-learn does"
    return "" if model.fit_intercept else "with fit_intercept=False there is no intercept"


LINEAR: dict[str, Reason] = {
    "learning_rate": _own_rate,
    "eta0": _in_batches(_eta0),
    "power_t": _in_batches(_power_t),
    "quantile": _field_of_loss("quantile"),
    "base_score": _base_score,
    "intercept_decay": _intercept_decay,
    "batch_size": _solved,
    "shuffle": _solved,
    "average": _solved,
    "n_iter_no_change": _patience,
}

# Of a grid, values that make no difference count, too.
GRID: dict[str, Reason] = {**LINEAR, "alpha": _alpha, "l1_ratio": _l1_ratio}
