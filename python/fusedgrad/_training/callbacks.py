"""scikit-learn's callbacks: a fit is a task, and every epoch is a task within it.

The protocol came with scikit-learn 1.9. Before that, estimators have no ``set_callbacks``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
    from sklearn.callback import with_callbacks
except ImportError:

    class CallbackSupport:  # type: ignore[no-redef]
        """An estimator without callbacks."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        return method


__all__ = ["CallbackSupport", "Epochs", "Keeper", "with_callbacks"]


class Epochs:
    """Tells an estimator's callbacks of a fit and its epochs; false, and next to free, where nobody listens.

    To be made in a method with the decorator `with_callbacks`, which ends what is open when training fails. That method
    runs before what was trained is settled on the user's estimator: if a callback fails, that stays as it is.

    Attributes
    ----------
    keepers : list of Checkpoint
        Those among the callbacks.

    Parameters
    ----------
    estimator : CallbackSupport
        Everything that prediction needs, but for what `end` is given, is already set.
    max_epochs : int
        Epochs at most.
    X, y, sample_weight
        The training data, with labels as the user gave them: callbacks score with them.
    name : str, default='epoch'
        What the tasks within the fit are called.
    """

    def __init__(
        self, estimator: BaseEstimator, max_epochs: int, X: Any, y: Any, sample_weight: Any, name: str = "epoch"
    ):
        self._fit: Any = None
        self._name = name
        listeners = getattr(estimator, "_skl_callbacks", None) or []
        self.keepers = [each for each in listeners if hasattr(each, "offer")]  # checkpoints
        # The name that `sklearn.base.clone` carries over; callbacks cannot be asked for in another way.
        if not getattr(estimator, "_skl_callbacks", None):
            return
        self._data = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        self._fit = estimator._init_callback_context(max_subtasks=max_epochs)
        self._fit.call_on_fit_task_begin(**self._data)

    def __bool__(self) -> bool:
        return self._fit is not None

    def begin(self) -> None:
        """Say that an epoch begins."""
        if self._fit is not None:
            self._epoch = self._fit.subcontext(task_name=self._name)
            self._epoch.call_on_fit_task_begin(**self._data)

    def end(self, fitted: Callable[[], dict[str, Any]] | None) -> bool:
        """Say that the epoch has ended; True if a callback asks to stop training.

        `fitted` returns the attributes of the estimator as if training had ended here. It is called if a callback
        wants to see them, and copied. None: the epoch was broken off.
        """
        if self._fit is None:
            return False
        attributes = None if fitted is None else lambda: copy.deepcopy(fitted())
        return bool(self._epoch.call_on_fit_task_end(**self._data, reconstruction_attributes=attributes))

    def close(self) -> None:
        """Say that the fit has ended. The estimator has its attributes now."""
        if self._fit is not None:
            self._fit.call_on_fit_task_end(**self._data, reconstruction_attributes={})


class Keeper:
    """A callback that loops of training tell how far a fit has come, in rows, by `begin` and `offer`.

    To scikit-learn's protocol it has nothing to say.
    """

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_begin(self, estimator: Any, context: Any, **data: Any) -> None:
        """Do nothing."""

    def on_fit_task_end(self, estimator: Any, context: Any, **data: Any) -> bool:
        """Let training go on."""
        return False
