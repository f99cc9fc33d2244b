"""The classes of a network: which there are, and what becomes of the output layer when there are more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from .._training import growing
from .._training.net import Arrays
from .._training.network_records import Weights

_OUTPUT = -2  # the last two arrays of parameters: weights (n_inputs, n_outputs) and biases (1, n_outputs)


class Classes:
    """Labels that are known, and those that come while streaming."""

    classes_: Any
    n_outputs_: int
    _grows = False  # whether labels that are new become classes in `partial_fit`
    _y_kind: str  # "binary", "multiclass" or "multilabel"

    def _learn_targets(self, y: Any, classes: Any = None) -> None:
        """Learn which classes there are: those of y, or those given."""
        if classes is not None and not _kind(y).startswith("multilabel"):
            y = np.asarray(classes)
        if _kind(y) == "multilabel":
            self.classes_, self._y_kind, self.n_outputs_ = np.arange(y.shape[1]), "multilabel", y.shape[1]
        else:
            self._take_classes(unique_labels(y))

    def _take_classes(self, classes: Any) -> None:
        if len(classes) < 2 and not self._grows:
            raise ValueError(f"The number of classes has to be greater than one; got {len(classes)} class")
        self.classes_, several = classes, len(classes) > 2
        self._y_kind, self.n_outputs_ = ("multiclass", len(classes)) if several else ("binary", 1)

    @property
    def _waits(self) -> bool:
        """Whether all rows so far were of a single class, which teach nothing."""
        return len(self.__dict__.get("classes_", ())) == 1

    def _check_same_classes(self, y: Any) -> None:
        before = self.classes_
        after = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
        if set(after) != set(before):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {before}, `y` has {after}"
            )

    def _check_classes(self, y: Any, classes: Any, *, first: bool) -> None:
        known = self.__dict__.get("classes_")
        if growing.is_asked(classes):
            self._grows, classes = True, None
        elif known is None and classes is None:
            raise ValueError(growing.NO_CLASSES)
        listed = None if classes is None else growing.labels_of(classes)
        if listed is not None and not growing.may_be_given(listed, known, grows=self._grows):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}")
        if self._grows:
            self._meet(y, listed)
        elif known is None:
            self._learn_targets(y, classes)

    def _check_may_grow(self, y: Any) -> None:
        if y.ndim != 1 or self.__dict__.get("_y_kind") == "multilabel":
            raise ValueError(
                "classes='grow' is for one label a row: the columns of an indicator matrix are all labels that there "
                "are. Leave `classes` out."
            )

    def _meet(self, y: Any, listed: Any) -> None:
        """Take labels of y, and those `listed`, for classes; the weights of known ones move to their places."""
        self._check_may_grow(y)
        known = self.__dict__.get("classes_")
        if known is None:
            self._learn_targets(y)
            return
        met = growing.union(known, y)
        met = met if listed is None else growing.union(met, listed)
        if len(met) == len(known):
            return
        if not self._waits:
            self.__dict__.update(_moved(self, growing.Moves.between(known, met, softmax=True)))
        self._take_classes(met)

    def _unknown_labels(self, y: Any, name: str = "y") -> str:
        advice = " Let them come by partial_fit(..., classes='grow')." if name == "y" else ""
        return (
            f"`{name}` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. '{name}' has "
            f"{unique_labels(y)}.{advice}"
        )

    def _codes(self, y: Any, name: str) -> Any:
        if y.ndim != 1:
            raise ValueError(f"{name} has shape {y.shape}, but the model was made for one label a row.")
        found = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        if not np.array_equal(self.classes_[found], y):
            raise ValueError(self._unknown_labels(y, name))
        return found


def _kind(y: Any) -> str:
    check_classification_targets(y)
    kind = type_of_target(y)
    if kind.startswith("multiclass-multi"):
        raise ValueError(
            "y has several columns of classes; only indicator matrices (0 and 1) may have several columns."
        )
    return "multilabel" if kind.startswith("multilabel") else kind


def _moved(network: Any, moves: growing.Moves) -> dict[str, Any]:
    """The attributes of a network whose last layer has the outputs of more classes; other layers stay as they are."""

    def arrays(before: Arrays) -> Arrays:
        return [*before[:_OUTPUT], *map(moves.weights, before[_OUTPUT:])]

    now, state = network._weights(), network.__dict__.get("_optimizer")
    average = None if now.average is None else arrays(now.average)
    attributes: dict[str, Any] = network._keep_weights(Weights(arrays(now.trained), now.kept, average))
    if state is not None and state.slots:
        pieces = zip(*(slot[_OUTPUT:] for slot in state.slots), strict=True)
        of_output = [moves.slots(state.optimizer, of_piece) for of_piece in pieces]
        slots = [[*slot[:_OUTPUT], *own] for slot, own in zip(state.slots, zip(*of_output, strict=True), strict=True)]
        attributes["_optimizer"] = replace(state, slots=tuple(slots))
    return attributes
