"""What a fit of linear models is made of: records that estimators fill in, and that both training loops read.

Those of settings are frozen; those that every `partial_fit` makes are named tuples, which cost a fifth of a frozen
dataclass to make. Arrays of `LinearWeights` are the task's own: training ends in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..optimizers import Optimizer, Solver
from .shards import Shards
from .stopping import StoppingRule
from .streams.stream import Stream

Floats: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float32 | np.float64]]"
Matrix: TypeAlias = csr_array  # or an array in C order: SciPy has no types, so this is whatever the core takes


class Objective(NamedTuple):
    """What is minimised: the mean of a loss plus penalties.

    Attributes
    ----------
    loss, loss_parameters : str, dict of str to float
        A loss of the catalog, and its parameters.
    l2, l1 : float
        Strengths of the penalties on the coefficients.
    offset_rate : float
        Slope of the objective in the intercept, which the one-class SVM has.
    regression : bool
        Whether the score of validation rows is R², rather than the accuracy.
    """

    loss: str
    loss_parameters: Mapping[str, float]
    l2: float
    l1: float
    offset_rate: float
    regression: bool


class RateParameters(NamedTuple):
    """An estimator's learning rate, by the names of its parameters."""

    learning_rate: str | float | Callable[[int], float]
    eta0: float
    power_t: float
    alpha: float


Slot = TypeVar("Slot")


@dataclass(frozen=True)
class OptimizerState(Generic[Slot]):
    """What an optimizer knows after some steps; together with the weights it is all that training needs to go on.

    Attributes
    ----------
    optimizer : Optimizer
        Whose state it is.
    slots : tuple
        State of each parameter, as the rule keeps it.
    step, epoch : int
        Steps and epochs made.
    carry : float
        The number that the rule carries from step to step.
    rates : tuple of float
        What the source of the learning rates has learned.
    """

    optimizer: Optimizer
    slots: tuple[Slot, ...] = ()
    step: int = 0
    epoch: int = 0
    carry: float = 1.0
    rates: tuple[float, ...] = ()


class Seen(NamedTuple):
    """What `partial_fit` has seen so far: what the units of the data are reckoned from.

    Attributes
    ----------
    rows : float
        Rows so far.
    centre, square : ndarray of shape (n_features,)
        Means of the columns and mean squares about them; of sparse columns 0, and the largest mean squares so far; or
        one number for all.
    smoothness : float
        How fast slopes change, mean over the rows.
    base, scale, cost : ndarray of shape (n_outputs,)
        Of the targets.
    """

    rows: float
    centre: NDArray[np.float64]
    square: NDArray[np.float64]
    smoothness: float
    base: NDArray[np.float64]
    scale: NDArray[np.float64]
    cost: NDArray[np.float64]


@dataclass(frozen=True)
class LinearState(OptimizerState[Floats]):
    """Of linear models: a slot is an array of shape (n_features + 1, n_outputs), intercepts last.

    Attributes
    ----------
    seen : tuple or None
        The fields of a `Seen`, where rates are automatic; plain, as all that is stored.
    """

    seen: tuple[float | NDArray[np.float64], ...] | None = None

    def fits(self, optimizer: Optimizer, shape: tuple[int, int]) -> bool:
        """Whether another optimizer can go on from here, for weights of this shape."""
        return self.optimizer == optimizer and all(slot.shape == shape for slot in self.slots)


@dataclass(frozen=True, slots=True)
class Batches:
    """How a task is trained in mini-batches.

    Attributes
    ----------
    size : int
        Rows of a batch.
    optimizer : Optimizer
        The update rule.
    multinomial, positive : bool
        One softmax for all outputs; coefficients that are not negative.
    normalise : bool
        Whether weights count relative to their mean: not in `partial_fit`, which does not know all rows.
    state : LinearState or None
        Where to go on from.
    base_score : bool
        Whether intercepts start at the constant that costs least: not where something is known of them.
    solver : Solver or None
        What trains in place of batches, on the whole.
    """

    size: int
    optimizer: Optimizer
    multinomial: bool
    positive: bool
    normalise: bool
    state: LinearState | None
    base_score: bool = False
    solver: Solver | None = None


@dataclass
class LinearWeights:
    """Weights of all outputs: where training starts, then where it ended."""

    coef: Floats  # (n_outputs, n_features), in X's dtype
    intercept: NDArray[np.float64]  # (n_outputs,)
    average_coef: Floats | None = None
    average_intercept: NDArray[np.float64] | None = None
    average_from: float = 0.0  # first step of the mean; 0: none
    t: float = 1.0  # rows seen so far, plus one
    steps: int = 0  # of the optimizer, so far: rows or mini-batches


@dataclass(slots=True)
class Validation:
    """Rows to score after each epoch: some rows of X (`held_out`), or a set of their own."""

    held_out: NDArray[np.bool_] | None = None
    X: Matrix | None = None
    y: Floats | None = None
    sample_weight: Floats | None = None


class Task(NamedTuple):
    """Everything that is needed for a fit of one or more outputs over one X.

    Attributes
    ----------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets, or class codes where `labels` say which code is positive.
    labels : list of int
        The code of the positive class, one an output; -1: y holds the targets themselves.
    side_weights : list of (float, float)
        Class weights of the negative and the positive side of each output.
    seeds : list of int
        Of shuffling, one an output.
    intercept_decay : float
        Factor on the intercept's steps.
    shuffle : bool or 'rows'
        As the estimator's.
    batches : Batches or None
        None: one sample a step.
    rows : ndarray of int or None
        The rows to train on, of mini-batches; None: all.
    stream : Stream or None
        Where all rows come from, if X, y and `sample_weight` are only some of them.
    shards : Shards or None
        The same, of rows that other processes hold, for a solver.
    """

    objective: Objective
    rates: RateParameters
    stopping: StoppingRule
    X: Matrix
    y: Floats
    sample_weight: Floats | None
    start: LinearWeights
    labels: Sequence[int]
    side_weights: Sequence[tuple[float, float]]
    seeds: Sequence[int]
    intercept_decay: float
    shuffle: bool | str
    restore_best: bool = False
    validation: Validation | None = None
    batches: Batches | None = None
    rows: NDArray[np.intp] | None = None
    stream: Stream | None = None
    shards: Shards | None = None


class Progress(NamedTuple):
    """An epoch of a stream on its way: what its first blocks came to.

    Attributes
    ----------
    blocks, batches, rows : int
    loss, penalty : float
        Sums over the rows, and over the batches.
    carry : float
        Of the rule.
    """

    blocks: int = 0
    batches: int = 0
    rows: int = 0
    loss: float = 0.0
    penalty: float = 0.0
    carry: float = 1.0


@dataclass(slots=True)
class Result:
    """How a fit ended. The weights stand in the task's `start`."""

    n_iter: int
    stop_reason: str
    loss_curve: list[float]
    validation_scores: list[float] | None
    validation_loss_curve: list[float] | None
    optimizer_state: LinearState | None = None
    warning: str = ""  # what its user must know
    gaps: list[float] | None = None  # of a solver: shares of the objective above its optimum
    proven: bool = False  # whether the last of them is a bound, rather than an estimate
    passes: list[float] | None = None  # over all rows, so far
