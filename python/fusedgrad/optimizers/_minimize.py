"""Gradient descent in the clothes of ``scipy.optimize.minimize``: a loop around any in-place step."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, OptimizeWarning, approx_fprime

from .._validation.parameters import BOOLEAN, InvalidParameterError, Number

Floats = NDArray[np.float64]

MAXITER = 10_000  # steps, if nothing else is said
CONVERGED, MAX_ITER, NOT_FINITE, DIVERGED, STOPPED = 0, 1, 3, 4, 99  # SciPy's statuses, but for DIVERGED
_FAR, _HIGH = 1e6, 1e3  # how often x and the objective must have grown to count as diverged
_RULES: dict[str, Any] = {
    "maxiter": Number(Integral, 0),
    "gtol": Number(low=0),
    "eps": Number(low=0, open_low=True),
    "return_all": BOOLEAN,
}


def minimize(
    step: Callable[[Floats, Floats], None],
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...],
    jac: Any,
    callback: Callable[..., Any] | None,
    *,
    tol: float | None = None,
    gtol: float | None = None,
    maxiter: int = MAXITER,
    eps: float = 1.4901161193847656e-08,
    return_all: bool = False,
    **unknown: Any,
) -> OptimizeResult:
    """Call ``step(x, gradient)``, which moves x in place, until the gradient is small.

    The other parameters are those of a custom method of SciPy; `Optimizer.__call__` documents the options.
    """
    if unknown:
        warnings.warn(f"Unknown solver options: {', '.join(unknown)}", OptimizeWarning, stacklevel=4)
    gtol = next((value for value in (gtol, tol) if value is not None), 1e-5)
    for name, value in (("maxiter", maxiter), ("gtol", gtol), ("eps", eps), ("return_all", return_all)):
        if not _RULES[name].allows(value):
            raise InvalidParameterError(f"The {name!r} option must be {_RULES[name]}. Got {value!r} instead.")
    x = np.array(x0, dtype=np.float64, ndmin=1)
    if x.ndim != 1:
        raise ValueError(f"'x0' must only have one dimension. Got an array of shape {x.shape}.")

    problem = _Problem(fun, args, jac, eps)
    notify = _notifier(callback)
    f, g = problem(x)
    fun_history, x_history = [f], [x.copy()]
    nit = 0
    while (status := _status_of(f, g, gtol, nit, maxiter)) is None:
        step(x, g)
        nit += 1
        f, g = problem(x)
        fun_history.append(f)
        if return_all:
            x_history.append(x.copy())
        try:
            notify(x.copy(), f)
        except StopIteration:
            status = STOPPED
            break
    if status == MAX_ITER and _has_diverged(x_history[0], fun_history[0], x, f):
        status = DIVERGED
    result = OptimizeResult(
        x=x,
        fun=f,
        jac=g,
        nit=nit,
        nfev=problem.nfev,
        njev=problem.njev,
        success=status == CONVERGED,
        status=status,
        message=_message(status, fun_history, nit, gtol),
        fun_history=fun_history,
    )
    if return_all:
        result.x_history = x_history
    return result


class _Problem:
    """Value and gradient at a point, and how often the user's functions were called for them."""

    def __init__(self, fun: Callable[..., Any], args: tuple[Any, ...], jac: Any, eps: float):
        self.fun, self.args, self.jac, self.eps = fun, args, jac, eps
        self.nfev = self.njev = 0

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        if self.jac is True:  # SciPy has taken such a function apart before it calls a custom method
            self.nfev += 1
            self.njev += 1
            f, g = self.fun(x.copy(), *self.args)
            return self._number(f), self._gradient(g, x)
        f = self._value(x.copy())
        self.njev += 1
        if callable(self.jac):
            return f, self._gradient(self.jac(x.copy(), *self.args), x)
        return f, approx_fprime(x, self._value, self.eps)

    def _value(self, x: Floats) -> float:
        self.nfev += 1
        return self._number(self.fun(x, *self.args))

    @staticmethod
    def _number(f: Any) -> float:
        if np.size(f) != 1:
            raise ValueError(f"The objective function must return a number. Got an array of shape {np.shape(f)}.")
        return float(np.asarray(f).item())

    @staticmethod
    def _gradient(g: Any, x: Floats) -> Floats:
        g = np.array(g, dtype=np.float64, ndmin=1)
        if g.shape != x.shape:
            raise ValueError(f"jac must return an array of the shape of x, {x.shape}. Got one of shape {g.shape}.")
        return g


def _notifier(callback: Callable[..., Any] | None) -> Callable[[Floats, float], Any]:
    """The callback as SciPy calls it: with the whole result if that is the name of its only parameter, else with x."""
    if callback is None:
        return lambda x, f: None
    try:
        parameters = set(inspect.signature(callback).parameters)
    except (TypeError, ValueError):  # some functions written in C tell no signature
        parameters = set()
    if parameters == {"intermediate_result"}:
        return lambda x, f: callback(intermediate_result=OptimizeResult(x=x, fun=f))
    return lambda x, f: callback(x)


def _status_of(f: float, g: Floats, gtol: float, nit: int, maxiter: int) -> int | None:
    if not (np.isfinite(f) and np.isfinite(g).all()):
        return NOT_FINITE
    if np.abs(g).max(initial=0.0) <= gtol:
        return CONVERGED
    return MAX_ITER if nit >= maxiter else None


def _has_diverged(x0: Floats, f0: float, x: Floats, f: float) -> bool:
    """Whether a descent went up, and by orders of magnitude away from where it began."""
    if not f > f0:
        return False
    far = np.abs(x).max(initial=0.0) > _FAR * max(1.0, np.abs(x0).max(initial=0.0))
    return bool(far or f - f0 > _HIGH * max(1.0, abs(f0)))


def _message(status: int, values: list[float], nit: int, gtol: float) -> str:
    f = values[-1]
    if status == DIVERGED:
        return (
            f"Diverged: the objective grew from {values[0]:g} to {f:g} in {nit} iterations. Try a smaller "
            "learning_rate, or clip_norm."
        )
    if status == NOT_FINITE:
        what = "gradient is not finite" if np.isfinite(f) else f"objective is {f}"
        hint = "Try a smaller learning_rate, or clip_norm." if nit else "Try another x0."
        return f"The {what} after {nit} iterations. {hint}"
    return {
        CONVERGED: f"The gradient is small: no entry of it exceeds gtol={gtol:g}.",
        MAX_ITER: "Maximum number of iterations has been exceeded.",
        STOPPED: "`callback` raised `StopIteration`.",
    }[status]
