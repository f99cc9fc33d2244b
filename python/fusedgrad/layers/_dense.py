"""Fully connected layers, activations, dropout, blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from .._validation.parameters import BOOLEAN, InvalidParameterError, Number
from ._layer import (
    ACTIVATIONS,
    Init,
    InitRule,
    Layer,
    Plan,
    Shape,
    Weight,
    activation_rule,
    checked,
    features_of,
    initial,
    settle,
    walk,
)

__all__ = ["Activation", "Dense", "Dropout", "Flatten", "Residual"]


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """A fully connected layer: ``activation(x @ W + b)``.

    Rows of more than one dimension are multiplied along the last one.

    Parameters
    ----------
    units : int in [1, inf)
        Size of the output.
    activation : str or None, default=None
        A name of `activations` ('sigmoid' means 'logistic'). None: no activation. (`Activation`, as a
        separate layer, takes the parameters of those that have some.)
    bias : bool, default=True
        Whether to add a bias.
    init : str or float, default='auto'
        Initial weights: a name of `initializers`, or a number for all of them.
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
        "activation": activation_rule(none=True),
        "bias": BOOLEAN,
        "init": InitRule(),
        "bias_init": InitRule(),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, "activation")

    def _shape(self, shape: Shape) -> Shape:
        features_of(self, shape)
        return (*shape[:-1], int(self.units))

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        features, positions = features_of(self, shape)
        units = int(self.units)
        sizes = {"features": features, "units": units, "positions": positions, "bias": float(self.bias)}

        def matrix(rng: np.random.RandomState) -> Any:
            return initial(self.init, (features, units), rng, self.activation)

        def biases(rng: np.random.RandomState) -> Any:
            return initial(self.bias_init, (max(features, 1), units), rng, self.activation)[:1]

        weights = [Weight((features, units), matrix), Weight((1, units), biases)][: 1 + self.bias]
        activation = self.activation or "identity"
        plan.add(
            "dense",
            shape,
            self.shape(shape),
            sizes,
            weights=weights,
            activation=activation,
            activation_parameters=ACTIVATIONS[activation],
        )


@dataclass(frozen=True, repr=False)
class Activation(Layer):
    """An activation as a layer of its own.

    Parameters
    ----------
    name : str
        A name of `activations`.
    alpha : float in [0, inf) or None, default=None
        The parameter of 'leaky_relu' (the slope for negative numbers; None: 0.01) and 'elu' (minus the limit at
        -inf; None: 1).
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
        "name": activation_rule(none=False),
        "alpha": Number(low=0, high=math.inf, open_high=True, none=True),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, "name")
        if self.alpha is not None and "alpha" not in ACTIVATIONS[self.name]:
            having = [name for name, parameters in ACTIVATIONS.items() if parameters]
            raise InvalidParameterError(
                f"Activation({self.name!r}) has no parameter alpha (got {self.alpha!r}); those with one: {having}."
            )

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append the node to a plan."""
        parameters = dict(ACTIVATIONS[self.name])
        if self.alpha is not None:
            parameters["alpha"] = float(self.alpha)
        plan.add("activation", shape, shape, {}, activation=self.name, activation_parameters=parameters)


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training each number becomes 0 with probability `rate`, the others grow by ``1 / (1 - rate)``.

    Predictions use all numbers unchanged.

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

    def _shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def build(self, plan: Plan, shape: Shape) -> None:
        """Append nothing: rows lie in memory as they did."""
        plan.masked = False


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

    def _shape(self, shape: Shape) -> Shape:
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
