"""`NeuralClassifier`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin

from .. import layers as layer_types
from .. import optimizers
from .._sources import Scores, takes_sources
from .._validation.parameters import Either, Instance, Number, OneOf
from ._layered import Layered
from ._targets import Classification

if TYPE_CHECKING:
    from typing_extensions import Self


def _has_two_scores(layer: layer_types.Layer) -> bool:
    """Whether a layer gives two classes a score each, for a softmax."""
    return isinstance(layer, layer_types.Dense) and layer.units == 2 and layer.activation in (None, "identity")


def _has_scores(layer: layer_types.Dense) -> bool:
    """Whether a layer may be the output layer, for some number of classes."""
    return layer.activation in (None, "identity") or (layer.activation == "logistic" and layer.units == 1)


class NeuralClassifier(Scores, ClassifierMixin, Classification, Layered):  # type: ignore[misc]
    """A classifier that is a network of any layers, trained on the cross-entropy.

    The objective is ``mean(loss) + alpha / 2 * sum of ||W||²``; in each batch the mean is weighted by the sample
    weights relative to their sum.

    Parameters
    ----------
    layers : list of Layer or 'auto', default='auto'
        'auto': one hidden layer of ReLUs (after a `Flatten`, where rows have several dimensions), as many as the power
        of two next to the root of the number of rows, from 32 to 256. Or objects of `fusedgrad.layers`. If the last one
        is a `Dense` without activation that has as many units as there are outputs (one for two classes, or two;
        otherwise one a class or label), it is the output layer; otherwise one is added (after a `Flatten`, where rows
        have several dimensions). Softmax and sigmoid belong to the loss, so the output layer needs none; a 'logistic'
        there counts as the loss's own.
    loss : str, default='auto'
        'auto' and 'log_loss' are the cross-entropy: softmax for several classes, sigmoid for two and for each label of
        an indicator matrix.
    optimizer : str or Optimizer, default='adam'
        A name or an object of `fusedgrad.optimizers`. If the object has a `learning_rate`, it takes precedence over the
        estimator's. ``set_params(optimizer__beta_1=0.8)`` makes an object of a name.
    learning_rate : float in (0, inf), str, schedule or callable, default='auto'
        'auto': up to a rate that suits the optimizer and down to nothing (`schedules.OneCycle`) over all epochs; in
        `partial_fit` that rate, which falls with the root of the steps after the first thousand. A float is the rate;
        'adaptive' is 1e-3, divided by 5 whenever training would stop, until 1e-6; or an object of
        `fusedgrad.schedules`, or any callable ``step -> rate``, which gets the number of steps made so far. Or the name
        of a schedule: 'cosine', 'linear', 'polynomial' and 'one_cycle' begin with the optimizer's `default_rate` and
        are as long as `max_epochs` (`partial_fit` cannot know that, and needs an object), 'constant', 'inverse_scaling'
        and 'reduce_on_plateau' begin with it.
    batch_size : int in [1, inf), 'auto' or 'full', default='auto'
        Rows of a batch; 'auto': a power of two near a hundredth of the rows, from 16 to 256; 'full': all rows.
    max_epochs : int in [1, inf) or 'auto', default='auto'
        Epochs at most; 'auto': so many that there are 3,000 steps, from 10 to 100.
    standardize : bool, default=True
        Whether to train on standardised columns of X, so that their units do not matter; see the notes. Rows and
        predictions are in the units of the data in any case.
    alpha : float in [0, inf) or 'auto', default='auto'
        Strength of an L2 penalty, ``alpha / 2 * sum of ||W||²``, on weights (not on biases, scales and shifts). 'auto':
        5 over the number of rows; in `partial_fit`, which does not know it, 0 or as in the last `fit`.
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
        An epoch counts as idle if the loss did not fall below its best by this share of it (with `early_stopping`: if
        the validation score did not rise by `tol`). None: none is idle. Without `early_stopping`,
        ``learning_rate='auto'`` goes to the end of its schedule, and does not use it.
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
    input_mean_, input_scale_ : ndarray of shape (n_channels,) or None
        What is subtracted from the columns of X (of rows with several dimensions, from the channels, which are last),
        and what they are divided by then. None: they are taken as they are.
    loss_curve_ : list of float
        The loss of each epoch, penalty included.
    validation_scores_, validation_loss_curve_ : list of float or None
        Accuracy and cross-entropy of the validation rows after each epoch; None without such rows.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'stalled', 'diverged', 'interrupted'}
        Why training ended. 'max_iter': after the last epoch, the usual end of ``learning_rate='auto'``. 'stalled': the
        loss no longer fell, far above its best. 'diverged': it ended above its best by more than the first one, or is
        not finite, and `restore_best_weights` has kept the best ones; without, that is a
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
    Units are learned by the first `fit` or `partial_fit`, from the rows that it trains on, and kept by `partial_fit`,
    warm starts and pickles. The unit of a column is its standard deviation, or an eighth of the largest distance from
    its mean where that is more; a constant column counts as zero. Sparse columns keep their zeros: they are divided by
    the root mean square of their other numbers. Codes (`Embedding`) and steps that may be padding (`Masking`) stay as
    they are. Training takes a copy of X.

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
    >>> NeuralClassifier(random_state=0).fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.9
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
        layers: Sequence[layer_types.Layer] | str = "auto",
        loss: str = "auto",
        optimizer: str | optimizers.Optimizer = "adam",
        learning_rate: str | float | Callable[[int], float] = "auto",
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        *,
        standardize: bool = True,
        alpha: float | str = "auto",
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
        self.standardize = standardize
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

    def _learn_targets(self, y: Any, classes: Any = None) -> None:
        super()._learn_targets(y, classes)
        last = (self._given_layers() or ())[-1:]
        if self._y_kind == "binary" and len(self.classes_) == 2 and last and _has_two_scores(last[0]):
            self._y_kind, self.n_outputs_ = "multiclass", 2

    def _check_may_grow(self, y: Any) -> None:
        super()._check_may_grow(y)
        last = (self._given_layers() or (None,))[-1]
        if isinstance(last, layer_types.Dense) and _has_scores(last):
            raise ValueError(
                f"classes='grow' needs an output layer that can have more units, but `layers` ends with {last!r}. "
                "Leave it out (an output layer is added), or give it an activation if it is a hidden layer."
            )

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

    @takes_sources
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
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
        classes : array-like of shape (n_classes,) or 'grow', default=None
            All classes that will ever come; needed in the first call. Or 'grow', in any call: from then on, until the
            next `fit`, labels that are new become classes, see the notes; an array of labels may then add some, too.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As for `fit`; also if `classes` is missing in the first call or changes later, or if y has another label
            (with 'grow': if `classes` lacks one that is known, if some labels are strings and some numbers, or for an
            indicator matrix, or if `layers` ends with an output layer).

        Notes
        -----
        With ``classes='grow'`` a label that is new gets a unit of the output layer, whose weights and bias start at
        zero, and so does its part of the optimizer's state. `classes_` stays sorted: the units of known classes move
        to their new places with the same weights, so that their scores change by training alone. Of two classes the
        single output s becomes -s/2 and s/2, and the loss the softmax of all: relative to each other they stay as
        likely as they were. Steps and rates go on. A dict of `class_weight` may name classes that are yet to come.

        Rows of one class alone teach nothing and are not counted: `predict` returns this class, and training starts
        with the call that brings a second class.
        """
        return self._partial(X, y, sample_weight, classes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
