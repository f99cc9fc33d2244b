"""What all estimators share besides scikit-learn's base class: parameters of parts, and what a pickle of them holds."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from sklearn.base import BaseEstimator
from sklearn.utils import metaestimators

from . import optimizers
from ._atomic import unchanged_on_error
from ._config import __version__
from ._parts import Part, check_names, replaced, split, with_inner

if TYPE_CHECKING:
    from typing_extensions import Self

FORMAT = 1  # of pickled estimators: it grows when a version reads what earlier versions cannot
_WRITTEN_BY, _FORMAT = "_fusedgrad_version", "_fusedgrad_format"


_Method = TypeVar("_Method", bound=Callable[..., Any])


def available_if(check: Callable[[Any], bool]) -> Callable[[_Method], _Method]:
    """scikit-learn's decorator of this name, with the type of the method."""
    return cast(Callable[[_Method], _Method], metaestimators.available_if(check))


class Estimator(BaseEstimator):  # type: ignore[misc]
    """scikit-learn's base class, for estimators that have immutable parts among their parameters.

    Pickles name public classes only: those of `_plain` are replaced by the arguments of their constructors.
    """

    _plain: ClassVar[dict[str, type]] = {}  # attributes that hold objects of private classes

    # ---- parameters ----

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of the optimizers, schedules, layers and losses among them, as
            ``optimizer__learning_rate`` or ``layers__0__units``.

        Returns
        -------
        params : dict of str to object
        """
        params: dict[str, Any] = super().get_params(deep=deep)
        return with_inner(params) if deep else params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and parameters of the objects among them.

        Parameters
        ----------
        **params : object
            New values by name. ``optimizer__learning_rate=0.1`` replaces the optimizer by one with another rate, and
            ``layers__0__units=64`` the list of layers by one with another first layer; objects that were given are not
            changed. An optimizer that goes by its name becomes an object. ``optimizer="adam"`` in the same call counts
            first.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there is no parameter of that name. Nothing is changed then.
        """
        plain, inner = split(params)
        check_names(self, self._get_param_names(), [*plain, *inner], kind="estimator ")
        with unchanged_on_error(self):
            for name, value in plain.items():
                setattr(self, name, value)
            for name, of_part in inner.items():
                value = self._object_of(name)
                if hasattr(value, "set_params") and not isinstance(value, Part):  # an estimator, of a subclass
                    value.set_params(**of_part)
                else:
                    setattr(self, name, replaced(value, of_part, name))
        return self

    def _object_of(self, name: str) -> Any:
        """The object that a parameter is, or that it names."""
        value = getattr(self, name)
        return optimizers.get(value) if name == "optimizer" and isinstance(value, str) else value

    # ---- pickles ----

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in self._plain:
            if state.get(name) is not None:
                state[name] = _arguments(state[name])
        return {**state, _WRITTEN_BY: __version__, _FORMAT: FORMAT}

    def __setstate__(self, state: Any) -> None:
        state = dict(state) if isinstance(state, dict) else {}
        by, written = state.pop(_WRITTEN_BY, None), state.pop(_FORMAT, None)
        name = type(self).__name__
        if by is None or not isinstance(written, int) or written < 1:
            raise ValueError(
                f"This {name} does not say which version of fusedgrad stored it: it was stored before 0.2.0, or is "
                "damaged. Fit it again."
            )
        if written > FORMAT:
            raise ValueError(
                f"This {name} was stored by fusedgrad {by}, in format {written}; fusedgrad {__version__} reads formats "
                f"up to {FORMAT}. Install fusedgrad {by} or newer to load it."
            )
        for attribute, kind in self._plain.items():
            if state.get(attribute) is not None:
                try:
                    state[attribute] = _made(kind, state[attribute])
                except (TypeError, ValueError) as error:
                    raise ValueError(
                        f"The attribute {attribute!r} of this {name}, stored by fusedgrad {by} in format {written}, is "
                        f"not what fusedgrad {__version__} knows: {error}"
                    ) from error
        super().__setstate__(state)


def _arguments(value: Any) -> dict[str, Any]:
    """What a private object is made of, by the names of its constructor, which its attributes have too."""
    return {name: getattr(value, name) for name in inspect.signature(type(value)).parameters}


def _made(kind: type, arguments: Any) -> Any:
    known = list(inspect.signature(kind).parameters)
    if not isinstance(arguments, dict) or sorted(map(str, arguments)) != sorted(known):
        found = sorted(map(str, arguments)) if isinstance(arguments, dict) else f"a {type(arguments).__name__}"
        raise ValueError(f"it must have {sorted(known)}, and has {found}.")
    return kind(**arguments)
