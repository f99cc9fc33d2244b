"""What classifier and regressor share: the choice of the engine, validation rows, links of predictions."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from .. import losses, optimizers, schedules
from .._atomic import settle_all, shallow_copy
from .._threads import threads_for
from .._training.records import LinearWeights, Result, Task, Validation
from .._training.streams.stream import Encoded, Stream, cast
from .._training.streams.survey import Streamed, survey
from .._validation.arrays import check_X_y
from .._validation.parameters import BOOLEAN, Either, Instance, Number, OneOf, check_n_jobs
from .._validation.validation_set import check_validation
from ..data import Block, Source
from . import _ignored
from ._base import RATES, SGD, Trained

if TYPE_CHECKING:
    from typing_extensions import Self

REGRESSION_LOSSES = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive")


class Supervised(SGD):
    """What classifier and regressor share: the choice of the engine, and its parameters."""

    _idle = _ignored.LINEAR

    def _is_batched(self) -> bool:
        return (
            self.batch_size != 1
            or bool(self.positive)
            or not (isinstance(self.learning_rate, str) and self.learning_rate in RATES)
            or not (self.optimizer == "sgd" or self.optimizer == optimizers.SGD())
        )

    def _is_solved(self) -> bool:
        return isinstance(self._optimizer(), optimizers.Solver)

    def _is_checked_in_training(self) -> bool:
        """Whether training itself notices X that is not finite: it must read every row, and no mean may hide it."""
        averaged = self._is_solved() and losses.get(self._loss()).curvature == 0.0
        return self._is_batched() and not self.early_stopping and not averaged

    # ---- what predictions make of w·x + b: "identity", "exp", "sigmoid", "modified_huber" or "softmax" ----

    def _link_to_fit(self) -> str:
        """The link that belongs to the parameters."""
        raise NotImplementedError

    @property
    def _link(self) -> str:
        """The link of the model that was fitted, whatever the parameters say now; before `fit`, as they say."""
        return self.__dict__.get("_fitted_link") or self._link_to_fit()

    def _fitted(self, start: LinearWeights, result: Result) -> dict[str, Any]:
        return {**super()._fitted(start, result), "_fitted_link": self._link_to_fit()}

    # ---- what a fit is made of; classifier and regressor answer for their targets ----

    def _labels(self, targets: Any) -> list[int]:
        """The class code of each output, or -1 where the targets are numbers."""
        raise NotImplementedError

    def _is_multinomial(self) -> bool:
        return False

    def _draw_seeds(self, split: Callable[[], Validation | None]) -> tuple[list[int], Validation | None]:
        """The seeds, and the rows that `split` keeps aside, drawn in scikit-learn's order."""
        raise NotImplementedError

    def _side_weights(self, targets: Any, sample_weight: Any) -> list[tuple[float, float]]:
        """Class weights of the negative and the positive side of each output."""
        raise NotImplementedError

    def _task(
        self,
        X: Any,
        targets: Any,
        coef_init: Any = None,
        intercept_init: Any = None,
        sample_weight: Any = None,
        given: Validation | None = None,
        *,
        keep: bool,
        partial: bool = False,
        rows: Any = None,
        splits: dict[Any, Any] | None = None,
    ) -> Task:
        """The task of a fit on some rows (None: all); `splits` is as for `_split`."""
        labels = self._labels(targets)
        start = self._start(X, len(labels), coef_init, intercept_init, keep=keep)
        splits_off = given is None and not partial
        split = (lambda: self._split(targets, sample_weight, rows, splits)) if splits_off else (lambda: None)
        seeds, held_out = self._draw_seeds(split)
        validation = given or held_out
        state = self.__dict__.get("_optimizer_state") if keep else None
        fresh = coef_init is None and intercept_init is None and not (keep and "coef_" in self.__dict__)
        n = X.shape[0] if rows is None else len(rows)
        own = targets, sample_weight
        if rows is not None:
            own = targets[rows], None if sample_weight is None else sample_weight[rows]
        return Task(
            objective=self._objective(),
            rates=self._rate_parameters(),
            stopping=self._stopping(partial=partial, validated=validation is not None),
            X=X,
            y=targets,
            sample_weight=sample_weight,
            start=start,
            labels=labels,
            side_weights=self._side_weights(*own),
            seeds=seeds,
            intercept_decay=self._decay_of_intercept(X),
            shuffle=self.shuffle,
            restore_best=validation is not None and bool(self.restore_best_weights),
            validation=validation,
            batches=self._batches(
                n, state, multinomial=self._is_multinomial(), normalise=not partial, base_score=fresh
            ),
            rows=rows,
        )

    def _threads(self, task: Task) -> int:
        """With one sample a step, outputs are what can be shared."""
        X, outputs = task.X, None if task.batches is not None else len(task.labels)
        return threads_for(self.n_jobs, outputs, float(X.nnz if sp.issparse(X) else X.size))

    def _check_parameters(self, *, partial: bool = False) -> None:
        super()._check_parameters(partial=partial)
        check_n_jobs(self.n_jobs)

    # ---- fit ----

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        """X and y as `fit` takes them, with what the estimator learns of them at a look."""
        raise NotImplementedError

    def _learn(self, X: Any, y: Any, *start: Any, **how: Any) -> Trained:
        """Train on checked rows."""
        raise NotImplementedError

    def _fit(
        self,
        X: Any,
        y: Any,
        coef_init: Any,
        intercept_init: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        resume: Any = None,
        streamed: Streamed | None = None,
    ) -> Self:
        """Fit to rows, or to the source that they are a sample of."""
        self._check_parameters()
        model, raw = shallow_copy(self), (X, y) if streamed is None else (streamed.source, None)
        X, y = model._checked(X, y)
        keep = model._continues(coef_init, intercept_init)
        coef_init, intercept_init = model._initial_weights(coef_init, intercept_init)
        given = model._given_validation(X, *validation)
        model._check_validation_rows(given)
        trained = model._learn(
            X,
            y,
            coef_init,
            intercept_init,
            sample_weight,
            given,
            raw=raw,
            keep=keep,
            partial=False,
            resume=resume,
            streamed=streamed,
        )
        model._warn(trained.warning)
        settle_all([(self, vars(model))])
        self._raise_if_interrupted()
        return self

    # ---- rows that do not fit in memory ----

    def _streams(self, given: dict[str, Any]) -> bool:
        """Whether a source is read in blocks: mini-batches are, unless `fit` must keep rows aside."""
        split = self.early_stopping and given.get("X_val") is None
        return self._is_batched() and not self._is_solved() and self.batch_size != "full" and not split

    def _fit_stream(
        self,
        source: Source,
        coef_init: Any = None,
        intercept_init: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        resume: Any = None,
    ) -> Any:
        self._check_parameters()
        threads = threads_for(self.n_jobs, None, np.inf)
        rows = survey(source, classes=self._classification, threads=threads)
        sample, validation = rows.sample, (X_val, y_val, sample_weight_val)
        streamed = Streamed(source, rows)
        return self._fit(sample.X, sample.y, coef_init, intercept_init, sample.weight, validation, resume, streamed)

    def _streaming(self, task: Task, streamed: Streamed) -> Task:
        """The task for all rows of a source, in place of that for a sample of them."""
        dtype = task.X.dtype

        def encode(block: Block) -> Encoded:
            block = cast(block, dtype)
            return Encoded(block.X, self._targets(block.y, dtype, "y"), block.weight)

        whole = streamed.mapped(dtype)
        stream = Stream(*streamed, encode, None if whole is None else encode(whole))
        weights = self._side_weights_of_stream(streamed.survey.totals)
        return task._replace(stream=stream, side_weights=task.side_weights if weights is None else weights)

    def _side_weights_of_stream(self, totals: Any) -> list[tuple[float, float]] | None:
        """`_side_weights`, where the classes of all rows have these weights; None: they do not matter."""
        raise NotImplementedError

    # ---- validation rows ----

    def _split(self, y: Any, sample_weight: Any, rows: Any, splits: dict[Any, Any] | None) -> Validation | None:
        """The rows that early stopping keeps aside: scikit-learn's split for the same `random_state`.

        `rows`: those to split; None: all. `splits` remembers splits for others like this one.
        """
        if not self.early_stopping:
            return None
        seed = self.random_state
        key = (self._classification, self.validation_fraction, int(seed)) if isinstance(seed, Integral) else None
        if splits is not None and key in splits:
            mask = splits[key]
        else:
            mask = self._held_out(y, rows)
            if splits is not None and key is not None:
                splits[key] = mask
        self._check_split(mask, sample_weight, rows)
        return Validation(held_out=mask)

    def _held_out(self, y: Any, rows: Any) -> Any:
        own = y if rows is None else y[rows]
        n = own.shape[0]
        splitter = StratifiedShuffleSplit if self._classification else ShuffleSplit
        cv = splitter(test_size=self.validation_fraction, random_state=self.random_state)
        train, held = next(cv.split(np.zeros((n, 1)), own))
        if train.shape[0] == 0 or held.shape[0] == 0:
            raise ValueError(
                f"Splitting {n} samples into a train set and a validation set with "
                f"validation_fraction={self.validation_fraction!r} led to an empty set ({train.shape[0]} and "
                f"{held.shape[0]} samples). Please either change validation_fraction, increase number of samples, "
                "or disable early_stopping."
            )
        mask = np.zeros(y.shape[0], dtype=np.bool_)
        mask[held if rows is None else rows[held]] = True
        return mask

    def _check_split(self, held_out: Any, sample_weight: Any, rows: Any) -> None:
        weights = None
        if sample_weight is not None:
            own = slice(None) if rows is None else rows
            weights = sample_weight[held_out]
            for part, theirs in (("validation", weights), ("training", sample_weight[own][~held_out[own]])):
                if not np.any(theirs):
                    raise ValueError(
                        f"The sample weights for {part} set are all zero, consider using a different random state."
                    )
        kept = f"early_stopping with validation_fraction={self.validation_fraction!r}"
        self._check_scorable(int(held_out.sum()), weights, kept)

    def _check_scorable(self, n: int, sample_weight: Any, what: str) -> None:
        """Raise the error if the validation score of so few rows is undefined."""
        counted = n if sample_weight is None else int(np.count_nonzero(sample_weight))
        if not self._classification and counted < 2:
            raise ValueError(
                f"R², the validation score, needs at least two rows of positive weight, but {what} has {counted}. "
                "Give more validation rows: a larger validation_fraction, or X_val and y_val."
            )

    def _given_validation(self, X: Any, X_val: Any, y_val: Any, sample_weight_val: Any) -> Validation | None:
        """The user's own validation set, in X's storage; targets are encoded by the estimator."""
        several = self._y_ndim > 1

        def check(X_val: Any, y_val: Any) -> tuple[Any, Any]:
            return check_X_y(self, X_val, y_val, dtypes=(X.dtype.type,), name="X_val", multi_output=several)

        given = check_validation(check, X_val, y_val, sample_weight_val)
        if given is None:
            return None
        X_val, y_val, weights = given
        self._check_scorable(X_val.shape[0], weights, "X_val")
        if sp.issparse(X):
            X_val = sp.csr_array(X_val)
            if X_val.nnz and X_val.indices.max() >= X_val.shape[1]:
                raise ValueError("X_val.indices: a column index is out of range.")
            for name in ("indices", "indptr"):
                setattr(X_val, name, getattr(X_val, name).astype(X.indices.dtype, copy=False))
        elif sp.issparse(X_val):
            X_val = np.ascontiguousarray(X_val.toarray())
        return Validation(X=X_val, y=y_val, sample_weight=weights)

    def _check_validation_rows(self, given: Validation | None) -> None:
        if self.restore_best_weights and given is None and not self.early_stopping:
            raise ValueError(
                "restore_best_weights=True needs a validation set: give X_val and y_val to fit, or set "
                "early_stopping=True."
            )


SUPERVISED_RULES: dict[str, Any] = {
    **SGD._rules,
    "shuffle": OneOf(True, False, "rows"),
    "learning_rate": schedules.learning_rate_rule(*RATES),
    "batch_size": Either(Number(Integral, 1), OneOf("full")),
    "optimizer": Either(
        OneOf(*optimizers.names(), *optimizers.solver_names()),
        Instance((optimizers.Optimizer, optimizers.Solver), "an object of fusedgrad.optimizers"),
    ),
    "positive": BOOLEAN,
    "base_score": BOOLEAN,
    "n_jobs": Number(Integral, none=True),
    "penalty": OneOf("l2", "l1", "elasticnet", None),
    "alpha": Number(low=0, high=np.inf, open_high=True),
    "l1_ratio": Number(low=0, high=1, none=True),
    "epsilon": Number(low=0, high=np.inf, open_high=True),
    "early_stopping": BOOLEAN,
    "validation_fraction": Number(low=0, high=1, open_low=True, open_high=True),
    "n_iter_no_change": Number(Integral, 1),
    "restore_best_weights": BOOLEAN,
}
