"""What the three linear SGD estimators share: parameters, tasks, weights that outlive a call."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .. import losses, optimizers
from .._estimator import Estimator
from .._training import minibatch, sequential
from .._training.callbacks import CallbackSupport, Epochs, with_callbacks
from .._training.curvature import fit as curvature
from .._training.records import (
    Batches,
    LinearState,
    LinearWeights,
    Objective,
    RateParameters,
    Result,
    Task,
)
from .._training.resuming import Resumable
from .._training.shards import digests_of
from .._training.snapshots import digests
from .._training.stopping import INTERRUPTED, MAX_ITER, StoppingRule
from .._validation import ignored
from .._validation.arrays import FLOATS, check_finite, check_X
from .._validation.parameters import (
    BOOLEAN,
    Either,
    Instance,
    InvalidParameterError,
    Number,
    OneOf,
    check_parameters,
)
from .._validation.warn import warn

if TYPE_CHECKING:
    from typing_extensions import Self

_ROWS_OF_STREAM = 32  # of a step of `partial_fit`, where a solver has no batches
_ENDLESS = 2**62  # the core counts in 64 bits
_SPARSE_INTERCEPT_DECAY = 0.01  # scikit-learn's: sparse features change rarely, the intercept always
_AVERAGE_STATE = ("_standard_coef", "_standard_intercept", "_average_coef", "_average_intercept", "_average_begun")
_OF_SOLVERS = ("optimality_gap_", "gap_kind_", "gap_curve_", "passes_")
NEGATIVE_POWER = (
    "Negative values for `power_t` are deprecated in version 1.8 and will raise an error in 1.10. Use values in the "
    "range [0.0, inf) instead."
)
NO_CHECKPOINTS = (
    "Checkpoints are for training in mini-batches (batch_size larger than 1) and by solvers; one sample a step has "
    "none. Set batch_size=256 or optimizer='auto', or fit without them."
)
RATES = ("constant", "optimal", "invscaling", "adaptive", "pa1", "pa2")


def loss_functions(*names: str) -> dict[str, tuple[Any, ...]]:
    """scikit-learn's table: each loss with its class and the defaults of its parameters."""
    return {name: (type(losses.get(name)), *losses.get(name).fields.values()) for name in names}


def _can_hold(old: Any, coef: Any) -> bool:
    return isinstance(old, np.ndarray) and (old.shape, old.dtype) == (coef.shape, coef.dtype) and old.flags.writeable


def _data_of(task: Task) -> list[Any]:
    """What tells the data of a task from others."""
    validation = task.validation
    given = [] if validation is None else digests(validation.X, validation.y, validation.sample_weight)
    if task.stream is not None:
        return [task.stream.source.identity, given]
    if task.shards is not None:
        return [task.shards.map(digests_of), given]
    return [digests(task.X, task.y, task.sample_weight), given]


class Trained(NamedTuple):
    """What there is left to do with an estimator that is trained.

    Attributes
    ----------
    in_place : list of (array or list, new values)
        For `settle_all`.
    warning : str
        What the user must know; empty: nothing.
    """

    in_place: list[tuple[Any, Any]]
    warning: str


class SGD(CallbackSupport, Estimator):  # type: ignore[misc]
    """What the three estimators share: rules, validation split, training, weights that outlive a call."""

    _plain = {"_optimizer_state": LinearState}
    _idle: dict[str, ignored.Reason] = {}  # parameters that a fit may leave unused, and when
    _classification = False
    _curves: tuple[str, ...] = ("loss_curve",)
    _no_checkpoints = NO_CHECKPOINTS  # why a fit of one sample a step has none
    _offset_rate = 0.0  # slope of the objective in the intercept; the one-class SVM's nu
    _rules: dict[str, Any] = {
        "fit_intercept": BOOLEAN,
        "max_iter": Number(Integral, 1),
        "tol": Number(low=0, none=True),
        "shuffle": BOOLEAN,
        "verbose": Either(Number(Integral, 0), BOOLEAN),
        "random_state": Either(
            Number(Integral, 0, 2**32 - 1, none=True), Instance(np.random.RandomState, "a RandomState")
        ),
        "warm_start": BOOLEAN,
        "average": Either(Number(Integral, 0, open_low=True), BOOLEAN),
        "eta0": Number(low=0, open_low=True, high=np.inf, open_high=True),
        "power_t": Number(open_low=True, open_high=True),
        "learning_rate": OneOf(*RATES),
        "intercept_decay": Number(low=0, high=np.inf, open_high=True, none=True),
    }

    # The estimators differ in their targets; these names let the shared code speak of one kind of model.
    loss: str
    n_iter_no_change: int
    coef_: Any
    _y_ndim = 1  # 2: several targets a row

    def _check_parameters(self, *, partial: bool = False) -> None:
        check_parameters(self, self._rules)
        batched = self._is_batched()
        early_stopping = getattr(self, "early_stopping", False)
        if early_stopping and partial:
            raise ValueError("early_stopping should be False with partial_fit")
        if self.learning_rate == "optimal" and self._alpha() == 0 and not batched:
            raise ValueError(
                "alpha must be > 0 since learning_rate is 'optimal'. alpha is used to compute the optimal learning "
                "rate. Set alpha, or another learning_rate."
            )
        if self.learning_rate in ("pa1", "pa2"):
            if batched:
                raise ValueError(
                    f"learning_rate={self.learning_rate!r} is a rule for one sample a step: it needs batch_size=1, "
                    "optimizer='sgd', positive=False and multi_class='ovr'. Use another learning_rate."
                )
            needed = "hinge" if self._classification else "epsilon_insensitive"
            if self._loss() != needed:
                raise ValueError(f"Learning rate '{self.learning_rate}' only works with loss '{needed}'.")
        if self._penalty() == "elasticnet" and self._l1_ratio() is None:
            raise InvalidParameterError("l1_ratio must be set when penalty is 'elasticnet'")
        if batched:
            self._check_lazy()
        if partial:  # a first call of partial_fit; fit warns when it has ended
            ignored.warn_of(self, self._idle)

    def _check_lazy(self) -> None:
        rule = self._optimizer()
        if not isinstance(rule, optimizers.Optimizer) or not rule.lazy:
            return
        others = {"average": self.average, "clip_norm of the optimizer": rule.clip_norm}
        for name, value in others.items():
            if value:
                raise InvalidParameterError(
                    f"{name} needs all coefficients in each step, which lazy=True of the optimizer leaves out. "
                    f"Got {name}={value!r}: leave one of them out."
                )

    def _loss(self) -> str:
        return self.loss

    def _alpha(self) -> float:
        return float(self.alpha)

    def _penalty(self) -> str | None:
        return self.penalty

    def _l1_ratio(self) -> float | None:
        return self.l1_ratio

    def _dtypes(self) -> tuple[Any, ...]:
        """What X may be: float32 or float64 at first, then the dtype of the weights."""
        return (self.coef_.dtype.type,) if "coef_" in self.__dict__ else FLOATS

    # ---- mini-batches ----

    def _is_batched(self) -> bool:
        """Whether the mini-batch engine trains, rather than the sequential one."""
        return False

    def _batches(self, n: int, state: Any, *, multinomial: bool, normalise: bool, base_score: bool) -> Batches | None:
        if not self._is_batched():
            return None
        rule = self._optimizer()
        solver = rule if isinstance(rule, optimizers.Solver) else None
        size = n if self.batch_size == "full" or solver is not None else int(self.batch_size)
        return Batches(
            size=size if solver is None or normalise else min(n, _ROWS_OF_STREAM),
            # A stream is seen once: by coordinates, in its own units.
            optimizer=rule if isinstance(rule, optimizers.Optimizer) else optimizers.Adagrad(),
            multinomial=multinomial,
            positive=bool(self.positive),
            normalise=normalise,
            state=state,
            base_score=base_score and bool(self.base_score),
            solver=solver if normalise else None,
        )

    def _optimizer(self) -> optimizers.Optimizer | optimizers.Solver:
        return optimizers.get(self.optimizer) if isinstance(self.optimizer, str) else self.optimizer

    def _is_solved(self) -> bool:
        """Whether a solver trains, which sees all rows at each step."""
        return False

    # ---- what a task is made of ----

    def _loss_parameters(self) -> dict[str, float]:
        return {field: float(getattr(self, field)) for field in losses.get(self._loss()).fields}

    def _objective(self) -> Objective:
        alpha = self._alpha()
        ratio = {"l2": 0.0, "l1": 1.0, "elasticnet": self._l1_ratio()}.get(self._penalty() or "")
        return Objective(
            loss=self._loss(),
            loss_parameters=self._loss_parameters(),
            l2=0.0 if ratio is None else (1.0 - ratio) * alpha,
            l1=0.0 if ratio is None else ratio * alpha,
            offset_rate=self._offset_rate,
            regression=not self._classification,
        )

    def _rate_parameters(self) -> RateParameters:
        return RateParameters(self.learning_rate, float(self.eta0), float(self.power_t), self._alpha())

    def _stopping(self, *, partial: bool, validated: bool = False) -> StoppingRule:
        return StoppingRule(
            max_epochs=1 if partial else min(int(self.max_iter), _ENDLESS),
            tol=None if self.tol is None else float(self.tol),
            patience=min(int(self.n_iter_no_change), _ENDLESS),
            by_score=validated and bool(self.early_stopping),
            tells_rates=not partial,
            relative=self._is_batched(),
        )

    def _decay_of_intercept(self, X: Any) -> float:
        if not self.fit_intercept:
            return 0.0
        if self.intercept_decay is not None:
            return float(self.intercept_decay)
        return _SPARSE_INTERCEPT_DECAY if sp.issparse(X) and not self._is_batched() else 1.0

    # ---- weights: (n_outputs, n_features) and (n_outputs,) inside, each estimator's shapes outside ----

    def _shape_coef(self, coef: Any) -> Any:
        return coef.ravel()

    def _intercept_name(self) -> str:
        return "intercept_"

    def _to_intercept(self, value: Any) -> Any:
        return value

    _from_intercept = _to_intercept

    def _continues(self, coef_init: Any, intercept_init: Any) -> bool:
        """Whether `fit` continues the last one, state of the optimizer included."""
        started = "coef_" in self.__dict__ and self.__dict__.get("_optimizer_state") is not None
        return self.warm_start and self._is_batched() and coef_init is None and intercept_init is None and started

    def _initial_weights(self, coef_init: Any, intercept_init: Any) -> tuple[Any, Any]:
        """Where `fit` starts: from what was given, else with `warm_start` from the last fit."""
        if self.warm_start and hasattr(self, "coef_"):
            coef_init = self.coef_ if coef_init is None else coef_init
            intercept_init = getattr(self, self._intercept_name()) if intercept_init is None else intercept_init
        return coef_init, intercept_init

    def _start(self, X: Any, n_outputs: int, coef_init: Any, intercept_init: Any, *, keep: bool) -> LinearWeights:
        """Where training starts: from `coef_init`, from the weights so far (`keep`), or from zero."""
        n_features = X.shape[1]
        before = self.__dict__
        keep = keep and "coef_" in before
        t = before.get("t_", 1.0) if keep else 1.0
        averages = keep and "_average_coef" in before
        if keep:
            coef_init = before["_standard_coef"] if averages else before["coef_"]
            intercept_init = before["_standard_intercept"] if averages else before[self._intercept_name()]
        if sp.issparse(coef_init):
            coef_init = coef_init.toarray()

        if coef_init is None:
            coef = np.zeros((n_outputs, n_features), dtype=X.dtype)
        else:
            coef_init = np.asarray(coef_init)
            allowed: list[Any] = [(n_outputs, n_features)] + ([(n_features,)] if n_outputs == 1 else [])
            if coef_init.shape not in allowed:
                raise ValueError(
                    f"Provided coef_init does not match dataset. Its shape is {coef_init.shape}, "
                    f"expected {' or '.join(map(str, allowed))}."
                )
            # The engine of single samples trains in the array; mini-batches have arrays of their own.
            own = not self._is_batched()
            coef = coef_init.reshape(n_outputs, n_features).astype(X.dtype, order="C" if own else "K", copy=own)
        intercept = np.zeros(n_outputs)
        if intercept_init is not None:
            intercept_init = np.asarray(intercept_init, dtype=float)
            shapes: list[Any] = [(n_outputs,)] + ([()] if n_outputs == 1 else [])
            if intercept_init.shape not in shapes:
                raise ValueError(
                    f"Provided {self._intercept_name()[:-1]}_init does not match dataset. Its shape is "
                    f"{intercept_init.shape}, expected {' or '.join(map(str, shapes))}."
                )
            intercept[:] = intercept_init
            if not averages:
                intercept = self._to_intercept(intercept)
        elif self._offset_rate:
            intercept = self._to_intercept(intercept)
        for name, values in (("coef_init", coef), (f"{self._intercept_name()[:-1]}_init", intercept)):
            if not keep and not np.isfinite(values).all():
                raise ValueError(f"{name} contains NaN or infinity; initial weights must be finite.")

        state = before.get("_optimizer_state") if keep else None
        steps = int(t) - 1 if state is None else state.step
        start = LinearWeights(coef, intercept, t=t, steps=steps)
        if self.average:
            # An average that is switched on later is one of later weights.
            begun = before.get("_average_begun", 1.0) if averages else steps + 1
            start.average_from = max(float(min(int(self.average), _ENDLESS)), begun)
            if averages:
                order: Any = "K" if self._is_batched() else "C"
                start.average_coef = before["_average_coef"].reshape(coef.shape).astype(X.dtype, order=order)
                start.average_intercept = before["_average_intercept"].astype(float)
            else:
                start.average_coef = np.zeros_like(coef)
                start.average_intercept = np.zeros(n_outputs)
        return start

    @with_callbacks  # type: ignore[untyped-decorator]
    def _train(
        self,
        task: Task,
        *,
        raw: tuple[Any, Any],
        partial: bool,
        threads: int = 1,
        names: tuple[str, ...] = ("",),
        resume: Any = None,
    ) -> Trained:
        """Run the task and take over its weights and its history.

        `raw` are X and y as the user gave them, for callbacks; `resume` is a checkpoint to go on from. Returns what
        `_take` does.
        """
        if partial and task.batches is not None and task.sample_weight is not None and not task.sample_weight.any():
            still = Result(0, MAX_ITER, [], None, None, optimizer_state=task.batches.state)
            return self._take(task.start, still, partial=True, whole=False)  # rows that weigh nothing are no rows
        epochs = Epochs(self, task.stopping.max_epochs, *raw, task.sample_weight)
        refusal = self._no_checkpoints if task.batches is None else ""
        resumable = Resumable.if_asked(self, epochs.keepers, resume, lambda: _data_of(task), refusal)

        def fitted(result: Result) -> dict[str, Any]:
            return {**self._fitted(task.start, result), **self._longer_curves(result, partial=partial)}

        verbose = int(self.verbose)
        if task.batches is None:
            result = sequential.run(task, epochs=epochs, fitted=fitted, threads=threads, verbose=verbose, names=names)
        else:
            train = minibatch.run if task.batches.solver is None else curvature.run
            result = train(
                task,
                epochs=epochs,
                fitted=fitted,
                check=lambda: check_finite(task.X, self),
                threads=threads,
                verbose=verbose,
                resumable=resumable,
            )
        if partial and result.stop_reason == INTERRUPTED:
            raise KeyboardInterrupt  # part of an epoch would be neither the old model nor the new
        trained = self._take(task.start, result, partial=partial, whole=not partial or bool(epochs))
        epochs.close()
        return trained

    def _take(self, start: LinearWeights, result: Result, *, partial: bool = False, whole: bool = True) -> Trained:
        """Take over what a fit has led to: the `whole`, or all but what is returned, for `settle_all` to do in place.

        `partial_fit` keeps the array of the weights, as scikit-learn promises, and does not copy a long history.
        """
        attributes = self._fitted(start, result)
        before = self.__dict__
        in_place: list[tuple[Any, Any]] = []
        if whole:
            attributes |= self._longer_curves(result, partial=partial)
        else:
            old, coef = before.get("coef_"), attributes["coef_"]
            if "_average_coef" not in attributes and _can_hold(old, coef):
                in_place.append((old, coef))
                attributes["coef_"] = old
            for name in self._curves:
                old, curve = before.get(f"{name}_"), getattr(result, name)
                if isinstance(old, list) and curve is not None:
                    in_place.append((old, curve))
                else:
                    attributes[f"{name}_"] = curve
        for name in (*_AVERAGE_STATE, "_optimizer_state", *_OF_SOLVERS):
            before.pop(name, None)
        before.update(attributes)
        return Trained(in_place, result.warning)

    def _longer_curves(self, result: Result, *, partial: bool) -> dict[str, Any]:
        """The curves of this call, behind those so far where training goes on."""
        before = self.__dict__ if partial or (self.warm_start and "coef_" in self.__dict__) else {}
        curves = {f"{name}_": getattr(result, name) for name in self._curves}
        if result.gaps is not None and result.passes is not None:
            made = (before.get("passes_") or [0.0])[-1]
            curves |= {"gap_curve_": result.gaps, "passes_": [made + passes for passes in result.passes]}
        return {name: None if curve is None else [*(before.get(name) or []), *curve] for name, curve in curves.items()}

    def _fitted(self, start: LinearWeights, result: Result) -> dict[str, Any]:
        """The attributes of a fit that ended so, but for the curves."""
        coef: Any = self._shape_coef(start.coef)
        intercept: Any = start.intercept
        fitted: dict[str, Any] = {"t_": start.t, "n_iter_": result.n_iter, "stop_reason_": result.stop_reason}
        if result.optimizer_state is not None:
            fitted["_optimizer_state"] = result.optimizer_state
        if result.gaps is not None:
            fitted["optimality_gap_"] = result.gaps[-1] if result.gaps else np.inf
            fitted["gap_kind_"] = "bound" if result.proven else "estimate"
        if start.average_coef is not None:
            average = self._shape_coef(start.average_coef), start.average_intercept
            fitted.update(zip(_AVERAGE_STATE, (coef, intercept, *average, start.average_from), strict=True))
            if start.average_from <= start.steps:
                coef, intercept = average
        fitted["coef_"] = coef
        fitted[self._intercept_name()] = self._from_intercept(intercept)
        return fitted

    def _warn(self, warning: str) -> None:
        """The warnings that a finished `fit` owes; `warning` is what training itself says."""
        if self.tol is not None and self.stop_reason_ == MAX_ITER:
            warn(
                "Maximum number of iteration reached before convergence. Consider increasing max_iter to improve "
                "the fit.",
                ConvergenceWarning,
            )
        if warning:
            warn(warning, ConvergenceWarning)
        if self.power_t < 0:
            warn(NEGATIVE_POWER, FutureWarning)
        ignored.warn_of(self, self._idle)

    def _raise_if_interrupted(self) -> None:
        """The end of a `fit` that Ctrl-C has ended, when its outcome is settled."""
        if self.stop_reason_ == INTERRUPTED:
            raise KeyboardInterrupt(
                f"Training interrupted after {self.n_iter_} epochs; the weights reached so far are kept. "
                "Fit again with warm_start=True to go on."
            )

    # ---- after the fit ----

    def densify(self) -> Self:
        """Convert `coef_` back to a dense array, which training needs; see `sparsify`.

        Returns
        -------
        self : object
        """
        check_is_fitted(self, "coef_", msg="Estimator, %(name)s, must be fitted before densifying.")
        if sp.issparse(self.coef_):
            self.coef_ = self._shape_coef(self.coef_.toarray())
        return self

    def sparsify(self) -> Self:
        """Convert `coef_` to a CSR matrix, which for L1 penalties can save memory and time in prediction.

        Calling `fit` or `partial_fit` afterwards works and makes it dense again.

        Returns
        -------
        self : object
        """
        check_is_fitted(self, "coef_", msg="Estimator, %(name)s, must be fitted before sparsifying.")
        self.coef_ = sp.csr_matrix(np.atleast_2d(self.coef_)) if not sp.issparse(self.coef_) else self.coef_
        return self

    def _raw_prediction(self, X: Any) -> Any:
        """X @ coef, without the intercept, of shape (n_samples,) or (n_samples, n_outputs)."""
        check_is_fitted(self, "coef_")
        X = check_X(self, X)
        product = X @ self.coef_.T
        return product.toarray() if sp.issparse(product) else product

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
