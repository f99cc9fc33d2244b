"""What a linear model of the mini-batch engine is to minimise, and what is known of it before and during training."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .. import losses
from . import stream, units
from .arrays import inside
from .excess import FEWEST, Excess, Penalty, Rows, excess
from .minibatch_shared import Shared
from .rates import AUTOMATIC
from .records import Seen, Task

Floats = NDArray[np.float64]

KINK = 10.0  # times as much as a squared error bends
_WIDE = 10.0  # a sweep over all weights pays where a batch has a tenth as many entries


class Problem:
    """An objective, and the data's own units for it.

    Attributes
    ----------
    side_weight : ndarray of shape (n_outputs, 2)
        Weights of rows outside and inside each output's class, over the mean weight.
    targets : Targets
    columns : Columns or None
        None: rates are not automatic, and count as they are given.
    units : Units or None
        None: one number for all weights will do, `stiffness`, or none is needed.
    stiffness, intercept : float
        What rates are multiplied by; and once more for intercepts.
    seen : Seen or None
        What later calls of `partial_fit` go on from.
    """

    def __init__(self, task: Task, shared: Shared):
        assert task.batches is not None
        self.task, self.batches, self.shared = task, task.batches, shared
        self.dtype = task.start.coef.dtype
        self.loss = losses.get(task.objective.loss, **task.objective.loss_parameters)
        self.side_weight = self._side_weight()
        rate = task.rates.learning_rate
        stepped = self.batches.solver is None
        own = self.batches.optimizer.learning_rate is not None
        self.automatic = stepped and not own and isinstance(rate, str) and rate in AUTOMATIC
        self.targets = self._targets()
        self.columns: units.Columns | None = None
        self.units: units.Units | None = None
        self.stiffness = self.intercept = 1.0
        self.seen: Seen | None = None
        if self.automatic:
            self._measure()

    def _side_weight(self) -> Floats:
        side = np.array(self.task.side_weights, dtype=np.float64)
        weight = self.task.sample_weight
        if not self.batches.normalise or (weight is None and np.all(side == 1.0)):
            return side
        if self.task.labels[0] < 0:
            return side if weight is None else side / self.shared.mean_weight(weight)
        total, n = self.shared.totals(weight), self.shared.n
        if self.batches.multinomial:
            return side / (total @ side[:, 1] / n)
        inside = self._inside(total)
        mean = (inside * side[:, 1] + (total.sum() - inside) * side[:, 0]) / n
        return side / np.where(mean > 0, mean, 1.0)[:, None]

    def _inside(self, total: Floats) -> Floats:
        return total[1:] if len(self.task.labels) == 1 else total

    # ---- what is known of the targets ----

    def _targets(self) -> units.Targets:
        weight, shared = self.task.sample_weight, self.shared
        if self.task.labels[0] < 0:
            return shared.targets(weight, self.loss)
        total = shared.totals(weight).astype(np.float64)
        side = np.array(self.task.side_weights, dtype=np.float64)
        if not self.batches.normalise:  # classes may come later
            total = total + 0.5
        if not self.batches.base_score:
            return units.targets_of_classes(self.loss, np.full(len(side), np.nan))
        if self.batches.multinomial:
            share = total * side[:, 1]
            return units.targets_of_softmax(share / max(share.sum(), np.finfo(float).tiny))
        inside = self._inside(total) * side[:, 1]
        outside = (total.sum() - self._inside(total)) * side[:, 0]
        both = np.where(inside + outside > 0, inside + outside, 1.0)
        return units.targets_of_classes(self.loss, inside / both)

    @property
    def base(self) -> Floats | None:
        """Where intercepts start; None: where they stand."""
        if not self.batches.base_score or self.task.intercept_decay == 0.0:
            return None
        return self.targets.base if np.isfinite(self.targets.base).all() else None

    # ---- units ----

    def _measure(self) -> None:
        task, shared = self.task, self.shared
        sparse, optimizer = sp.issparse(task.X), self.batches.optimizer
        wide = sparse and _WIDE * shared.length * float(shared.sizes[0]) < task.X.shape[1]
        plain = optimizer.linear_rate is None and optimizer.lasting == 1.0
        alike = bool((self.targets.scale == self.targets.scale[0]).all())
        # Where a sweep over all weights costs more than the rows, one number serves all columns.
        one = wide and (not self.batches.normalise or (plain and alike))
        centred = not sparse and task.intercept_decay == 1.0
        if self.batches.normalise:
            self.columns = units.alike(task.X) if one else shared.columns(task.sample_weight, centred=centred)
            if not sparse:
                self.seen = stream.after_fit(self.columns, self.targets, shared.n)
        else:
            self.seen = stream.seen(task, shared, self.targets, centred=centred, one=one)
            self.columns, self.targets = stream.columns_of(self.seen, centred=centred), stream.targets_of(self.seen)
        if one and plain and alike:
            square = float(self.columns.spread[0] ** 2)
            self.stiffness = float(self.targets.scale[0] ** 2 / self.targets.cost[0] / square)
            self.intercept = square
        else:
            self.units = units.units_of(self.columns, self.targets, task.objective.l2)
            if optimizer.rule[0] == "ftrl":
                self._check_stiffness(self.units)

    def _check_stiffness(self, found: units.Units) -> None:
        with np.errstate(over="ignore", divide="ignore"):
            extreme = np.maximum(found.stiffness, 1 / found.stiffness).max(axis=1)
        if not extreme.max() < float(np.finfo(self.dtype).max):
            raise ValueError(
                f"No learning rate of {self.dtype} serves all columns of X: those of column {int(extreme.argmax())} "
                f"are too large or too small. {self.shared.largest()} Scale the columns, by StandardScaler for "
                "instance."
            )

    @property
    def limit(self) -> float | None:
        """Of gradients in units: in a stream, a single row must not carry weights away."""
        return None if self.batches.normalise else stream.LIMIT

    def arrays(self, width: int) -> dict[str, Any]:
        """The units as the core takes them, in the model's dtype."""
        nothing = {"unit": None, "pull": None, "centre": None, "limit": None}
        if self.units is None:
            return nothing
        made: dict[str, Any] = {}
        for name, values in (("unit", self.units.unit), ("pull", self.units.pull)):
            array = made[name] = np.ones((self.task.X.shape[1] + 1, width), self.dtype)
            array[:-1, : values.shape[1]], array[-1, : values.shape[1]] = values[:-1], values[-1]
        centre = self.columns.centre if self.columns is not None else None
        made["centre"] = None if centre is None else np.ascontiguousarray(centre, dtype=self.dtype)
        return {**nothing, **made, "limit": self.limit}

    def smoothness(self) -> float:
        """How fast slopes of the objective change, in units: the inverse of a rate that is safe."""
        task, targets = self.task, self.targets
        assert self.columns is not None
        curvature = self.loss.curvature
        if self.batches.multinomial:
            curvature = 0.5
        elif curvature == 0.0:
            curvature = 1.0  # no curvature, but kinks: what a step may do is left to the plateaus
            curvature *= float((targets.cost / targets.scale**2).max())
        elif not np.isfinite(curvature):  # Poisson, Gamma: as at the largest mean that is plausible
            y = self.shared.of_rows(task.y)
            mean = float(y.mean())
            plausible = (mean + 3 * float(y.std())) / mean if mean > 0 else 1.0
            curvature = plausible * float(targets.cost.max())
        relative = float(self.side_weight.max())
        if task.sample_weight is None:
            curvature *= relative
        curvature *= float((targets.scale**2 / targets.cost).max())
        spread = self.shared.spread(task.sample_weight, relative, self.columns)
        if self.seen is not None and not self.batches.normalise:
            self.seen = stream.smoothed(self.seen, spread, self.shared.n)
            spread = self.seen.smoothness
        stiffness = self.stiffness if self.units is None else float(self.units.stiffness[:-1].max(initial=0.0))
        result = curvature * spread + task.objective.l2 * stiffness
        if not result < 1.0 / float(np.finfo(self.dtype).tiny):
            self.shared.check()
            raise ValueError(
                f"No learning rate of {self.dtype} is small enough for these data: {self.shared.largest()} "
                "Scale the columns, by StandardScaler for instance."
            )
        return result

    # ---- how far from the optimum ----

    @property
    def floor(self) -> float:
        """The least that the objective can be, whatever is predicted."""
        return self.targets.floor

    @property
    def typical(self) -> float:
        """What a poor prediction costs."""
        return float(self.targets.cost.mean())

    def _is_kinked(self) -> bool:
        """Whether the loss bends within much less than predictions reach."""
        curvature = self.loss.curvature
        if self.batches.multinomial or not np.isfinite(curvature):
            return False
        bend = curvature * self.targets.scale**2 / self.targets.cost
        return bool(curvature == 0.0 or bend.max() > KINK)

    def _count(self) -> float:
        """Rows, by their weights: a weight of two is a row that comes twice."""
        weight = self.task.sample_weight
        return self.shared.n if weight is None else float(self.shared.of_rows(weight).sum(dtype=np.float64))

    def row_weights(self, rows: NDArray[Any]) -> Floats:
        """Weights of some rows for each output, (rows, n_outputs)."""
        task, outputs = self.task, len(self.task.labels)
        coded, y = task.labels[0] >= 0, task.y[rows]
        weight = np.ones((len(rows), outputs))
        if task.sample_weight is not None:
            weight *= np.asarray(task.sample_weight[rows], dtype=np.float64)[:, None]
        if coded and self.batches.multinomial:
            weight *= self.side_weight[y.astype(np.intp), 1][:, None]
        elif coded:
            weight *= np.where(inside(y, outputs), self.side_weight[:, 1], self.side_weight[:, 0])
        else:
            weight *= self.side_weight[:, 1]
        return weight

    def excess(self, weights: tuple[Any, Floats], threads: int) -> Excess | None:
        """Of the objective, mean over the outputs, less its floor; None where there are too few rows to tell."""
        if self._count() < FEWEST or not self.shared.tells:
            return None
        task, given, listed = self.task, self.task.objective, self.shared.rows
        coded, y = task.labels[0] >= 0, task.y
        weight = self.row_weights(np.arange(len(y)))
        if listed is not None:
            weight *= np.bincount(listed, minlength=len(y))[:, None]
        found = excess(
            Rows(task.X, y, weight, coded, self.batches.multinomial, listed),
            self.loss,
            Penalty(given.l2, given.l1, self.batches.positive),
            weights,
            self.targets.scale,
            kinked=self._is_kinked(),
            intercept=task.intercept_decay != 0.0,
            threads=threads,
        )
        shares = 1 if self.batches.multinomial else len(task.labels)
        objective, above, reached = (part / shares for part in found)
        return Excess(objective - self.floor, above, reached - self.floor)
