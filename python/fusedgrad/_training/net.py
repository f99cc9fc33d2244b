"""What layers become for the core: a `Net`, which knows sizes, where parameters lie, and what rows it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .. import _core
from .._validation.arrays import as_core
from .._validation.warn import warn
from ..layers import Layer, Shape, assemble

Arrays = list[NDArray[Any]]

_ROWS_AT_ONCE = 4096  # that are looked at
_ROWS_NAMED = 5  # in an error or a warning
_MOST_BYTES = 2**62  # of a network and a batch; the core counts in 64 bits


class Net:
    """Layers for rows of a shape: their sizes, and where their parameters lie.

    Parameters
    ----------
    layers : sequence of Layer
        The layers.
    input_shape : tuple of int
        The shape of a row.

    Attributes
    ----------
    shapes : list of tuple of int
        The shape of a row after each layer.
    ends : list of int
        How many nodes the core has up to and with each layer.

    Raises
    ------
    ValueError
        If a layer does not fit.
    """

    def __init__(self, layers: Sequence[Layer], input_shape: Shape):
        self.layers, self.input_shape = tuple(layers), tuple(input_shape)
        plan = assemble(self.layers, self.input_shape)
        self.plan, self.shapes, self.ends, self.pieces = plan, plan.shapes, plan.ends, plan.pieces
        self.numbers = math.prod(self.input_shape) + sum(node["out"] for node in plan.nodes)  # of a row, in all layers
        self.parameters = sum(math.prod(weight.shape) for weight in (*plan.weights, *plan.statistics))
        self.check_size(1)

    def __reduce__(self) -> Any:
        return Net, (self.layers, self.input_shape)

    def place(self, layer: int | str) -> tuple[int, Shape]:
        """Return how many nodes there are up to and with a layer, by number or label, and the shape of a row there.

        Raises
        ------
        ValueError
            If no layer has the label.
        """
        if not isinstance(layer, str):
            return self.ends[layer], self.shapes[layer]
        labels = self.plan.labels
        if layer not in labels:
            known = ", ".join(map(repr, labels)) or "none (give layers a label=)"
            raise ValueError(f"No layer has the label {layer!r}. Labels: {known}.")
        return labels[layer]

    @property
    def piece_shapes(self) -> list[tuple[int, int]]:
        """The shapes of the parameters."""
        return [weight.shape for weight in self.plan.weights]

    @property
    def core(self) -> _core.Network:
        """The core's network."""
        if "_core" not in self.__dict__:
            self._core = _core.Network(self.plan.nodes, self.plan.masking)
        return self._core

    @property
    def work(self) -> float:
        """Multiply-adds of a row, about."""
        if "_work" not in self.__dict__:
            self._work = self.core.work
        return self._work

    def check_size(self, rows: int) -> None:
        """Look whether so many rows at once can be counted. Whether they fit into memory is seen when it is asked for.

        Raises
        ------
        ValueError
            If not.
        """
        bytes_about = 8 * (4 * rows * self.numbers + 8 * self.parameters)  # values, slopes; weights, slots
        if bytes_about > _MOST_BYTES:
            raise ValueError(
                f"The network is too large: {self.parameters} parameters, and {self.numbers} numbers for each of "
                f"{rows} rows at once. Use fewer units or filters, less padding, or a smaller batch_size."
            )

    def check_batches(self, rows: int) -> None:
        """Look whether batches of so many rows suffice for batch normalisation.

        Raises
        ------
        ValueError
            If a batch has a single number for each feature, which has no variance.
        """
        if rows == 1 and any(n["name"] == "batch_norm" and n["values"]["positions"] == 1 for n in self.plan.nodes):
            raise ValueError(
                "Batch normalisation needs batches of two rows or more, for one row has no variance. Use a larger "
                "batch_size (and more rows, if there is only one), or LayerNorm in place of BatchNorm."
            )

    def check(self, X: Any, name: str = "X", *, training: bool = True) -> None:
        """Look at what the first layer wants of the numbers in X.

        Rows of nothing but padding are an error in training and a warning in predictions, if they are not wanted.

        Raises
        ------
        ValueError
            If they are no codes, or if a row is nothing but padding.
        """
        codes, masking = self.plan.codes, self.plan.masking
        if self.plan.empty != "error":
            masking = None
        if codes is None and masking is None:
            return
        empty: list[int] = []
        for begin in range(0, X.shape[0], _ROWS_AT_ONCE):
            rows = X[begin : begin + _ROWS_AT_ONCE]
            rows = rows.toarray() if sp.issparse(rows) else rows
            if codes is not None:
                wrong = (rows < 0) | (rows >= codes) | (rows != np.floor(rows))
                if wrong.any():
                    i, j = np.argwhere(wrong)[0]
                    raise ValueError(
                        f"{name}[{begin + i}, {j}] is {rows[i, j]:g}, but {self.plan.reader!r} takes codes: whole "
                        f"numbers from 0 to {codes - 1}."
                    )
            if masking is not None and len(empty) <= _ROWS_NAMED:
                with np.errstate(over="ignore"):
                    here = np.flatnonzero((rows == rows.dtype.type(masking[2])).all(axis=1))
                empty += (begin + here[: _ROWS_NAMED + 1]).tolist()
        if not empty:
            return
        few = ", ".join(map(str, empty[:_ROWS_NAMED])) + (", ..." if len(empty) > _ROWS_NAMED else "")
        text = f"Rows {few} of {name} are nothing but padding ({self.plan.reader!r})"
        wanted = f"{type(self.plan.reader).__name__}(..., empty='zeros')"
        if training:
            raise ValueError(
                f"{text}: there is no step to learn from. Drop them, or say with {wanted} that they are sequences of "
                "no steps."
            )
        warn(
            f"{text}: there is no step to speak of, and the prediction is that for a state of zero. With {wanted} this "
            "is no reason to warn."
        )

    def fresh(self, rng: np.random.RandomState, dtype: Any) -> tuple[Arrays, Arrays]:
        """Return initial parameters and statistics."""
        return tuple(  # type: ignore[return-value]
            [np.ascontiguousarray(weight.fresh(rng), dtype=dtype) for weight in weights]
            for weights in (self.plan.weights, self.plan.statistics)
        )

    def predict(self, weights: Arrays, kept: Arrays, X: Any, *, layer: int | str, threads: int) -> NDArray[Any]:
        """Return what a layer makes of the rows of X, one row each."""
        last, _ = self.place(layer)
        if last == 0:  # nothing but Flatten so far
            return X.toarray() if sp.issparse(X) else X.copy()
        return self.core.predict(weights, kept, as_core(X), last, threads)
