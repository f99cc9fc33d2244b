"""What `NeuralClassifier` and `NeuralRegressor`, networks of a list of layers, share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .. import layers as layer_types
from .. import optimizers, schedules
from .._training.net import Arrays
from .._training.network import row_order
from .._training.network_records import Goal, Result, Settings, Weights
from .._validation.arrays import FLOATS, aligned, check_finite, is_plain, numbers_of
from .._validation.parameters import BOOLEAN, Either, Number, OneOf
from ..layers import checked, walk
from . import _defaults, _ignored
from ._base import ENDLESS, Neural
from ._history import extended

if TYPE_CHECKING:
    pass


def _ndim(X: Any) -> int:
    shape = getattr(X, "shape", None)
    return np.asarray(X).ndim if shape is None else len(shape)


def _sides(shape: tuple[int, ...]) -> list[int]:
    """Lengths of the axes that have some."""
    return [n for n in shape if n != 1]


class _Shape:
    """A rule: a tuple of positive whole numbers, or None."""

    def allows(self, value: object) -> bool:
        if value is None:
            return True
        return isinstance(value, (tuple, list)) and bool(value) and all(Number(Integral, 1).allows(n) for n in value)

    def __str__(self) -> str:
        return "a tuple of positive ints or None"


class Layered(Neural):
    """What `NeuralClassifier` and `NeuralRegressor` share."""

    _rules = {
        **Neural._rules,
        "optimizer": Neural._OPTIMIZER,
        "learning_rate": schedules.learning_rate_rule("auto", "adaptive"),
        "batch_size": Either(Number(Integral, 1), OneOf("auto", "full")),
        "max_epochs": Either(Number(Integral, 1), OneOf("auto")),
        "alpha": Either(Number(low=0, high=np.inf, open_high=True), OneOf("auto")),
        "standardize": BOOLEAN,
        "average": Number(low=0, high=1, open_low=True, open_high=True, none=True),
        "input_shape": _Shape(),
        "tol": Number(low=0, high=np.inf, open_high=True, none=True),
        "n_iter_no_change": Number(Integral, 1),
        "validation_fraction": Number(low=0, high=1, open_low=True, open_high=True),
        "restore_best_weights": OneOf(True, False),
    }

    _idle = _ignored.LAYERED
    _fitted_by = "weights_"
    _held_by = ("weights_", "statistics_", "_trained", "_average")
    layers: Sequence[layer_types.Layer] | str
    weights_: Arrays
    statistics_: Arrays

    # ---- what the network is ----

    def _is_output(self, layer: layer_types.Layer) -> bool:
        """Whether the last layer of the list is the output layer."""
        return isinstance(layer, layer_types.Dense) and layer.units == self.n_outputs_

    def _given_layers(self) -> tuple[layer_types.Layer, ...] | None:
        """The layers, checked; None: they are left to us."""
        return None if _defaults.is_auto(self.layers) else checked(self.layers, type(self).__name__)

    def _layers(self, shape: tuple[int, ...]) -> list[layer_types.Layer]:
        found = self._given_layers()
        given = self._chosen_layers(shape) if found is None else list(found)
        if given and self._is_output(given[-1]):
            return given
        last = [shape, *(after for *_, after in walk(given, shape))][-1]
        flat = [layer_types.Flatten()] if len(last) > 1 else []
        return [*given, *flat, layer_types.Dense(self.n_outputs_)]

    def _chosen_layers(self, shape: tuple[int, ...]) -> list[layer_types.Layer]:
        flat = [layer_types.Flatten()] if len(shape) > 1 else []
        return [*flat, layer_types.Dense(_defaults.hidden_units(self._rows_first), "relu")]

    def _check_parameters(self, *, partial: bool = False) -> None:
        super()._check_parameters(partial=partial)
        self._given_layers()

    def _input_shape(self, X: Any) -> tuple[int, ...]:
        shape = self.__dict__.get("_row_shape")
        return (X.shape[1],) if shape is None else shape

    def _shape_of_rows(self, X: Any) -> tuple[int, ...]:
        given = self.input_shape
        shape = tuple(int(n) for n in X.shape[1:]) if given is None else tuple(int(n) for n in given)
        if math.prod(shape) != math.prod(X.shape[1:]):
            raise ValueError(
                f"input_shape={given!r} has {math.prod(shape)} numbers, but a row of X has {math.prod(X.shape[1:])} "
                f"(shape {X.shape[1:]})."
            )
        return shape

    def _check_data(self, X: Any, y: Any, *, reset: bool, dtypes: Any = FLOATS) -> tuple[Any, Any]:
        """X as rows of numbers; of more than two dimensions it is flattened, and its shape kept."""
        if _ndim(X) <= 2 or sp.issparse(X):
            X, y = super()._check_data(X, y, reset=reset, dtypes=dtypes)
            if reset:
                self._row_shape, self._seen_shape = self._shape_of_rows(X), X.shape[1:]
            return X, y
        X = check_array(numbers_of(X), dtype=list(dtypes), order="C", allow_nd=True, input_name="X", estimator=self)
        y = check_array(y, dtype=None, ensure_2d=False, input_name="y", estimator=self)
        check_consistent_length(X, y)
        if reset:
            self.n_features_in_ = math.prod(X.shape[1:])
            self.__dict__.pop("feature_names_in_", None)
            self._row_shape, self._seen_shape = self._shape_of_rows(X), X.shape[1:]
        return self._flat(X), y

    def _flat(self, X: Any) -> Any:
        shape = X.shape[1:]
        if shape != self._row_shape and _sides(shape) not in (_sides(self._row_shape), _sides(self._seen_shape)):
            raise ValueError(
                f"X has rows of shape {shape}, but the model was made for rows of shape {self._row_shape}."
            )
        return aligned(np.ascontiguousarray(X)).reshape(X.shape[0], math.prod(shape))

    def _check_rows(self, X: Any) -> Any:
        if _ndim(X) <= 2 or sp.issparse(X):
            return super()._check_rows(X)
        if type(X) is np.ndarray and is_plain(flat := self._flat(X), (self._dtype(),), flat.shape[1]):
            check_finite(flat, self)  # what scikit-learn's check would do, in a fifth of the time of one row
            return flat
        X = check_array(numbers_of(X), dtype=self._dtype(), order="C", allow_nd=True, input_name="X", estimator=self)
        return self._flat(X)

    # ---- weights ----

    def _dtype(self) -> Any:
        return self.weights_[0].dtype.type  # what the others would tell, too, but sooner

    def _weights(self) -> Weights:
        return Weights(self.__dict__.get("_trained", self.weights_), self.statistics_, self.__dict__.get("_average"))

    def _keep_weights(self, weights: Weights) -> dict[str, Any]:
        kept: dict[str, Any] = {"weights_": weights.for_prediction, "statistics_": weights.kept}
        if weights.average is not None:
            kept.update(_trained=weights.trained, _average=weights.average)
        return kept

    # ---- how it is trained ----

    def _rule(self) -> optimizers.Optimizer:
        return optimizers.get(self.optimizer) if isinstance(self.optimizer, str) else self.optimizer

    def _standardises(self) -> bool:
        return bool(self.standardize)

    def _has_own_schedule(self) -> bool:
        """Whether rates decay to nothing by themselves, so that the last epoch is the end."""
        return _defaults.is_auto(self.learning_rate) and self._rule().learning_rate is None

    def _settings(self, n: int, goal: Goal, rng: Any, *, partial: bool, going_on: bool) -> Settings:
        optimizer = self._rule()
        self._check_optimizer(optimizer)
        before = self.__dict__ if going_on else {}
        size = self._batch_size(n)
        most = _defaults.epochs(n, size) if self.max_epochs == "auto" else int(self.max_epochs)
        seed = int(rng.randint(2**31 - 1))
        steps = None if partial else most * -(-n // size)
        rate = self.learning_rate
        initial = 1e-3 if isinstance(rate, str) and rate == "adaptive" else optimizer.default_rate
        return Settings(
            optimizer=optimizer,
            source=self._source(rate, initial, optimizer, before.get("_optimizer"), steps, ("auto", "adaptive")),
            batch_size=size,
            max_epochs=1 if partial else min(most, ENDLESS),
            l2=self._penalty(n, partial=partial),
            l2_of_batch=False,
            tol=None if partial or self.tol is None or not self._goes_by_tol() else float(self.tol),
            patience=float(min(self.n_iter_no_change, ENDLESS)),
            order=(lambda epoch: row_order(n, seed, epoch)) if self.shuffle and size < n else None,
            seed=seed,
            decay=float(self.weight_decay),
            clip_norm=self.clip_norm,
            average=None if self.average is None else float(self.average),
            restore_best=bool(self.restore_best_weights),
            by_score=bool(self.early_stopping),
            relative=True,
            report=self._print_epoch if self.verbose else None,
        )

    def _print_epoch(self, epoch: int, loss: float, score: float | None) -> None:
        """What ``verbose`` prints."""
        print(f"Epoch {epoch:>3}  loss {loss:.6f}" + ("" if score is None else f"  validation score {score:.4f}"))

    def _history(self, result: Result, *, going_on: bool) -> dict[str, Any]:
        before = self.__dict__ if going_on else {}
        out: dict[str, Any] = {
            "n_iter_": result.n_iter,
            "loss_curve_": extended(before.get("loss_curve_"), result.loss_curve),
            "stop_reason_": result.stop_reason,
        }
        for name, values in (
            ("validation_scores_", result.scores),
            ("validation_loss_curve_", result.validation_loss_curve),
        ):
            out[name] = None if values is None else extended(before.get(name), values)
        return out

    def _penalty(self, n: int, *, partial: bool) -> float:
        """The strength of the penalty; of 'auto' in `partial_fit` that of the last fit, if there was one."""
        if self.alpha != "auto":
            return float(self.alpha)
        if not partial:
            self._rows_of_fit = n
        rows = self.__dict__.get("_rows_of_fit")
        return 0.0 if rows is None else _defaults.penalty(rows)

    def _batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return _defaults.batch_rows(n)
        return n if self.batch_size == "full" else min(int(self.batch_size), n)

    def _goes_by_tol(self) -> bool:
        """Whether training may stop before its last epoch: not by a loss, while its rates have not yet decayed."""
        return bool(self.early_stopping) or not self._has_own_schedule()

    def _wants_convergence(self) -> bool:
        return self.tol is not None and not self._has_own_schedule()

    def summary(self) -> str:
        """Return a table of the layers, with the shape of a row after each and the number of its parameters.

        The last lines give all parameters, and the bytes of parameters, optimizer state and one batch in training.

        Returns
        -------
        table : str

        Raises
        ------
        NotFittedError
            If the model is not fitted: only data tell the shapes.

        Examples
        --------
        >>> import numpy as np
        >>> from fusedgrad.layers import Dense
        >>> from fusedgrad.neural_network import NeuralRegressor
        >>> X = np.ones((8, 3), np.float32)
        >>> net = NeuralRegressor([Dense(4, "relu")], max_epochs=1, tol=None).fit(X, X[:, 0])
        >>> print(net.summary())  # doctest: +ELLIPSIS
        layer             shape  parameters
        input             (3,)            0
        Dense(4, 'relu')  (4,)           16
        output: Dense(1)  (1,)            5
        21 parameters, 84 bytes; with optimizer state 252 bytes, one batch of 8 rows ... bytes
        """
        check_is_fitted(self)
        net = self._net
        weights = self._weights()
        rows = [("layer", "shape", "parameters"), ("input", str(net.input_shape), "0")]
        before = 0
        for k, layer in enumerate(net.layers):
            count = sum(w.size for w in weights.trained[before : net.pieces[k]])
            before = net.pieces[k]
            name = f"output: {layer!r}" if k == len(net.layers) - 1 else repr(layer)
            rows.append((name, str(net.shapes[k]), f"{count:,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
        total = sum(w.size for w in weights.trained)
        size = total * weights.trained[0].itemsize
        state = size + sum(a.nbytes for slot in self._optimizer.slots for a in slot)
        state += 0 if weights.average is None else size
        lines.append(
            f"{total:,} parameters, {size:,} bytes; with optimizer state {state:,} bytes, one batch of "
            f"{self._batch_rows:,} rows {self._batch_bytes:,} bytes"
        )
        return "\n".join(lines)
