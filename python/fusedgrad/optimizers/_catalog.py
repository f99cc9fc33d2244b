"""Optimizers by their names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .._validation.parameters import did_you_mean
from . import _adagrad, _adam, _lion, _sgd
from ._optimizer import Optimizer

_CATALOG: dict[str, Callable[..., Optimizer]] = {
    kind.name: kind
    for family in (_sgd, _adagrad, _adam, _lion)
    for name, kind in vars(family).items()  # in the order of their definition
    if name in family.__all__
}
_CATALOG["amsgrad"] = partial(_adam.Adam, amsgrad=True)


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
