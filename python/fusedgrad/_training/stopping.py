"""When training stops: one rule for linear models and for networks.

An epoch is *idle* if what is watched did not beat its best so far by `tol`, or, where that is `relative`, by `tol` of
the best. Watched is the loss of the epoch, penalty included, or with `by_score` (early stopping) the score of the
validation rows. After `patience` idle epochs in a row the source of the learning rates may go on with smaller ones
("adaptive" does); otherwise training has ended. Why it has ended is one of the words below.

A rule that is `judged` says of a loss that ended far above where it was that it has "diverged" or "stalled", never that
it has converged.

The engine of single samples (`sequential.py`) applies the same rule to each output by itself, in the core:
``SequentialJob::end_epoch`` in ``cpp/train/sequential_job.hpp``. It has the fields of `StoppingRule` and the same
words; `joint` makes one word of those of its outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, nan
from typing import NamedTuple, Protocol

CONVERGED = "converged"  # the loss no longer fell; of mini-batches: and it is as low as it can be
STALLED = "stalled"  # the loss no longer fell, away from its optimum
EARLY_STOPPING = "early_stopping"  # the validation score no longer rose, or a callback asked to stop
MAX_ITER = "max_iter"  # the last epoch that was allowed has ended
DIVERGED = "diverged"  # the loss ended far above the first one, or is no longer finite
INTERRUPTED = "interrupted"  # Ctrl-C
DROPPED = "dropped"  # a search goes on without the model
RUNNING = "none"  # none of them: training has not ended

NEGLIGIBLE = 1e-3  # a loss that this much is not worth a word


class Rates(Protocol):
    """What the rule asks of a source of learning rates, see `rates.Source`."""

    def tell(self, objective: float) -> None: ...
    def goes_on(self) -> bool: ...


class StoppingRule(NamedTuple):
    """When to stop.

    Attributes
    ----------
    max_epochs : int
        Epochs at most.
    tol : float or None
        By how much an epoch must improve on the best one. None: no epoch is idle.
    patience : float
        How many epochs in a row are idle when training stops.
    by_score : bool
        Whether the validation score decides, rather than the loss.
    relative : bool
        Whether `tol` is a share of the best loss so far. (Scores have a scale of their own.)
    judged : bool
        Whether the last loss is compared with the first and the best one.
    tells_rates : bool
        Whether the source of the rates hears of each epoch. (In `partial_fit` of a linear model it does not.)
    """

    max_epochs: int
    tol: float | None
    patience: float
    by_score: bool = False
    relative: bool = False
    judged: bool = False
    tells_rates: bool = True


class Stopping:
    """How far training has come by the rule.

    Attributes
    ----------
    idle : int
        Idle epochs in a row; below 0: epochs that are not judged yet.
    best_loss, best_score : float
        The best of an epoch so far.
    least : float
        What a relative tolerance is a share of at least.
    first_loss : float
        The loss of the first epoch; NaN before it.
    """

    def __init__(
        self,
        rule: StoppingRule,
        *,
        idle: int = 0,
        best_loss: float = inf,
        best_score: float = -inf,
        least: float = 0.0,
    ):
        self.rule, self.idle, self.best_loss, self.best_score = rule, idle, best_loss, best_score
        self.least = least
        self.first_loss = nan

    def is_best(self, score: float | None) -> bool:
        """Whether an epoch that is to be judged has the best score so far."""
        return score is not None and score > self.best_score

    def judge(self, epoch: int, loss: float, score: float | None, rates: Rates) -> str:
        """Take note of an epoch, counted from 1, that has ended; return why training stops after it, or `RUNNING`."""
        rule = self.rule
        self.idle = min(self.idle + 1, 0) if self._improves(loss, score) else self.idle + 1
        if score is not None and score > self.best_score:  # NaN is not
            self.best_score = score
        self.note(loss)
        if rule.tells_rates:
            rates.tell(loss)
        if self.idle >= rule.patience:
            if not rates.goes_on():
                return EARLY_STOPPING if rule.by_score else self.end(CONVERGED, loss)
            self.idle = 0
        return self.end(MAX_ITER, loss) if epoch >= rule.max_epochs else RUNNING

    def note(self, loss: float) -> None:
        """Take note of the loss of an epoch."""
        if self.first_loss != self.first_loss:
            self.first_loss = loss
        self.best_loss = min(self.best_loss, loss)

    def end(self, reason: str, loss: float) -> str:
        """Return what an end for this reason is called after an epoch of this loss.

        The loss has diverged if it ended above its best by more than the whole of the first or the best one; it has
        stalled if it no longer falls and has lost half of what it had won, and a tenth of its best.
        """
        if not self.rule.judged:
            return reason
        lost, first, best = loss - self.best_loss, abs(self.first_loss), abs(self.best_loss)
        if lost > max(first, best, NEGLIGIBLE):
            return DIVERGED
        won = self.first_loss - self.best_loss
        return STALLED if reason == CONVERGED and lost > max(won / 2, best / 10, NEGLIGIBLE) else reason

    def go_on(self, epochs: int) -> None:
        """Hear that training goes on, at other rates, although it would have stopped; for so many epochs at least."""
        self.idle, self.best_loss = -epochs, inf

    def certain(self, epochs: int) -> int:
        """How many epochs will follow the first `epochs` whatever their losses are, if no score and no rate needs them.

        At least one.
        """
        rule = self.rule
        left = rule.max_epochs - epochs
        return left if rule.tol is None else int(min(left, max(1.0, rule.patience - self.idle)))

    def _improves(self, loss: float, score: float | None) -> bool:
        if self.rule.tol is None:
            return True
        if self.rule.by_score:
            value, bar = nan if score is None else score, self.best_score + self.rule.tol
        else:
            tol = self.rule.tol
            if self.rule.relative and isfinite(self.best_loss):
                tol *= max(abs(self.best_loss), self.least)
            value, bar = -loss, tol - self.best_loss
        if bar != bar:  # -inf + inf: the first epoch improves by whatever is asked
            return value == value
        return value >= bar  # NaN does not


def joint(reasons: Sequence[str]) -> str:
    """The word for several outputs: the last to stop decides, or the callback that stopped them."""
    if RUNNING in reasons:
        return EARLY_STOPPING
    return MAX_ITER if MAX_ITER in reasons else reasons[0]
