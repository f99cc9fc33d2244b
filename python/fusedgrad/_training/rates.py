"""Where training in batches gets its learning rates from: a table of them for each epoch.

A source is asked for the rates of an epoch, then told how the epoch went, and asked whether it wants to go on when
training would stop. What it has learned outlives a call in `state`, a tuple.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import schedules

Floats = NDArray[np.float64]

SLOWEST = 1e-6  # "adaptive" ends here, as in scikit-learn
AUTOMATIC = ("optimal", "invscaling")  # learning rates of linear models that need no tuning with mini-batches
ASTRAY = 4.0  # times the excess before bold epochs
BOLDEST = 64.0  # times the usual rate
NEARER = 0.9  # share of the excess before that is an improvement
CALM = 1 / 64  # share of the usual rate below which the noise is no longer what keeps from the optimum
VAIN = 4  # tries in a row of other rates that bring nothing


def settled(
    rate: Any, initial: float, optimizer: Any, steps: int | None, *, own: tuple[str, ...]
) -> str | Callable[[int], float]:
    """Return what sets the rates: the optimizer's own learning rate where it has one, else the estimator's.

    Parameters
    ----------
    rate : str, float, Schedule or callable
        The estimator's `learning_rate`. A name of `own` is returned as it is: it has a meaning in that estimator. The
        name of a schedule becomes one that begins with `initial`.
    initial : float
    optimizer : Optimizer
        The name of a schedule that it has becomes one that begins with its `default_rate`.
    steps : int or None
        The length of such schedules, from the first step to the last of this fit. None: not known (`partial_fit`).
    own : tuple of str

    Raises
    ------
    ValueError
        If a name leaves a parameter of its schedule open.
    """
    if optimizer.learning_rate is not None:
        return schedules.as_schedule(optimizer.learning_rate, rate=optimizer.default_rate, steps=steps)
    if isinstance(rate, str) and rate in own:
        return rate
    return schedules.as_schedule(rate, rate=initial, steps=steps)


def steps_of(made: int, epochs: int, batches: int) -> int:
    """The steps up to the end of a fit, on top of those made before; at most as many as schedules can count."""
    return min(made + epochs * batches, schedules.LAST_STEP)


class Source:
    """Rates that follow the step alone."""

    hot = False  # whether nothing is expected of the epochs to come
    automatic = False  # whether the source may try an epoch again with smaller rates
    steady = True  # whether rates do not depend on how epochs went

    def __init__(self, schedule: Any):
        self.schedule = schedule

    @property
    def state(self) -> tuple[float, ...]:
        """What the source has learned."""
        return ()

    def table(self, step: int, sizes: NDArray[np.int64], t: float) -> Floats:
        """Return the rates of an epoch.

        `step` steps have been made so far, on ``t - 1`` rows; `sizes` are the rows of the batches to come.
        """
        if type(self.schedule) is schedules.Constant:  # as most are, and models of a grid are many
            return np.full(len(sizes), self.schedule.rate)
        return schedules.table(self.schedule, step, len(sizes))

    def tables(self, step: int, sizes: NDArray[np.int64], t: float, epochs: int) -> Floats:
        """Return the rates of several epochs; for a source that is `steady`."""
        return self.table(step, sizes if epochs == 1 else np.tile(sizes, epochs), t)

    def tell(self, objective: float) -> None:
        """Hear the objective of the epoch that has ended."""

    def goes_on(self) -> bool:
        """Whether to go on, with a smaller rate, now that training would stop."""
        return False

    def reset(self) -> None:
        """Hear that training has converged: what comes next begins anew, perhaps on other data."""


class Plateau(Source):
    """`schedules.ReduceOnPlateau`, told of the objective."""

    steady = False

    def __init__(self, schedule: schedules.ReduceOnPlateau, state: tuple[float, ...]):
        super().__init__(schedule)
        self._state = schedules.PlateauState(*state) if state else schedule.start()  # type: ignore[arg-type]

    @property
    def state(self) -> tuple[float, ...]:
        return self._state

    def table(self, step: int, sizes: NDArray[np.int64], t: float) -> Floats:
        return np.full(len(sizes), self._state.rate)

    def tell(self, objective: float) -> None:
        self._state = self.schedule.update(self._state, objective)


class InverseScaling(Source):
    """scikit-learn's "invscaling" of networks: ``rate / (t + 1) ** power``, t the rows seen before the epoch."""

    def __init__(self, rate: float, power: float):
        self.rate, self.power = rate, power

    def table(self, step: int, sizes: NDArray[np.int64], t: float) -> Floats:
        return np.full(len(sizes), self.rate / t**self.power)

    def tables(self, step: int, sizes: NDArray[np.int64], t: float, epochs: int) -> Floats:
        return np.repeat(self.rate / (t + sizes.sum() * np.arange(epochs)) ** self.power, len(sizes))


class Adaptive(Source):
    """scikit-learn's "adaptive": a constant rate, divided by 5 when training would stop."""

    def __init__(self, eta0: float, state: tuple[float, ...]):
        self.eta0 = eta0
        (self.rate,) = state or (eta0,)

    @property
    def state(self) -> tuple[float, ...]:
        return (self.rate,)

    def table(self, step: int, sizes: NDArray[np.int64], t: float) -> Floats:
        return np.full(len(sizes), self.rate)

    def goes_on(self) -> bool:
        if self.rate <= SLOWEST:
            return False
        self.rate /= 5
        return True

    def reset(self) -> None:
        self.rate = self.eta0


class Automatic(Source):
    """Rates that need no tuning: a schedule under a cap, both divided by 4 after an epoch that brought nothing.

    The steps of mini-batches hover about the optimum at a distance that is proportional to the rate. So when progress
    ends, the noise has won, and the rate is too large. Progress has ended when the objective grows; or, with several
    batches an epoch, when it falls by less than a thousandth and by less than half of what it fell before. (Progress
    that is slow but steady, as on losses that are linear far from the optimum, is no such end.)

    Where training would stop away from the optimum, `steer` looks for the rates that bring it nearer.

    Parameters
    ----------
    schedule : callable
        ``(step, sizes, t) -> rates``.
    cap : float
        The largest rate.
    noisy : bool
        Whether an epoch has several batches.
    """

    automatic = True
    steady = False

    def __init__(
        self,
        schedule: Callable[[int, NDArray[np.int64], float], Floats],
        cap: float,
        state: tuple[float, ...],
        *,
        noisy: bool,
    ):
        super().__init__(schedule)
        _, self.share, self.best, self.fell = state or (np.inf, 1.0, np.inf, np.inf)
        self.cap, self.noisy = cap, noisy
        self._forget()

    def _forget(self) -> None:
        self.nearest = self.calm = np.inf  # the least excess at a look, and that before the last bold epochs
        self.failures = 0  # of bold epochs, in a row
        self.top, self.hot = 1.0, False  # the share of bold epochs; whether those to come are
        self.went_astray = False

    @property
    def state(self) -> tuple[float, ...]:
        return (self.cap, self.share, self.best, self.fell)

    def reset(self) -> None:
        """Begin anew, for a fit that goes on later."""
        self.share, self.best, self.fell = 1.0, np.inf, np.inf
        self._forget()

    def table(self, step: int, sizes: NDArray[np.int64], t: float) -> Floats:
        return self.share * np.minimum(self.schedule(step, sizes, t), self.cap)

    def tell(self, objective: float) -> None:
        if self.hot:
            return
        fell = self.best - objective
        if fell <= 0 or (self.noisy and fell < min(1e-3 * abs(self.best), self.fell / 2)):
            self.share /= 4
        self.best, self.fell = min(self.best, objective), fell if fell > 0 else np.inf

    def steer(self, excess: float) -> bool:
        """Hear how far above the optimum progress has ended; whether to go on, at other rates.

        Low rates calm the noise of the steps, and go nowhere; so bold epochs at high rates, of which nothing is
        expected, take turns with epochs whose rates fall. What brings the optimum no nearer a few times in a row ends.
        Bold rates grow each time, for curvature may be far below its bound, until they prove too large: then
        `went_astray`, and the weights should be those that were nearest.
        """
        self.went_astray = False
        if self.hot:
            self.went_astray = not excess < ASTRAY * self.nearest
            if self.went_astray:
                self.top /= 16
            self.hot, self.share = False, self.share / 4
        else:
            nearer = min(excess, self.nearest) < NEARER * self.calm
            self.calm = min(excess, self.nearest)
            self.failures = 0 if nearer else self.failures + 1
            if self.failures > VAIN:
                return False
            if nearer and self.share > CALM:
                self.share /= 4
            else:
                self.hot, self.share = True, self.top
                self.top = min(4 * self.top, BOLDEST)
        self.nearest = min(self.nearest, excess)
        self.best, self.fell = np.inf, np.inf
        return True

    def retreat(self) -> None:
        """Hear that the last table was far too large."""
        self.share /= 16
        if self.hot:
            self.hot = False
            self.top /= 16
