"""What all neural estimators share: input, validation rows, training, weights that outlive a call, predictions."""

from __future__ import annotations

import functools
import math
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import optimizers, schedules
from .._atomic import settle_all, shallow_copy
from .._estimator import Estimator
from .._threads import threads_for
from .._training import rates
from .._training.callbacks import CallbackSupport, Epochs, with_callbacks
from .._training.net import Net
from .._training.network import Training
from .._training.network_records import Goal, NetworkState, Result, Settings, Weights
from .._training.resuming import Resumable
from .._training.stopping import DIVERGED, INTERRUPTED, MAX_ITER, STALLED
from .._training.streams.network import StreamTraining
from .._training.streams.survey import Streamed
from .._validation import ignored
from .._validation.arrays import FLOATS, check_X, check_X_y
from .._validation.parameters import BOOLEAN, Either, Instance, Number, OneOf, check_n_jobs, check_parameters
from .._validation.validation_set import check_validation
from .._validation.warn import warn
from .._validation.weights import check_weights
from . import _defaults, _messages
from ._features import Features
from ._history import Growth, History, copied
from ._scaling import Units, standardised, units_of
from ._split import Rows, set_aside
from ._streams import FromSources

ENDLESS = 2**62  # the core counts in 64 bits
_KNOWN_ENDS = (DIVERGED, INTERRUPTED)  # of which more need not be said
HISTORIES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")


class Neural(FromSources, CallbackSupport, Features, Estimator):  # type: ignore[misc]
    """What all neural estimators share. What a network is made of, and where its weights stand, they say themselves.

    Training works on a draft, an estimator of its own with the same attributes. Only when all is done does the real one
    take them over, in one step: so errors and interrupts find it as it was before.
    """

    _rules: dict[str, Any] = {
        "alpha": Number(low=0, high=np.inf, open_high=True),
        "shuffle": BOOLEAN,
        "random_state": Either(
            Number(Integral, 0, 2**32 - 1, none=True), Instance(np.random.RandomState, "a RandomState")
        ),
        "verbose": Either(Number(Integral, 0), BOOLEAN),
        "warm_start": BOOLEAN,
        "early_stopping": BOOLEAN,
        "weight_decay": Number(low=0, high=np.inf, open_high=True),
        "clip_norm": Number(low=0, high=np.inf, open_low=True, open_high=True, none=True),
        "n_jobs": Number(Integral, none=True),
    }
    _plain = {"_optimizer": NetworkState, "_net": Net}
    _idle: dict[str, ignored.Reason] = {}  # parameters that a fit may leave unused, and when
    _OPTIMIZER = Either(OneOf(*optimizers.names()), Instance(optimizers.Optimizer, "an object of fusedgrad.optimizers"))

    loss_curve_ = History()
    validation_scores_ = History()
    validation_loss_curve_ = History()

    _fitted_by: str  # the attribute that tells
    _held_by: tuple[str, ...]  # the attributes that may hold weights
    _net: Net
    _optimizer: NetworkState
    n_outputs_: int

    # ---- what the estimators say ----

    def _layers(self, shape: tuple[int, ...]) -> list[Any]:
        """The layers, output layer included, for rows of a shape."""
        raise NotImplementedError

    def _weights(self) -> Weights:
        """The weights as they stand, in arrays that may not be changed."""
        raise NotImplementedError

    def _keep_weights(self, weights: Weights) -> dict[str, Any]:
        """The attributes that hold the weights."""
        raise NotImplementedError

    def _settings(self, n: int, goal: Goal, rng: Any, *, partial: bool, going_on: bool) -> Settings:
        raise NotImplementedError

    def _history(self, result: Result, *, going_on: bool) -> dict[str, Any]:
        """The attributes that tell how training went."""
        raise NotImplementedError

    def _standardises(self) -> bool:
        """Whether a fit from the start learns units to train in."""
        raise NotImplementedError

    def _learn_target_units(self, y: Any, weight: Any) -> None:
        """Learn the units of the targets, where they have some."""

    def _fresh(self, net: Net, rng: Any, dtype: Any) -> Weights:
        return Weights(*net.fresh(rng, dtype))

    def _minimise(self, training: Training, epochs: Epochs) -> Result | None:
        """Train by a method of another kind; None: by steps."""
        return None

    @property
    def _waits(self) -> bool:
        """Whether there is nothing to learn yet."""
        return False

    # ---- parameters ----

    def _check_parameters(self, *, partial: bool = False) -> None:
        check_parameters(self, self._rules)
        check_n_jobs(self.n_jobs)
        if partial and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if partial and getattr(self, "class_weight", None) == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not know how frequent classes "
                "are. Give the weights as a dict; sklearn.utils.class_weight.compute_class_weight computes them."
            )

    def _check_optimizer(self, optimizer: optimizers.Optimizer) -> None:
        for name in ("weight_decay", "clip_norm"):
            if getattr(self, name) and getattr(optimizer, name):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} was given, but {optimizer!r} has one of its own. Use one of them."
                )
        average = getattr(self, "average", None)
        if optimizer.lazy and average is not None:
            raise ValueError(
                f"average={average!r} needs all weights in each step, which lazy=True of the optimizer leaves out. Use "
                "one of them."
            )

    def _source(
        self,
        rate: Any,
        initial: float,
        optimizer: optimizers.Optimizer,
        state: NetworkState | None,
        steps: int | None,
        own: tuple[str, ...],
    ) -> Any:
        """The learning rates: the optimizer's own where it has some, else the estimator's; see `rates.settled`.

        `steps` are those of this call, None in `partial_fit`.
        """
        learned = () if state is None else state.rates
        if steps is not None:
            steps = rates.steps_of(0 if state is None else state.step, 1, steps)
        rate = rates.settled(rate, initial, optimizer, steps, own=own)
        if rate == "auto":
            return rates.Source(_defaults.schedule(optimizer, steps))
        if rate == "adaptive":
            return rates.Adaptive(initial, learned)
        if rate == "constant":
            return rates.Source(schedules.Constant(initial))
        if isinstance(rate, schedules.ReduceOnPlateau):
            return rates.Plateau(rate, learned)
        return rates.Source(rate)

    # ---- fit ----

    def _take_over(self, draft: Any) -> None:
        """Become what a draft has become, in one step; histories grow in the same step, or not at all."""
        attributes, growing = dict(draft.__dict__), []
        for name, value in attributes.items():
            if isinstance(value, Growth):
                growing.append((value.values, value.more))
                attributes[name] = value.values
        settle_all([(self, attributes)], in_place=growing)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        own = {name: copied(state[name]) for name in HISTORIES if name in state}
        return {**state, **own}

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any,
        y_val: Any,
        sample_weight_val: Any,
        resume: Any = None,
        streamed: Streamed | None = None,
    ) -> Any:
        """Fit to rows, or to the source that they are a sample of."""
        self._check_parameters()
        draft = shallow_copy(self)
        draft.__dict__.pop("_grows", None)
        first = not draft.warm_start or draft._fitted_by not in draft.__dict__ or draft._waits
        validation = X_val, y_val, sample_weight_val
        result = draft._learn_all(X, y, sample_weight, validation, first=first, resume=resume, streamed=streamed)
        for warning in filter(None, (draft._convergence_warning(result), draft._score_warning(result))):
            warn(warning, ConvergenceWarning)
        ignored.warn_of(draft, draft._idle)
        self._take_over(draft)
        if self.stop_reason_ == INTERRUPTED:
            raise KeyboardInterrupt(
                f"Training interrupted after {self.n_iter_} epochs; the weights reached so far are kept. Fit again "
                "with warm_start=True to go on."
            )
        return self

    def _learn_all(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        *,
        first: bool,
        resume: Any,
        streamed: Streamed | None,
    ) -> Result:
        raw = (X, y) if streamed is None else (streamed.source, None)
        X, y = self._check_data(X, y, reset=first)
        y, given = self._check_y(y), self._given_rows(X, *validation)
        if first:
            self._reset()
            self._learn_targets(y)
        else:
            self._check_same_classes(y)
        return self._learn(
            X, y, sample_weight, given, raw=raw, partial=False, first=first, resume=resume, streamed=streamed
        )

    def _partial(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Any:
        self._check_parameters(partial=True)
        draft = shallow_copy(self)
        first = draft._fitted_by not in draft.__dict__
        draft._learn_once(X, y, sample_weight, classes, first=first)
        if first:
            ignored.warn_of(draft, draft._idle)
        self._take_over(draft)
        return self

    def _learn_once(self, X: Any, y: Any, sample_weight: Any, classes: Any, *, first: bool) -> None:
        raw = X, y
        X, y = self._check_data(X, y, reset=first, dtypes=FLOATS if first else (self._dtype(),))
        y, waited = self._check_y(y), self._waits
        self._check_classes(y, classes, first=first)
        self._learn(X, y, sample_weight, None, raw=raw, partial=True, first=first or waited)

    def _reset(self) -> None:
        """Drop what a fit from the start must not find."""
        for name in ("_net", "_optimizer", "input_mean_", "input_scale_", "target_mean_", "target_scale_"):
            self.__dict__.pop(name, None)

    def _check_data(self, X: Any, y: Any, *, reset: bool, dtypes: Any = FLOATS) -> tuple[Any, Any]:
        return check_X_y(self, X, y, dtypes=dtypes, reset=reset, multi_output=True)

    def _check_rows(self, X: Any) -> Any:
        return check_X(self, X, dtypes=(self._dtype(),))

    def _dtype(self) -> Any:
        return self._weights().trained[0].dtype.type

    def _given_rows(self, X: Any, X_val: Any, y_val: Any, sample_weight_val: Any) -> Rows | None:
        given = check_validation(
            lambda X_val, y_val: self._check_data(X_val, y_val, reset=False, dtypes=(X.dtype.type,)),
            X_val,
            y_val,
            sample_weight_val,
        )
        return None if given is None else Rows(given[0], self._check_y(given[1]), given[2])

    def _splits(self) -> bool:
        """Whether early stopping keeps rows aside, if none are given."""
        return bool(self.early_stopping)

    def _restores_best(self) -> bool:
        return bool(self.restore_best_weights)

    def _learn(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        given: Rows | None,
        *,
        raw: tuple[Any, Any],
        partial: bool,
        first: bool,
        resume: Any = None,
        streamed: Streamed | None = None,
    ) -> Result:
        """Train on checked rows; `first`: from new weights."""
        n = X.shape[0] if streamed is None else streamed.survey.rows
        early = self._splits() and given is None and not partial
        sample_weight = check_weights(sample_weight, X, zeros=early or partial)
        if self._restores_best() and given is None and not self.early_stopping:
            raise ValueError(
                "restore_best_weights=True needs a validation set: give X_val and y_val to fit, or set "
                "early_stopping=True."
            )
        if first:
            self._sparse_y = sp.issparse(raw[1])
            self._rows_first = n
        rng = check_random_state(self.random_state)
        self._net = self._make_net(X)
        self._net.check(X)
        if given is not None:
            self._net.check(given.X, "X_val")
        weights = self._fresh(self._net, rng, X.dtype) if first else self._weights_so_far(X.dtype)
        if early:
            X, y, sample_weight, given = self._split(X, y, sample_weight, rng)
            n = X.shape[0]
        sample_weight = self._weights_of(y, sample_weight, X.dtype)
        if sample_weight is not None and not partial and not np.any(sample_weight):
            raise ValueError(
                "Every row to train on has the weight zero, so there is nothing to learn. Give some a positive weight "
                "(sample_weight, class_weight), or choose the validation rows yourself (X_val)."
            )
        # Rows that weigh nothing are no rows.
        idle = self._waits or (sample_weight is not None and not np.any(sample_weight))
        if first:
            self._learn_units(X, y, None if idle else sample_weight, partial=partial)
        if given is not None:
            self._goal(given.y, X.dtype, "y_val")  # raises for labels that are unknown
            given = Rows(self._in_units(given.X), given.y, given.weight)
        goal = self._goal(y, X.dtype)
        self.out_activation_ = self._link
        goal.constants = self._constants(y)
        settings = self._settings(n, goal, rng, partial=partial, going_on=not first)
        self._net.check_batches(min(settings.batch_size, n))
        if given is not None and (settings.by_score or settings.restore_best):
            self._check_scores(given)
        state = self.__dict__.get("_optimizer") if not first and (partial or self._carries_on()) else None
        threads = threads_for(self.n_jobs, None, float(X.shape[0]) * self._net.work)

        def validate(now: Weights) -> tuple[float, float]:
            assert given is not None
            raw = self._net.predict(now.for_prediction, now.kept, given.X, layer=-1, threads=threads)
            return self._score_loss(raw, given.y, given.weight)

        make: Any = Training
        if streamed is not None:
            make = functools.partial(StreamTraining, stream=self._streaming(streamed, goal, X.dtype))
        training = make(
            self._net,
            weights,
            self._in_units(X),
            goal,
            sample_weight,
            settings,
            state=state,
            validate=None if given is None else validate,
            threads=threads,
        )
        if idle:
            training.stop_reason = MAX_ITER
        self._batch_rows, self._batch_bytes = int(training.sizes[0]), training.workspace
        return self._train(training, raw=raw, weight=sample_weight, going_on=not first, partial=partial, resume=resume)

    def _weights_so_far(self, dtype: Any) -> Weights:
        """Where training goes on."""
        now = self._weights()
        self._check_same_shapes(now)
        return Weights(
            [np.asarray(w, dtype) for w in now.trained],
            [np.asarray(w, dtype) for w in now.kept],
            None if now.average is None else [np.asarray(w, dtype) for w in now.average],
        )

    def _learn_units(self, X: Any, y: Any, weight: Any, *, partial: bool) -> None:
        """Learn in which units to train, for this and all later calls: those of codes and of padding are their own."""
        self.input_mean_ = self.input_scale_ = None
        if self._standardises():
            if self._net.plan.codes is None and self._net.plan.masking is None:
                units = units_of(X, weight, self._net.input_shape[-1], partial=partial)
                self.input_mean_, self.input_scale_ = units
            self._learn_target_units(y, weight)

    def _in_units(self, X: Any) -> Any:
        """Rows as the network takes them."""
        mean, scale = self.__dict__.get("input_mean_"), self.__dict__.get("input_scale_")
        return X if mean is None or scale is None else standardised(X, Units(mean, scale))

    def _make_net(self, X: Any) -> Net:
        shape = self._input_shape(X)
        layers = self._layers(shape)
        net = self.__dict__.get("_net")
        if net is None or net.layers != tuple(layers) or net.input_shape != shape:
            net = Net(layers, shape)
        if net.shapes[-1] != (self.n_outputs_,):
            raise ValueError(
                f"The output layer, {layers[-1]!r}, gives rows of shape {net.shapes[-1]}; they must be of shape "
                f"{(self.n_outputs_,)}. Put a Flatten() before it."
            )
        return net

    def _check_same_shapes(self, weights: Weights) -> None:
        """Training can go on with other dropout or activations, but not with other weights."""
        before, now = [w.shape for w in weights.trained], self._net.piece_shapes
        if before != now:
            raise ValueError(
                f"The network has changed since the last fit, and training cannot go on: its weights had shapes "
                f"{before}, now {now}. Fit with warm_start=False, or set the parameters as they were."
            )

    def _carries_on(self) -> bool:
        """Whether a warm start goes on with the optimizer's state."""
        return True

    def _input_shape(self, X: Any) -> tuple[int, ...]:
        return (X.shape[1],)

    def _split(self, X: Any, y: Any, weight: Any, rng: Any) -> tuple[Any, Any, Any, Rows]:
        return set_aside(X, y, weight, self._strata(y), float(self.validation_fraction), rng)

    @with_callbacks  # type: ignore[untyped-decorator]
    def _train(
        self, training: Training, *, raw: tuple[Any, Any], weight: Any, going_on: bool, partial: bool, resume: Any
    ) -> Result:
        epochs = Epochs(self, training.settings.max_epochs, *raw, weight)
        refusal = "" if self._steps() else "Checkpoints are for training by steps: solver='lbfgs' has none."
        resumable = Resumable.if_asked(self, epochs.keepers, resume, training.data, refusal)

        def fitted(result: Result) -> dict[str, Any]:
            weights = self._keep_weights(training.weights)
            return {**weights, **self._history(result, going_on=going_on), "_optimizer": result.state}

        def shown(result: Result) -> dict[str, Any]:
            """The same with histories in one piece, for callbacks."""
            return {name: v.whole() if isinstance(v, Growth) else v for name, v in fitted(result).items()}

        result = self._minimise(training, epochs) or training.run(epochs, shown, resumable)
        lost = training.best is None and not training.is_finite()
        if result.stop_reason == INTERRUPTED and (partial or lost):
            raise KeyboardInterrupt  # part of an epoch would be neither the old model nor the new
        if result.stop_reason == DIVERGED and (lost or not math.isfinite(result.best_loss)):
            raise _messages.broken(result)
        attributes = fitted(result)
        for name in self._held_by:
            self.__dict__.pop(name, None)
        self.__dict__.update(attributes)
        epochs.close()
        return result

    def _convergence_warning(self, result: Result) -> str | None:
        """The warning that a finished `fit` owes."""
        if self.stop_reason_ in (DIVERGED, STALLED):
            return _messages.astray(result)
        if self.stop_reason_ == MAX_ITER and self._wants_convergence():
            return (
                f"Stochastic Optimizer: Maximum iterations ({self.n_iter_}) reached and the optimization hasn't "
                "converged yet."
            )
        return None

    def _score_warning(self, result: Result) -> str | None:
        """The warning of validation scores that say nothing, where training goes by them."""
        goes_by_them = self.early_stopping or self._restores_best()
        return _messages.of_scores(result) if goes_by_them and self.stop_reason_ not in _KNOWN_ENDS else None

    def _wants_convergence(self) -> bool:
        return True

    # ---- predictions ----

    def _raw(self, X: Any, layer: int | str = -1) -> Any:
        if self._fitted_by not in self.__dict__:
            check_is_fitted(self)  # raises; for a single row the look alone would take a third of the time
        weights = self._weights()
        X = self._check_rows(X)
        if "_net" not in self.__dict__:
            self._net = self._make_net(X)
        self._net.check(X, training=False)
        X = self._in_units(X)
        threads = threads_for(self.n_jobs, None, float(X.shape[0]) * self._net.work)
        return self._net.predict(weights.for_prediction, weights.kept, X, layer=layer, threads=threads)
