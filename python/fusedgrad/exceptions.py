"""Errors of fusedgrad's own.

>>> from fusedgrad.exceptions import DivergedError
>>> issubclass(DivergedError, ValueError)
True
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["DivergedError"]


class DivergedError(ValueError):
    """Training broke: the weights or the loss are no longer finite. The estimator is as before the call.

    Parameters
    ----------
    message : str
        What happened, and what to try.
    loss_curve : sequence of float, default=()
        The loss of each epoch of the call until then.
    epoch : int, default=0
        The epoch in which it broke, counted from 1. 0: unknown.
    rate : float, default=nan
        The learning rate at that time. NaN: unknown, or there is none.

    Attributes
    ----------
    loss_curve : list of float
    epoch : int
    rate : float

    Examples
    --------
    >>> from fusedgrad import optimizers
    >>> from fusedgrad.exceptions import DivergedError
    >>> from fusedgrad.neural_network import MLPRegressor
    >>> model = MLPRegressor(solver=optimizers.SGD(1e200), random_state=0)
    >>> try:
    ...     model.fit([[1.0], [2.0]], [1.0, 2.0])
    ... except DivergedError as error:
    ...     print(error.rate, error.epoch == len(error.loss_curve))
    1e+200 True
    """

    def __init__(self, message: str, *, loss_curve: Sequence[float] = (), epoch: int = 0, rate: float = math.nan):
        super().__init__(message)
        self.loss_curve, self.epoch, self.rate = list(loss_curve), epoch, rate
