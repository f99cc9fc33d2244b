"""What is said of training that went wrong, and what may help."""

from __future__ import annotations

import math

from .._training import ends
from .._training.network_records import Result
from .._training.stopping import DIVERGED, STALLED
from ..exceptions import DivergedError


def broken(result: Result) -> DivergedError:
    """Return the error of weights or a loss that are not finite."""
    epoch, rate = len(result.loss_curve), result.state.learning_rate
    last = [f"{loss:.4g}" for loss in result.loss_curve[-3:]]
    hint = ""
    if math.isfinite(rate):
        hint = (
            f" Or the learning rate was too large ({rate:g} in the end), after {epoch - 1} epochs; a smaller one, or "
            "clip_norm=1.0, may help."
        )
    return DivergedError(
        "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
        f"preprocessed.{hint} (It broke in epoch {epoch}; the last losses were {', '.join(last) or 'none'}.)",
        loss_curve=result.loss_curve,
        epoch=epoch,
        rate=rate,
    )


def astray(result: Result) -> str:
    """Return what to say of a loss that ended far from its best."""
    curve, verb = result.loss_curve, {DIVERGED: "diverged", STALLED: "stalled"}[result.stop_reason]
    first, best, last = (f"{loss:.4g}" for loss in (curve[0], result.best_loss, curve[-1]))
    kept = " The weights of the best validation score are kept." if result.restored else ""
    return (
        f"Training {verb} after {len(curve)} epochs: the loss was {first} in the first one, {best} at best and {last} "
        f"at last.{kept} Lower the learning rate ({_a_tenth(result)}), or shorten steps by clip_norm=1.0."
    )


def of_scores(result: Result) -> str:
    """Return what to say of validation scores that tell nothing; nothing, if they do."""
    return ends.of_scores(result.scores or [], result.largest_rate)


def _largest(result: Result) -> str:
    return f"the largest was {result.largest_rate:g}"


def _a_tenth(result: Result) -> str:
    return f"{_largest(result)}; try {result.largest_rate / 10:.2g}"
