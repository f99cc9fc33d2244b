"""Rates that follow a cosine, or go up and down."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

import numpy as np

from .._validation.parameters import InvalidParameterError, Number, OneOf
from ._schedule import (
    COUNT,
    COUNT_OR_NONE,
    DECAY,
    LAST_STEP,
    Floats,
    PositiveRate,
    Rate,
    Schedule,
    Steps,
    half_cosine,
    mix,
    progress,
)

__all__ = ["Cosine", "CosineRestarts", "Cyclic", "OneCycle"]


@final
@dataclass(frozen=True)
class Cosine(Schedule):
    """From one rate to another along half a cosine, then constant.

    ``end_rate + (rate - end_rate) * (1 + cos(pi * step / steps)) / 2`` while ``step < steps``.

    Parameters
    ----------
    rate : float in [0, inf)
        The first rate.
    steps : int >= 1
        The step at which `end_rate` is reached.
    end_rate : float in [0, inf), default=0.0
        The last rate.

    Notes
    -----
    ``CosineAnnealingLR`` of torch up to `steps`; later torch's rate rises again, and this one stays.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, equation 5.

    Examples
    --------
    >>> from fusedgrad.schedules import Cosine
    >>> Cosine(0.4, steps=4)([0, 2, 4, 5])
    array([0.4, 0.2, 0. , 0. ])
    """

    _spans_training: ClassVar[bool] = True

    rate: Rate
    steps: Steps
    end_rate: Rate = 0.0

    def _rates(self, step: Floats) -> Floats:
        return mix(half_cosine(progress(step, 0, self.steps)), self.rate, self.end_rate)


@final
@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Half cosines one after another; each begins anew at the first rate (SGDR).

    Parameters
    ----------
    rate : float in [0, inf)
        The rate at the beginning of each cycle.
    steps : int >= 1
        The length of the first cycle.
    t_mult : int >= 1, default=1
        How many times as long as the one before each cycle is.
    end_rate : float in [0, inf), default=0.0
        The rate that a cycle approaches. The next one begins at the step that would reach it.

    Notes
    -----
    ``CosineAnnealingWarmRestarts`` of torch.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.

    Examples
    --------
    >>> from fusedgrad.schedules import CosineRestarts
    >>> CosineRestarts(0.4, steps=2, t_mult=2)([0, 1, 2, 4, 6])
    array([0.4, 0.2, 0.4, 0.2, 0.4])
    """

    rate: Rate
    steps: Steps
    t_mult: Annotated[int, COUNT, "Try 1 or 2."] = 1
    end_rate: Rate = 0.0

    def _rates(self, step: Floats) -> Floats:
        if self.t_mult == 1:
            done = step % self.steps / self.steps
        else:
            starts, lengths = [0], [self.steps]
            while starts[-1] + lengths[-1] <= LAST_STEP:
                starts.append(starts[-1] + lengths[-1])
                lengths.append(lengths[-1] * self.t_mult)
            cycle = np.searchsorted(starts, step, side="right") - 1
            done = (step - np.array(starts, np.float64)[cycle]) / np.array(lengths, np.float64)[cycle]
        return mix(half_cosine(done), self.rate, self.end_rate)


@final
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from a small rate to a large one, then down to almost nothing (Smith's one-cycle policy).

    The rate goes from ``rate / div_factor`` at step 0 to `rate` at step ``pct_start * steps - 1`` and to
    ``rate / div_factor / final_div_factor`` at step ``steps - 1``, where it stays.

    Parameters
    ----------
    rate : float in (0, inf)
        The largest rate.
    steps : int >= 1
        The length of the cycle.
    pct_start : float in [0, 1], default=0.3
        The part of the cycle in which the rate rises. If that is less than two steps, it begins at its largest.
    anneal : {'cos', 'linear'}, default='cos'
        The shape of the way up and of the way down.
    div_factor : float in [1, inf), default=25.0
        How many times smaller than the largest rate the first is.
    final_div_factor : float in [1, inf), default=1e4
        How many times smaller than the first rate the last is.

    Notes
    -----
    ``OneCycleLR`` of torch with two phases (its momentum is not cycled here). torch refuses steps beyond the cycle.

    References
    ----------
    Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.

    Examples
    --------
    >>> from fusedgrad.schedules import OneCycle
    >>> OneCycle(0.5, steps=10, anneal="linear", div_factor=5, final_div_factor=10)([0, 1, 2, 9, 10])
    array([0.1 , 0.3 , 0.5 , 0.01, 0.01])
    """

    _spans_training: ClassVar[bool] = True

    rate: PositiveRate
    steps: Steps
    pct_start: Annotated[float, Number(low=0, high=1), "Try 0.3."] = 0.3
    anneal: Annotated[Literal["cos", "linear"], OneOf("cos", "linear"), "Try 'cos'."] = "cos"
    div_factor: Annotated[float, Number(low=1, high=np.inf, open_high=True), "Try 25."] = 25.0
    final_div_factor: Annotated[float, Number(low=1, high=np.inf, open_high=True), "Try 10000."] = 1e4

    def _rates(self, step: Floats) -> Floats:
        first = self.rate / self.div_factor
        peak = max(self.pct_start * self.steps - 1, 0)
        rise, fall = progress(step, 0, peak), progress(step, peak, self.steps - 1)
        if self.anneal == "cos":
            rise, fall = 1 - half_cosine(rise), 1 - half_cosine(fall)
        up = mix(1 - rise, first, self.rate)
        down = mix(1 - fall, self.rate, first / self.final_div_factor)
        return np.where(step < peak, up, down)


@final
@dataclass(frozen=True)
class Cyclic(Schedule):
    """Up and down between two rates, again and again (Smith's cyclical rates).

    Parameters
    ----------
    rate : float in [0, inf)
        The smallest rate, with which each cycle begins.
    max_rate : float in [rate, inf)
        The largest rate of the first cycle.
    steps_up : int >= 1, default=2000
        The steps from the smallest to the largest rate.
    steps_down : int >= 1 or None, default=None
        The steps back. None: as many as up.
    mode : {'triangular', 'triangular2', 'exp_range'}, default='triangular'
        'triangular': all cycles are alike. 'triangular2': each is half as high as the one before.
        'exp_range': the height is multiplied by ``gamma ** step``.
    gamma : float in (0, 1], default=1.0
        The decay of ``mode='exp_range'``; the other modes take none.

    Raises
    ------
    ValueError
        If max_rate is smaller than rate, or if gamma is given to a mode that has none.

    Notes
    -----
    ``CyclicLR`` of torch (its momentum is not cycled here).

    References
    ----------
    Smith, "Cyclical learning rates for training neural networks", 2017.

    Examples
    --------
    >>> from fusedgrad.schedules import Cyclic
    >>> Cyclic(0.1, 0.5, steps_up=2, mode="triangular2")([0, 1, 2, 3, 4, 5, 6])
    array([0.1, 0.3, 0.5, 0.3, 0.1, 0.2, 0.3])
    """

    rate: Rate
    max_rate: Rate
    steps_up: Steps = 2000
    steps_down: Annotated[int | None, COUNT_OR_NONE, "Try None."] = None
    mode: Annotated[
        Literal["triangular", "triangular2", "exp_range"],
        OneOf("triangular", "triangular2", "exp_range"),
        "Try 'triangular'.",
    ] = "triangular"
    gamma: Annotated[float, DECAY, "Try 0.9999 with mode='exp_range'."] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_rate < self.rate:
            raise InvalidParameterError(
                f"The 'max_rate' parameter of Cyclic must be at least rate={self.rate!r}. Got {self.max_rate!r} "
                "instead. Swap the two."
            )
        if self.gamma != 1 and self.mode != "exp_range":
            raise InvalidParameterError(
                f"The 'gamma' parameter of Cyclic must be 1 with mode={self.mode!r}, which does not use it. Got "
                f"{self.gamma!r} instead. Try mode='exp_range'."
            )

    def _rates(self, step: Floats) -> Floats:
        down = self.steps_up if self.steps_down is None else self.steps_down
        cycle, position = np.divmod(step, self.steps_up + down)
        height = np.minimum(position / self.steps_up, (self.steps_up + down - position) / down)
        if self.mode == "triangular2":
            height *= 0.5**cycle
        elif self.mode == "exp_range":
            height *= self.gamma**step
        return mix(height, self.max_rate, self.rate)
