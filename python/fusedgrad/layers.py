"""Layers of `NeuralClassifier` and `NeuralRegressor`: small immutable descriptions, put in a list.

>>> from fusedgrad.layers import BatchNorm, Dense, Dropout, Residual
>>> layers = [Dense(64), BatchNorm(), Residual([Dense(64, "gelu"), Dropout(0.1), Dense(64)])]
>>> layers[0]
Dense(64)

A layer is made for one row; the shape of a row has any number of dimensions, the last of which are the features (or
channels): images are (height, width, channels), sequences (time, features). What layers have learned belongs to the
estimator, so the same list can serve many of them.
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
from ._checks import BOOLEAN, Either, InvalidParameterError, Number, OneOf

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "AvgPool2D",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool2D",
    "Layer",
    "LayerNorm",
    "Masking",
    "MaxPool2D",
    "Residual",
    "SimpleRNN",
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
    """How a piece of parameters begins: ``fresh(rng)`` returns its first values."""

    fresh: Callable[[np.random.RandomState], Any]


@dataclass
class Plan:
    """A network on its way from layers to what the core takes: nodes, initial values, and lines of the summary."""

    nodes: list[dict[str, Any]] = field(default_factory=list)
    weights: list[Weight] = field(default_factory=list)  # of each trained piece
    statistics: list[Weight] = field(default_factory=list)  # of each piece that is kept but not trained
    masking: tuple[int, int, float] | None = None  # steps and features of a row, and the number that is padding
    masked: bool = False  # whether the time steps still are those of the input
    mask_used: bool = False
    codes: int | None = None  # numbers of X must be codes below
    reader: Layer | None = None  # which layer says so of X
    labels: dict[str, tuple[int, Shape]] = field(default_factory=dict)  # nodes up to and with a layer, and its shape

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
            If it cannot stand there, or if another layer has its label.
        """
        layer.build(self, before)
        if layer.label in self.labels:
            raise ValueError(f"{layer!r} has the label {layer.label!r}, as a layer before; labels must differ.")
        if layer.label is not None:
            self.labels[layer.label] = len(self.nodes), after


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


class _Label:
    """A rule: a name, or None."""

    def allows(self, value: object) -> bool:
        return value is None or (isinstance(value, str) and bool(value))

    def __str__(self) -> str:
        return "a str that is not empty, or None"


class _Pair:
    """A rule: a whole number, or one for each of the two axes; names besides."""

    def __init__(self, low: int, *names: str | None):
        self.low, self.names = low, names

    def allows(self, value: object) -> bool:
        if value is None or isinstance(value, str):
            return value in self.names
        one = Number(Integral, self.low)
        return one.allows(value) or (isinstance(value, tuple) and len(value) == 2 and all(map(one.allows, value)))

    def __str__(self) -> str:
        names = "".join(f", or {name!r}" for name in self.names)
        return f"an int in [{self.low}, inf), or two of them{names}"


@dataclass(frozen=True, repr=False)
class Layer:
    """What all layers have in common. Make one of its subclasses.

    Layers are immutable, compare by value, and can be hashed, copied and pickled.

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
        for parameter in sorted(fields(self), key=lambda one: one.kw_only is True):
            value = getattr(self, parameter.name)
            if parameter.default is not MISSING and value == parameter.default:
                continue
            if isinstance(value, tuple) and value and isinstance(value[0], Layer):
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
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

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
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

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
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

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
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

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
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

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

    Parameters
    ----------
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

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
        plan.masked = False


# ---- windows over images ----

Pair = int | tuple[int, int]


def _pair(value: Any) -> tuple[int, int]:
    y, x = value if isinstance(value, tuple) else (value, value)
    return int(y), int(x)


def _image(layer: Layer, shape: Shape) -> None:
    if len(shape) != 3:
        raise ValueError(
            f"{layer!r} takes rows of shape (height, width, channels); got rows of shape {shape}. Give images of that "
            "shape, or say how to see flat rows: input_shape=(28, 28, 1)."
        )
    if 0 in shape:
        raise ValueError(f"{layer!r} needs at least one pixel and one channel; got rows of shape {shape}.")


def _sequence(layer: Layer, shape: Shape) -> None:
    if len(shape) != 2:
        raise ValueError(
            f"{layer!r} takes rows of shape (time, features); got rows of shape {shape}. Give sequences of that shape, "
            "or say how to see flat rows: input_shape=(28, 28)."
        )
    if 0 in shape:
        raise ValueError(f"{layer!r} needs at least one time step and one feature; got rows of shape {shape}.")


def _window(
    layer: Layer, shape: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any = 1
) -> tuple[dict[str, float], tuple[int, int]]:
    """Sizes as the core takes them, and (height, width) of the output, for an image of a shape."""
    values: dict[str, float] = {"height": shape[0], "width": shape[1], "channels": shape[2]}
    out = []
    names = ("y", "top", "bottom"), ("x", "left", "right")
    pairs = map(_pair, (kernel, stride, dilation, 0 if isinstance(padding, str) else padding))
    for size, k, s, d, pad, (axis, before, after) in zip(shape, *pairs, names, strict=False):
        reach = (k - 1) * d + 1
        total = max(0, (-(-size // s) - 1) * s + reach - size) if padding == "same" else 2 * pad
        first = total // 2
        if size + total < reach or size == 0:
            extent = " x ".join(str((k - 1) * d + 1) for k, d in zip(_pair(kernel), _pair(dilation), strict=True))
            raise ValueError(
                f"{layer!r} has windows of {extent} pixels, and rows of shape {shape} are smaller than that. Use a "
                "smaller window, padding='same', or fewer layers that shrink the image before."
            )
        values |= {f"kernel_{axis}": k, f"stride_{axis}": s, f"dilation_{axis}": d, before: first, after: total - first}
        out.append((size + total - reach) // s + 1)
    return values, (out[0], out[1])


def _convolution(layer: Any, plan: Plan, image: Shape, shape: Shape, out: Shape, kernel: Any, values: Any) -> None:
    channels, filters, groups = image[2], int(layer.filters), int(layer.groups)
    taps = math.prod(_pair(kernel))
    size = (taps * channels // groups, filters)
    activation = layer.activation or "identity"

    def weights(rng: np.random.RandomState) -> Any:
        return initial(layer.init, size, rng, layer.activation, fan_out=taps * filters // groups)

    def biases(rng: np.random.RandomState) -> Any:
        return initial(layer.bias_init, size, rng, layer.activation)[:1]

    plan.add(
        "convolution",
        shape,
        out,
        {**values, "filters": filters, "groups": groups, "bias": float(layer.bias)},
        weights=[Weight(weights), Weight(biases)][: 1 + layer.bias],
        activation=activation,
        activation_parameters=_ACTIVATIONS[activation],
    )
    plan.masked = False


def _check_groups(layer: Any, shape: Shape) -> None:
    if shape[-1] % layer.groups or layer.filters % layer.groups:
        raise ValueError(
            f"{layer!r}: channels and filters must be multiples of groups={layer.groups}; there are {shape[-1]} "
            f"channels (rows of shape {shape}) and {layer.filters} filters."
        )


@dataclass(frozen=True, repr=False)
class Conv2D(Layer):
    """A convolution of images: at each position ``activation(window * W + b)``, a number for each filter.

    Rows are (height, width, channels); the output is (height, width, filters), smaller by the kernel unless padded.

    Parameters
    ----------
    filters : int in [1, inf)
        Channels of the output.
    kernel_size : int in [1, inf) or tuple of two
        Height and width of the window.
    activation : str or None, default=None
        A name of `activations` ('sigmoid' means 'logistic'). None: the sums themselves.
    stride : int in [1, inf) or tuple of two, default=1
        Pixels from one window to the next.
    padding : {'valid', 'same'}, int in [0, inf) or tuple of two, default='valid'
        'valid': none. 'same': as many zeros around the image as make the output ``ceil(size / stride)`` pixels; an odd
        one comes below and to the right. Or the number of zeros at each border.
    dilation : int in [1, inf) or tuple of two, default=1
        Pixels from one pixel of a window to the next.
    groups : int in [1, inf), default=1
        Channels are cut in so many parts, and each filter sees one of them; as many groups as channels make a depthwise
        convolution.
    bias : bool, default=True
        Whether to add a bias.
    init : str or float, default='auto'
        How weights begin: a name of `initializers`, or a number that all have. The fan-in of a filter is the pixels of
        its window times its channels.
    bias_init : str or float, default='zeros'
        The same for the biases.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    Notes
    -----
    Weights are (kernel height * kernel width * channels / groups, filters) in `weights_`; ``W.reshape(kernel height,
    kernel width, -1, filters)`` shows the filters. As everywhere in this field the kernel is not flipped
    (cross-correlation).

    References
    ----------
    LeCun et al. (1998), "Gradient-based learning applied to document recognition".

    Examples
    --------
    >>> from fusedgrad.layers import Conv2D
    >>> Conv2D(16, 3, "relu", padding="same")
    Conv2D(16, 3, 'relu', padding='same')
    >>> Conv2D(16, 3, stride=2).shape((28, 28, 1))
    (13, 13, 16)
    """

    filters: int
    kernel_size: Pair
    activation: str | None = None
    stride: Pair = field(default=1, kw_only=True)
    padding: Pair | str = field(default="valid", kw_only=True)
    dilation: Pair = field(default=1, kw_only=True)
    groups: int = field(default=1, kw_only=True)
    bias: bool = field(default=True, kw_only=True)
    init: Init = field(default="auto", kw_only=True)
    bias_init: Init = field(default="zeros", kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "filters": Number(Integral, 1),
        "kernel_size": _Pair(1),
        "activation": _activation_rule(none=True),
        "stride": _Pair(1),
        "padding": _Pair(0, "valid", "same"),
        "dilation": _Pair(1),
        "groups": Number(Integral, 1),
        "bias": BOOLEAN,
        "init": _InitRule(),
        "bias_init": _InitRule(),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        _settle(self, "activation")

    def _window(self, shape: Shape) -> tuple[dict[str, float], tuple[int, int]]:
        _image(self, shape)
        _check_groups(self, shape)
        return _window(self, shape, self.kernel_size, self.stride, self.padding, self.dilation)

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of its output; see `Layer.shape`.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        shape : tuple of int
        """
        return (*self._window(shape)[1], int(self.filters))

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        _convolution(self, plan, shape, shape, self.shape(shape), self.kernel_size, self._window(shape)[0])


@dataclass(frozen=True, repr=False)
class Conv1D(Layer):
    """A convolution along time: at each step ``activation(window * W + b)``, a number for each filter.

    Rows are (time, channels); the output is (time, filters), shorter by the kernel unless padded.

    Parameters
    ----------
    filters : int in [1, inf)
        Channels of the output.
    kernel_size : int in [1, inf)
        Steps of the window.
    activation : str or None, default=None
        A name of `activations` ('sigmoid' means 'logistic'). None: the sums themselves.
    stride : int in [1, inf), default=1
        Steps from one window to the next.
    padding : {'valid', 'same'} or int in [0, inf), default='valid'
        'valid': none. 'same': as many zeros around the sequence as make the output ``ceil(time / stride)`` steps; an
        odd one comes at the end. Or the number of zeros at each end.
    dilation : int in [1, inf), default=1
        Steps from one step of a window to the next.
    groups : int in [1, inf), default=1
        Channels are cut in so many parts, and each filter sees one of them.
    bias : bool, default=True
        Whether to add a bias.
    init, bias_init : str or float, default='auto' and 'zeros'
        How weights and biases begin: a name of `initializers`, or a number that all have.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    References
    ----------
    Waibel et al. (1989), "Phoneme recognition using time-delay neural networks".

    Examples
    --------
    >>> from fusedgrad.layers import Conv1D
    >>> Conv1D(8, 5, padding="same").shape((100, 3))
    (100, 8)
    """

    filters: int
    kernel_size: int
    activation: str | None = None
    stride: int = field(default=1, kw_only=True)
    padding: int | str = field(default="valid", kw_only=True)
    dilation: int = field(default=1, kw_only=True)
    groups: int = field(default=1, kw_only=True)
    bias: bool = field(default=True, kw_only=True)
    init: Init = field(default="auto", kw_only=True)
    bias_init: Init = field(default="zeros", kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        **Conv2D._rules,
        "kernel_size": Number(Integral, 1),
        "stride": Number(Integral, 1),
        "padding": Either(Number(Integral, 0), OneOf("valid", "same")),
        "dilation": Number(Integral, 1),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        _settle(self, "activation")

    def _window(self, shape: Shape) -> tuple[dict[str, float], tuple[int, int]]:
        """As of an image of one row."""
        _sequence(self, shape)
        _check_groups(self, shape)
        padding = self.padding if isinstance(self.padding, str) else (0, self.padding)
        try:
            return _window(self, (1, *shape), (1, self.kernel_size), (1, self.stride), padding, (1, self.dilation))
        except ValueError:
            reach = (self.kernel_size - 1) * self.dilation + 1
            raise ValueError(
                f"{self!r} has windows of {reach} steps, and rows of shape {shape} are shorter than that. Use a "
                "smaller window or padding='same'."
            ) from None

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of its output; see `Layer.shape`.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        shape : tuple of int
        """
        return (self._window(shape)[1][1], int(self.filters))

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        kernel = (1, self.kernel_size)
        _convolution(self, plan, (1, *shape), shape, self.shape(shape), kernel, self._window(shape)[0])


@dataclass(frozen=True, repr=False)
class _Pool2D(Layer):
    pool_size: Pair = 2
    stride: Pair | None = field(default=None, kw_only=True)
    padding: Pair | str = field(default="valid", kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "pool_size": _Pair(1),
        "stride": _Pair(1, None),
        "padding": _Pair(0, "valid", "same"),
    }
    _node: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.padding, str) and any(
            p >= k for p, k in zip(_pair(self.padding), _pair(self.pool_size), strict=True)
        ):
            raise InvalidParameterError(
                f"The 'padding' parameter of {type(self).__name__} must be smaller than pool_size={self.pool_size!r}. "
                f"Got {self.padding!r} instead."
            )

    def _window(self, shape: Shape) -> tuple[dict[str, float], tuple[int, int]]:
        _image(self, shape)
        return _window(
            self, shape, self.pool_size, self.pool_size if self.stride is None else self.stride, self.padding
        )

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of its output; see `Layer.shape`.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        shape : tuple of int
        """
        return (*self._window(shape)[1], shape[2])

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        plan.add(self._node, shape, self.shape(shape), self._window(shape)[0])
        plan.masked = False


@dataclass(frozen=True, repr=False)
class MaxPool2D(_Pool2D):
    """The largest number of each window, channel by channel.

    Parameters
    ----------
    pool_size : int in [1, inf) or tuple of two, default=2
        Height and width of the window.
    stride : int in [1, inf), tuple of two or None, default=None
        Pixels from one window to the next. None: as many as the window has.
    padding : {'valid', 'same'}, int in [0, inf) or tuple of two, default='valid'
        As of `Conv2D`, but less than the window; padding never is the largest.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    References
    ----------
    Jarrett et al. (2009), "What is the best multi-stage architecture for object recognition?"

    Examples
    --------
    >>> from fusedgrad.layers import MaxPool2D
    >>> MaxPool2D(2).shape((28, 28, 16))
    (14, 14, 16)
    """

    _node: ClassVar[str] = "max_pool"


@dataclass(frozen=True, repr=False)
class AvgPool2D(_Pool2D):
    """The mean of each window, channel by channel.

    Parameters
    ----------
    pool_size : int in [1, inf) or tuple of two, default=2
        Height and width of the window.
    stride : int in [1, inf), tuple of two or None, default=None
        Pixels from one window to the next. None: as many as the window has.
    padding : {'valid', 'same'}, int in [0, inf) or tuple of two, default='valid'
        As of `Conv2D`, but less than the window. Padding does not count (torch: ``count_include_pad=False``).
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    References
    ----------
    LeCun et al. (1998), "Gradient-based learning applied to document recognition".

    Examples
    --------
    >>> from fusedgrad.layers import AvgPool2D
    >>> AvgPool2D(3, stride=2).shape((28, 28, 16))
    (13, 13, 16)
    """

    _node: ClassVar[str] = "average_pool"


@dataclass(frozen=True, repr=False)
class GlobalAvgPool2D(Layer):
    """The mean of each channel over the image.

    Parameters
    ----------
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    References
    ----------
    Lin, Chen & Yan (2014), "Network in network", section 3.2.

    Examples
    --------
    >>> from fusedgrad.layers import GlobalAvgPool2D
    >>> GlobalAvgPool2D().shape((7, 7, 32))
    (32,)
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
        _image(self, shape)
        return shape[2:]

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        values, _ = _window(self, shape, shape[:2], shape[:2], "valid")
        plan.add("average_pool", shape, shape[2:], values)
        plan.masked = False


# ---- sequences ----


@dataclass(frozen=True, repr=False)
class Masking(Layer):
    """Time steps of X whose numbers all are `value` are padding, which recurrent layers skip. The first layer.

    So sequences of several lengths come in one array, filled up with `value` at the end (or anywhere). A recurrent
    layer keeps its state where it meets padding, and gives zeros; with ``return_sequences=False`` its output is the
    state after the last step that is none. The mask is good until a layer changes the time steps (convolution,
    `Flatten`).

    Parameters
    ----------
    value : float, default=0.0
        What padding is filled with.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    Examples
    --------
    >>> from fusedgrad.layers import GRU, Masking
    >>> layers = [Masking(-1.0), GRU(32)]
    """

    value: float = 0.0

    _rules: ClassVar[dict[str, Any]] = {"value": Number(low=-math.inf, high=math.inf, open_low=True, open_high=True)}

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of its output, which is that of its input; see `Layer.shape`.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        shape : tuple of int
        """
        _sequence(self, shape)
        return shape

    def build(self, plan: Plan, shape: Shape) -> None:
        """Tell the plan."""
        _first(self, plan)
        steps, features = shape
        plan.masking, plan.masked, plan.reader = (steps, features, float(self.value)), True, self


@dataclass(frozen=True, repr=False)
class Embedding(Layer):
    """Codes become vectors: each number k of a row, 0 <= k < codes, becomes row k of a table. The first layer.

    Rows of shape (time,) become (time, units).

    Parameters
    ----------
    codes : int in [1, 2**24]
        How many codes there are; numbers of X are 0, 1, ..., codes - 1.
    units : int in [1, inf)
        Numbers of a vector.
    padding : int in [0, inf) or None, default=None
        The code that is padding, which recurrent layers skip; see `Masking`.
    init : str or float, default='auto'
        How the table begins: a name of `initializers`, or a number that all entries have. 'auto': normal, with variance
        ``1 / units``, so that vectors have a length of about 1.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    References
    ----------
    Bengio et al. (2003), "A neural probabilistic language model".

    Examples
    --------
    >>> from fusedgrad.layers import Embedding
    >>> Embedding(1000, 16, padding=0).shape((40,))
    (40, 16)
    """

    codes: int
    units: int
    padding: int | None = field(default=None, kw_only=True)
    init: Init = field(default="auto", kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "codes": Number(Integral, 1, 2**24),
        "units": Number(Integral, 1),
        "padding": Number(Integral, 0, none=True),
        "init": _InitRule(),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.padding is not None and self.padding >= self.codes:
            raise InvalidParameterError(
                f"The 'padding' parameter of Embedding must be a code, an int in [0, {self.codes}). Got "
                f"{self.padding!r} instead."
            )

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of its output; see `Layer.shape`.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        shape : tuple of int
        """
        if len(shape) != 1 or shape[0] == 0:
            raise ValueError(f"{self!r} takes rows of shape (time,) with at least one code; got rows of shape {shape}.")
        return (*shape, int(self.units))

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        _first(self, plan)
        size = int(self.codes), int(self.units)

        def table(rng: np.random.RandomState) -> Any:
            if self.init == "auto":
                return rng.normal(0.0, 1 / math.sqrt(size[1]), size)
            return initial(self.init, size, rng)

        values: dict[str, float] = {"codes": size[0], "units": size[1], "steps": shape[0]}
        plan.add("embedding", shape, self.shape(shape), values, weights=[Weight(table)])
        plan.codes, plan.reader = size[0], self
        if self.padding is not None:
            plan.masking, plan.masked = (shape[0], 1, float(self.padding)), True


def _first(layer: Layer, plan: Plan) -> None:
    if plan.nodes or plan.masking:
        raise ValueError(f"{layer!r} must be the first layer of a network: it speaks of the numbers in X.")


@dataclass(frozen=True, repr=False)
class _Recurrent(Layer):
    units: int
    return_sequences: bool = field(default=False, kw_only=True)
    bidirectional: bool = field(default=False, kw_only=True)
    truncate: int | None = field(default=None, kw_only=True)
    bias: bool = field(default=True, kw_only=True)
    init: Init = field(default="auto", kw_only=True)
    recurrent_init: Init = field(default="orthogonal", kw_only=True)
    bias_init: Init = field(default="zeros", kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "units": Number(Integral, 1),
        "return_sequences": BOOLEAN,
        "bidirectional": BOOLEAN,
        "truncate": Number(Integral, 1, none=True),
        "bias": BOOLEAN,
        "init": _InitRule(),
        "recurrent_init": _InitRule(),
        "bias_init": _InitRule(),
    }
    _gates: ClassVar[int] = 1

    @property
    def _node(self) -> str:
        raise NotImplementedError

    def _biases(self, rng: np.random.RandomState, features: int) -> Any:
        """Those of the product with the input."""
        return self._by_gates(lambda: initial(self.bias_init, (features, int(self.units)), rng)[:1])

    def _by_gates(self, draw: Callable[[], Any]) -> Any:
        return np.hstack([draw() for _ in range(self._gates)])

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of its output; see `Layer.shape`.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        shape : tuple of int
        """
        _sequence(self, shape)
        units = int(self.units) * (2 if self.bidirectional else 1)
        return (shape[0], units) if self.return_sequences else (units,)

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        out, (steps, features), units = self.shape(shape), shape, int(self.units)
        values = {
            "steps": steps,
            "features": features,
            "units": units,
            "sequences": float(self.return_sequences),
            "both_ways": float(self.bidirectional),
            "bias": float(self.bias),
            "truncation": 0 if self.truncate is None else int(self.truncate),
            "masked": float(plan.masked),
        }

        def kernel(rng: np.random.RandomState) -> Any:
            return self._by_gates(lambda: initial(self.init, (features, units), rng))

        def recurrent(rng: np.random.RandomState) -> Any:
            return self._by_gates(lambda: initial(self.recurrent_init, (units, units), rng))

        def inner(rng: np.random.RandomState) -> Any:
            return np.zeros((1, self._gates * units))

        weights = [Weight(kernel), Weight(recurrent)]
        if self.bias:
            weights += [Weight(lambda rng: self._biases(rng, max(features, 1))), Weight(inner)]
        plan.add(self._node, shape, out, values, weights=weights * (2 if self.bidirectional else 1))
        plan.mask_used |= plan.masked
        plan.masked &= bool(self.return_sequences)


@dataclass(frozen=True, repr=False)
class SimpleRNN(_Recurrent):
    """A simple recurrent layer: ``h = activation(x @ W + b + h' @ U + b')``, step after step, h' from the step before.

    Rows are (time, features); the output is the last state, (units,), or all of them, (time, units).

    Parameters
    ----------
    units : int in [1, inf)
        Numbers of the state.
    activation : {'tanh', 'relu'}, default='tanh'
        What is made of the sums.
    return_sequences : bool, default=False
        Whether the output is the state after each step, rather than after the last.
    bidirectional : bool, default=False
        Whether a second set of weights runs from the last step to the first; outputs stand side by side.
    truncate : int in [1, inf) or None, default=None
        Truncated back-propagation: slopes do not go back across every `truncate`-th step. None: they go all the way.
    bias : bool, default=True
        Whether to add biases.
    init, recurrent_init, bias_init : str or float, default='auto', 'orthogonal' and 'zeros'
        How W, U and b begin: a name of `initializers`, or a number that all have. b' begins with zeros.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    Notes
    -----
    Weights in `weights_`: W (features, units), U (units, units), b and b' (1, units); with `bidirectional` the same
    again. Two biases, as in torch.

    References
    ----------
    Elman (1990), "Finding structure in time"; Werbos (1990), "Backpropagation through time"; Schuster & Paliwal (1997),
    "Bidirectional recurrent neural networks".

    Examples
    --------
    >>> from fusedgrad.layers import SimpleRNN
    >>> SimpleRNN(32, return_sequences=True).shape((28, 10))
    (28, 32)
    """

    activation: str = "tanh"

    _rules: ClassVar[dict[str, Any]] = {**_Recurrent._rules, "activation": OneOf("tanh", "relu")}

    @property
    def _node(self) -> str:
        return f"rnn_{self.activation}"


@dataclass(frozen=True, repr=False)
class GRU(_Recurrent):
    """A layer of gated recurrent units.

    With gates r and z, ``n = tanh(x @ W_n + b_n + r * (h' @ U_n + b'_n))`` and ``h = (1 - z) * n + z * h'``.

    Parameters
    ----------
    units : int in [1, inf)
        Numbers of the state.
    return_sequences : bool, default=False
        Whether the output is the state after each step, rather than after the last.
    bidirectional : bool, default=False
        Whether a second set of weights runs from the last step to the first; outputs stand side by side.
    truncate : int in [1, inf) or None, default=None
        Truncated back-propagation: slopes do not go back across every `truncate`-th step. None: they go all the way.
    bias : bool, default=True
        Whether to add biases.
    init, recurrent_init, bias_init : str or float, default='auto', 'orthogonal' and 'zeros'
        How W, U and b begin, gate by gate: a name of `initializers`, or a number that all have. b' begins with zeros.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    Notes
    -----
    Weights in `weights_`: W (features, 3 * units), U (units, 3 * units), b and b' (1, 3 * units), with the gates r, z,
    n side by side, as in torch; with `bidirectional` the same again.

    References
    ----------
    Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical machine translation";
    the reset gate acts after the product, as in torch.

    Examples
    --------
    >>> from fusedgrad.layers import GRU
    >>> GRU(64).shape((28, 28))
    (64,)
    """

    _gates: ClassVar[int] = 3

    @property
    def _node(self) -> str:
        return "gru"


@dataclass(frozen=True, repr=False)
class LSTM(_Recurrent):
    """A layer of long short-term memory.

    With gates i, f and o, ``c = f * c' + i * tanh(x @ W_g + b_g + h' @ U_g + b'_g)`` and ``h = o * tanh(c)``.

    Parameters
    ----------
    units : int in [1, inf)
        Numbers of the state.
    return_sequences : bool, default=False
        Whether the output is the state after each step, rather than after the last.
    bidirectional : bool, default=False
        Whether a second set of weights runs from the last step to the first; outputs stand side by side.
    truncate : int in [1, inf) or None, default=None
        Truncated back-propagation: slopes do not go back across every `truncate`-th step. None: they go all the way.
    bias : bool, default=True
        Whether to add biases.
    init, recurrent_init, bias_init : str or float, default='auto', 'orthogonal' and 'zeros'
        How W, U and b begin, gate by gate: a name of `initializers`, or a number that all have. b' begins with zeros.
    forget_bias : float, default=1.0
        Added to the first values of the forget gate's b, so that at first little is forgotten.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    Notes
    -----
    Weights in `weights_`: W (features, 4 * units), U (units, 4 * units), b and b' (1, 4 * units), with the gates i, f,
    g, o side by side, as in torch; with `bidirectional` the same again.

    References
    ----------
    Hochreiter & Schmidhuber (1997), "Long short-term memory"; Gers, Schmidhuber & Cummins (2000), "Learning to
    forget"; Jozefowicz, Zaremba & Sutskever (2015), "An empirical exploration of recurrent network architectures" (the
    first bias of the forget gate).

    Examples
    --------
    >>> from fusedgrad.layers import LSTM
    >>> LSTM(64, bidirectional=True, return_sequences=True).shape((28, 28))
    (28, 128)
    """

    forget_bias: float = field(default=1.0, kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        **_Recurrent._rules,
        "forget_bias": Number(low=-math.inf, high=math.inf, open_low=True, open_high=True),
    }
    _gates: ClassVar[int] = 4

    @property
    def _node(self) -> str:
        return "lstm"

    def _biases(self, rng: np.random.RandomState, features: int) -> Any:
        biases = super()._biases(rng, features)
        biases[:, self.units : 2 * self.units] += self.forget_bias
        return biases


@dataclass(frozen=True, repr=False)
class Residual(Layer):
    """A residual block: ``x + f(x)``, where f is a list of layers that keeps the shape.

    Parameters
    ----------
    layers : sequence of Layer
        What f consists of; blocks can be nested.
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

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
        super().__post_init__()

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
                f"{self!r} makes rows of shape {out} from rows of shape {shape}, and cannot add the two. The "
                f"layers must keep the shape: {shape[-1]} units or filters in the last one, padding='same' for windows."
            )
        return shape

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the nodes of its layers to a plan, and one that adds."""
        self.shape(shape)
        earlier = len(plan.nodes)
        for _, layer, before, after in walk(self.layers, shape):
            plan.put(layer, before, after)
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
