"""What is said of training that ended where nobody wants to be, and what may help."""

from __future__ import annotations

import math
from collections.abc import Sequence

_CONSTANT = 1e-6  # accuracy or R² that differs by less has not moved
_LEFT_ALONE = "leave it to learning_rate='optimal' or 'invscaling', which need no tuning with mini-batches"


def of_scores(scores: Sequence[float], largest_rate: float) -> str:
    """Return what to say of validation scores, one an epoch, that tell nothing; nothing, if they do."""
    largest = f"the largest was {largest_rate:g}"
    if broken := [k for k, score in enumerate(scores, 1) if math.isnan(score)]:
        return (
            f"The validation score is NaN from epoch {broken[0]} on ({len(broken)} of {len(scores)}): predictions are "
            f"not finite, or R2 has no value. Lower the learning rate ({largest}; try {largest_rate / 10:.2g}), or "
            "look at X_val."
        )
    if len(scores) > 1 and max(scores) - min(scores) < _CONSTANT and scores[0] < 1 - _CONSTANT:
        return (
            f"The validation score was {scores[0]:.4g} after each of {len(scores)} epochs, so it says nothing of when "
            f"to stop. Give more validation rows (validation_fraction, X_val), another learning rate ({largest}), or "
            "stop by the loss: early_stopping=False."
        )
    return ""


def of_divergence(curve: Sequence[float], rate: float) -> str:
    """Return what to say of an objective that rose for good; `rate` is that of the last step."""
    return (
        f"Training has diverged: the objective rose from {curve[0]:.4g} to {curve[-1]:.4g}. The learning rate, "
        f"{rate:.3g} at last, is too large: try a tenth of it, or {_LEFT_ALONE}."
    )


def of_stalling(excess: float, loss: str, *, automatic: bool) -> str:
    """Return what to say of an objective that no longer falls, a share `excess` above its optimum."""
    if loss == "perceptron":
        advice = (
            "Where classes overlap, the perceptron has no optimum but weights of zero; 'hinge' and 'log_loss' have one"
        )
    elif automatic:
        advice = (
            "Columns that nearly repeat each other are slow, and so is a small alpha. Try fewer columns, a larger "
            "alpha, another optimizer or batch_size, or more epochs (a smaller tol, a larger max_iter)"
        )
    else:
        advice = f"Try a schedule that decays, or another learning rate; or {_LEFT_ALONE}"
    return (
        f"Training has stalled: the objective no longer falls, but is about {excess:.1%} above its optimum. {advice}."
    )


def of_separable_classes(objective: float) -> str:
    """Return what to say of classes that a plane divides, where no penalty holds the weights."""
    return (
        f"The objective has no finite optimum: a plane divides the classes (the loss is {objective:.1e}), and with "
        "alpha=0 larger weights are always better. Training ended on the way; set alpha > 0."
    )
