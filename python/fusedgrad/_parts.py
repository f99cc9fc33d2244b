"""Parameters of parts: what optimizers, schedules, layers and losses have in common.

A part is immutable, so `set_params` returns a new one. Parameters within parameters have names as in scikit-learn,
``learning_rate__rate``; items of a list of parts go by their number, ``layers__0__units``.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ._validation.parameters import did_you_mean

if TYPE_CHECKING:
    from typing_extensions import Self


class Part:
    """A small immutable description whose parameters can be read, and copied with other values."""

    def _parameters(self) -> dict[str, Any]:
        """What the constructor takes, by name."""
        if not dataclasses.is_dataclass(self):  # a user's own class
            return dict(vars(self))
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of objects among them, as ``learning_rate__rate`` or ``layers__0__units``.

        Returns
        -------
        params : dict of str to object
        """
        own = self._parameters()
        return with_inner(own) if deep else own

    def set_params(self, **params: Any) -> Self:
        """Return a new object with other parameters; this one stays as it is.

        Parameters
        ----------
        **params : object
            New values by name, as `get_params` lists them.

        Returns
        -------
        object
            Of the same class.

        Raises
        ------
        ValueError
            If there is no parameter of that name, or a value is out of its range.
        """
        plain, inner = split(params)
        values = self._parameters()
        check_names(self, values, [*plain, *inner])
        values |= plain
        for name, of_part in inner.items():
            values[name] = replaced(values[name], of_part, name)
        return type(self)(**values)

    def __sklearn_clone__(self) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return self._parameters()

    def __setstate__(self, state: Any) -> None:
        if not dataclasses.is_dataclass(self) and type(self)._parameters is Part._parameters:
            self.__dict__.update(state)  # a user's own class
            return
        try:
            self.__init__(**state)  # type: ignore[misc]
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"A {type(self).__name__} cannot be made of what was stored, {state!r}: {error} It may have been "
                "stored by a newer version of fusedgrad; install that version."
            ) from error


def split(params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the parameters of an object itself, and those of each object among its parameters."""
    plain: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, value in params.items():
        name, delimiter, rest = key.partition("__")
        if delimiter:
            inner[name][rest] = value
        else:
            plain[name] = value
    return plain, dict(inner)


def check_names(owner: object, known: Any, names: list[str], *, kind: str = "") -> None:
    """Raise scikit-learn's error for the first name that is not known; `kind` is what the owner is."""
    for name in names:
        if name not in known:
            raise ValueError(
                f"Invalid parameter {name!r} for {kind}{owner!r}. Valid parameters are: {sorted(known)!r}."
                f"{did_you_mean(name, known)}"
            )


def is_list_of_parts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, Part) for item in value)


def with_inner(params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with those of the parts among them, and of the parts in lists among them."""
    out: dict[str, Any] = {}
    for name, value in params.items():
        inner: dict[str, Any] = {}
        if isinstance(value, Part):
            inner = value.get_params()
        elif is_list_of_parts(value):
            inner = with_inner({str(k): item for k, item in enumerate(value)})
        out.update({f"{name}__{key}": each for key, each in inner.items()})
        out[name] = value
    return out


def replaced(value: Any, params: dict[str, Any], name: str) -> Any:
    """Return a part, or a list of parts, with other parameters.

    Raises
    ------
    ValueError
        If the value is neither, or has no such parameter; `name` is what messages call it.
    """
    if isinstance(value, Part):
        return value.set_params(**params)
    first = next(iter(params))
    if not is_list_of_parts(value):
        raise ValueError(
            f"{name}__{first} cannot be set, because {name}={value!r} is no object that has parameters. Set {name} to "
            "an object of fusedgrad.layers, losses, optimizers or schedules first, or in the same call."
        )
    items = list(value)
    plain, inner = split(params)
    for key in (*plain, *inner):
        if not key.isdecimal() or int(key) >= len(items):
            raise ValueError(
                f"{name}__{key} is not there: {name} has {len(items)} items, {name}__0 to {name}__{len(items) - 1}."
            )
    for key, item in plain.items():
        items[int(key)] = item
    for key, of_part in inner.items():
        items[int(key)] = replaced(items[int(key)], of_part, f"{name}__{key}")
    return type(value)(items)
