"""What all optimizers have in common: parameters, state, steps on arrays, minimising with SciPy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult

from .. import _core
from .._parts import Part
from .._threads import allowed, requested
from .._validation.parameters import BOOLEAN, InvalidParameterError, Number, wrong_parameter
from ..schedules import as_schedule, learning_rate_rule, rate_at
from ._minimize import MAXITER, minimize

Rate = float | str | Callable[[int], float] | None
Arrays = NDArray[Any] | list[NDArray[Any]] | tuple[NDArray[Any], ...]

_RANGES = {
    rule: {name: Number(low=low, high=high, open_low=o, open_high=p) for name, _, low, high, o, p, _ in described}
    for rule, _, described in _core.rule_catalog()
}
_RATE = learning_rate_rule()
_SHARED_RANGES = {
    "weight_decay": Number(low=0, high=math.inf, open_high=True),
    "clip_value": Number(low=0, high=math.inf, open_low=True, open_high=True, none=True),
    "clip_norm": Number(low=0, high=math.inf, open_low=True, open_high=True, none=True),
}


@dataclass(eq=False, repr=False)
class State:
    """What an optimizer remembers between steps; made by `Optimizer.init`.

    It can be copied and pickled: going on with a copy equals not having stopped, bit for bit.

    Attributes
    ----------
    rule : str
        The update rule whose state it is.
    slots : list of tuple of ndarray
        For each array of parameters the numbers that are kept for it, in arrays of its shape and dtype.
    step : int
        How many steps were made.
    carry : float
        A number that some rules carry from step to step (NAdam).
    """

    rule: str
    slots: list[tuple[NDArray[Any], ...]]
    step: int = 0
    carry: float = 1.0

    def average(self, index: int = 0) -> NDArray[Any]:
        """Return the averaged weights that `ASGD` keeps; before the first step they are zero.

        Parameters
        ----------
        index : int, default=0
            Which array, where parameters are a list.

        Returns
        -------
        ndarray
            Not a copy: later steps change it.

        Raises
        ------
        ValueError
            If it is the state of another optimizer.
        """
        if self.rule != "asgd":
            raise ValueError(f"A state of {self.rule!r} has no averaged weights; only ASGD keeps them.")
        return self.slots[index][0]

    def __repr__(self) -> str:
        slots = [f"{len(kept)} x {kept[0].shape}" for kept in self.slots if kept]
        return f"State(rule={self.rule!r}, step={self.step}, slots=[{', '.join(slots)}])"


@dataclass(frozen=True, repr=False)
class Optimizer(Part):
    """What all optimizers have in common. Make one of its subclasses, or ask `get` for one by name.

    Optimizers are immutable, compare by value, and can be hashed, copied and pickled; `set_params` returns a new one.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate; or a function of the step, counted from 0, such as an object of ``fusedgrad.schedules``; or the name
        of a schedule, which then begins with `default_rate` and is as long as the training ('cosine' in an estimator:
        the steps of all its epochs; in ``scipy.optimize.minimize``: `maxiter`). None: in an estimator the estimator's
        rate, elsewhere `default_rate`.
    weight_decay : float in [0, inf), default=0.0
        Added to the gradient as ``weight_decay * w`` (coupled), or, where the class says so, by shrinking the weights
        by ``rate * weight_decay`` before the step (decoupled).
    clip_value : float in (0, inf) or None, default=None
        Each entry of the gradient is cut at ± this value.
    clip_norm : float in (0, inf) or None, default=None
        Then the gradient, of all arrays together, is shortened to this Euclidean norm:
        ``g *= min(1, clip_norm / (norm + 1e-6))``, as in torch.
    lazy : bool, default=False
        Whether parameters that a batch does not touch stand still, weights and moments, penalty and decay: columns of
        sparse rows in which the batch has no entry, and rows of an `Embedding` whose code it does not have. A batch
        then costs what its words cost, however many columns or codes there are. False: all parameters move in each
        step, as the formula says, so that moments decay and momentum goes on where the gradient is zero. The exact
        form is as cheap, and `lazy` changes nothing, for linear models by SGD without momentum, Adagrad and FTRL.
        Dense rows, and steps on arrays, touch everything. Not with averages of the weights, nor for linear models with
        `clip_norm`. The same approximation is torch's ``SparseAdam``.

    Attributes
    ----------
    name : str
        What `get` and the estimators call it.
    default_rate : float
        The rate if none is given: torch's default.
    linear_rate : float or None
        The rate that linear models use if none is given; None: they estimate it.

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of its range. (One error that is both.)

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import AdamW
    >>> from fusedgrad.schedules import Cosine
    >>> adam = AdamW(Cosine(0.1, steps=100), beta_2=0.99, clip_norm=1.0)
    >>> layers = [np.ones((3, 2), np.float32), np.zeros(2, np.float32)]
    >>> state = adam.init(layers)
    >>> adam.step(layers, [np.ones_like(layer) for layer in layers], state)
    >>> layers[1].round(4)
    array([-0.1, -0.1], dtype=float32)
    >>> state
    State(rule='adam', step=1, slots=[2 x (3, 2), 2 x (2,)])
    """

    name: ClassVar[str] = ""
    default_rate: ClassVar[float]
    linear_rate: ClassVar[float | None]
    _rule: ClassVar[str] = ""  # what the core calls it

    learning_rate: Rate = None
    weight_decay: float = field(default=0.0, kw_only=True)
    clip_value: float | None = field(default=None, kw_only=True)
    clip_norm: float | None = field(default=None, kw_only=True)
    lazy: bool = field(default=False, kw_only=True)

    def __init_subclass__(cls) -> None:
        cls._rule = cls._rule or cls.name

    def __post_init__(self) -> None:
        if not self.name:
            raise TypeError("Optimizer is abstract. Make one of its subclasses, such as Adam, or get one by its name.")
        if self._rule not in _RANGES:
            raise TypeError(
                f"{type(self).__name__}: optimizers of your own must be derived from one of the others, because update "
                f"rules are compiled; there is none named {self._rule!r}. Rules: {', '.join(_RANGES)}."
            )
        ranges: dict[str, Any] = {**_RANGES[self._rule], **_SHARED_RANGES, "learning_rate": _RATE}
        for parameter in fields(self):
            name, value = parameter.name, getattr(self, parameter.name)
            flag = isinstance(parameter.default, bool)
            rule = BOOLEAN if flag else ranges[name]
            if name == "learning_rate" and value is None:
                continue
            if not rule.allows(value):
                raise wrong_parameter(self, name, rule, value)
            plain = bool(value) if flag else float(value) if isinstance(value, Real) else value
            object.__setattr__(self, name, plain)  # the dataclass is frozen

    def init(self, params: Arrays) -> State:
        """Return the state before the first step.

        Parameters
        ----------
        params : ndarray, or list or tuple of ndarray
            What will be trained: float32 or float64, of any shape, contiguous in C order and writeable.

        Returns
        -------
        State

        Raises
        ------
        ValueError, TypeError
            If an array cannot be trained in place. The message names it.
        """
        allowed()  # steps without `n_jobs` use as many threads as were allowed at last
        arrays, count = self._stepper.arrays(params), self._stepper.slots
        return State(self._rule, [tuple(np.zeros(a.shape, a.dtype) for _ in range(count)) for a in arrays])

    def step(self, params: Arrays, grads: Arrays, state: State, *, n_jobs: int | None = None) -> None:
        """Move the parameters by one step, in place.

        Results are the same bits for any number of threads. The GIL is released meanwhile. Numbers too small to be
        normal (below 1e-38 in float32) count as zero.

        Parameters
        ----------
        params : ndarray, or list or tuple of ndarray
            The parameters, as in `init`.
        grads : ndarray, or list or tuple of ndarray
            Their gradients, of the same shapes and dtypes, contiguous in C order, in memory of their own. They are not
            changed.
        state : State
            What `init` returned; it is updated too.
        n_jobs : int or None, default=None
            Threads at most; fewer are used where that is measured to be faster. None or -1: as many as the process may
            use, see `fusedgrad.show_config`; -2 for one less, ...

        Raises
        ------
        ValueError, TypeError
            If an array does not fit, or the schedule gives no rate. The message names it, and nothing has changed.
        """
        if not isinstance(state, State) or state.rule != self._rule:
            raise self._foreign(state)
        rate = self._rate_at(state.step)
        threads = 0 if n_jobs is None else _threads(n_jobs)
        state.carry = self._stepper.step(params, grads, state.slots, state.step + 1, rate, state.carry, threads)
        state.step += 1

    def __call__(
        self,
        fun: Callable[..., Any],
        x0: ArrayLike,
        args: tuple[Any, ...] = (),
        jac: Any = None,
        hess: Any = None,
        hessp: Any = None,
        bounds: Any = None,
        constraints: Any = (),
        callback: Callable[..., Any] | None = None,
        **options: Any,
    ) -> OptimizeResult:
        """Minimise a function; this makes an optimizer a ``method`` of ``scipy.optimize.minimize``.

        Parameters
        ----------
        fun : callable ``f(x, *args) -> float``
            The objective.
        x0 : array-like of shape (n,)
            Where to start; float64 is used throughout.
        args : tuple, default=()
            More arguments of `fun` and `jac`.
        jac : callable ``(x, *args) -> ndarray of shape (n,)``, True or None, default=None
            The gradient. True: `fun` returns it too. Otherwise it is estimated by finite differences, which takes n + 1
            calls a step.
        hess, hessp, bounds, constraints : object
            Not used; a RuntimeWarning says so.
        callback : callable or None, default=None
            Called after each step as ``callback(x)``, or as ``callback(intermediate_result=...)`` with an
            OptimizeResult of `x` and `fun` if its only parameter has that name. StopIteration ends the descent.
        **options
            `maxiter` (default 10000), `gtol` (default 1e-5: stop when no entry of the gradient is larger; `tol` means
            the same), `eps` (the step of finite differences) and `return_all`.

        Returns
        -------
        OptimizeResult
            `x` is the last iterate, not the best one, with `fun` and `jac` there; `success`, `status` (0: the gradient
            is small, whether at a minimum or at a saddle point, 1: maxiter, 3: not finite, 4: diverged, that is after
            maxiter steps larger than at x0 by orders of magnitude, 99: StopIteration), `message`, `nit`, `nfev`,
            `njev`; `fun_history` is the list of values at x0 and after each step, and with `return_all` so is
            `x_history` of the points.

        Examples
        --------
        >>> from fusedgrad.optimizers import SGD
        >>> from scipy.optimize import minimize
        >>> fun, jac = lambda x: x @ x, lambda x: 2 * x
        >>> result = minimize(fun, [3.0, -4.0], jac=jac, method=SGD(0.25), options={"gtol": 0.5})
        >>> result.x, result.fun_history
        (array([ 0.1875, -0.25  ]), [25.0, 6.25, 1.5625, 0.390625, 0.09765625])
        """
        for name, value in {"hess": hess, "hessp": hessp, "bounds": bounds, "constraints": constraints}.items():
            if value is not None and np.any(value):
                warnings.warn(f"Method {type(self).__name__} cannot handle {name}.", RuntimeWarning, stacklevel=3)
        x = np.array(x0, np.float64, ndmin=1)
        optimizer = self
        if isinstance(self.learning_rate, str):
            steps = max(1, int(options.get("maxiter", MAXITER)))
            optimizer = self.set_params(
                learning_rate=as_schedule(self.learning_rate, rate=self.default_rate, steps=steps)
            )
        state = optimizer.init(x)
        return minimize(lambda x, g: optimizer.step(x, g, state), fun, x, args, jac, callback, **options)

    @property
    def rule(self) -> tuple[str, dict[str, float]]:
        """Name and fields of the update rule, as the core takes them."""
        return self._rule, {name: float(getattr(self, name)) for name in _RANGES[self._rule]}

    @property
    def penalty(self) -> dict[str, float]:
        """Weight decay as the core takes it: added to the gradient (`coupled`), or shrinking the weights (`decay`)."""
        decay = self.weight_decay
        return {"coupled": 0.0, "decay": decay} if self._decoupled() else {"coupled": decay, "decay": 0.0}

    @property
    def lasting(self) -> float:
        """The factor by which momentum multiplies the rate in the long run."""
        return 1.0

    def _decoupled(self) -> bool:
        return False

    @cached_property
    def _stepper(self) -> _core.Stepper:
        name, values = self.rule
        clip_value, clip_norm = (math.inf if clip is None else clip for clip in (self.clip_value, self.clip_norm))
        return _core.Stepper(name, list(values.items()), **self.penalty, clip_value=clip_value, clip_norm=clip_norm)

    def _rate_at(self, step: int) -> float:
        rate = self.learning_rate
        if rate is None:
            return self.default_rate
        if isinstance(rate, float):
            return rate
        if isinstance(rate, str):
            rate = as_schedule(rate, rate=self.default_rate)
        return rate_at(rate, step)

    def _foreign(self, state: object) -> Exception:
        if not isinstance(state, State):
            return TypeError(f"state must be what init returned, a State. Got {state!r}.")
        return ValueError(
            f"state is of the rule {state.rule!r}, but {type(self).__name__} has the rule {self._rule!r}. "
            "Make a new one by init."
        )

    def __repr__(self) -> str:
        """Only what differs from the defaults."""
        ordered = sorted(fields(self), key=lambda parameter: bool(parameter.kw_only))
        changed = [p.name for p in ordered if getattr(self, p.name) != p.default]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in changed)})"


def _threads(n_jobs: int) -> int:
    if not Number(Integral).allows(n_jobs) or n_jobs == 0:
        raise InvalidParameterError(f"n_jobs must be an int other than 0, or None. Got {n_jobs!r} instead.")
    return requested(n_jobs)
