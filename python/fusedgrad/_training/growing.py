"""Classes that come while streaming: which there are now, and what becomes of the outputs of those known before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

from ..optimizers import Optimizer
from .records import LinearState, Seen

GROW = "grow"
NO_CLASSES = (
    "classes must be passed on the first call to partial_fit: all labels that will come, or 'grow' if they are not "
    "known."
)

Array = NDArray[Any]


# ---- labels ----


def is_asked(classes: Any) -> bool:
    """Whether the argument `classes` of `partial_fit` asks for it.

    Raises
    ------
    ValueError
        If it is another word.
    """
    if isinstance(classes, str) and classes != GROW:
        raise ValueError(f"classes must be an array of labels or {GROW!r}; got {classes!r}.")
    return isinstance(classes, str)


def labels_of(classes: Any) -> Array:
    """Return the labels of the argument `classes`, sorted.

    Raises
    ------
    ValueError
        If one is not finite.
    """
    labels = np.unique(np.asarray(classes))
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"classes contains NaN or infinity: {labels}. Classes must be labels of y.")
    return labels


def union(known: Array, y: Array) -> Array:
    """Return the known classes and those of y, sorted; `known` itself where y has no others.

    Raises
    ------
    ValueError
        If y is continuous, or if there would be strings and numbers.
    """
    if _are_words(known) != _are_words(y):
        raise ValueError(
            f"y has labels {np.unique(y)[:5]}, but the classes so far are {known}: some are strings, and some numbers. "
            "Convert y."
        )
    nearest = known[np.minimum(np.searchsorted(known, y), len(known) - 1)]
    unknown = y[nearest != y]
    if unknown.size == 0:
        return known
    if y.dtype.kind not in "biuUS":
        check_classification_targets(y)
    return np.union1d(known, unknown)


def may_be_given(labels: Array, known: Array | None, *, grows: bool) -> bool:
    """Whether `classes` may be these labels: the known classes; or, where there may come others, these and more."""
    if known is None:
        return True
    if not grows:
        return np.array_equal(labels, known)
    return _are_words(labels) == _are_words(known) and bool(np.isin(known, labels).all())


def _are_words(labels: Array) -> bool:
    if labels.dtype.kind == "O":
        return any(isinstance(label, str) for label in labels)
    return labels.dtype.kind in "US"


def weights_of_known(classes: Array, class_weight: Mapping[Any, float]) -> dict[Any, float]:
    """Return the weights of classes that are there: `class_weight` may name some that are yet to come."""
    known = set(classes.tolist())
    return {label: weight for label, weight in class_weight.items() if label in known}


# ---- outputs ----


class Moves(NamedTuple):
    """From the outputs of a model to those of the same model with more classes; outputs are the last axis of arrays.

    The scores of known classes stay what they were, relative to each other, and those of new classes are zero.

    Attributes
    ----------
    places : ndarray of shape (n_known,)
        Where known classes stand among all.
    outputs : int
        How many there are now: three or more, each with an output.
    share : float
        A model of two classes has a single output, the score s of the second one. Of three and more, the second one has
        the score ``share * s`` and the first one ``-share * s``: 1 for classes against the rest, 1/2 in a softmax,
        where differences count.
    """

    places: NDArray[np.intp]
    outputs: int
    share: float

    @classmethod
    def between(cls, before: Array, after: Array, *, softmax: bool) -> Moves:
        """Return those from two or more classes to more."""
        return cls(np.searchsorted(after, before), len(after), 0.5 if softmax else 1.0)

    def weights(self, values: Array) -> Array:
        """Of weights and all that changes its sign with them, such as means of gradients."""
        if values.shape[-1] == 1:
            values = self.share * np.concatenate([-values, values], axis=-1)
        return self._placed(values)

    def squares(self, values: Array) -> Array:
        """Of what is the same for weights of both signs, such as means of squares of gradients."""
        return self._placed(np.repeat(values, 2, axis=-1) if values.shape[-1] == 1 else values)

    def slots(self, optimizer: Optimizer, slots: Sequence[Array]) -> list[Array]:
        """Of what an optimizer keeps for an array of weights."""
        even = _are_even(optimizer)
        return [(self.squares if same else self.weights)(slot) for same, slot in zip(even, slots, strict=False)]

    def state(self, state: LinearState) -> LinearState:
        """Of the state of a linear model."""
        seen = state.seen
        if seen is not None:
            known, ones = Seen(*seen), np.ones(self.outputs)  # type: ignore[arg-type]
            seen = tuple(known._replace(base=self.weights(known.base), scale=ones, cost=ones))
        return replace(state, slots=tuple(self.slots(state.optimizer, state.slots)), seen=seen)

    def _placed(self, values: Array) -> Array:
        moved = np.zeros((*values.shape[:-1], self.outputs), values.dtype)
        moved[..., self.places] = values
        return moved


def _are_even(optimizer: Optimizer) -> list[bool]:
    """Whether each slot is the same for weights and gradients of the other sign: a step of two such numbers tells."""
    weights, gradients = np.array([1.0, -1.0]), np.array([1.0, -1.0])
    optimizer = optimizer.set_params(learning_rate=None)
    state = optimizer.init(weights)
    optimizer.step(weights, gradients, state)
    return [bool(slot[0] == slot[1] != 0) for slot in state.slots[0]]
