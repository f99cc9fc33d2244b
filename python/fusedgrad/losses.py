"""Loss functions: what each sample costs, and the slope of that cost in the raw prediction.

The classes of this module are made from the compiled core's catalog, so they are the functions that
estimators train with. Estimators take them by name (``loss="log_loss"``); the classes are for looking at a
loss, plotting it, or scoring with it.

>>> from fusedgrad import losses
>>> losses.names()[:3]
['hinge', 'perceptron', 'squared_hinge']
>>> huber = losses.Huber(epsilon=1.0)
>>> huber.value([0.0, 0.0], [0.5, 3.0])
array([0.125, 2.5  ])
>>> huber.slope([0.0, 0.0], [0.5, 3.0])
array([0.5, 1. ])
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._parts import Part
from ._validation.parameters import Number, did_you_mean

LOG_LINK = ("poisson", "gamma")  # whose raw predictions are logarithms of the mean


class _Field:
    """A hyper-parameter: its default, its range, its meaning."""

    def __init__(self, default: float, low: float, high: float, open_low: bool, open_high: bool, meaning: str):
        self.default, self.meaning = default, meaning
        self.rule = Number(low=low, high=high, open_low=open_low, open_high=open_high)


_FIELDS = {name: {field[0]: _Field(*field[1:]) for field in fields} for name, *_, fields in _core.loss_catalog()}


class Loss(Part):
    """A loss function of the catalog. Losses of your own are not possible yet.

    Parameters
    ----------
    **fields : float
        The hyper-parameters of the loss, see `fields`.

    Attributes
    ----------
    name : str
        What estimators call it.
    fields : dict of str to float
        Hyper-parameters and their values.
    negative : float
        The code of the negative class in classification (the positive class is 1).
    curvature : float
        The largest second derivative in the raw prediction: 0 for a loss of straight pieces (apart from its kinks), inf
        where it is unbounded.

    Raises
    ------
    TypeError
        If the loss has no such hyper-parameter, or if a class is derived from a loss.
    ValueError
        If a hyper-parameter is out of its range.
    """

    name: str
    negative: float
    curvature: float

    def __init_subclass__(cls, *, catalog: bool = False) -> None:
        if not catalog:
            raise TypeError(
                f"{cls.__name__}: losses of your own come in a later version, because estimators compute losses in the "
                f"compiled core. Until then use one of {', '.join(_FIELDS)}; or minimise a loss of your own with "
                "scipy.optimize.minimize(..., method=fusedgrad.optimizers.Adam()), or step by step with Optimizer.step."
            )

    def __init__(self, **fields: float):
        if type(self) is Loss:
            raise TypeError("Loss is abstract. Make one of its subclasses, such as Huber, or get one by its name.")
        known = _FIELDS[self.name]
        for name, value in fields.items():
            if name not in known:
                raise TypeError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {sorted(known) or 'none'}."
                    f"{did_you_mean(name, known)}"
                )
            rule = known[name].rule
            if not rule.allows(value):
                raise ValueError(f"{name} of {type(self).__name__} must be {rule}. Got {value!r}.")
        self.fields = {name: float(fields.get(name, field.default)) for name, field in known.items()}

    def _parameters(self) -> dict[str, Any]:
        return dict(self.fields)

    def value(self, y_true: ArrayLike, raw_prediction: ArrayLike) -> NDArray[np.float64]:
        """Return the loss of each sample.

        Parameters
        ----------
        y_true : array-like
            Targets; in classification 1 for the positive and `negative` for the negative class.
        raw_prediction : array-like of the same shape, or one that broadcasts with it
            What the linear model says, before any link function.

        Returns
        -------
        ndarray of float64
        """
        return self._points(y_true, raw_prediction)[0]

    def slope(self, y_true: ArrayLike, raw_prediction: ArrayLike) -> NDArray[np.float64]:
        """Return the derivative of the loss of each sample in the raw prediction.

        The parameters are those of `value`. At a kink, the slope that the estimators use.
        """
        return self._points(y_true, raw_prediction)[1]

    def _points(self, y_true: ArrayLike, raw_prediction: ArrayLike) -> tuple[Any, Any]:
        y, p = np.broadcast_arrays(np.asarray(y_true, dtype=float), np.asarray(raw_prediction, dtype=float))
        value, slope = _core.loss_points(self.name, list(self.fields.items()), y.ravel(), p.ravel())
        return value.reshape(y.shape), slope.reshape(y.shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.fields.items())})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.fields.items())))


def names() -> list[str]:
    """Return the names of all losses."""
    return list(_FIELDS)


def get(name: str, **fields: float) -> Loss:
    """Return a loss by its name.

    Raises
    ------
    ValueError
        If there is no loss of that name.
    """
    if name not in _FIELDS:
        raise ValueError(f"There is no loss named {name!r}. Losses: {', '.join(_FIELDS)}.{did_you_mean(name, _FIELDS)}")
    return globals()[_class_name(name)](**fields)


def _class_name(name: str) -> str:
    return name.title().replace("_", "")


for _name, _doc, _negative, _curvature, _ in _core.loss_catalog():
    _lines = [_doc, ""]
    if _FIELDS[_name]:
        _lines += ["Parameters", "----------"]
        for _key, _field in _FIELDS[_name].items():
            _lines += [f"{_key} : float in {_field.rule.interval}, default={_field.default}"]
            _lines += [f"    {_field.meaning[0].upper()}{_field.meaning[1:]}."]
    globals()[_class_name(_name)] = type(
        _class_name(_name),
        (Loss,),
        {
            "name": _name,
            "negative": _negative,
            "curvature": _curvature,
            "__doc__": "\n".join(_lines),
            "__module__": __name__,
        },
        catalog=True,
    )

__all__ = ["Loss", "get", "names", *map(_class_name, _FIELDS)]


def __getattr__(name: str) -> type[Loss]:  # for type checkers: the classes above exist at run time
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; losses: {', '.join(__all__[3:])}")
