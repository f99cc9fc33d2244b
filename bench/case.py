"""What a problem hands to solvers, and what a solver hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Run = Callable[[], Any]  # what is timed; it returns what is compared


def on_threads(count: int) -> str:
    """Return a number of threads in words."""
    return f"{count} thread{'s' if count > 1 else ''}"


@dataclass(frozen=True)
class Way:
    """How a solver runs: its settings, threads and formats, in words.

    `prepare` does what is not timed and returns the timed part. Where a run does a part of the work only, its seconds
    are multiplied by `times`, and the name says so. `note` is asked for after the runs: what else was measured.
    """

    name: str
    prepare: Callable[[], Run]
    times: float = 1.0
    note: Callable[[], str] = str


@dataclass(frozen=True)
class Limit:
    """What bounds a case: `amount` of something in each unit of work, of which the machine has `rate()` a second."""

    name: str
    amount: float
    rate: Callable[[], float]
    shown: str  # how a rate is written, such as "{:.0f} GB/s" of a rate times `scale`
    scale: float = 1e-9


@dataclass(frozen=True)
class Agreement:
    """Whether both sides did the same work, or work as good, and how that shows."""

    good: bool
    shown: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """A problem at one size.

    Attributes
    ----------
    description : str
        What is done to which data.
    unit : str
        What a time is of: an epoch, a step, a call, a fit.
    targets : dict
        Ratios to reach, by solver.
    share : float or None
        The share of the limit to reach.
    remarks : dict
        Why a solver is ahead, by solver; shown where it is.
    peers : tuple of str or None
        The only solvers to compare with, where not all that can.
    """

    description: str
    unit: str
    targets: dict[str, float] = field(default_factory=dict)
    share: float | None = None
    remarks: dict[str, str] = field(default_factory=dict)
    peers: tuple[str, ...] | None = None

    @property
    def count(self) -> int:
        """How many units a run has."""
        return 1

    @property
    def limit(self) -> Limit | None:
        """What bounds us, if the machine is what does."""
        return None

    def short(self) -> Case:
        """Return the same case with less work: the warm-up, which finds the best of a solver's ways."""
        return self

    def agree(self, mine: Any, theirs: Any, peer: str) -> Agreement:
        """Compare what the runs returned."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Return sizes and settings, for the record."""
        return {}
