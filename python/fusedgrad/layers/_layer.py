"""What layers have in common: rules for their parameters, initial weights, and the plan that they make for the core."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, field, fields
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._parts import Part
from .._validation.parameters import InvalidParameterError, OneOf, wrong_parameter

Shape = tuple[int, ...]
Init = str | float

ACTIVATIONS = {name: {f[0]: f[1] for f in described} for name, _, described in _core.activation_catalog()}
_LARGEST = 2**31 - 1  # the largest size that the core takes
_RECTIFIERS = ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "hard_swish", "mish")
_SCALES = {"glorot": 2.0, "he": 2.0, "lecun": 1.0}
_INITIALIZERS = (
    "auto",
    *(f"{name}_{kind}" for name in _SCALES for kind in ("uniform", "normal")),
    "orthogonal",
    "zeros",
)


def activations() -> list[str]:
    """Return the names of all activations.

    Examples
    --------
    >>> from fusedgrad import layers
    >>> layers.activations()[:4]
    ['identity', 'logistic', 'tanh', 'relu']
    """
    return list(ACTIVATIONS)


def initializers() -> list[str]:
    """Return the names of all initialisations of weights.

    ``'glorot'`` (Glorot & Bengio 2010) has variance ``2 / (fan_in + fan_out)``, ``'he'`` (He et al. 2015)
    ``2 / fan_in``, ``'lecun'`` (LeCun et al. 1998) ``1 / fan_in``, each uniform or normal; ``'orthogonal'`` (Saxe et
    al. 2014) has orthonormal rows or columns; ``'zeros'``. ``'auto'`` is He's (uniform) before the rectifiers, LeCun's
    (normal) before selu, otherwise Glorot's (uniform).

    Examples
    --------
    >>> from fusedgrad import layers
    >>> layers.initializers()[:2]
    ['auto', 'glorot_uniform']
    """
    return list(_INITIALIZERS)


def initial(
    init: Init,
    shape: tuple[int, int],
    rng: np.random.RandomState,
    activation: str | None = None,
    fan_out: int | None = None,
) -> NDArray[np.float64]:
    """Return weights of shape (fan_in, number of outputs), drawn as `init` says; `fan_out`, if it is not the latter."""
    if not isinstance(init, str):
        return np.full(shape, float(init))
    fan_in, fan_out = max(shape[0], 1), shape[1] if fan_out is None else fan_out
    if init == "auto":
        init = (
            "lecun_normal" if activation == "selu" else "he_uniform" if activation in _RECTIFIERS else "glorot_uniform"
        )
    if init == "zeros":
        return np.zeros(shape)
    if init == "orthogonal":
        tall = max(shape), min(shape)
        q, r = np.linalg.qr(rng.standard_normal(tall))
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)  # so that every orthogonal matrix is equally likely
        return q if shape[0] >= shape[1] else q.T
    name, _, kind = init.partition("_")
    deviation = math.sqrt(_SCALES[name] / (fan_in + fan_out if name == "glorot" else fan_in))
    if kind == "normal":
        return rng.normal(0.0, deviation, shape)
    bound = math.sqrt(3.0) * deviation
    return rng.uniform(-bound, bound, shape)


@dataclass
class Weight:
    """A piece of parameters: its shape, and how it begins. ``fresh(rng)`` returns its first values."""

    shape: tuple[int, int]
    fresh: Callable[[np.random.RandomState], Any]


@dataclass
class Plan:
    """A network on its way from layers to what the core takes: nodes, initial values, labels, and what X must be."""

    nodes: list[dict[str, Any]] = field(default_factory=list)
    weights: list[Weight] = field(default_factory=list)  # of each trained piece
    statistics: list[Weight] = field(default_factory=list)  # of each piece that is kept but not trained
    masking: tuple[int, int, float] | None = None  # steps and features of a row, and the number that is padding
    empty: str = "error"  # what to do with rows of nothing but padding: "error" or "zeros"
    masked: bool = False  # whether the time steps still are those of the input
    mask_used: bool = False
    codes: int | None = None  # numbers of X must be codes below
    reader: Layer | None = None  # which layer says so of X
    labels: dict[str, tuple[int, Shape]] = field(default_factory=dict)  # nodes up to and with a layer, and its shape
    # Of each layer of the network itself (not of those within others): shape of a row after it, nodes and pieces of
    # parameters up to and with it.
    shapes: list[Shape] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)

    def add(
        self,
        name: str,
        shape: Shape,
        out: Shape,
        values: dict[str, float],
        *,
        weights: Sequence[Weight] = (),
        statistics: Sequence[Weight] = (),
        **more: Any,
    ) -> None:
        """Append a node that maps rows of one shape to another."""
        self.nodes.append({"name": name, "in": math.prod(shape), "out": math.prod(out), "values": values, **more})
        self.weights.extend(weights)
        self.statistics.extend(statistics)

    def put(self, layer: Layer, before: Shape, after: Shape) -> None:
        """Append a layer.

        Raises
        ------
        ValueError
            If it cannot stand there, if it is too large, or if another layer has its label.
        """
        nodes, sizes = len(self.nodes), []
        layer.build(self, before)
        for node in self.nodes[nodes:]:
            values = node["values"]
            sizes += [node["in"], node["out"], *(value for value in values.values() if isinstance(value, int))]
            if "kernel_y" in values:  # of a window, and of the image with its padding
                sizes.append(values["kernel_y"] * values["kernel_x"] * values["channels"])
                height = values["height"] + values["top"] + values["bottom"]
                sizes.append(height * (values["width"] + values["left"] + values["right"]) * values["channels"])
        if max(sizes, default=0) > _LARGEST:
            raise ValueError(
                f"{layer!r}, for rows of shape {before}, would have a size of {max(sizes)}; sizes go up to 2**31 - 1. "
                "Use smaller numbers."
            )
        if layer.label in self.labels:
            raise ValueError(f"{layer!r} has the label {layer.label!r}, as a layer before; labels must differ.")
        if layer.label is not None:
            self.labels[layer.label] = len(self.nodes), after


def activation_rule(none: bool) -> OneOf:
    return OneOf(*ACTIVATIONS, *([None] if none else []), hidden=("sigmoid",))


def settle(layer: Layer, name: str) -> None:
    """Give an activation that goes by another name, elsewhere, ours."""
    if getattr(layer, name) == "sigmoid":
        object.__setattr__(layer, name, "logistic")  # the dataclass is frozen


class InitRule:
    """A rule: a name of `initializers`, or a number that all weights have."""

    names = _INITIALIZERS

    def allows(self, value: object) -> bool:
        if isinstance(value, str):
            return value in _INITIALIZERS
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)

    def __str__(self) -> str:
        return f"a finite number or one of {', '.join(map(repr, _INITIALIZERS))}"


class _Label:
    """A rule: a name, or None."""

    def allows(self, value: object) -> bool:
        return value is None or (isinstance(value, str) and bool(value))

    def __str__(self) -> str:
        return "a str that is not empty, or None"


@dataclass(frozen=True, repr=False)
class Layer(Part):
    """What all layers have in common. Make one of its subclasses.

    Layers are immutable, compare by value, and can be hashed, copied and pickled; `set_params` returns a new one.

    Parameters
    ----------
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.
    """

    label: str | None = field(default=None, kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {}

    def __post_init__(self) -> None:
        if type(self) is Layer:
            raise TypeError("Layer is abstract. Make one of its subclasses, such as Dense.")
        for name, rule in {**self._rules, "label": _Label()}.items():
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))  # the dataclass is frozen
            value = getattr(self, name)
            if not rule.allows(value):
                raise wrong_parameter(self, name, rule, value)

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of its output, for rows of the given shape.

        Parameters
        ----------
        shape : tuple of int
            The shape of a row of its input.

        Returns
        -------
        shape : tuple of int

        Raises
        ------
        ValueError
            If the layer cannot take such rows.
        """
        return self._shape(shape)

    def _shape(self, shape: Shape) -> Shape:
        return shape

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the nodes of the layer to a plan; for rows of the given shape."""
        raise NotImplementedError(
            f"{type(self).__name__}: layers of your own are not possible, because layers are computed in the compiled "
            "core. Use those of fusedgrad.layers."
        )

    def __repr__(self) -> str:
        """Only what differs from the defaults; parameters that come by position without their names."""
        parts = []
        for parameter in sorted(fields(self), key=lambda one: one.kw_only is True):
            value = getattr(self, parameter.name)
            if parameter.default is not MISSING and value == parameter.default:
                continue
            if isinstance(value, tuple) and value and isinstance(value[0], Layer):
                value = list(value)
            parts.append(repr(value) if not parameter.kw_only else f"{parameter.name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


def features_of(layer: Layer, shape: Shape) -> tuple[int, int]:
    """(features, positions) of a row: the last dimension, and the product of the others."""
    if not shape:
        raise ValueError(f"{layer!r} needs rows of at least one dimension; got rows of shape {shape}.")
    return shape[-1], math.prod(shape[:-1])


def check_sequence(layer: Layer, shape: Shape) -> None:
    if len(shape) != 2:
        raise ValueError(
            f"{layer!r} takes rows of shape (time, features); got rows of shape {shape}. Give sequences of that shape, "
            "or say how to see flat rows: input_shape=(28, 28)."
        )
    if 0 in shape:
        raise ValueError(f"{layer!r} needs at least one time step and one feature; got rows of shape {shape}.")


def checked(layers: Any, owner: str) -> tuple[Layer, ...]:
    """Return layers as a tuple.

    Raises
    ------
    ValueError, TypeError
        If it is no sequence of layers.
    """
    if isinstance(layers, Layer) or not isinstance(layers, Sequence) or isinstance(layers, str):
        raise InvalidParameterError(
            f"The 'layers' parameter of {owner} must be a list of layers. Got {layers!r} instead."
        )
    for k, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            hint = f" Call it: {layer.__name__}(...)." if isinstance(layer, type) and issubclass(layer, Layer) else ""
            raise InvalidParameterError(
                f"layers[{k}] of {owner} must be an object of fusedgrad.layers. Got {layer!r} instead.{hint}"
            )
    return tuple(layers)


def walk(layers: Sequence[Layer], shape: Shape) -> Iterator[tuple[int, Layer, Shape, Shape]]:
    """Yield (number, layer, shape before, shape after) of each layer.

    Raises
    ------
    ValueError
        If a layer does not fit; the message names it.
    """
    for k, layer in enumerate(layers):
        try:
            after = layer.shape(shape)
        except ValueError as error:
            raise ValueError(f"layers[{k}] does not fit: {error}") from None
        yield k, layer, shape, after
        shape = after


def assemble(layers: Sequence[Layer], shape: Shape) -> Plan:
    """Return the plan of a network for rows of a shape.

    Raises
    ------
    ValueError
        If a layer does not fit; the message names it.
    """
    plan = Plan()
    for k, layer, before, after in walk(layers, shape):
        try:
            plan.put(layer, before, after)
        except ValueError as error:
            raise ValueError(f"layers[{k}] does not fit: {error}") from None
        plan.shapes.append(after)
        plan.ends.append(len(plan.nodes))
        plan.pieces.append(len(plan.weights))
    if plan.masking and not plan.mask_used:
        raise ValueError(
            f"{plan.reader!r} marks padding, but there is no recurrent layer that would skip it. Put one behind it "
            "(convolutions and Flatten lose the marks), or leave the padding out."
        )
    return plan
