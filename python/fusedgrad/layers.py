"""Layers of `NeuralClassifier` and `NeuralRegressor`: small immutable descriptions, put in a list.

>>> from fusedgrad.layers import BatchNorm, Dense, Dropout, Residual
>>> layers = [Dense(64), BatchNorm(), Residual([Dense(64, "gelu"), Dropout(0.1), Dense(64)])]
>>> layers[0]
Dense(64)

A layer is made for one row; the shape of a row has any number of dimensions, the last of which are the features (or
channels). What layers have learned belongs to the estimator, so the same list can serve many of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._checks import BOOLEAN, InvalidParameterError, Number, OneOf

__all__ = [
    "Activation",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "LayerNorm",
    "Residual",
    "activations",
    "initializers",
]

Shape = tuple[int, ...]
Init = str | float

_ACTIVATIONS = {name: {f[0]: f[1] for f in described} for name, _, described in _core.activation_catalog()}
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
    return list(_ACTIVATIONS)


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
    init: Init, shape: tuple[int, int], rng: np.random.RandomState, activation: str | None = None
) -> NDArray[np.float64]:
    """Return weights of shape (fan_in, fan_out), drawn as `init` says."""
    if not isinstance(init, str):
        return np.full(shape, float(init))
    fan_in, fan_out = max(shape[0], 1), shape[1]
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
    """How a piece of parameters begins: ``fresh(rng)`` returns its first values."""

    fresh: Callable[[np.random.RandomState], Any]


@dataclass
class Plan:
    """A network on its way from layers to what the core takes: nodes, initial values, and lines of the summary."""

    nodes: list[dict[str, Any]] = field(default_factory=list)
    weights: list[Weight] = field(default_factory=list)  # of each trained piece
    statistics: list[Weight] = field(default_factory=list)  # of each piece that is kept but not trained

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


def _activation_rule(none: bool) -> OneOf:
    return OneOf(*_ACTIVATIONS, *([None] if none else []), hidden=("sigmoid",))


def _settle(layer: Layer, name: str) -> None:
    """Give an activation that goes by another name, elsewhere, ours."""
    if getattr(layer, name) == "sigmoid":
        object.__setattr__(layer, name, "logistic")  # the dataclass is frozen


class _InitRule:
    """A rule: a name of `initializers`, or a number that all weights have."""

    def allows(self, value: object) -> bool:
        if isinstance(value, str):
            return value in _INITIALIZERS
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)

    def __str__(self) -> str:
        return f"a finite number or one of {', '.join(map(repr, _INITIALIZERS))}"


@dataclass(frozen=True, repr=False)
class Layer:
    """What all layers have in common. Make one of its subclasses.

    Layers are immutable, compare by value, and can be hashed, copied and pickled.
    """

    _rules: ClassVar[dict[str, Any]] = {}

    def __post_init__(self) -> None:
        if type(self) is Layer:
            raise TypeError("Layer is abstract. Make one of its subclasses, such as Dense.")
        for name, rule in self._rules.items():
            value = getattr(self, name)
            if not rule.allows(value):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must be {rule}. Got {value!r} instead."
                )

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
        return shape

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the nodes of the layer to a plan; for rows of the given shape."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Only what differs from the defaults; parameters that come by position without their names."""
        parts = []
        for parameter in fields(self):
            value = getattr(self, parameter.name)
            if parameter.default is not MISSING and value == parameter.default:
                continue
            if isinstance(value, tuple):
                value = list(value)
            parts.append(repr(value) if not parameter.kw_only else f"{parameter.name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


def _features(layer: Layer, shape: Shape) -> tuple[int, int]:
    """(features, positions) of a row: the last dimension, and the product of the others."""
    if not shape:
        raise ValueError(f"{layer!r} needs rows of at least one dimension; got rows of shape {shape}.")
    return shape[-1], math.prod(shape[:-1])


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """A fully connected layer: ``activation(x @ W + b)``.

    Rows of more than one dimension are multiplied along the last one.

    Parameters
    ----------
    units : int in [1, inf)
        Numbers of an output.
    activation : str or None, default=None
        A name of `activations` ('sigmoid' means 'logistic'). None: the products themselves. (Its parameters, where it
        has some, can be given to `Activation` as a layer of its own.)
    bias : bool, default=True
        Whether to add a bias.
    init : str or float, default='auto'
        How weights begin: a name of `initializers`, or a number that all have.
    bias_init : str or float, default='zeros'
        The same for the biases.

    Examples
    --------
    >>> from fusedgrad.layers import Dense
    >>> Dense(30, "relu", init="he_normal")
    Dense(30, 'relu', init='he_normal')
    >>> Dense(30).shape((5, 4))
    (5, 30)
    """

    units: int
    activation: str | None = None
    bias: bool = field(default=True, kw_only=True)
    init: Init = field(default="auto", kw_only=True)
    bias_init: Init = field(default="zeros", kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "units": Number(Integral, 1),
        "activation": _activation_rule(none=True),
        "bias": BOOLEAN,
        "init": _InitRule(),
        "bias_init": _InitRule(),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        _settle(self, "activation")

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of its output; see `Layer.shape`.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        shape : tuple of int
        """
        _features(self, shape)
        return (*shape[:-1], int(self.units))

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        features, positions = _features(self, shape)
        units = int(self.units)
        sizes = {"features": features, "units": units, "positions": positions, "bias": float(self.bias)}
        weights = [Weight(lambda rng: initial(self.init, (features, units), rng, self.activation))]
        if self.bias:
            weights.append(
                Weight(lambda rng: initial(self.bias_init, (max(features, 1), units), rng, self.activation)[:1])
            )
        activation = self.activation or "identity"
        plan.add(
            "dense",
            shape,
            self.shape(shape),
            sizes,
            weights=weights,
            activation=activation,
            activation_parameters=_ACTIVATIONS[activation],
        )


@dataclass(frozen=True, repr=False)
class Activation(Layer):
    """An activation as a layer of its own.

    Parameters
    ----------
    name : str
        A name of `activations`.
    alpha : float in [0, inf) or None, default=None
        The parameter of 'leaky_relu' (its slope to the left; None: 0.01) and 'elu' (minus its value far to the left;
        None: 1).

    Examples
    --------
    >>> from fusedgrad.layers import Activation
    >>> Activation("leaky_relu", alpha=0.2)
    Activation('leaky_relu', alpha=0.2)
    """

    name: str
    alpha: float | None = field(default=None, kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "name": _activation_rule(none=False),
        "alpha": Number(low=0, high=math.inf, open_high=True, none=True),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        _settle(self, "name")
        if self.alpha is not None and "alpha" not in _ACTIVATIONS[self.name]:
            having = [name for name, parameters in _ACTIVATIONS.items() if parameters]
            raise InvalidParameterError(
                f"Activation({self.name!r}) has no parameter alpha (got {self.alpha!r}); those with one: {having}."
            )

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        parameters = dict(_ACTIVATIONS[self.name])
        if self.alpha is not None:
            parameters["alpha"] = float(self.alpha)
        plan.add("activation", shape, shape, {}, activation=self.name, activation_parameters=parameters)


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training each number becomes 0 with probability `rate`, the others grow by ``1 / (1 - rate)``.

    Predictions use all numbers as they are.

    Parameters
    ----------
    rate : float in [0, 1), default=0.5
        The probability.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting".

    Examples
    --------
    >>> from fusedgrad.layers import Dropout
    >>> Dropout(0.2)
    Dropout(0.2)
    """

    rate: float = 0.5

    _rules: ClassVar[dict[str, Any]] = {"rate": Number(low=0, high=1, open_high=True)}

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        plan.add("dropout", shape, shape, {"rate": float(self.rate)})


def _affine(features: int, affine: bool) -> list[Weight]:
    one, zero = Weight(lambda rng: np.ones((1, features))), Weight(lambda rng: np.zeros((1, features)))
    return [one, zero] if affine else []


@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """Batch normalisation: each feature gets mean 0 and variance 1 over the batch, then a scale and a shift.

    Rows of more than one dimension are normalised by their last one, the channels. Predictions use running means and
    variances: ``r += momentum * (batch's - r)``.

    Parameters
    ----------
    momentum : float in (0, 1], default=0.1
        The share of the batch in the running means. (torch's convention; other libraries call ``1 - momentum`` so.)
    epsilon : float in (0, inf), default=1e-5
        Added to the variance.
    affine : bool, default=True
        Whether to learn a scale and a shift.

    References
    ----------
    Ioffe & Szegedy (2015), "Batch normalization: accelerating deep network training by reducing internal covariate
    shift". A batch with a single number per feature is normalised to 0 (torch raises an error).

    Examples
    --------
    >>> from fusedgrad.layers import BatchNorm
    >>> BatchNorm(momentum=0.01)
    BatchNorm(momentum=0.01)
    """

    momentum: float = field(default=0.1, kw_only=True)
    epsilon: float = field(default=1e-5, kw_only=True)
    affine: bool = field(default=True, kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "momentum": Number(low=0, high=1, open_low=True),
        "epsilon": Number(low=0, high=math.inf, open_low=True, open_high=True),
        "affine": BOOLEAN,
    }

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        features, positions = _features(self, shape)
        values = {
            "features": features,
            "positions": positions,
            "epsilon": float(self.epsilon),
            "momentum": float(self.momentum),
            "affine": float(self.affine),
        }
        mean, variance = Weight(lambda rng: np.zeros((1, features))), Weight(lambda rng: np.ones((1, features)))
        weights = _affine(features, self.affine)
        plan.add("batch_norm", shape, shape, values, weights=weights, statistics=[mean, variance])


@dataclass(frozen=True, repr=False)
class LayerNorm(Layer):
    """Layer normalisation: the features of each row get mean 0 and variance 1, then a scale and a shift each.

    Rows of more than one dimension are normalised along the last one, position by position.

    Parameters
    ----------
    epsilon : float in (0, inf), default=1e-5
        Added to the variance.
    affine : bool, default=True
        Whether to learn a scale and a shift.

    References
    ----------
    Ba, Kiros & Hinton (2016), "Layer normalization".

    Examples
    --------
    >>> from fusedgrad.layers import LayerNorm
    >>> LayerNorm()
    LayerNorm()
    """

    epsilon: float = field(default=1e-5, kw_only=True)
    affine: bool = field(default=True, kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "epsilon": Number(low=0, high=math.inf, open_low=True, open_high=True),
        "affine": BOOLEAN,
    }

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        features, positions = _features(self, shape)
        values = {
            "features": features,
            "positions": positions,
            "epsilon": float(self.epsilon),
            "affine": float(self.affine),
        }
        plan.add("layer_norm", shape, shape, values, weights=_affine(features, self.affine))


@dataclass(frozen=True, repr=False)
class Flatten(Layer):
    """Make one dimension of all dimensions of a row.

    Examples
    --------
    >>> from fusedgrad.layers import Flatten
    >>> Flatten().shape((28, 28, 1))
    (784,)
    """

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of its output; see `Layer.shape`.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        shape : tuple of int
        """
        return (math.prod(shape),)

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append nothing: rows lie in memory as they did."""


@dataclass(frozen=True, repr=False)
class Residual(Layer):
    """A residual block: ``x + f(x)``, where f is a list of layers that keeps the shape.

    Parameters
    ----------
    layers : sequence of Layer
        What f consists of; blocks can be nested.

    References
    ----------
    He et al. (2016), "Deep residual learning for image recognition".

    Examples
    --------
    >>> from fusedgrad.layers import Dense, Residual
    >>> Residual([Dense(8, "relu"), Dense(4)]).shape((4,))
    (4,)
    """

    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", checked(self.layers, "Residual"))  # the dataclass is frozen

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of its output; see `Layer.shape`.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        shape : tuple of int
        """
        out = [shape, *(after for *_, after in walk(self.layers, shape))][-1]
        if out != shape:
            raise ValueError(
                f"{self!r} makes rows of shape {out} from rows of shape {shape}, and cannot add the two. Its last "
                f"layer must keep the shape; with Dense, give it {shape[-1]} units."
            )
        return shape

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the nodes of its layers to a plan, and one that adds."""
        self.shape(shape)
        earlier = len(plan.nodes)
        for _, layer, before, _ in walk(self.layers, shape):
            layer.build(plan, before)
        plan.add("add", shape, shape, {}, earlier=earlier)


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
