"""L-BFGS by SciPy, with our loss and gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from .._training.callbacks import Epochs
from .._training.network import Training
from .._training.network_records import Result
from .._training.stopping import CONVERGED, DIVERGED, INTERRUPTED, MAX_ITER, STALLED
from .._validation.warn import warn

_MOST = 2**31 - 1  # that SciPy counts


def lbfgs(
    training: Training,
    epochs: Epochs,
    *,
    max_iter: int,
    max_fun: int,
    gtol: float,
    fitted: Callable[[], dict[str, Any]],
    verbose: bool,
) -> Result:
    """Minimise over all rows at once. For callbacks, all iterations are one epoch, after which `fitted` is called."""
    gradient = np.zeros_like(training.flat)
    reached = 0, training.flat.astype(np.float64)  # iterations, and the weights after them
    curve: list[float] = []

    def loss_gradient(theta: Any) -> tuple[float, Any]:
        training.flat[:] = theta
        gradient[:] = 0
        loss, penalty = training.loss_gradient(gradient)
        return loss + penalty, gradient.astype(np.float64)

    def after(intermediate_result: Any) -> None:
        nonlocal reached
        curve.append(float(intermediate_result.fun))
        reached = len(curve), intermediate_result.x.copy()
        training.flat[:] = intermediate_result.x
        training.validate_now()
        if verbose:
            print(f"Iteration {len(curve)}, loss = {curve[-1]:.8f}")

    epochs.begin()
    reason = CONVERGED
    options = {"maxfun": int(min(max_fun, _MOST)), "maxiter": int(min(max_iter, _MOST)), "gtol": gtol}
    try:
        found = scipy.optimize.minimize(
            loss_gradient, reached[1], method="L-BFGS-B", jac=True, options=options, callback=after
        )
        training.flat[:] = found.x
        loss, steps = float(found.fun), int(found.nit)
        if found.status == 1:
            reason = MAX_ITER
        elif found.status != 0:
            reason = STALLED
            warn(f"lbfgs stopped early: {found.message}", ConvergenceWarning)
    except KeyboardInterrupt:  # between two iterations the weights are those of a trial
        steps, training.flat[:] = reached
        if steps == 0:
            raise
        curve, loss, reason = curve[:steps], curve[steps - 1], INTERRUPTED
    training.curve, training.stop_reason = curve, reason
    if reason != INTERRUPTED and not (training.is_finite() and np.isfinite(loss)):
        training.stop_reason = reason = DIVERGED
    training.stopping.best_loss = loss
    training.t += steps * training.n
    result = training.result()
    result.n_iter = min(steps, int(max_iter))
    epochs.end(None if reason == INTERRUPTED else fitted)
    return result
