"""The public paths of classes and functions: those that pickles hold, and that never change."""

from __future__ import annotations

import inspect
from types import ModuleType

from . import callbacks, dask, data, layers, linear_model, losses, neural_network, optimizers, schedules

MODULES = (dask, layers, linear_model, losses, neural_network, optimizers, schedules)


def _own(module: ModuleType) -> list[type]:
    """The classes that a public module offers and defines, itself or within its package."""
    return [
        found
        for name, found in vars(module).items()
        if inspect.isclass(found)
        and not name.startswith("_")
        and f"{found.__module__}.".startswith(f"{module.__name__}.")
    ]


def publish() -> None:
    """Give classes and functions the path by which users import them."""
    for module in (callbacks, data, *MODULES):
        functions = [f for f in vars(module).values() if inspect.isfunction(f)]
        for found in [*_own(module), *functions]:
            if found.__module__.startswith(f"{module.__name__}."):
                found.__module__ = module.__name__


def skops_trusted_types() -> list[str]:
    """Return the types that skops must trust to load fusedgrad's estimators.

    Returns
    -------
    names : list of str
        Public paths, such as 'fusedgrad.linear_model.SGDClassifier', in alphabetical order.

    Notes
    -----
    These are all of fusedgrad's own. What else an estimator holds (a callable as learning rate, a scorer) has to be
    trusted by its own name; ``skops.io.get_untrusted_types`` lists what a file holds.

    Examples
    --------
    >>> import fusedgrad
    >>> fusedgrad.skops_trusted_types()[:2]
    ['fusedgrad.dask.SGDClassifier', 'fusedgrad.dask.SGDClassifierCV']

    With skops, ``skops.io.load("model.skops", trusted=fusedgrad.skops_trusted_types())``.
    """
    return sorted(f"{found.__module__}.{found.__qualname__}" for module in MODULES for found in _own(module))
