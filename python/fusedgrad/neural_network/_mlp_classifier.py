"""`MLPClassifier`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin

from .. import optimizers
from .._estimator import available_if
from .._sources import Scores, takes_sources
from .._validation.parameters import Either, Instance, Number, OneOf
from ._mlp import MLP, is_stochastic
from ._targets import Classification

if TYPE_CHECKING:
    from typing_extensions import Self


class MLPClassifier(Scores, ClassifierMixin, Classification, MLP):  # type: ignore[misc]
    """Multi-layer perceptron: fully connected layers, trained on the cross-entropy.

    scikit-learn's estimator of this name with its parameters, defaults and results, several times faster; and, keyword
    by keyword, what it does not have. The loss of a batch is
    ``(sum of weighted losses + alpha / 2 * sum of ||W||²) / sum of weights``: softmax for several classes, sigmoid for
    two and for each label of an indicator matrix.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, or int, default=(100,)
        Units of each hidden layer, from the first to the last. Empty: none, which makes a linear model.
    activation : str or list of str, default='relu'
        The activation of the hidden layers, or one for each: 'identity', 'logistic', 'tanh', 'relu', and 'elu', 'gelu',
        'hard_swish', 'leaky_relu', 'mish', 'selu', 'silu', 'softplus'.
    solver : str or Optimizer, default='adam'
        'lbfgs' (SciPy's L-BFGS-B, on all rows at once), 'sgd', 'adam' (both in scikit-learn's form), or any other name
        or object of `fusedgrad.optimizers`. If the object has a `learning_rate`, it takes precedence over the
        estimator's. ``set_params(solver__beta_1=0.8)`` makes an object of a name.
    alpha : float in [0, inf), default=0.0001
        Strength of the L2 penalty on weights (not on biases), which is divided by the weight of the batch.
    batch_size : int in [1, inf), 'auto' or 'full', default='auto'
        Rows of a batch; 'auto': 200, or all if there are fewer (with ``learning_rate='auto'``: a power of two near a
        hundredth of the rows, from 16 to 256). 'full': all. Not used by 'lbfgs'.
    learning_rate : str, float, schedule or callable, default='constant'
        'auto' trains as `NeuralClassifier` does with nothing set, for `max_iter` epochs: inputs are standardised
        inside, the rate rises to what suits the solver and falls to nothing in the last step. The others leave data as
        they are. 'constant' is `learning_rate_init`; 'invscaling' ``learning_rate_init / (t + 1) ** power_t``, with t
        the rows seen before the epoch; 'adaptive' `learning_rate_init`, divided by 5 whenever training would stop,
        until 1e-6. Or a float (a constant rate), an object of `fusedgrad.schedules`, or any callable ``step -> rate``,
        which gets the number of steps made so far. Or the name of a schedule: 'cosine', 'linear', 'polynomial' and
        'one_cycle' begin with `learning_rate_init` and are as long as `max_iter` epochs (`partial_fit` cannot know
        that, and needs an object), 'inverse_scaling' and 'reduce_on_plateau' begin with `learning_rate_init`.
    learning_rate_init : float in (0, inf), default=0.001
        The (first) learning rate.
    power_t : float in [0, inf), default=0.5
        The exponent of 'invscaling'.
    max_iter : int in [1, inf), default=200
        Epochs at most; with 'lbfgs' iterations.
    shuffle : bool, default=True
        Whether to visit the rows in a new order each epoch.
    random_state : int, RandomState or None, default=None
        Initial weights, the validation split, the order of rows and dropout.
    tol : float in [0, inf), default=1e-4
        An epoch counts as idle if the loss did not fall below its best by `tol` (with `early_stopping`: if the
        validation score did not rise so). With 'lbfgs' it is the largest entry of the gradient at which to stop. Not
        used by ``learning_rate='auto'`` without `early_stopping`, as `n_iter_no_change`.
    verbose : bool or int, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit.
    momentum : float in [0, 1], default=0.9
        The momentum of 'sgd'.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
    early_stopping : bool, default=False
        Stop by the score (accuracy) on validation rows: those given to `fit`, else a share of the training rows, to
        which each class gives its share (one of a single row gives none; of indicator matrices any rows are taken). The
        weights of the best epoch are kept. Not used by 'lbfgs'.
    validation_fraction : float in [0, 1), default=0.1
        The share of the training rows that `early_stopping` sets aside.
    beta_1 : float in [0, 1), default=0.9
        Decay of Adam's mean of gradients.
    beta_2 : float in [0, 1), default=0.999
        Decay of Adam's mean of squares.
    epsilon : float in (0, inf), default=1e-8
        Adam's epsilon (added before bias correction, as in scikit-learn).
    n_iter_no_change : int in [1, inf) or inf, default=10
        Training stops when more epochs than this were idle in a row.
    max_fun : int in [1, inf), default=15000
        Evaluations of loss and gradient at most, for 'lbfgs'.
    dropout : float in [0, 1), default=0.0
        In training each hidden unit is zero with this probability, after its activation.
    batch_norm : bool, default=False
        Whether hidden layers are normalised over the batch, before their activation.
    init : str, default='auto'
        Initial weights: a name of `fusedgrad.layers.initializers`, with biases of zero; 'auto' is scikit-learn's way.
    weight_decay : float in [0, inf), default=0.0
        Decoupled decay: weights shrink by ``rate * weight_decay`` in each step, whatever the optimizer.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, multiplied with sample weights; classes that a dict leaves out have weight 1.
        'balanced': ``sum(w) / (n_classes * sum of w in the class)``, with w the sample weights of the rows trained on.
        For an indicator matrix a list, one dict such as ``{0: 1.0, 1: 2.0}`` a column, or 'balanced', column by column;
        the weight of a row is the product over its columns.
    clip_norm : float in (0, inf) or None, default=None
        The gradient, of all parameters together, is shortened to this Euclidean norm.
    label_smoothing : float in [0, 1), default=0.0
        The share of each target that is spread over all classes.
    restore_best_weights : bool or None, default=None
        Keep the weights of the epoch with the best validation score. None: with `early_stopping`, as scikit-learn does.
    n_jobs : int or None, default=None
        Threads at most; fewer are used where that is measured to be faster. None: as many as the process may use, see
        `fusedgrad.show_config`; -1: the same; -2: one less, ... Results are the same bits for any number.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; for an indicator matrix the numbers of its columns.
    coefs_ : list of ndarray of shape (n_inputs, n_units)
        Weights of each layer.
    intercepts_ : list of ndarray of shape (n_units,)
        Biases of each layer.
    norms_ : list of dict
        With `batch_norm`: 'scale', 'shift', 'mean' and 'variance' of each hidden layer.
    loss_ : float
        The loss of the last epoch.
    best_loss_ : float or None
        The smallest loss of an epoch; None with `early_stopping`.
    loss_curve_ : list of float
        The loss of each epoch, penalty included; with 'lbfgs' after each iteration.
    validation_scores_, validation_loss_curve_ : list of float or None
        Accuracy and cross-entropy of the validation rows after each epoch; None without such rows.
    best_validation_score_ : float or None
        The best of the scores.
    stop_reason_ : {'converged', 'early_stopping', 'max_iter', 'stalled', 'diverged', 'interrupted'}
        Why training ended. 'max_iter': after the last epoch, the usual end of ``learning_rate='auto'``. 'stalled': the
        loss no longer fell, far above its best. 'diverged': it ended above its best by more than the first one, or is
        not finite, and the best weights of a validation set are kept; without, that is a
        `DivergedError`. 'interrupted' is left behind by a Ctrl-C.
    input_mean_, input_scale_ : ndarray of shape (n_channels,) or None
        What is subtracted from the columns of X (of rows with several dimensions, from the channels, which are last),
        and what they are divided by then. None: they are taken as they are.
    t_ : int
        Rows seen so far.
    n_iter_ : int
        Epochs of the last fit.
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
        Units of the output layer.
    out_activation_ : {'softmax', 'logistic'}
        The function that turns its outputs into probabilities.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    MLPRegressor : The same for regression.
    NeuralClassifier : Networks of any layers.

    Notes
    -----
    Dense float32 and float64 arrays in C order and CSR matrices are used without a copy; training and predictions have
    the type of X at the first fit. With an optimizer or a schedule that scikit-learn does not have, a UserWarning
    names parameters that were set and have no effect, such as `beta_1` with ``solver='rmsprop'``.

    Ctrl-C ends a fit within about 0.1 s: the weights and curves so far are kept (a validation score that is missing is
    NaN), `stop_reason_` is 'interrupted', and KeyboardInterrupt is raised, so that searches and loops end, too. After
    an interrupt within a callback, before the first step, and within `partial_fit`, the estimator is as before the
    call.

    The names that `set_output` gives to the features of `transform` are 'mlpclassifier0', 'mlpclassifier1', ...

    **Differences from scikit-learn 1.9.** The same ``random_state`` gives the same weights to rounding, except:

    * `learning_rate` acts with every solver (scikit-learn: with 'sgd' alone);
    * a warm start does not inherit the idle epochs of the fit before, so it can train for more than one epoch; with
      'invscaling' it goes on with the rate (scikit-learn: one epoch at the first rate); with early stopping it keeps
      the best weights (scikit-learn: those that it has just trained);
    * `partial_fit` is not there with ``solver='lbfgs'``, for regression too; it takes ``classes='grow'``;
    * losses are exact: scikit-learn cuts probabilities at the precision of the type before their logarithm;
    * 'lbfgs' has a `loss_curve_`;
    * the rows that `early_stopping` keeps aside are the same for two classes that have two rows each or more, and for
      indicator matrices; more classes are stratified, too (scikit-learn: not, so that a rare one can be lost), and a
      class of one row is trained on (scikit-learn: an error, for two classes);
    * one class alone is an error, as in the linear classifiers (scikit-learn: always predicted), but for
      ``classes='grow'``;
    * dates, times and strings are errors (scikit-learn: made numbers, where NumPy can);
    * Ctrl-C raises KeyboardInterrupt when the weights are kept (scikit-learn: a warning);
    * training that diverges raises `fusedgrad.exceptions.DivergedError`, or with a validation set ends with the best
      weights and a warning.

    References
    ----------
    Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 1986. Glorot & Bengio,
    "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010. Kingma & Ba, "Adam: a
    method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fusedgrad.neural_network import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = MLPClassifier((64,), activation="gelu", dropout=0.1, max_iter=30, learning_rate_init=0.01, random_state=0)
    >>> clf.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.85
    True
    >>> clf.transform(X[:3] / 16).shape
    (3, 64)
    """

    _rules = {
        **MLP._rules,
        "class_weight": Either(
            OneOf("balanced", None), Instance(dict, "a dict of weights"), Instance(list, "a list of dicts")
        ),
        "label_smoothing": Number(low=0, high=1, open_high=True),
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Iterable[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str | optimizers.Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | float | Callable[[int], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        batch_norm: bool = False,
        init: str = "auto",
        weight_decay: float = 0.0,
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | str | None = None,
        clip_norm: float | None = None,
        label_smoothing: float = 0.0,
        restore_best_weights: bool | None = None,
        n_jobs: int | None = None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.init = init
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.clip_norm = clip_norm
        self.label_smoothing = label_smoothing
        self.restore_best_weights = restore_best_weights
        self.n_jobs = n_jobs

    @available_if(is_stochastic)
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
            indicator matrix).

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
