"""Layers that read sequences step by step, and what comes before them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from .._validation.parameters import BOOLEAN, InvalidParameterError, Number, OneOf
from ._layer import Init, InitRule, Layer, Plan, Shape, Weight, check_sequence, initial

__all__ = ["GRU", "LSTM", "Embedding", "Masking", "SimpleRNN"]


def _first(layer: Layer, plan: Plan) -> None:
    if plan.nodes or plan.masking:
        raise ValueError(f"{layer!r} must be the first layer of a network: it describes the numbers in X.")


@dataclass(frozen=True, repr=False)
class Masking(Layer):
    """Time steps of X whose numbers all are `value` are padding, which recurrent layers skip. The first layer.

    So sequences of several lengths come in one array, filled up with `value` at the end (or anywhere). A recurrent
    layer keeps its state where it meets padding, and gives zeros; with ``return_sequences=False`` its output is the
    state after the last step that is not padding. The mask holds until a layer changes the time steps (convolution,
    `Flatten`).

    Parameters
    ----------
    value : float, default=0.0
        What padding is filled with.
    empty : {'error', 'zeros'}, default='error'
        What to make of a row that is nothing but padding. 'error': it cannot be learned from, and predictions for it
        come with a warning. 'zeros': it is a sequence of no steps, after which the state is zero. (Predictions take
        such rows for that in both cases.)
    label : str or None, default=None
        A name for the layer, by which `transform` finds it.

    Examples
    --------
    >>> from fusedgrad.layers import GRU, Masking
    >>> layers = [Masking(-1.0), GRU(32)]
    """

    value: float = 0.0
    empty: str = field(default="error", kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "value": Number(low=-math.inf, high=math.inf, open_low=True, open_high=True),
        "empty": OneOf("error", "zeros"),
    }

    def _shape(self, shape: Shape) -> Shape:
        check_sequence(self, shape)
        return shape

    def build(self, plan: Plan, shape: Shape) -> None:
        """Tell the plan."""
        _first(self, plan)
        steps, features = shape
        plan.masking, plan.masked, plan.reader = (steps, features, float(self.value)), True, self
        plan.empty = self.empty


@dataclass(frozen=True, repr=False)
class Embedding(Layer):
    """Codes become vectors: each number k of a row, 0 <= k < codes, becomes row k of a table. The first layer.

    Rows of shape (time,) become (time, units).

    Parameters
    ----------
    codes : int in [1, 2**24]
        How many codes there are; numbers of X are 0, 1, ..., codes - 1.
    units : int in [1, inf)
        Length of a vector.
    padding : int in [0, inf) or None, default=None
        The code that is padding, which recurrent layers skip; see `Masking`.
    empty : {'error', 'zeros'}, default='error'
        What to make of a row that is nothing but padding. 'error': it cannot be learned from, and predictions for it
        come with a warning. 'zeros': it is a sequence of no steps, after which the state is zero. (Predictions take
        such rows for that in both cases.)
    init : str or float, default='auto'
        Initial table: a name of `initializers`, or a number for all entries. 'auto': normal, with variance
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
    empty: str = field(default="error", kw_only=True)
    init: Init = field(default="auto", kw_only=True)

    _rules: ClassVar[dict[str, Any]] = {
        "codes": Number(Integral, 1, 2**24),
        "units": Number(Integral, 1),
        "padding": Number(Integral, 0, none=True),
        "empty": OneOf("error", "zeros"),
        "init": InitRule(),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.padding is not None and self.padding >= self.codes:
            raise InvalidParameterError(
                f"The 'padding' parameter of Embedding must be a code, an int in [0, {self.codes}). Got "
                f"{self.padding!r} instead."
            )
        if self.padding is None and self.empty != "error":
            raise InvalidParameterError(
                f"empty={self.empty!r} of Embedding speaks of rows of nothing but padding, but there is no padding: "
                "say which code is padding, or leave empty out."
            )

    def _shape(self, shape: Shape) -> Shape:
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
        plan.add("embedding", shape, self.shape(shape), values, weights=[Weight(size, table)])
        plan.codes, plan.reader = size[0], self
        if self.padding is not None:
            plan.masking, plan.masked = (shape[0], 1, float(self.padding)), True
            plan.empty = self.empty


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
        "init": InitRule(),
        "recurrent_init": InitRule(),
        "bias_init": InitRule(),
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

    def _shape(self, shape: Shape) -> Shape:
        check_sequence(self, shape)
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
            "truncation": 0 if self.truncate is None else min(int(self.truncate), shape[0]),
            "masked": float(plan.masked),
        }

        def kernel(rng: np.random.RandomState) -> Any:
            return self._by_gates(lambda: initial(self.init, (features, units), rng))

        def recurrent(rng: np.random.RandomState) -> Any:
            return self._by_gates(lambda: initial(self.recurrent_init, (units, units), rng))

        def biases(rng: np.random.RandomState) -> Any:
            return self._biases(rng, max(features, 1))

        def inner(rng: np.random.RandomState) -> Any:
            return np.zeros((1, columns))

        columns = self._gates * units
        weights = [Weight((features, columns), kernel), Weight((units, columns), recurrent)]
        if self.bias:
            weights += [Weight((1, columns), biases), Weight((1, columns), inner)]
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
        Size of the state.
    activation : {'tanh', 'relu'}, default='tanh'
        The activation of the sums.
    return_sequences : bool, default=False
        Whether the output is the state after each step, rather than after the last.
    bidirectional : bool, default=False
        Whether a second set of weights runs from the last step to the first; outputs stand side by side.
    truncate : int in [1, inf) or None, default=None
        Truncated back-propagation: slopes do not go back across every `truncate`-th step. None: they go all the way.
    bias : bool, default=True
        Whether to add biases.
    init, recurrent_init, bias_init : str or float, default='auto', 'orthogonal' and 'zeros'
        Initial W, U and b: a name of `initializers`, or a number for all entries. b' begins with zeros.
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
        Size of the state.
    return_sequences : bool, default=False
        Whether the output is the state after each step, rather than after the last.
    bidirectional : bool, default=False
        Whether a second set of weights runs from the last step to the first; outputs stand side by side.
    truncate : int in [1, inf) or None, default=None
        Truncated back-propagation: slopes do not go back across every `truncate`-th step. None: they go all the way.
    bias : bool, default=True
        Whether to add biases.
    init, recurrent_init, bias_init : str or float, default='auto', 'orthogonal' and 'zeros'
        Initial W, U and b, gate by gate: a name of `initializers`, or a number for all entries. b' begins with zeros.
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
        Size of the state.
    return_sequences : bool, default=False
        Whether the output is the state after each step, rather than after the last.
    bidirectional : bool, default=False
        Whether a second set of weights runs from the last step to the first; outputs stand side by side.
    truncate : int in [1, inf) or None, default=None
        Truncated back-propagation: slopes do not go back across every `truncate`-th step. None: they go all the way.
    bias : bool, default=True
        Whether to add biases.
    init, recurrent_init, bias_init : str or float, default='auto', 'orthogonal' and 'zeros'
        Initial W, U and b, gate by gate: a name of `initializers`, or a number for all entries. b' begins with zeros.
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
