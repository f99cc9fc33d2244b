"""Optimizers: how weights move, given their gradient.

An optimizer is a small immutable description, which is used in three ways: in an estimator, where a `learning_rate` of
its own takes precedence over the estimator's; on NumPy arrays, in place and in one pass over memory; and as a method of
``scipy.optimize.minimize``. Formulas and defaults are those of ``torch.optim`` where torch has the rule, so that a
trajectory equals torch's to rounding.

>>> import numpy as np
>>> from fusedgrad import optimizers
>>> w = np.array([1.0, -2.0])
>>> adam = optimizers.Adam(0.1)
>>> state = adam.init(w)
>>> for _ in range(3):
...     adam.step(w, 2 * w, state)  # the gradient of w @ w
>>> w.round(4)
array([ 0.7016, -1.7006])

>>> from scipy.optimize import minimize, rosen, rosen_der
>>> minimize(rosen, [2.0, 2.0], jac=rosen_der, method=optimizers.Adam(0.05)).x.round(3)
array([1., 1.])
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult

from . import _core
from ._minimize import MAXITER, minimize
from ._parts import Part
from ._threads import allowed, requested
from ._training.rates import LearningRate
from ._validation.parameters import BOOLEAN, InvalidParameterError, Number, did_you_mean, wrong_parameter
from .schedules import _number, _wrong_rate, as_schedule

__all__ = [
    "ASGD",
    "FTRL",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "State",
    "get",
    "names",
]

Rate = float | str | Callable[[int], float] | None
Arrays = NDArray[Any] | list[NDArray[Any]] | tuple[NDArray[Any], ...]

_RANGES = {
    rule: {name: Number(low=low, high=high, open_low=o, open_high=p) for name, _, low, high, o, p, _ in described}
    for rule, _, described in _core.rule_catalog()
}
_RATE = LearningRate()
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
        number = _number(rate, step)
        if not 0 <= number < math.inf:
            raise _wrong_rate(rate, step, number)
        return number

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


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Gradient descent, with momentum where wanted.

    ``w -= rate * g``. With momentum ``m = momentum * m + (1 - dampening) * g`` (in the first step ``m = g``), and
    ``w -= rate * m``, or with Nesterov's momentum ``w -= rate * (g + momentum * m)``.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.001. See `Optimizer`.
    momentum : float in [0, 1), default=0.0
        The share of the last step that is kept. In the long run it multiplies the rate by `lasting`.
    dampening : float in [0, 1), default=0.0
        The share of the gradient that momentum leaves out.
    nesterov : bool, default=False
        Whether to look ahead; needs momentum without dampening.
    rate_inside : bool, default=False
        Whether momentum gathers steps, ``m = momentum * m + rate * (1 - dampening) * g``, as in scikit-learn, rather
        than gradients, as in torch. The two differ where the rate changes.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Polyak (1964), "Some methods of speeding up the convergence of iteration methods"; Sutskever et al. (2013), "On the
    importance of initialization and momentum in deep learning". The rate stands outside m, as in torch.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import SGD
    >>> w, opt = np.array([1.0, -2.0]), SGD(0.1, momentum=0.9)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.95, -2.  ])
    """

    name: ClassVar[str] = "sgd"
    default_rate: ClassVar[float] = 0.001
    linear_rate: ClassVar[float | None] = None

    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    rate_inside: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and (self.momentum == 0.0 or self.dampening != 0.0):
            raise InvalidParameterError(
                "SGD with nesterov=True needs momentum > 0 and dampening = 0. "
                f"Got momentum={self.momentum!r} and dampening={self.dampening!r}."
            )

    @property
    def lasting(self) -> float:
        """The factor by which momentum multiplies the rate in the long run."""
        return (1 - self.dampening) / (1 - self.momentum) if self.momentum else 1.0


@dataclass(frozen=True, repr=False)
class Adagrad(Optimizer):
    """The gradient over the root of the sum of all squared gradients.

    ``h += g**2``, ``w -= rate * g / (sqrt(h) + epsilon)``. Rare features keep large steps, which suits sparse data.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.01. See `Optimizer`.
    lr_decay : float in [0, inf), default=0.0
        The rate of step t = 0, 1, ... is divided by ``1 + t * lr_decay``.
    epsilon : float in [0, inf), default=1e-10
        Added to the root.
    initial_accumulator : float in [0, inf), default=0.0
        Where the sum starts.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Duchi, Hazan & Singer (2011), "Adaptive subgradient methods for online learning and stochastic optimization".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import Adagrad
    >>> w, opt = np.array([1.0, -2.0]), Adagrad(0.1)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.9, -2. ])
    """

    name: ClassVar[str] = "adagrad"
    default_rate: ClassVar[float] = 0.01
    linear_rate: ClassVar[float | None] = 0.1

    lr_decay: float = 0.0
    epsilon: float = 1e-10
    initial_accumulator: float = 0.0


@dataclass(frozen=True, repr=False)
class Adadelta(Optimizer):
    """The gradient over its root mean square, times the root mean square of the steps so far; the rate may stay at 1.

    ``v = rho * v + (1 - rho) * g**2``, ``d = g * sqrt(u + epsilon) / sqrt(v + epsilon)``,
    ``u = rho * u + (1 - rho) * d**2``, ``w -= rate * d``.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 1.0. See `Optimizer`.
    rho : float in [0, 1), default=0.9
        Decay of both means of squares.
    epsilon : float in [0, inf), default=1e-06
        Added under the roots; it decides on the first steps.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Zeiler (2012), "ADADELTA: an adaptive learning rate method".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import Adadelta
    >>> w, opt = np.array([1.0, -2.0]), Adadelta()
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.99683779, -2.        ])
    """

    name: ClassVar[str] = "adadelta"
    default_rate: ClassVar[float] = 1.0
    linear_rate: ClassVar[float | None] = 1.0

    rho: float = 0.9
    epsilon: float = 1e-6


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """The gradient over its root mean square, with momentum where wanted.

    ``v = alpha * v + (1 - alpha) * g**2``, ``w -= rate * g / (sqrt(v) + epsilon)``. With momentum
    ``m = momentum * m + g / (sqrt(v) + epsilon)``, ``w -= rate * m``.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.01. See `Optimizer`.
    alpha : float in [0, 1), default=0.99
        Decay of the mean of squares.
    epsilon : float in [0, inf), default=1e-08
        Added to the root.
    momentum : float in [0, 1), default=0.0
        The share of the last step that is kept.
    centered : bool, default=False
        Whether v is the variance: the square of the gradients' mean is taken off.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Tieleman & Hinton (2012), "Neural networks for machine learning", lecture 6.5; centered: Graves (2013), "Generating
    sequences with recurrent neural networks". A variance that rounding makes negative counts as zero (in torch it makes
    the weights NaN).

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import RMSprop
    >>> w, opt = np.array([1.0, -2.0]), RMSprop(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.90000002, -2.        ])
    """

    name: ClassVar[str] = "rmsprop"
    default_rate: ClassVar[float] = 0.01
    linear_rate: ClassVar[float | None] = 0.01

    alpha: float = 0.99
    epsilon: float = 1e-8
    momentum: float = 0.0
    centered: bool = False


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """The mean of gradients over their root mean square, both without the bias of starting from zero.

    ``m = beta_1 * m + (1 - beta_1) * g``, ``v = beta_2 * v + (1 - beta_2) * g**2``,
    ``w -= rate * (m / (1 - beta_1**t)) / (sqrt(v / (1 - beta_2**t)) + epsilon)`` in step t = 1, 2, ...

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.001. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        Decay of the mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of the mean of squares.
    epsilon : float in [0, inf), default=1e-08
        Added to the root, after the correction of v.
    amsgrad : bool, default=False
        Whether to divide by the largest v so far: AMSGrad.
    epsilon_hat : bool, default=False
        Whether epsilon is added before the bias correction of v, as in scikit-learn, rather than after it, as in torch.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Kingma & Ba (2015), "Adam: a method for stochastic optimization"; AMSGrad: Reddi, Kale & Kumar (2018), "On the
    convergence of Adam and beyond".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import Adam
    >>> w, opt = np.array([1.0, -2.0]), Adam(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.99, -2.  ])
    """

    name: ClassVar[str] = "adam"
    default_rate: ClassVar[float] = 0.001
    linear_rate: ClassVar[float | None] = 0.01

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    amsgrad: bool = False
    epsilon_hat: bool = False


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """`Adam` with decoupled weight decay: the weights shrink directly, not through the gradient's means.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.001. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        Decay of the mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of the mean of squares.
    epsilon : float in [0, inf), default=1e-08
        Added to the root, after the correction of v.
    amsgrad : bool, default=False
        Whether to divide by the largest v so far: AMSGrad.
    epsilon_hat : bool, default=False
        Whether epsilon is added before the bias correction of v, as in scikit-learn, rather than after it, as in torch.
    weight_decay : float in [0, inf), default=0.01
        Decoupled: the weights shrink by ``rate * weight_decay`` before the step.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Loshchilov & Hutter (2019), "Decoupled weight decay regularization"; in torch's form, where decay follows the rate.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import AdamW
    >>> w, opt = np.array([1.0, -2.0]), AdamW(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.9899, -1.9998])
    """

    name: ClassVar[str] = "adamw"
    default_rate: ClassVar[float] = 0.001
    linear_rate: ClassVar[float | None] = 0.01

    weight_decay: float = field(default=0.01, kw_only=True)

    def _decoupled(self) -> bool:
        return True


@dataclass(frozen=True, repr=False)
class Adamax(Optimizer):
    """`Adam` with the largest gradient, slowly forgotten, in place of the root mean square.

    ``m = beta_1 * m + (1 - beta_1) * g``, ``u = max(beta_2 * u, abs(g) + epsilon)``,
    ``w -= rate / (1 - beta_1**t) * m / u`` in step t = 1, 2, ...

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.002. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        Decay of the mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of the largest gradient.
    epsilon : float in [0, inf), default=1e-08
        Added to the size of the gradient.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Kingma & Ba (2015), "Adam: a method for stochastic optimization", algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import Adamax
    >>> w, opt = np.array([1.0, -2.0]), Adamax(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.99, -2.  ])
    """

    name: ClassVar[str] = "adamax"
    default_rate: ClassVar[float] = 0.002
    linear_rate: ClassVar[float | None] = 0.01

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8


@dataclass(frozen=True, repr=False)
class NAdam(Optimizer):
    """`Adam` that looks ahead, as Nesterov's momentum does.

    With m and v of Adam and ``mu_t = beta_1 * (1 - 0.96**(t * momentum_decay) / 2)``, step t = 1, 2, ... moves w by
    ``-rate * ((1 - mu_t) / (1 - mu_1 ... mu_t) * g + mu_t+1 / (1 - mu_1 ... mu_t+1) * m)`` over Adam's root.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.002. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        Decay of the mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of the mean of squares.
    epsilon : float in [0, inf), default=1e-08
        Added to the root, after the correction of v.
    momentum_decay : float in [0, inf), default=0.004
        How fast mu grows to `beta_1`.
    decoupled_weight_decay : bool, default=False
        Whether `weight_decay` shrinks the weights by ``rate * weight_decay`` instead of changing the gradient.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient; or decoupled, see `decoupled_weight_decay`.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Dozat (2016), "Incorporating Nesterov momentum into Adam".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import NAdam
    >>> w, opt = np.array([1.0, -2.0]), NAdam(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.98943548, -2.        ])
    """

    name: ClassVar[str] = "nadam"
    default_rate: ClassVar[float] = 0.002
    linear_rate: ClassVar[float | None] = 0.01

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum_decay: float = 4e-3
    decoupled_weight_decay: bool = False

    def _decoupled(self) -> bool:
        return self.decoupled_weight_decay


@dataclass(frozen=True, repr=False)
class RAdam(Optimizer):
    """`Adam` that divides by its root mean square only once enough gradients have been seen to trust it.

    Until then, five steps with the default `beta_2`, it is momentum alone; then the rate grows to its full size.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.001. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        Decay of the mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of the mean of squares.
    epsilon : float in [0, inf), default=1e-08
        Added to the root, before the correction of v, as in torch.
    decoupled_weight_decay : bool, default=False
        Whether `weight_decay` shrinks the weights by ``rate * weight_decay`` instead of changing the gradient.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient; or decoupled, see `decoupled_weight_decay`.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Liu et al. (2020), "On the variance of the adaptive learning rate and beyond".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import RAdam
    >>> w, opt = np.array([1.0, -2.0]), RAdam(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.995, -2.   ])
    """

    name: ClassVar[str] = "radam"
    default_rate: ClassVar[float] = 0.001
    linear_rate: ClassVar[float | None] = 0.03

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    decoupled_weight_decay: bool = False

    def _decoupled(self) -> bool:
        return self.decoupled_weight_decay


@dataclass(frozen=True, repr=False)
class Lion(Optimizer):
    """Steps of the size of the rate, in the direction of the sign of a mean of gradients.

    ``w -= rate * sign(beta_1 * m + (1 - beta_1) * g)``, then ``m = beta_2 * m + (1 - beta_2) * g``. It wants a rate
    3 to 10 times smaller than Adam's. In an estimator an L1 penalty enters as a subgradient, so coefficients do not
    become exactly zero.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.0001. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        The share of the mean in the direction.
    beta_2 : float in [0, 1), default=0.99
        Decay of the mean of gradients.
    weight_decay : float in [0, inf), default=0.0
        Decoupled: the weights shrink by ``rate * weight_decay`` before the step.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Chen et al. (2023), "Symbolic discovery of optimization algorithms".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import Lion
    >>> w, opt = np.array([1.0, -2.0]), Lion(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.99, -2.  ])
    """

    name: ClassVar[str] = "lion"
    default_rate: ClassVar[float] = 0.0001
    linear_rate: ClassVar[float | None] = 0.03

    beta_1: float = 0.9
    beta_2: float = 0.99

    def _decoupled(self) -> bool:
        return True


@dataclass(frozen=True, repr=False)
class FTRL(Optimizer):
    """Follow the regularised leader, proximal: for sparse data, with an L1 penalty that gives exact zeros.

    Without penalty it is Adagrad with ``eta = rate / (beta + sqrt(h))``. The penalties `l1` and `l2` are those of all
    steps together. In an estimator the objective's penalty joins them, growing with the steps.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.1. See `Optimizer`.
    beta : float in (0, inf), default=1.0
        Added to the root of the sum of squares.
    l1 : float in [0, inf), default=0.0
        The L1 penalty.
    l2 : float in [0, inf), default=0.0
        The L2 penalty.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    McMahan et al. (2013), "Ad click prediction: a view from the trenches". It starts from the weights given, and the
    rate may change from step to step.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import FTRL
    >>> w, opt = np.array([1.0, -2.0]), FTRL(0.1, l1=0.7)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.96666667, -2.        ])
    """

    name: ClassVar[str] = "ftrl"
    default_rate: ClassVar[float] = 0.1
    linear_rate: ClassVar[float | None] = 0.1

    beta: float = 1.0
    l1: float = 0.0
    l2: float = 0.0


@dataclass(frozen=True, repr=False)
class ASGD(Optimizer):
    """Gradient descent whose answer is the average of the weights on the way: see `State.average`.

    In step t = 0, 1, ... ``eta = rate / (1 + lambd * rate * t)**alpha``, ``w = (1 - lambd * eta) * w - eta * g``; in an
    estimator the fitted coefficients are the average.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.01. See `Optimizer`.
    lambd : float in [0, inf), default=0.0001
        Decay of the weights and of the rate.
    alpha : float in [0, inf), default=0.75
        The power with which the rate falls.
    t0 : float in [0, inf), default=1000000.0
        The average is that of the weights after more than t0 + 1 steps; until then it is the last weights.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.

    References
    ----------
    Polyak & Juditsky (1992), "Acceleration of stochastic approximation by averaging"; in torch's form.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import ASGD
    >>> w, opt = np.array([1.0, -2.0]), ASGD(0.1, t0=0)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.94999, -1.99998])
    """

    name: ClassVar[str] = "asgd"
    default_rate: ClassVar[float] = 0.01
    linear_rate: ClassVar[float | None] = None

    lambd: float = 1e-4
    alpha: float = 0.75
    t0: float = 1e6


_CATALOG: dict[str, Callable[..., Optimizer]] = {
    kind.name: kind for kind in (SGD, Adagrad, Adadelta, RMSprop, Adam, AdamW, Adamax, NAdam, RAdam, Lion, FTRL, ASGD)
}
_CATALOG["amsgrad"] = partial(Adam, amsgrad=True)


def names() -> list[str]:
    """Return the names of all optimizers.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from fusedgrad import optimizers
    >>> optimizers.names()[:3]
    ['sgd', 'adagrad', 'adadelta']
    """
    return list(_CATALOG)


def get(name: str, **parameters: Any) -> Optimizer:
    """Return an optimizer by its name.

    Parameters
    ----------
    name : str
        One of `names`; "amsgrad" is `Adam` with ``amsgrad=True``.
    **parameters
        The parameters of the optimizer.

    Returns
    -------
    Optimizer

    Raises
    ------
    ValueError
        If there is no such name, or a parameter is out of its range.
    TypeError
        If the optimizer has no parameter of that name.

    Examples
    --------
    >>> from fusedgrad import optimizers
    >>> optimizers.get("amsgrad", beta_2=0.99)
    Adam(beta_2=0.99, amsgrad=True)
    """
    if name not in _CATALOG:
        raise ValueError(
            f"There is no optimizer named {name!r}. Optimizers: {', '.join(_CATALOG)}.{did_you_mean(name, _CATALOG)}"
        )
    return _CATALOG[name](**parameters)


def _threads(n_jobs: int) -> int:
    if not Number(Integral).allows(n_jobs) or n_jobs == 0:
        raise InvalidParameterError(f"n_jobs must be an int other than 0, or None. Got {n_jobs!r} instead.")
    return requested(n_jobs)
