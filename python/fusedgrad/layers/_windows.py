"""Convolutions and pooling: windows that slide over images and sequences, channels last."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar, cast

import numpy as np

from .._validation.parameters import BOOLEAN, Either, InvalidParameterError, Number, OneOf
from ._layer import (
    ACTIVATIONS,
    Init,
    InitRule,
    Layer,
    Plan,
    Shape,
    Weight,
    activation_rule,
    check_sequence,
    initial,
    settle,
)

__all__ = ["AvgPool2D", "Conv1D", "Conv2D", "GlobalAvgPool2D", "MaxPool2D"]

Pair = int | tuple[int, int]


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


def _pair(value: Any) -> tuple[int, int]:
    y, x = value if isinstance(value, tuple) else (value, value)
    return int(y), int(x)


def check_image(layer: Layer, shape: Shape) -> None:
    if len(shape) != 3:
        raise ValueError(
            f"{layer!r} takes rows of shape (height, width, channels); got rows of shape {shape}. Give images of that "
            "shape, or say how to see flat rows: input_shape=(28, 28, 1)."
        )
    if 0 in shape:
        raise ValueError(f"{layer!r} needs at least one pixel and one channel; got rows of shape {shape}.")


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


@dataclass(frozen=True, repr=False)
class _Convolution(Layer):
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
        "activation": activation_rule(none=True),
        "stride": _Pair(1),
        "padding": _Pair(0, "valid", "same"),
        "dilation": _Pair(1),
        "groups": Number(Integral, 1),
        "bias": BOOLEAN,
        "init": InitRule(),
        "bias_init": InitRule(),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, "activation")

    def _window(self, shape: Shape) -> tuple[dict[str, float], tuple[int, int]]:
        """As `_window` of an image."""
        raise NotImplementedError

    def _check_groups(self, shape: Shape) -> None:
        if shape[-1] % self.groups or self.filters % self.groups:
            raise ValueError(
                f"{self!r}: channels and filters must be multiples of groups={self.groups}; there are {shape[-1]} "
                f"channels (rows of shape {shape}) and {self.filters} filters."
            )

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        values, _ = self._window(shape)
        filters, groups = int(self.filters), int(self.groups)
        taps = int(values["kernel_y"] * values["kernel_x"])
        size = (taps * shape[-1] // groups, filters)
        activation = self.activation or "identity"

        def weights(rng: np.random.RandomState) -> Any:
            return initial(self.init, size, rng, self.activation, fan_out=taps * filters // groups)

        def biases(rng: np.random.RandomState) -> Any:
            return initial(self.bias_init, size, rng, self.activation)[:1]

        plan.add(
            "convolution",
            shape,
            self.shape(shape),
            {**values, "filters": filters, "groups": groups, "bias": float(self.bias)},
            weights=[Weight(size, weights), Weight((1, filters), biases)][: 1 + self.bias],
            activation=activation,
            activation_parameters=ACTIVATIONS[activation],
        )
        plan.masked = False


@dataclass(frozen=True, repr=False)
class Conv2D(_Convolution):
    """A convolution of images: at each position ``activation(window * W + b)``, a number for each filter.

    Rows are (height, width, channels); the output is (height, width, filters), smaller by the kernel unless padded.

    Parameters
    ----------
    filters : int in [1, inf)
        Channels of the output.
    kernel_size : int in [1, inf) or tuple of two
        Height and width of the window.
    activation : str or None, default=None
        A name of `activations` ('sigmoid' means 'logistic'). None: no activation.
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
        Initial weights: a name of `initializers`, or a number for all of them. The fan-in of a filter is the pixels of
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

    def _window(self, shape: Shape) -> tuple[dict[str, float], tuple[int, int]]:
        check_image(self, shape)
        self._check_groups(shape)
        return _window(self, shape, self.kernel_size, self.stride, self.padding, self.dilation)

    def _shape(self, shape: Shape) -> Shape:
        return (*self._window(shape)[1], int(self.filters))


@dataclass(frozen=True, repr=False)
class Conv1D(_Convolution):
    """A convolution along time: at each step ``activation(window * W + b)``, a number for each filter.

    Rows are (time, channels); the output is (time, filters), shorter by the kernel unless padded.

    Parameters
    ----------
    filters : int in [1, inf)
        Channels of the output.
    kernel_size : int in [1, inf)
        Steps of the window.
    activation : str or None, default=None
        A name of `activations` ('sigmoid' means 'logistic'). None: no activation.
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
        Initial weights and biases: a name of `initializers`, or a number for all of them.
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

    _rules: ClassVar[dict[str, Any]] = {
        **_Convolution._rules,
        "kernel_size": Number(Integral, 1),
        "stride": Number(Integral, 1),
        "padding": Either(Number(Integral, 0), OneOf("valid", "same")),
        "dilation": Number(Integral, 1),
    }

    def _window(self, shape: Shape) -> tuple[dict[str, float], tuple[int, int]]:
        """As of an image of one row."""
        check_sequence(self, shape)
        self._check_groups(shape)
        fields = (self.kernel_size, self.stride, self.dilation, self.padding)
        kernel, stride, dilation, padding = cast(Any, fields)  # numbers here, by their rules
        try:
            padding = padding if isinstance(padding, str) else (0, padding)
            return _window(self, (1, *shape), (1, kernel), (1, stride), padding, (1, dilation))
        except ValueError:
            reach = (kernel - 1) * dilation + 1
            raise ValueError(
                f"{self!r} has windows of {reach} steps, and rows of shape {shape} are shorter than that. Use a "
                "smaller window or padding='same'."
            ) from None

    def _shape(self, shape: Shape) -> Shape:
        return (self._window(shape)[1][1], int(self.filters))


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
        check_image(self, shape)
        return _window(
            self, shape, self.pool_size, self.pool_size if self.stride is None else self.stride, self.padding
        )

    def _shape(self, shape: Shape) -> Shape:
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
        As for `Conv2D`, but smaller than the window; padding is never the maximum.
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
        As for `Conv2D`, but smaller than the window. Padding does not count (torch: ``count_include_pad=False``).
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

    def _shape(self, shape: Shape) -> Shape:
        check_image(self, shape)
        return shape[2:]

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        values, _ = _window(self, shape, shape[:2], shape[:2], "valid")
        plan.add("average_pool", shape, shape[2:], values)
        plan.masked = False
