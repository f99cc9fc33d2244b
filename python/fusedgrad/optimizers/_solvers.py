"""Solvers: optimizers that look at all rows at each step, and so need no rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult, minimize

from .._pairs import Pairs
from .._parts import Part
from .._validation.parameters import Number, wrong_parameter
from ._sgd import SGD

__all__ = ["LBFGS", "Auto", "LBFGSState"]

Arrays = NDArray[Any] | list[NDArray[Any]] | tuple[NDArray[Any], ...]

_OF_MINIMIZE = ("jac", "bounds", "callback", "tol")  # what SciPy gives a method, besides options

_FACTORED = 1001  # rows of a factor, at most
_FACTORS = 64 << 20  # bytes of all factors


@dataclass(frozen=True, repr=False)
class Solver(Part):
    """What solvers have in common: they are for linear models alone. Make one of its subclasses."""

    name: ClassVar[str] = ""
    grows: ClassVar[bool] = False  # whether training begins on a sample
    factors: ClassVar[bool] = False  # whether it knows more of the Hessian than its diagonal
    _ranges: ClassVar[dict[str, Any]] = {"memory": Number(Integral, 1, 100)}

    def __post_init__(self) -> None:
        if not self.name:
            raise TypeError("Solver is abstract. Make one of its subclasses, Auto or LBFGS.")
        for parameter in fields(self):
            value = getattr(self, parameter.name)
            if not self._ranges[parameter.name].allows(value):
                raise wrong_parameter(self, parameter.name, self._ranges[parameter.name], value)
            object.__setattr__(self, parameter.name, int(value))  # the dataclass is frozen

    @property
    def pairs(self) -> int:
        """Pairs of steps and changes of the gradient that are kept."""
        return 10

    def bytes_of(self, features: int, outputs: int) -> int:
        """Memory for a model's pairs and factors, at most."""
        weights = (features + 1) * outputs
        factors = min(outputs * min(features + 1, _FACTORED) ** 2 * 8, _FACTORS) if self.factors else 0
        return 2 * self.pairs * weights * 8 + factors

    def __repr__(self) -> str:
        """Only what differs from the defaults."""
        changed = [f"{p.name}={getattr(self, p.name)!r}" for p in fields(self) if getattr(self, p.name) != p.default]
        return f"{type(self).__name__}({', '.join(changed)})"


@dataclass(frozen=True, repr=False)
class Auto(Solver):
    """The optimum without tuning, for linear models: Newton's method on growing samples, corrected by L-BFGS.

    Training begins on a sample of the rows, which grows when it has told what it can; at last it sees all rows, ten
    times or so, on all threads. It ends when the objective is proven to be within `tol` of its optimum: the estimator's
    `optimality_gap_` says how near it is. No learning rate, batch size or schedule is used.

    Notes
    -----
    Steps are those of L-BFGS, preconditioned by the Hessian of some rows, factored (up to 1,000 columns), or by its
    diagonal. The factor takes 8 MB at most for each output, 64 MB in all; where several outputs would need more, they
    share one. Samples grow as in Byrd, Chin, Nocedal & Wu, "Sample size selection in optimization methods for machine
    learning", Math. Programming 2012. With an L1 penalty or ``positive=True`` steps lead to the minimum of the model of
    the Hessian and the penalty together (proximal Newton); beyond 1,000 columns X is copied, by columns. Losses with
    kinks ('hinge', 'absolute_error', 'quantile', ...) are means over a way to both sides, which shrinks to nothing.

    Sparse rows of more than 1,000 columns, fewer than two of them a column, begin by dual coordinate ascent, a row at a
    time (Shalev-Shwartz & Zhang, "Stochastic dual coordinate ascent methods for regularized loss minimization", JMLR
    2013); steps on all rows follow where that is slow. It is for a penalty of L2 alone and losses of bounded second
    derivatives (not 'poisson' and 'gamma', nor a softmax), and keeps a number in float64 for each row and output.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fusedgrad.linear_model import SGDClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SGDClassifier("log_loss", optimizer="auto", random_state=0).fit(X, y)
    >>> model.stop_reason_, model.optimality_gap_ < 1e-3
    ('converged', True)
    """

    name = "auto"
    grows = True
    factors = True


@dataclass(eq=False)
class LBFGSState:
    """What `LBFGS` remembers between steps on arrays; made by `LBFGS.init`. It can be copied and pickled.

    Attributes
    ----------
    pairs : object
        Steps and changes of the gradient.
    size : int
        Numbers of all arrays together.
    last : tuple of ndarray or None
        Parameters and gradients of the last step, in one row each.
    step : int
        How many steps were made.
    """

    pairs: Pairs
    size: int
    last: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    step: int = 0


def _trainable(params: Arrays) -> list[NDArray[Any]]:
    """The arrays; an error that names it, if one cannot be trained in place."""
    return SGD()._stepper.arrays(params)


@dataclass(frozen=True, repr=False)
class LBFGS(Solver):
    """L-BFGS: steps corrected by the last changes of the gradient.

    In linear models it looks at all rows from the beginning, on columns that are scaled by the diagonal of the Hessian,
    and searches along each direction for a place that is low enough; losses with kinks, L1 penalties and
    ``positive=True`` are met as `Auto` meets them, but for samples. On arrays, which have no objective to search by, a
    step is that of ``torch.optim.LBFGS``: as long as the curvature says, the first one ``min(1, 1 / sum(|g|))`` times
    the gradient. As a ``method`` of ``scipy.optimize.minimize`` it is SciPy's own "L-BFGS-B". Networks do not take it.

    Parameters
    ----------
    memory : int in [1, 100], default=10
        Pairs of steps and changes of the gradient that are kept.

    References
    ----------
    Liu & Nocedal, "On the limited memory BFGS method for large scale optimization", Math. Programming 1989.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fusedgrad.linear_model import SGDRegressor
    >>> from fusedgrad.optimizers import LBFGS
    >>> X, y = load_diabetes(return_X_y=True)
    >>> SGDRegressor(optimizer=LBFGS(memory=5), random_state=0).fit(X, y).stop_reason_
    'converged'

    >>> import numpy as np
    >>> w, target = np.zeros(3), np.array([1.0, 2.0, 3.0])
    >>> lbfgs = LBFGS()
    >>> state = lbfgs.init(w)
    >>> for _ in range(10):
    ...     lbfgs.step(w, np.array([1.0, 10.0, 100.0]) * (w - target), state)
    >>> w.round(3)
    array([1., 2., 3.])

    >>> from scipy.optimize import minimize, rosen, rosen_der
    >>> minimize(rosen, [2.0, 2.0], jac=rosen_der, method=LBFGS()).x.round(3)
    array([1., 1.])
    """

    name = "lbfgs"

    memory: int = 10

    @property
    def pairs(self) -> int:
        """Pairs of steps and changes of the gradient that are kept."""
        return self.memory

    def init(self, params: Arrays) -> LBFGSState:
        """Return the state before the first step.

        Parameters
        ----------
        params : ndarray, or list or tuple of ndarray
            What will be trained, as of `Optimizer.init`.

        Returns
        -------
        LBFGSState

        Raises
        ------
        ValueError, TypeError
            If an array cannot be trained in place. The message names it.
        """
        return LBFGSState(Pairs(self.memory), sum(array.size for array in _trainable(params)))

    def step(self, params: Arrays, grads: Arrays, state: LBFGSState) -> None:
        """Move the parameters by one step, in place.

        Parameters
        ----------
        params : ndarray, or list or tuple of ndarray
            The parameters, as in `init`.
        grads : ndarray, or list or tuple of ndarray
            Their gradients, of the same shapes.
        state : LBFGSState
            What `init` returned; it is updated too.

        Raises
        ------
        ValueError, TypeError
            If an array does not fit. Nothing has changed.
        """
        if not isinstance(state, LBFGSState):
            raise TypeError(f"state must be what init returned, an LBFGSState. Got {state!r}.")
        arrays, slopes = _trainable(params), [grads] if isinstance(grads, np.ndarray) else list(grads)
        shapes, theirs = ([np.shape(each) for each in part] for part in (arrays, slopes))
        if shapes != theirs:
            raise ValueError(f"params have the shapes {shapes}, grads {theirs}. Give a gradient of each array.")
        w, g = (np.concatenate([np.ravel(each) for each in part], dtype=np.float64) for part in (arrays, slopes))
        if len(w) != state.size:
            raise ValueError(f"params have {len(w)} numbers, but the state is of {state.size}. Make a new one by init.")
        if state.last is not None:
            state.pairs.add(w - state.last[0], g - state.last[1])
        if len(state.pairs):
            to = w - state.pairs.solve(g, np.copy)
        else:
            to = w - min(1.0, 1.0 / max(float(np.abs(g).sum()), 1e-300)) * g
        state.last, state.step = (w, g), state.step + 1
        for array, part in zip(arrays, np.split(to, np.cumsum([array.size for array in arrays])[:-1]), strict=True):
            array[...] = part.reshape(array.shape)

    def __call__(
        self, fun: Callable[..., Any], x0: ArrayLike, args: tuple[Any, ...] = (), **given: Any
    ) -> OptimizeResult:
        """Minimise a function by SciPy's "L-BFGS-B"; this is a ``method`` of ``scipy.optimize.minimize``.

        Parameters
        ----------
        fun : callable ``f(x, *args) -> float``
            The objective.
        x0 : array-like of shape (n,)
            Where to start.
        args : tuple, default=()
            More arguments of `fun` and of the gradient.
        **given
            What ``minimize`` was given besides, options of "L-BFGS-B" among them.

        Returns
        -------
        OptimizeResult
        """
        named = {name: given.pop(name, None) for name in _OF_MINIMIZE}
        for name in ("hess", "hessp", "constraints"):
            given.pop(name, None)
        return minimize(fun, x0, args, method="L-BFGS-B", options={"maxcor": self.memory, **given}, **named)
