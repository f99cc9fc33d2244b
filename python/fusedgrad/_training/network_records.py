"""What training a network is made of: records that estimators fill in, and that the training loop reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..optimizers import Optimizer
from .net import Arrays
from .rates import Source
from .records import OptimizerState
from .stopping import StoppingRule


@dataclass(frozen=True)
class NetworkState(OptimizerState[Arrays]):
    """Of networks: a slot has an array for each array of parameters.

    Attributes
    ----------
    learning_rate : float
        The rate of the last step.
    """

    learning_rate: float = math.nan

    def fits(self, optimizer: Optimizer, weights: Arrays) -> bool:
        """Whether another optimizer can go on from here, for weights of these shapes."""
        shapes = [w.shape for w in weights]
        return self.optimizer == optimizer and all([a.shape for a in slot] == shapes for slot in self.slots)


@dataclass
class Weights:
    """Everything that training changes. Arrays are the task's own."""

    trained: Arrays
    kept: Arrays
    average: Arrays | None = None

    @property
    def for_prediction(self) -> Arrays:
        """The parameters to predict with."""
        return self.trained if self.average is None else self.average


@dataclass
class Goal:
    """What is to be predicted: class codes (`coded`), or one number an output; and the loss.

    `factor` turns the core's sums over outputs into the loss that is reported; `constants` (one a row) are added to it.
    """

    y: NDArray[Any]
    outputs: int
    loss: str
    parameters: dict[str, float] = field(default_factory=dict)
    coded: bool = False
    multinomial: bool = False
    smoothing: float = 0.0
    factor: float = 1.0
    constants: NDArray[np.float64] | None = None


@dataclass
class Settings:
    """How to train.

    Attributes
    ----------
    optimizer : Optimizer
        The update rule, with clipping and decay.
    source : Source
        The learning rates.
    batch_size, max_epochs : int
        Rows of a batch; epochs at most.
    l2 : float
        Strength of the penalty on weights; divided by the weight of the batch if `l2_of_batch`.
    order : callable or None
        ``(epoch, n) -> row numbers`` of an epoch; None: as they are.
    average : float or None
        Decay of the running mean of the weights.
    tol, patience, by_score, relative
        When to stop, see `StoppingRule`.
    """

    optimizer: Optimizer
    source: Source
    batch_size: int
    max_epochs: int
    l2: float
    l2_of_batch: bool
    tol: float | None
    patience: float
    order: Callable[[int], NDArray[np.uint32]] | None
    seed: int
    decay: float = 0.0  # decoupled, besides the optimizer's own
    clip_norm: float | None = None
    average: float | None = None
    restore_best: bool = False
    by_score: bool = False
    relative: bool = False
    t: float = 0.0  # rows seen before
    idle: int = 0  # idle epochs before, and the best loss and score
    best_loss: float = np.inf
    best_score: float = -np.inf
    report: Callable[[int, float, float | None], None] | None = None

    def rule(self) -> StoppingRule:
        return StoppingRule(
            max_epochs=self.max_epochs,
            tol=self.tol,
            patience=self.patience,
            by_score=self.by_score,
            relative=self.relative,
            judged=True,
        )


@dataclass
class Result:
    """How training ended. The weights stand in the task's `Weights`; `largest_rate` is that of any step,
    `restored` says that they are the best, not the last.
    """

    n_iter: int
    stop_reason: str
    loss_curve: list[float]
    scores: list[float] | None
    validation_loss_curve: list[float] | None
    best_loss: float
    best_score: float
    idle: int
    state: NetworkState
    t: float
    largest_rate: float = math.nan
    restored: bool = False
