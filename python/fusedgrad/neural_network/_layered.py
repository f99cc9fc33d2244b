"""`NeuralClassifier` and `NeuralRegressor`: networks of a list of layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .. import layers as layer_types
from .. import losses, optimizers, schedules
from .._training.net import Arrays
from .._training.network import Goal, Result, Settings, Weights, row_order
from .._validation import ignored
from .._validation.arrays import FLOATS, aligned, check_finite, is_plain, numbers_of
from .._validation.parameters import Either, Instance, Number, OneOf
from ..layers._layer import checked, walk
from ._common import ENDLESS, Neural, longer
from ._targets import REGRESSION_LOSSES, Classification, Regression

if TYPE_CHECKING:
    from typing_extensions import Self


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
        "learning_rate": schedules.learning_rate_rule("adaptive"),
        "batch_size": Either(Number(Integral, 1), OneOf("full")),
        "max_epochs": Number(Integral, 1),
        "average": Number(low=0, high=1, open_low=True, open_high=True, none=True),
        "input_shape": _Shape(),
        "tol": Number(low=0, high=np.inf, open_high=True, none=True),
        "n_iter_no_change": Number(Integral, 1),
        "validation_fraction": Number(low=0, high=1, open_low=True, open_high=True),
        "restore_best_weights": OneOf(True, False),
    }

    _idle = ignored.LAYERED
    _fitted_by = "weights_"
    _held_by = ("weights_", "statistics_", "_trained", "_average")
    layers: Sequence[layer_types.Layer]
    weights_: Arrays
    statistics_: Arrays

    # ---- what the network is ----

    def _is_output(self, layer: layer_types.Layer) -> bool:
        """Whether the last layer of the list is the output layer."""
        return isinstance(layer, layer_types.Dense) and layer.units == self.n_outputs_

    def _layers(self, shape: tuple[int, ...]) -> list[layer_types.Layer]:
        given = list(checked(self.layers, type(self).__name__))
        if given and self._is_output(given[-1]):
            return given
        last = [shape, *(after for *_, after in walk(given, shape))][-1]
        flat = [layer_types.Flatten()] if len(last) > 1 else []
        return [*given, *flat, layer_types.Dense(self.n_outputs_)]

    def _check_parameters(self, *, partial: bool = False) -> None:
        super()._check_parameters(partial=partial)
        checked(self.layers, type(self).__name__)

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
        kept: dict[str, Any] = {"weights_": weights.answer, "statistics_": weights.kept}
        if weights.average is not None:
            kept.update(_trained=weights.trained, _average=weights.average)
        return kept

    # ---- how it is trained ----

    def _rule(self) -> optimizers.Optimizer:
        return optimizers.get(self.optimizer) if isinstance(self.optimizer, str) else self.optimizer

    def _most_epochs(self) -> int:
        return int(self.max_epochs)

    def _settings(self, X: Any, goal: Goal, rng: Any, *, partial: bool, going_on: bool) -> Settings:
        n = X.shape[0]
        optimizer = self._rule()
        self._check_optimizer(optimizer)
        before = self.__dict__ if going_on else {}
        size = n if self.batch_size == "full" else min(int(self.batch_size), n)
        seed = int(rng.randint(2**31 - 1))
        steps = None if partial else self._most_epochs() * -(-n // size)
        rate = self.learning_rate
        initial = 1e-3 if isinstance(rate, str) and rate == "adaptive" else optimizer.default_rate
        return Settings(
            optimizer=optimizer,
            source=self._source(rate, initial, optimizer, before.get("_optimizer"), steps, ("adaptive",)),
            batch_size=size,
            max_epochs=1 if partial else min(self._most_epochs(), ENDLESS),
            l2=float(self.alpha),
            l2_of_batch=False,
            tol=None if self.tol is None or partial else float(self.tol),
            patience=float(min(self.n_iter_no_change, ENDLESS)),
            order=(lambda epoch: row_order(n, seed, epoch)) if self.shuffle and size < n else None,
            seed=seed,
            decay=float(self.weight_decay),
            clip_norm=self.clip_norm,
            average=None if self.average is None else float(self.average),
            restore_best=bool(self.restore_best_weights),
            by_score=bool(self.early_stopping),
            say=self._say if self.verbose else None,
        )

    def _say(self, epoch: int, loss: float, score: float | None) -> None:
        """What ``verbose`` prints."""
        print(f"Epoch {epoch:>3}  loss {loss:.6f}" + ("" if score is None else f"  validation score {score:.4f}"))

    def _history(self, result: Result, *, going_on: bool) -> dict[str, Any]:
        before = self.__dict__ if going_on else {}
        out: dict[str, Any] = {
            "n_iter_": result.n_iter,
            "loss_curve_": longer(before.get("loss_curve_"), result.loss_curve),
            "stop_reason_": result.stop_reason,
        }
        for name, values in (
            ("validation_scores_", result.scores),
            ("validation_loss_curve_", result.validation_loss_curve),
        ):
            out[name] = None if values is None else longer(before.get(name), values)
        return out

    def _wants_convergence(self) -> bool:
        return self.tol is not None

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


def _has_two_scores(layer: layer_types.Layer) -> bool:
    """Whether a layer gives two classes a score each, for a softmax."""
    return isinstance(layer, layer_types.Dense) and layer.units == 2 and layer.activation in (None, "identity")


class NeuralClassifier(ClassifierMixin, Classification, Layered):  # type: ignore[misc]
    """A classifier that is a network of any layers, trained on the cross-entropy.

    The objective is ``mean(loss) + alpha / 2 * sum of ||W||²``; in each batch the mean is weighted by the sample
    weights relative to their sum.

    Parameters
    ----------
    layers : list of Layer
        Objects of `fusedgrad.layers`. If the last one is a `Dense` without activation that has as many units as there
        are outputs (one for two classes, or two; otherwise one a class or label), it is the output layer; otherwise one
        is added (after a `Flatten`, where rows have several dimensions). Softmax and sigmoid belong to the loss, so the
        output layer needs none; a 'logistic' there counts as the loss's own.
    loss : str, default='auto'
        'auto' and 'log_loss' are the cross-entropy: softmax for several classes, sigmoid for two and for each label of
        an indicator matrix.
    optimizer : str or Optimizer, default='adam'
        A name or an object of `fusedgrad.optimizers`. If the object has a `learning_rate`, it takes precedence over the
        estimator's. ``set_params(optimizer__beta_1=0.8)`` makes an object of a name.
    learning_rate : float in (0, inf), str, schedule or callable, default=1e-3
        The rate; 'adaptive' is 1e-3, divided by 5 whenever training would stop, until 1e-6; or an object of
        `fusedgrad.schedules`, or any callable ``step -> rate``, which gets the number of steps made so far. Or the name
        of a schedule: 'cosine', 'linear', 'polynomial' and 'one_cycle' begin with the optimizer's `default_rate` and
        are as long as `max_epochs` (`partial_fit` cannot know that, and needs an object), 'constant',
        'inverse_scaling' and 'reduce_on_plateau' begin with it.
    batch_size : int in [1, inf) or 'full', default=128
        Rows of a batch; 'full': all rows.
    max_epochs : int in [1, inf), default=100
        Epochs at most.
    alpha : float in [0, inf), default=0.0
        Strength of an L2 penalty, ``alpha / 2 * sum of ||W||²``, on weights (not on biases, scales and shifts).
    weight_decay : float in [0, inf), default=0.0
        Decoupled decay of the same weights: they shrink by ``rate * weight_decay`` in each step.
    clip_norm : float in (0, inf) or None, default=None
        The gradient, of all parameters together, is shortened to this Euclidean norm.
    label_smoothing : float in [0, 1), default=0.0
        The share of each target that is spread over all classes.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, multiplied with sample weights; classes that a dict leaves out have weight 1.
        'balanced': ``sum(w) / (n_classes * sum of w in the class)``, with w the sample weights of the rows trained on.
        For an indicator matrix a list, one dict such as ``{0: 1.0, 1: 2.0}`` a column, or 'balanced', column by column;
        the weight of a row is the product over its columns.
    average : float in (0, 1) or None, default=None
        Predict with a running mean of the weights, ``mean = average * mean + (1 - average) * weights`` in each step
        (exponential moving average, which begins with the weights after the first step). None: with the current
        weights.
    input_shape : tuple of int or None, default=None
        The shape of a row. None: that of X's rows. Given, rows of flat X are brought into this shape, so that pipelines
        and grid search can work on tables.
    shuffle : bool, default=True
        Whether to visit the rows in a new order each epoch.
    tol : float in [0, inf) or None, default=1e-4
        An epoch counts as idle if the loss did not fall below its best by `tol` (with `early_stopping`: if the
        validation score did not rise so). None: none is idle.
    n_iter_no_change : int in [1, inf), default=10
        Training stops when so many epochs were idle in a row.
    early_stopping : bool, default=False
        Stop by the score (accuracy) on validation rows: those given to `fit`, else a share of the training rows, to
        which each class gives its share (one of a single row gives none; of indicator matrices any rows are taken).
    validation_fraction : float in (0, 1), default=0.1
        The share of the training rows that `early_stopping` sets aside.
    restore_best_weights : bool, default=False
        Keep the weights of the epoch with the best validation score, rather than the last.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit, state of the optimizer included.
    random_state : int, RandomState or None, default=None
        Initial weights, the validation split, the order of rows and dropout.
    verbose : bool or int, default=False
        Whether to print a line an epoch.
    n_jobs : int or None, default=None
        Threads at most; fewer are used where that is measured to be faster. None: as many as the process may use, see
        `fusedgrad.show_config`; -1: the same; -2: one less, ... Results are the same bits for any number.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; for an indicator matrix the numbers of its columns.
    weights_ : list of ndarray
        What was trained, in the order of the layers: of `Dense` weights (n_inputs, n_units) and biases (1, n_units), of
        the norms scales and shifts (1, n_features); of convolutions, recurrent layers and `Embedding` as their notes
        say.
    statistics_ : list of ndarray
        Running means and variances of `BatchNorm`.
    loss_curve_ : list of float
        The loss of each epoch, penalty included.
    validation_scores_, validation_loss_curve_ : list of float or None
        Accuracy and cross-entropy of the validation rows after each epoch; None without such rows.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'diverged', 'interrupted'}
        Why training ended. 'diverged' needs `restore_best_weights`, which then keeps the best ones; otherwise it is a
        `DivergedError`. 'interrupted' is left behind by a Ctrl-C.
    n_iter_ : int
        Epochs of the last fit.
    n_outputs_ : int
        Units of the output layer.
    out_activation_ : {'softmax', 'logistic'}
        The function that turns its outputs into probabilities.
    n_features_in_ : int
        Numbers of a row: columns of X, or of images and sequences the product of their shape. Predictions take rows of
        that shape, and flat ones of so many columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    NeuralRegressor : The same for regression.
    MLPClassifier : scikit-learn's estimator, for fully connected layers.

    Notes
    -----
    Images are (n, height, width, channels), sequences (n, time, features). Weights, activations and predictions have
    the type of X at the first fit, float32 or float64. The optimizer's state is kept between calls of `partial_fit`,
    by `warm_start` and by pickling. A UserWarning names parameters that were set and have no effect.

    Ctrl-C ends a fit within about 0.1 s: the weights and curves so far are kept (a validation score that is missing is
    NaN), `stop_reason_` is 'interrupted', and KeyboardInterrupt is raised, so that searches and loops end, too. After
    an interrupt within a callback, before the first step, and within `partial_fit`, the estimator is as before the
    call.

    The names that `set_output` gives to the features of `transform` are 'neuralclassifier0', 'neuralclassifier1', ...

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fusedgrad.layers import BatchNorm, Dense, Dropout
    >>> from fusedgrad.neural_network import NeuralClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> net = NeuralClassifier([Dense(64), BatchNorm(), Dropout(0.1), Dense(32, "gelu")], max_epochs=20, tol=None,
    ...                        random_state=0)
    >>> net.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.85
    True
    """

    _rules = {
        **Layered._rules,
        "loss": OneOf("auto", "log_loss"),
        "class_weight": Either(
            OneOf("balanced", None), Instance(dict, "a dict of weights"), Instance(list, "a list of dicts")
        ),
        "label_smoothing": Number(low=0, high=1, open_high=True),
    }

    def __init__(
        self,
        layers: Sequence[layer_types.Layer],
        loss: str = "auto",
        optimizer: str | optimizers.Optimizer = "adam",
        learning_rate: str | float | Callable[[int], float] = 1e-3,
        batch_size: int | str = 128,
        max_epochs: int = 100,
        *,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        label_smoothing: float = 0.0,
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | str | None = None,
        average: float | None = None,
        input_shape: Sequence[int] | None = None,
        shuffle: bool = True,
        tol: float | None = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        restore_best_weights: bool = False,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
        n_jobs: int | None = None,
    ):
        self.layers = layers
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.average = average
        self.input_shape = input_shape
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.restore_best_weights = restore_best_weights
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    def _meet(self, y: Any, classes: Any = None) -> None:
        super()._meet(y, classes)
        last = checked(self.layers, type(self).__name__)[-1:]
        if self._y_kind == "binary" and len(self.classes_) == 2 and last and _has_two_scores(last[0]):
            self._y_kind, self.n_outputs_ = "multiclass", 2

    def _is_output(self, layer: layer_types.Layer) -> bool:
        if not isinstance(layer, layer_types.Dense) or layer.activation not in (None, "identity", "logistic"):
            return False
        if layer.activation == "logistic" and self._y_kind == "multiclass":
            return False
        return layer.units == self.n_outputs_

    def _layers(self, shape: tuple[int, ...]) -> list[layer_types.Layer]:
        made = super()._layers(shape)
        last = made[-1]
        if isinstance(last, layer_types.Dense) and last.activation == "logistic":  # the loss has it
            made[-1] = layer_types.Dense(last.units, bias=last.bias, init=last.init, bias_init=last.bias_init)
        return made

    def partial_fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on these rows, starting from the weights so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or array-like of shape (n_samples, ...)
            Rows to learn from.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As for `fit`; also if `classes` is missing in the first call or changes later, or if y has another label.
        """
        return self._partial(X, y, sample_weight, classes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NeuralRegressor(RegressorMixin, Regression, Layered):  # type: ignore[misc]
    """A regression that is a network of any layers.

    The objective is ``mean(loss) + alpha / 2 * sum of ||W||²``, with the losses of several targets summed; in each
    batch the mean is weighted by the sample weights relative to their sum.

    Parameters
    ----------
    layers : list of Layer
        Objects of `fusedgrad.layers`. If the last one is a `Dense` with as many units as there are outputs (targets a
        row), it is the output layer; otherwise one is added.
    loss : str or Loss, default='auto'
        'auto' is 'squared_error' (half of it); or 'absolute_error', 'huber', 'quantile', or 'poisson' and 'gamma',
        which take the output for the logarithm of the mean; or an object of `fusedgrad.losses`.
    optimizer : str or Optimizer, default='adam'
        A name or an object of `fusedgrad.optimizers`. If the object has a `learning_rate`, it takes precedence over the
        estimator's. ``set_params(optimizer__beta_1=0.8)`` makes an object of a name.
    learning_rate : float in (0, inf), str, schedule or callable, default=1e-3
        The rate; 'adaptive' is 1e-3, divided by 5 whenever training would stop, until 1e-6; or an object of
        `fusedgrad.schedules`, or any callable ``step -> rate``, which gets the number of steps made so far. Or the name
        of a schedule: 'cosine', 'linear', 'polynomial' and 'one_cycle' begin with the optimizer's `default_rate` and
        are as long as `max_epochs` (`partial_fit` cannot know that, and needs an object), 'constant',
        'inverse_scaling' and 'reduce_on_plateau' begin with it.
    batch_size : int in [1, inf) or 'full', default=128
        Rows of a batch; 'full': all rows.
    max_epochs : int in [1, inf), default=100
        Epochs at most.
    alpha : float in [0, inf), default=0.0
        Strength of an L2 penalty, ``alpha / 2 * sum of ||W||²``, on weights (not on biases, scales and shifts).
    weight_decay : float in [0, inf), default=0.0
        Decoupled decay of the same weights: they shrink by ``rate * weight_decay`` in each step.
    clip_norm : float in (0, inf) or None, default=None
        The gradient, of all parameters together, is shortened to this Euclidean norm.
    average : float in (0, 1) or None, default=None
        Predict with a running mean of the weights, ``mean = average * mean + (1 - average) * weights`` in each step
        (exponential moving average, which begins with the weights after the first step). None: with the current
        weights.
    input_shape : tuple of int or None, default=None
        The shape of a row. None: that of X's rows. Given, rows of flat X are brought into this shape, so that pipelines
        and grid search can work on tables.
    shuffle : bool, default=True
        Whether to visit the rows in a new order each epoch.
    tol : float in [0, inf) or None, default=1e-4
        An epoch counts as idle if the loss did not fall below its best by `tol` (with `early_stopping`: if the
        validation score did not rise so). None: none is idle.
    n_iter_no_change : int in [1, inf), default=10
        Training stops when so many epochs were idle in a row.
    early_stopping : bool, default=False
        Stop by the score (R²) on validation rows: those given to `fit`, else a share of the training rows.
    validation_fraction : float in (0, 1), default=0.1
        The share of the training rows that `early_stopping` sets aside.
    restore_best_weights : bool, default=False
        Keep the weights of the epoch with the best validation score, rather than the last.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit, state of the optimizer included.
    random_state : int, RandomState or None, default=None
        Initial weights, the validation split, the order of rows and dropout.
    verbose : bool or int, default=False
        Whether to print a line an epoch.
    n_jobs : int or None, default=None
        Threads at most; fewer are used where that is measured to be faster. None: as many as the process may use, see
        `fusedgrad.show_config`; -1: the same; -2: one less, ... Results are the same bits for any number.

    Attributes
    ----------
    weights_ : list of ndarray
        What was trained, in the order of the layers: of `Dense` weights (n_inputs, n_units) and biases (1, n_units), of
        the norms scales and shifts (1, n_features); of convolutions, recurrent layers and `Embedding` as their notes
        say.
    statistics_ : list of ndarray
        Running means and variances of `BatchNorm`.
    loss_curve_ : list of float
        The loss of each epoch, penalty included.
    validation_scores_, validation_loss_curve_ : list of float or None
        R² and loss of the validation rows after each epoch; None without such rows.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'diverged', 'interrupted'}
        Why training ended. 'diverged' needs `restore_best_weights`, which then keeps the best ones; otherwise it is a
        `DivergedError`. 'interrupted' is left behind by a Ctrl-C.
    n_iter_ : int
        Epochs of the last fit.
    n_outputs_ : int
        Units of the output layer.
    out_activation_ : {'identity', 'exp'}
        The function that turns its outputs into predictions.
    n_features_in_ : int
        Numbers of a row: columns of X, or of images and sequences the product of their shape. Predictions take rows of
        that shape, and flat ones of so many columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    NeuralClassifier : The same for classification, with notes.
    MLPRegressor : scikit-learn's estimator, for fully connected layers.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.layers import Dense, Residual
    >>> from fusedgrad.neural_network import NeuralRegressor
    >>> x = np.linspace(-3, 3, 400)[:, None]
    >>> net = NeuralRegressor([Dense(32, "tanh"), Residual([Dense(32, "tanh")])], learning_rate=0.01, tol=None,
    ...                       random_state=0)
    >>> net.fit(x, np.sin(x[:, 0])).score(x, np.sin(x[:, 0])) > 0.98
    True
    """

    _rules = {
        **Layered._rules,
        "loss": Either(OneOf("auto", *REGRESSION_LOSSES), Instance(losses.Loss, "an object of fusedgrad.losses")),
    }

    def __init__(
        self,
        layers: Sequence[layer_types.Layer],
        loss: str | losses.Loss = "auto",
        optimizer: str | optimizers.Optimizer = "adam",
        learning_rate: str | float | Callable[[int], float] = 1e-3,
        batch_size: int | str = 128,
        max_epochs: int = 100,
        *,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        average: float | None = None,
        input_shape: Sequence[int] | None = None,
        shuffle: bool = True,
        tol: float | None = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        restore_best_weights: bool = False,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
        n_jobs: int | None = None,
    ):
        self.layers = layers
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.average = average
        self.input_shape = input_shape
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.restore_best_weights = restore_best_weights
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    @property
    def _loss(self) -> losses.Loss:
        return losses.get("squared_error") if isinstance(self.loss, str) and self.loss == "auto" else super()._loss

    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on these rows, starting from the weights so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or array-like of shape (n_samples, ...)
            Rows to learn from.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As for `fit`.
        """
        return self._partial(X, y, sample_weight)
