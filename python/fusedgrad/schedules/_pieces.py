"""Rates that stay the same for many steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, final

import numpy as np

from .._validation.parameters import InvalidParameterError
from ._schedule import USUAL, ZERO_OR_MORE, Boundaries, Decay, Floats, PositiveRate, Schedule, Several, Steps

__all__ = ["Constant", "MultiStep", "Piecewise", "Step"]


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step.

    Parameters
    ----------
    rate : float in (0, inf)
        The rate.

    Examples
    --------
    >>> from fusedgrad.schedules import Constant
    >>> Constant(0.1)([0, 1, 1000])
    array([0.1, 0.1, 0.1])
    """

    rate: PositiveRate

    def _rates(self, step: Floats) -> Floats:
        return np.full_like(step, self.rate)


@final
@dataclass(frozen=True)
class Step(Schedule):
    """A rate that is multiplied by `decay` every so many steps: ``rate * decay ** (step // steps)``.

    Parameters
    ----------
    rate : float in (0, inf)
        The first rate.
    steps : int >= 1
        How many steps keep the same rate.
    decay : float in (0, 1], default=0.1
        The factor from one rate to the next.

    Notes
    -----
    ``StepLR`` of torch.

    Examples
    --------
    >>> from fusedgrad.schedules import Step
    >>> Step(0.8, steps=2, decay=0.5)([0, 1, 2, 3, 4])
    array([0.8, 0.8, 0.4, 0.4, 0.2])
    """

    rate: PositiveRate
    steps: Steps
    decay: Decay = 0.1

    def _rates(self, step: Floats) -> Floats:
        return self.rate * self.decay ** (step // self.steps)


@final
@dataclass(frozen=True)
class Piecewise(Schedule):
    """One rate up to the first boundary, another one up to the second, and so on.

    Parameters
    ----------
    boundaries : sequence of int >= 1, strictly increasing
        The steps at which a new rate begins.
    values : sequence of float in [0, inf), one more than boundaries
        The rates; ``values[i]`` holds while ``boundaries[i - 1] <= step < boundaries[i]``.

    Raises
    ------
    ValueError
        If the number of values is not the number of boundaries plus one.

    See Also
    --------
    MultiStep : The rates of all pieces from one factor.

    Examples
    --------
    >>> from fusedgrad.schedules import Piecewise
    >>> Piecewise([2, 4], [0.5, 0.1, 0.2])([0, 1, 2, 3, 4])
    array([0.5, 0.5, 0.1, 0.1, 0.2])
    """

    boundaries: Boundaries
    values: Annotated[Sequence[float], Several(ZERO_OR_MORE), USUAL]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.values) != len(self.boundaries) + 1:
            raise InvalidParameterError(
                f"The 'values' parameter of Piecewise must have one value more than boundaries, which are "
                f"{len(self.boundaries)}. Got {len(self.values)} values. Give the rate before the first boundary too."
            )

    def _rates(self, step: Floats) -> Floats:
        return np.array(self.values, np.float64)[np.searchsorted(self.boundaries, step, side="right")]


@final
@dataclass(frozen=True)
class MultiStep(Schedule):
    """A rate that is multiplied by `gamma` at each milestone.

    Parameters
    ----------
    rate : float in (0, inf)
        The first rate.
    milestones : sequence of int >= 1, strictly increasing
        The steps at which the rate changes.
    gamma : float in (0, 1], default=0.1
        The factor from one rate to the next.

    See Also
    --------
    Piecewise : Any rates between boundaries.

    Notes
    -----
    ``MultiStepLR`` of torch.

    Examples
    --------
    >>> from fusedgrad.schedules import MultiStep
    >>> MultiStep(0.8, milestones=[1, 3], gamma=0.5)([0, 1, 2, 3, 4])
    array([0.8, 0.4, 0.4, 0.2, 0.2])
    """

    rate: PositiveRate
    milestones: Boundaries
    gamma: Decay = 0.1

    def _rates(self, step: Floats) -> Floats:
        passed = np.searchsorted(self.milestones, step, side="right")
        return self.rate * self.gamma ** passed.astype(np.float64)
