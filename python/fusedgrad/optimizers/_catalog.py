"""Optimizers by their names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, overload

from .._validation.parameters import did_you_mean
from . import _adagrad, _adam, _lion, _sgd
from ._optimizer import Optimizer
from ._solvers import LBFGS, Auto, Solver

_CATALOG: dict[str, Callable[..., Optimizer]] = {
    kind.name: kind
    for family in (_sgd, _adagrad, _adam, _lion)
    for name, kind in vars(family).items()  # in the order of their definition
    if name in family.__all__
}
_CATALOG["amsgrad"] = partial(_adam.Adam, amsgrad=True)
SOLVERS: dict[str, Callable[..., Solver]] = {kind.name: kind for kind in (Auto, LBFGS)}


def names() -> list[str]:
    """Return the names of all optimizers.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from fusedgrad import optimizers
    >>> optimizers.names()[:3]
    ['sgd', 'asgd', 'adagrad']
    """
    return list(_CATALOG)


def solver_names() -> list[str]:
    """Return the names of all solvers, which linear models take as optimizers.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from fusedgrad import optimizers
    >>> optimizers.solver_names()
    ['auto', 'lbfgs']
    """
    return list(SOLVERS)


@overload
def get(name: Literal["auto"], **parameters: Any) -> Auto: ...
@overload
def get(name: Literal["lbfgs"], **parameters: Any) -> LBFGS: ...
@overload
def get(name: str, **parameters: Any) -> Optimizer: ...
def get(name: str, **parameters: Any) -> Any:
    """Return an optimizer or a solver by its name.

    Parameters
    ----------
    name : str
        One of `names` or of `solver_names`; "amsgrad" is `Adam` with ``amsgrad=True``.
    **parameters
        The parameters of the optimizer.

    Returns
    -------
    Optimizer or Solver

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
    known = {**_CATALOG, **SOLVERS}
    if name not in known:
        raise ValueError(
            f"There is no optimizer named {name!r}. Optimizers: {', '.join(known)}.{did_you_mean(name, known)}"
        )
    return known[name](**parameters)
