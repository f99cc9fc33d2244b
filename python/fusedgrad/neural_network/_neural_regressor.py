"""`NeuralRegressor`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from .. import layers as layer_types
from .. import losses, optimizers
from .._sources import Scores, takes_sources
from .._validation.parameters import Either, Instance, OneOf
from ._layered import Layered
from ._targets import REGRESSION_LOSSES, Regression

if TYPE_CHECKING:
    from typing_extensions import Self


class NeuralRegressor(Scores, RegressorMixin, Regression, Layered):  # type: ignore[misc]
    """A regression that is a network of any layers.

    The objective is ``mean(loss) + alpha / 2 * sum of ||W||²``, with the losses of several targets summed; in each
    batch the mean is weighted by the sample weights relative to their sum.

    Parameters
    ----------
    layers : list of Layer or 'auto', default='auto'
        'auto': one hidden layer of ReLUs (after a `Flatten`, where rows have several dimensions), as many as the power
        of two next to the root of the number of rows, from 32 to 256. Or objects of `fusedgrad.layers`. If the last one
        is a `Dense` with as many units as there are outputs (targets a row), it is the output layer; otherwise one is
        added (after a `Flatten`, where rows have several dimensions).
    loss : str or Loss, default='auto'
        'auto' is 'squared_error' (half of it); or 'absolute_error', 'huber', 'quantile', or 'poisson' and 'gamma',
        which take the output for the logarithm of the mean; or an object of `fusedgrad.losses`. Its parameters, such as
        epsilon, count in the units that `standardize` makes.
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
        Whether to train on standardised columns of X and targets, so that their units do not matter; see the notes.
        Rows and predictions are in the units of the data in any case.
    alpha : float in [0, inf) or 'auto', default='auto'
        Strength of an L2 penalty, ``alpha / 2 * sum of ||W||²``, on weights (not on biases, scales and shifts). 'auto':
        5 over the number of rows; in `partial_fit`, which does not know it, 0 or as in the last `fit`.
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
        An epoch counts as idle if the loss did not fall below its best by this share of it (with `early_stopping`: if
        the validation score did not rise by `tol`). None: none is idle. Without `early_stopping`,
        ``learning_rate='auto'`` goes to the end of its schedule, and does not use it.
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
    input_mean_, input_scale_ : ndarray of shape (n_channels,) or None
        What is subtracted from the columns of X (of rows with several dimensions, from the channels, which are last),
        and what they are divided by then. None: they are taken as they are.
    target_mean_, target_scale_ : ndarray of shape (n_outputs_,) or None
        The same of the targets. None, too, where the output layer has an activation.
    loss_curve_ : list of float
        The loss of each epoch, penalty included, of targets in the units of training.
    validation_scores_, validation_loss_curve_ : list of float or None
        R² and loss (as in `loss_curve_`) of the validation rows after each epoch; None without such rows.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'stalled', 'diverged', 'interrupted'}
        Why training ended. 'max_iter': after the last epoch, the usual end of ``learning_rate='auto'``. 'stalled': the
        loss no longer fell, far above its best. 'diverged': it ended above its best by more than the first one, or is
        not finite, and `restore_best_weights` has kept the best ones; without, that is a
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

    Notes
    -----
    Inputs are standardised as by `NeuralClassifier`. Targets have mean 0 and standard deviation 1 in training; with
    'poisson' and 'gamma' they are divided by their mean; and where the output layer of `layers` has an activation,
    whose range is theirs, they stay as they are. A loss of 0.5 is what the mean as prediction would have, so `tol`,
    `alpha` and the losses that are reported do not depend on units either.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from fusedgrad.layers import Dense, Residual
    >>> from fusedgrad.neural_network import NeuralRegressor
    >>> x = np.linspace(-3, 3, 400)[:, None]
    >>> net = NeuralRegressor([Dense(32, "tanh"), Residual([Dense(32, "tanh")])], random_state=0)
    >>> net.fit(x, np.sin(x[:, 0])).score(x, np.sin(x[:, 0])) > 0.98
    True
    >>> X, y = load_diabetes(return_X_y=True)
    >>> NeuralRegressor(random_state=0).fit(X[:350], y[:350]).score(X[350:], y[350:]) > 0.4
    True
    """

    _rules = {
        **Layered._rules,
        "loss": Either(OneOf("auto", *REGRESSION_LOSSES), Instance(losses.Loss, "an object of fusedgrad.losses")),
    }

    def __init__(
        self,
        layers: Sequence[layer_types.Layer] | str = "auto",
        loss: str | losses.Loss = "auto",
        optimizer: str | optimizers.Optimizer = "adam",
        learning_rate: str | float | Callable[[int], float] = "auto",
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        *,
        standardize: bool = True,
        alpha: float | str = "auto",
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
        self.standardize = standardize
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

    @takes_sources
    def partial_fit(self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Self:
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
