"""A rate that falls when a value no longer improves."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, final

import numpy as np

from .._validation.parameters import InvalidParameterError, Number, OneOf
from ._schedule import Floats, PositiveRate, Rate, Schedule, Updates

__all__ = ["ReduceOnPlateau"]

_LEAST_CHANGE = 1e-8  # torch's eps: a rate changes by more than this, or not at all


class PlateauState(NamedTuple):
    """Where a ReduceOnPlateau stands.

    Attributes
    ----------
    rate : float
        The rate to use now.
    best : float
        The best value so far.
    waited : int
        The values without improvement since the last improvement or reduction.
    resting : int
        The values to come until waiting begins again.
    """

    rate: float
    best: float
    waited: int = 0
    resting: int = 0


@final
@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """A rate that is reduced when a value, such as the loss of an epoch, no longer improves.

    It is not a function of the step. The object itself stays immutable: `start` gives a state, and `update` gives the
    next state from a state and a value. Called with a step, it returns its first rate.

    Parameters
    ----------
    rate : float in (0, inf)
        The first rate.
    factor : float in (0, 1), default=0.1
        What the rate is multiplied by.
    patience : int >= 0, default=10
        How many values in a row may fail to improve. The next one reduces the rate.
    threshold : float in [0, 1), default=1e-4
        By which part of the best value another has to be better to count as an improvement.
    cooldown : int >= 0, default=0
        How many values after a reduction are not counted.
    min_rate : float in [0, rate], default=0.0
        The rate is not reduced below this.
    mode : {'min', 'max'}, default='min'
        Whether small or large values are good.

    Raises
    ------
    ValueError
        If min_rate is larger than rate.

    Notes
    -----
    The decisions are those of torch's ``ReduceLROnPlateau`` with a relative threshold. So NaN is not an improvement, a
    change of the rate by at most 1e-8 is not made, and values should be positive: a part of a negative best value
    has the wrong sign.

    Examples
    --------
    >>> from fusedgrad.schedules import ReduceOnPlateau
    >>> plateau = ReduceOnPlateau(0.1, factor=0.5, patience=1)
    >>> state = plateau.start()
    >>> for loss in (1.0, 0.9, 0.9, 0.9):
    ...     state = plateau.update(state, loss)
    ...     print(state.rate, state.waited)
    0.1 0
    0.1 0
    0.1 1
    0.05 0
    """

    rate: PositiveRate
    factor: Annotated[float, Number(low=0, high=1, open_low=True, open_high=True), "Try 0.1."] = 0.1
    patience: Updates = 10
    threshold: Annotated[float, Number(low=0, high=1, open_high=True), "Try 1e-4."] = 1e-4
    cooldown: Updates = 0
    min_rate: Rate = 0.0
    mode: Annotated[Literal["min", "max"], OneOf("min", "max"), "Try 'min' for losses, 'max' for scores."] = "min"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_rate > self.rate:
            raise InvalidParameterError(
                f"The 'min_rate' parameter of ReduceOnPlateau must be at most rate={self.rate!r}. Got "
                f"{self.min_rate!r} instead. Try 0."
            )

    def _rates(self, step: Floats) -> Floats:
        return np.full_like(step, self.rate)

    def start(self) -> PlateauState:
        """Return the state before the first value.

        Returns
        -------
        PlateauState
        """
        return PlateauState(self.rate, math.inf if self.mode == "min" else -math.inf)

    def update(self, state: PlateauState, value: float) -> PlateauState:
        """Return the state after another value.

        Parameters
        ----------
        state : PlateauState
            What `start` or `update` returned before.
        value : float
            What is watched, such as the loss of the epoch that has ended.

        Returns
        -------
        PlateauState
        """
        rate, best, waited, resting = state
        better = value < best * (1 - self.threshold) if self.mode == "min" else value > best * (1 + self.threshold)
        best, waited = (float(value), 0) if better else (best, waited + 1)
        if resting > 0:
            waited, resting = 0, resting - 1
        if waited > self.patience:
            reduced = max(rate * self.factor, self.min_rate)
            rate = reduced if rate - reduced > _LEAST_CHANGE else rate
            waited, resting = 0, self.cooldown
        return PlateauState(rate, best, waited, resting)
