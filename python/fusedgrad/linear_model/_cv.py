"""`SGDClassifierCV` and `SGDRegressorCV`: a grid of models, cross-validated in as few passes over X as possible."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from numbers import Integral
from numbers import Number as AnyNumber
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from .._atomic import settle_all, twin
from .._estimator import Estimator, available_if
from .._threads import threads_for
from .._training import margins
from .._validation import ignored
from .._validation.arrays import check_X_y
from .._validation.parameters import BOOLEAN, Either, Function, Number, OneOf, check_parameters
from .._validation.weights import check_weights
from ..losses import LOG_LINK
from ..optimizers import Optimizer
from ._classifier import SGDClassifier, _has_probabilities
from ._many import MOST_ALPHAS, Together
from ._regressor import SGDRegressor

if TYPE_CHECKING:
    from typing_extensions import Self

_NOT_HERE = ("alpha", "eta0", "l1_ratio", "warm_start")  # parameters of a cell alone


class _Some:
    """A rule: a list (or another array-like) of values, at least one, that all obey a rule."""

    def __init__(self, rule: Any):
        self.rule = rule

    def allows(self, value: Any) -> bool:
        if not isinstance(value, (list, tuple)) and not hasattr(value, "__array__"):
            return False
        return np.ndim(value) == 1 and len(value) > 0 and all(map(self.rule.allows, value))

    def __str__(self) -> str:
        return f"a list of at least one value, each {self.rule}"


class _NotANumber:
    """A rule: NaN."""

    def allows(self, value: object) -> bool:
        return isinstance(value, (float, np.floating)) and math.isnan(value)

    def __str__(self) -> str:
        return "nan"


class _ScorerName:
    """A rule: the name of one of scikit-learn's scorers."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(get_scorer_names())

    def allows(self, value: object) -> bool:
        return isinstance(value, str) and value in get_scorer_names()

    def __str__(self) -> str:
        return "a name of sklearn.metrics.get_scorer_names()"


def _rules_of(cell: Any) -> dict[str, Any]:
    rules = {name: rule for name, rule in cell._rules.items() if name not in _NOT_HERE}
    positive = Number(low=0, open_low=True, high=np.inf, open_high=True)
    return rules | {
        "alphas": Either(Number(Integral, 1, MOST_ALPHAS), _Some(positive)),
        "eta0s": Either(_Some(positive), OneOf(None)),
        "l1_ratios": Either(_Some(Number(low=0, high=1)), OneOf(None)),
        "losses": Either(_Some(rules["loss"]), OneOf(None)),
        "scoring": Either(_ScorerName(), Function("a callable scorer(estimator, X, y)"), OneOf(None)),
        "refit": BOOLEAN,
        "halving": BOOLEAN,
        "error_score": Either(Number(), _NotANumber(), OneOf("raise")),
    }


@dataclass
class _Data:
    """What is learned from, checked."""

    X: Any
    y: Any  # as the estimators take it
    targets: Any  # as the metrics take it: codes of classes, or y in float64
    sample_weight: Any
    classes: Any = None  # None: a regression

    @property
    def outputs(self) -> int:
        if self.classes is not None:
            return 1 if len(self.classes) == 2 else len(self.classes)
        return 1 if self.y.ndim == 1 else self.y.shape[1]

    def fitted(self, estimator: Any, coef: Any, intercept: Any) -> Any:
        """Return an estimator with these weights, which predicts."""
        model = clone(estimator)
        if self.classes is None:
            model._y_ndim = self.y.ndim
        else:
            model.classes_ = self.classes
        model.n_features_in_ = self.X.shape[1]
        model.coef_, model.intercept_ = model._shape_coef(coef), intercept
        model._fitted_link = model._link_to_fit()
        return model


class _Scorer:
    """Scores models on rows: by one product where the margins say it all, else one after the other."""

    def __init__(self, name: Any, estimator: Any, data: _Data):
        self.name, self.data = name, data
        self.call = check_scoring(estimator, scoring=name)

    def __call__(self, models: list[Any], names: list[str], rows: NDArray[np.intp]) -> list[float]:
        if not self._is_fast(rows):
            return [self._ask(model, name, rows) for model, name in zip(models, names, strict=True)]
        links = [self._link(model) for model in models]
        scores = np.empty(len(models))
        for link in {*links}:
            of_link = [k for k, other in enumerate(links) if other == link]
            weights = [(np.atleast_2d(models[k].coef_), models[k].intercept_) for k in of_link]
            scores[of_link] = margins.score(
                self.name, self.data.X, rows, self.data.targets[rows], weights, link=link, n_jobs=models[0].n_jobs
            )
        return scores.tolist()

    def _is_fast(self, rows: NDArray[np.intp]) -> bool:
        """Whether the core's metric is the scorer's; where that is undefined, scikit-learn says what comes of it."""
        if not isinstance(self.name, str) or self.name not in margins.METRICS:
            return False
        classes = self.data.classes
        if (classes is None) != (self.name == "r2" or self.name.endswith("squared_error")):
            return False
        if self.name == "roc_auc" and len(classes) > 2:
            return False
        if self.name in ("roc_auc", "neg_log_loss"):
            return len(np.unique(self.data.targets[rows])) == len(classes)
        return self.name != "r2" or len(rows) > 1

    def _link(self, model: Any) -> str:
        link = str(model._link)
        return "sigmoid" if self.data.classes is not None and link == "identity" else link  # accuracy needs none

    def _ask(self, model: Any, name: str, rows: NDArray[np.intp]) -> float:
        try:
            score = self.call(model, self.data.X[rows], self.data.y[rows])
        except Exception as error:
            raise ValueError(f"The scorer failed for {name}: {type(error).__name__}: {error}") from error
        score = score.item() if hasattr(score, "item") and np.ndim(score) == 0 else score
        if not isinstance(score, AnyNumber) or isinstance(score, complex):
            raise ValueError(
                f"scoring must return a number; for {name} it returned {score!r}, a {type(score).__name__}."
            )
        return float(score)  # type: ignore[arg-type]


class _Fold:
    """All cells on one split: trained on its training rows, scored on its test rows."""

    def __init__(
        self, number: int, split: tuple[Any, Any], cells: dict[str, Any], data: _Data, scorer: _Scorer, threads: int
    ):
        self.number, self.data, self.scorer, self.test = number, data, scorer, split[1]
        self.names = [f"{name}, fold {number}" for name in cells]
        self.models = [clone(cell) for cell in cells.values()]
        self.together = Together(
            self.models, data.X, data.y, data.sample_weight, rows=split[0], names=self.names, threads=threads
        )
        self.settled = False
        self.fit_time, self.score_time = np.zeros(len(cells)), np.zeros(len(cells))

    def run(self, active: list[int], epochs: int | None = None) -> None:
        """Train; `active` are the models that were not dropped."""
        start = perf_counter()
        self.together.run(epochs)
        self.fit_time[active] += (perf_counter() - start) / len(active)

    def settle(self) -> None:
        self.together.settle()
        self.settled = True

    def score(self, active: list[int], error_score: float) -> NDArray[np.float64]:
        start = perf_counter()
        scores = np.full(len(active), error_score)
        good = [k for k, i in enumerate(active) if self.together.errors[i] is None]
        if good:
            chosen = [active[k] for k in good]
            scores[good] = self.scorer([self.model(i) for i in chosen], [self.names[i] for i in chosen], self.test)
        self.score_time[active] += (perf_counter() - start) / len(active)
        return scores

    def model(self, i: int) -> Any:
        """A model that predicts; before the end one of its present weights."""
        return self.models[i] if self.settled else self.data.fitted(self.models[i], *self.together.weights(i))


class _Search:
    """All cells on all folds: what is known of them while they are trained."""

    def __init__(
        self,
        cells: dict[str, Any],
        data: _Data,
        splits: list[tuple[Any, Any]],
        scorer: _Scorer,
        error_score: float | str,
        verbose: int,
    ):
        self.cells, self.names, self.data, self.splits, self.scorer = cells, [*cells], data, splits, scorer
        self.raises, self.error_score = error_score == "raise", np.nan if error_score == "raise" else float(error_score)
        self.verbose = verbose
        work = float(data.X.nnz if sp.issparse(data.X) else data.X.size) * len(cells)
        self.threads = threads_for(next(iter(cells.values())).n_jobs, None, work)
        shape = len(cells), len(splits)
        self.scores, self.n_iter = np.full(shape, np.nan), np.full(shape, np.nan)
        self.fit_time, self.score_time = np.zeros(shape), np.zeros(shape)
        self.rounds = np.zeros(len(cells), dtype=int)  # of halving that a cell has survived
        self.errors: dict[str, Exception] = {}  # of models that overflowed, by their names
        self.unfinished = 0  # models that max_iter stopped
        self.weights = np.full((*shape, data.outputs, data.X.shape[1] + 1), np.nan, dtype=data.X.dtype)

    def run(self) -> None:
        """Train every cell to its end, as many folds at a time as there are threads."""
        everyone = list(range(len(self.cells)))
        for first in range(0, len(self.splits), self.threads):
            folds = self._folds(range(first, min(first + self.threads, len(self.splits))))
            if first == 0:
                self._announce(folds)
            self._train(folds, everyone)
            for fold in folds:
                self._finish(fold, everyone)

    def halve(self) -> None:
        """Train on all folds side by side; after 1, 2, 4, ... epochs the worse half of the cells leaves."""
        folds = self._folds(range(len(self.splits)))
        self._announce(folds)
        active, epochs = list(range(len(self.cells))), 1
        while len(active) > 1:
            self._train(folds, active, max(1, epochs // 2))
            if all(fold.together.ended for fold in folds):
                break
            for fold in folds:
                self.scores[active, fold.number] = fold.score(active, self.error_score)
            stay = sorted(self._order(active)[: (len(active) + 1) // 2])
            for fold in folds:
                fold.together.drop([i for i in active if i not in stay])
            self._say(f"after {epochs} epochs {len(stay)} of {len(active)} cells go on; {self._leader(active)}")
            active, epochs = stay, 2 * epochs
            self.rounds[active] += 1
        self._train(folds, active)
        for fold in folds:
            self._finish(fold, active)

    def means(self) -> NDArray[np.float64]:
        """The mean score of each cell, -inf for NaN."""
        means = self.scores.mean(axis=1)
        return np.where(np.isnan(means), -np.inf, means)

    def _folds(self, numbers: range) -> list[_Fold]:
        """Folds that are trained side by side; they share the threads, if there are enough."""
        threads = max(1, self.threads // len(numbers))
        return [_Fold(k, self.splits[k], self.cells, self.data, self.scorer, threads) for k in numbers]

    def _train(self, folds: list[_Fold], active: list[int], epochs: int | None = None) -> None:
        alone = any(fold.together.alone for fold in folds)  # some fits would not hear of Ctrl-C on another thread
        if len(folds) == 1 or self.threads == 1 or alone:
            for fold in folds:
                fold.run(active, epochs)
        else:
            self._train_at_once(folds, active, epochs)
        for fold in folds:
            for name, error in zip(fold.names, fold.together.errors, strict=True):
                if error is not None:
                    if self.raises:
                        raise error
                    self.errors[name] = error

    def _train_at_once(self, folds: list[_Fold], active: list[int], epochs: int | None) -> None:
        """A fold a thread: they need not wait for each other, as the threads of a pass do after every batch."""
        with ThreadPoolExecutor(self.threads) as pool:
            runs = [pool.submit(fold.run, active, epochs) for fold in folds]
            try:
                for run in runs:
                    run.result()
            except BaseException:  # Ctrl-C comes to this thread alone
                for fold, run in zip(folds, runs, strict=True):
                    run.cancel()
                    fold.together.stop()
                raise

    def _finish(self, fold: _Fold, active: list[int]) -> None:
        """Take what there is to know of a fold that is trained; cells that have left keep the score they left with."""
        k = fold.number
        fold.settle()
        self.scores[active, k] = fold.score(active, self.error_score)
        self.fit_time[:, k], self.score_time[:, k] = fold.fit_time, fold.score_time
        for i, model in enumerate(fold.models):
            if fold.together.errors[i] is None:
                self.weights[i, k, :, :-1], self.weights[i, k, :, -1] = model.coef_, model.intercept_
                self.n_iter[i, k] = model.n_iter_
                self.unfinished += model.tol is not None and model.stop_reason_ == "max_iter"
        passes = len(fold.together.passes)
        leader = self._leader(active, self.scores[:, k])
        self._say(f"fold {k}: {len(active)} cells, {fold.fit_time.sum():.2f} s, passes: {passes}; {leader}")

    def _order(self, active: list[int]) -> list[int]:
        means = self.means()
        return sorted(active, key=lambda i: -means[i])

    def _leader(self, active: list[int], scores: Any = None) -> str:
        scores = self.means() if scores is None else np.nan_to_num(scores, nan=-np.inf)
        best = max(active, key=lambda i: scores[i])
        return f"best: {scores[best]:.4g} with {self.names[best]}"

    def _announce(self, folds: list[_Fold]) -> None:
        sizes = ((name, sum(fold.together.memory[name] for fold in folds)) for name in folds[0].together.memory)
        memory = ", ".join(f"{name} {size / 1e6:.3f} MB" for name, size in sizes)
        self._say(f"{len(self.cells)} cells x {len(self.splits)} folds; memory: {memory}")

    def _say(self, line: str) -> None:
        if self.verbose:
            print(line, flush=True)


class GridCV(Estimator):
    """What the two estimators share: the grid, the folds, the choice, and what is delegated to the best model."""

    _cell_class: Any
    _rules: dict[str, Any]
    _default_scoring: str

    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, *, groups: ArrayLike | None = None
    ) -> Self:
        """Train every cell on every fold, choose the best by its mean score, and train it on all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,), for regressors also (n_samples, n_targets)
            Class labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples' gradients; scores are not weighted.
        groups : array-like of shape (n_samples,), default=None
            The group of each row, for splitters such as ``GroupKFold``.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For parameters or data out of range, folds without rows or without one of the classes, R² of a fold of one
            row, a scorer that fails, or if weights overflow in every cell (with ``error_score='raise'`` in any). It
            names cell and fold. The estimator is then as before the call.
        KeyboardInterrupt
            After Ctrl-C. The estimator is as before the call.
        """
        check_parameters(self, self._rules)
        model = twin(self)
        model._search(X, y, sample_weight, groups)
        settle_all([(self, vars(model))])
        return self

    def _search(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> None:
        params = list(ParameterGrid(self._grid()))
        cells = self._cells(params)
        self._warn_of_idle_grids()
        data = self._check_data(X, y, sample_weight)
        splits = self._splits(data, groups)
        any_cell = next(iter(cells.values()))
        scorer = _Scorer(self._scoring(), any_cell, data)
        search = _Search(cells, data, splits, scorer, self.error_score, int(self.verbose))
        if self.halving:
            search.halve()
        else:
            search.run()
        self._take_results(search, params)
        self._warn_of_fits(search)
        self._take_best([*cells.values()][self.best_index_], search)

    # ---- the grid ----

    def _scoring(self) -> Any:
        return self._default_scoring if self.scoring is None else self.scoring

    def _grid(self) -> dict[str, list[Any]]:
        alphas = np.logspace(-6, -1, self.alphas) if isinstance(self.alphas, Integral) else self.alphas
        return {
            "alpha": [float(alpha) for alpha in alphas],
            "eta0": [0.01] if self.eta0s is None else [float(eta0) for eta0 in self.eta0s],
            "l1_ratio": [0.15] if self.l1_ratios is None else [float(ratio) for ratio in self.l1_ratios],
            "loss": [self.loss] if self.losses is None else [str(loss) for loss in self.losses],
        }

    def _cell(self, **params: Any) -> Any:
        """The estimator of a cell: the parameters that it shares with this one, and its own.

        They are this one's attributes: a subclass may have other parameters than it sets.
        """
        shared = {name: getattr(self, name) for name in self._cell_class._rules if name not in _NOT_HERE}
        return self._cell_class(**{**shared, **params})

    def _cells(self, params: list[dict[str, Any]]) -> dict[str, Any]:
        """The estimators of the cells by their names, checked."""
        several = {name for name, values in self._grid().items() if len(values) > 1} or {"alpha"}
        seed = self.random_state
        if seed is None:  # models of a pass see the rows in one order
            seed = int(check_random_state(None).randint(2**31 - 1))
        cells = {}
        for index, cell in enumerate(params):
            name = f"cell {index} ({', '.join(f'{key}={_short(cell[key])}' for key in cell if key in several)})"
            cells[name] = self._cell(**cell, random_state=seed, verbose=max(0, int(self.verbose) - 1))
            try:
                cells[name]._check_parameters()
                if self._scoring() == "neg_log_loss":
                    _has_probabilities(cells[name])
            except (ValueError, AttributeError) as error:
                raise ValueError(f"{name}: {error}") from error
        return cells

    def _warn_of_idle_grids(self) -> None:
        """Warn of parameters, and of whole grids of them, that no cell uses."""
        cells = [self._cell(loss=loss) for loss in self._grid()["loss"]]
        grids = {"alpha": "alphas", "eta0": "eta0s", "l1_ratio": "l1_ratios"}
        for name, reason_of in ignored.GRID.items():
            own = grids.get(name, name)
            reasons = [reason_of(cell) for cell in cells] if ignored.is_set(self, own) else [""]
            if not all(reasons):
                continue
            if own == name:
                warnings.warn(ignored.message(name, getattr(self, name), reasons[0]), UserWarning, stacklevel=4)
            else:
                count = len({*self._grid()[name]})
                text = f"{own} has {count} value{'s' * (count > 1)}, but {reasons[0]}."
                warnings.warn(text, UserWarning, stacklevel=4)

    # ---- the data ----

    def _check_data(self, X: Any, y: Any, sample_weight: Any) -> _Data:
        several = self._cell()._is_batched() and self._cell_class is SGDRegressor
        X, y = check_X_y(self, X, y, reset=True, multi_output=several)
        weight = check_weights(sample_weight, X)
        if self._cell_class is SGDRegressor:
            return _Data(X, y, np.asarray(y, dtype=np.float64), weight)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"The number of classes has to be greater than one; got {len(self.classes_)} class")
        return _Data(X, y, codes.astype(np.float64), weight, self.classes_)

    def _splits(self, data: _Data, groups: Any) -> list[tuple[Any, Any]]:
        check_consistent_length(data.X, groups)
        splits = []
        cv = check_cv(_pairs(self.cv), data.y, classifier=data.classes is not None)
        for k, (train, test) in enumerate(cv.split(data.X, data.y, groups)):
            train = _indices(train, data.X.shape[0], f"the training rows of fold {k}")
            test = _indices(test, data.X.shape[0], f"the test rows of fold {k}")
            _check_training_rows(data, train, k)
            if self._scoring() == "r2" and len(test) < 2:
                raise ValueError(
                    f"fold {k} has one test row, but R² needs at least two. Use fewer folds, or another scoring such "
                    "as 'neg_mean_squared_error'."
                )
            splits.append((train, test))
        if not splits:
            raise ValueError("cv has no folds. Give an int, a splitter or pairs of training rows and test rows.")
        return splits

    # ---- the results ----

    def _take_results(self, search: _Search, params: list[dict[str, Any]]) -> None:
        if len(search.errors) == search.scores.size:
            error = next(iter(search.errors.values()))
            raise ValueError(f"All {search.scores.size} fits failed. The first, {error}") from error
        if np.isnan(search.scores.mean(axis=1)).all():
            reason = f": {next(iter(search.errors))} failed" if search.errors else " and the scorer returned NaN"
            raise ValueError(
                f"No cell can be chosen, because every cell has a fold without a score{reason}. Try smaller eta0s, "
                "larger folds, or error_score='raise' to see the first failure."
            )
        results: dict[str, Any] = {}
        for name, table in (("fit_time", search.fit_time), ("score_time", search.score_time)):
            results |= {f"mean_{name}": table.mean(axis=1), f"std_{name}": table.std(axis=1)}
        for name in params[0]:
            values = np.array([cell[name] for cell in params], dtype=object if name == "loss" else float)
            results[f"param_{name}"] = np.ma.MaskedArray(values, mask=False)
        results["params"] = params
        for name, table in (("test_score", search.scores), ("n_iter", search.n_iter)):
            results |= {f"split{k}_{name}": table[:, k].copy() for k in range(table.shape[1])}
            results[f"mean_{name}"] = table.mean(axis=1)
        with np.errstate(invalid="ignore"):  # infinite scores
            results["std_test_score"] = search.scores.std(axis=1)
        results["rank_test_score"] = _ranks([*zip(search.rounds, search.means(), strict=True)])
        self.cv_results_ = results
        self.best_index_ = int(results["rank_test_score"].argmin())
        self.best_params_ = params[self.best_index_]
        self.best_score_ = float(results["mean_test_score"][self.best_index_])
        for name, value in self.best_params_.items():
            setattr(self, f"{name}_", value)
        self.scores_, self.coefs_paths_, self.n_splits_ = search.scores, search.weights, len(search.splits)

    def _take_best(self, cell: Any, search: _Search) -> None:
        """Train the chosen cell on all rows, or take the mean of its folds."""
        data = search.data
        if self.refit:
            start = perf_counter()
            best = clone(cell)
            best._idle = {}  # of which this estimator has warned, for all cells
            best.fit(data.X, data.y, sample_weight=data.sample_weight)
            del best._idle
            self.refit_time_ = perf_counter() - start
        else:
            self.__dict__.pop("refit_time_", None)
            mean = self.coefs_paths_[self.best_index_].mean(axis=0, dtype=np.float64)
            if not np.isfinite(mean).all():
                raise ValueError(
                    f"{search.names[self.best_index_]} is the best, but overflowed in a fold: its folds "
                    "have no mean. Set refit=True, or leave error_score=nan."
                )
            best = data.fitted(cell, mean[:, :-1].astype(data.X.dtype), mean[:, -1].copy())
            best.n_iter_ = int(search.n_iter[self.best_index_].max())
        if hasattr(self, "feature_names_in_"):
            best.feature_names_in_ = self.feature_names_in_
        self.best_estimator_ = best
        self.coef_, self.intercept_, self.n_iter_ = best.coef_, best.intercept_, best.n_iter_

    def _warn_of_fits(self, search: _Search) -> None:
        fits = f"{search.scores.size} fits ({len(search.cells)} cells x {len(search.splits)} folds)"
        if search.errors:
            error = next(iter(search.errors.values()))
            warnings.warn(
                f"{len(search.errors)} of {fits} failed; their score is {self.error_score}. The first, {error}",
                FitFailedWarning,
                stacklevel=4,
            )
        if search.unfinished:
            warnings.warn(
                f"Maximum number of iteration reached before convergence in {search.unfinished} of {fits}. Consider "
                "increasing max_iter to improve the fit.",
                ConvergenceWarning,
                stacklevel=4,
            )

    # ---- what the best model does ----

    def predict(self, X: Any) -> Any:
        """Return the predictions of the best model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,), or (n_samples, n_targets) for a two-dimensional y
        """
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the score of the best model, with the scorer of `scoring`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        scorer = check_scoring(self.best_estimator_, scoring=self._scoring())
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(self.best_estimator_, X, y, **weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _pairs(cv: Any) -> Any:
    """cv; where it is an iterable, a list of pairs."""
    if hasattr(cv, "split") or isinstance(cv, str) or not isinstance(cv, Iterable):
        return cv
    cv = list(cv)
    for k, split in enumerate(cv):
        if not isinstance(split, (tuple, list, np.ndarray)) or len(split) != 2:
            raise ValueError(f"cv: fold {k} must be a pair, training rows and test rows. Got {split!r}.")
    return cv


def _indices(part: Any, n: int, what: str) -> NDArray[np.intp]:
    """Indices of rows, of a part of a split: indices or a mask."""
    rows = np.asarray(part)
    if rows.dtype == bool and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    if rows.size == 0:
        raise ValueError(f"cv: {what} must not be empty. Every fold needs rows of both kinds: try fewer folds.")
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ValueError(f"cv: {what} must be indices in one dimension; got {rows.dtype} in {rows.ndim} dimensions.")
    if rows.min() < 0 or rows.max() >= n:
        raise ValueError(f"cv: {what} must be in [0, {n}); got {rows.min()} to {rows.max()}.")
    return rows.astype(np.intp, copy=False)


def _check_training_rows(data: _Data, rows: NDArray[np.intp], fold: int) -> None:
    if data.sample_weight is not None and not data.sample_weight[rows].any():
        raise ValueError(
            f"sample_weight is zero for every training row of fold {fold}. Shuffle the rows, or drop them."
        )
    if data.classes is None:
        return
    counts = np.bincount(data.targets[rows].astype(np.intp), minlength=len(data.classes))
    if np.count_nonzero(counts) == 1:
        raise ValueError(
            f"fold {fold} has only one class in its training rows ({data.classes[counts.argmax()]!r}). Try "
            "StratifiedKFold, or shuffle the rows."
        )
    if not counts.all():
        raise ValueError(
            f"fold {fold} has no row of class {data.classes[counts.argmin()]!r} among its training rows, so its models "
            "would not know that class. Try StratifiedKFold, fewer folds, or shuffle the rows."
        )


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _ranks(keys: list[tuple[Any, ...]]) -> NDArray[np.int32]:
    """1 for the largest; equal keys share the better rank."""
    ordered = sorted(keys, reverse=True)
    return np.array([1 + ordered.index(key) for key in keys], dtype=np.int32)


def _can_have_probabilities(estimator: SGDClassifierCV) -> bool:
    """Whether the chosen loss has probabilities; before `fit`, whether all losses of the grid have."""
    if "best_estimator_" in vars(estimator):
        return _has_probabilities(estimator.best_estimator_)
    losses = [estimator.loss] if estimator.losses is None else estimator.losses
    return all(_has_probabilities(SGDClassifier(loss=loss)) for loss in losses)


class SGDClassifierCV(ClassifierMixin, GridCV):  # type: ignore[misc]
    """`SGDClassifier` with `alpha` and others chosen by cross-validation, all models of a fold trained in one pass.

    The cells of the grid `alphas` x `eta0s` x `l1_ratios` x `losses` are trained on the training rows of each fold.
    Models of a fold read the same rows in the same order, so that X is read once for all of them, and it is never
    copied. Every model is (to rounding) what `SGDClassifier` with the same parameters learns from those rows, and
    scores are those of ``sklearn.model_selection.cross_val_score``.

    Parameters
    ----------
    loss : str, default='hinge'
        As for `SGDClassifier`.
    alphas : int in [1, 1000000] or array-like of floats in (0, inf), default=10
        Strengths of the penalty; an int: so many from 1e-6 to 1e-1, evenly on a logarithmic scale.
    l1_ratios : array-like of floats in [0, 1] or None, default=None
        Shares of L1; they have an effect with ``penalty='elasticnet'`` only. None: 0.15.
    eta0s : array-like of floats in (0, inf) or None, default=None
        Initial rates; they have an effect with the learning rates 'constant', 'invscaling' and 'adaptive'. None: 0.01.
    losses : array-like of str or None, default=None
        Losses. None: `loss`.
    cv : int, splitter, iterable of (training rows, test rows) or None, default=None
        The folds; an int: so many, stratified. None: 5. Every class must be among the training rows of every fold.
    scoring : str, callable or None, default=None
        A name of ``sklearn.metrics.get_scorer_names()``, or ``scorer(estimator, X, y) -> float``. None: accuracy.
        'accuracy', 'neg_log_loss' and, for two classes, 'roc_auc' are computed for all models at once.
    refit : bool, default=True
        Whether to train the best cell on all rows. False: `coef_` and `intercept_` are means over its folds.
    halving : bool, default=False
        Whether to drop the worse half of the cells (by their mean score over the folds; the better half is rounded up)
        after 1, 2, 4, 8, ... epochs, until one is left or all have ended: successive halving, see the references. Much
        less work, but a cell that learns slowly may be dropped too early.
    error_score : float or 'raise', default=nan
        Score of a model whose weights overflow, with a warning; NaN ranks last. 'raise': an error that names it.
    penalty, fit_intercept, max_iter, tol, shuffle : see `SGDClassifier`
        Parameters of the models, with the defaults of `SGDClassifier`.
    verbose : int, default=0
        Above 0, print the size of the grid, what memory it takes, and a line a fold; above 1, what the fits print.
    epsilon, n_jobs : see `SGDClassifier`
        The parameter of some losses; and threads, shared by all models.
    random_state : int, RandomState or None, default=None
        Of shuffling, the same for all cells and folds; None: a seed that is drawn once in each `fit`. Splitters have
        their own.
    learning_rate, power_t, early_stopping, validation_fraction, n_iter_no_change : see `SGDClassifier`
        Parameters of the models, with the defaults of `SGDClassifier`.
    class_weight, average, intercept_decay, restore_best_weights : see `SGDClassifier`
        Parameters of the models, with the defaults of `SGDClassifier`. ``class_weight='balanced'`` is computed from the
        training rows of each fold.
    batch_size : int in [1, inf) or 'full', default=256
        Rows of a step, as for `SGDClassifier`. Models trained with 1 cannot share a pass; they are trained one by one.
    optimizer, multi_class, positive : see `SGDClassifier`
        Parameters of the models, with the defaults of `SGDClassifier`.

    Attributes
    ----------
    alpha_, eta0_, l1_ratio_ : float
        Values of the best cell.
    loss_ : str
        The loss of the best cell.
    best_index_ : int
        The best cell: of the highest mean score, the first of equals; with `halving` of those that were not dropped.
    best_params_ : dict
        Its ``alpha``, ``eta0``, ``l1_ratio`` and ``loss``.
    best_score_ : float
        Its mean score.
    scores_ : ndarray of shape (n_cells, n_folds)
        Score of each cell on the test rows of each fold; of a dropped cell, when it was dropped. Cells are in the order
        of ``sklearn.model_selection.ParameterGrid``: alpha, eta0, l1_ratio, loss, the last one moving fastest.
    cv_results_ : dict of ndarray
        As `GridSearchCV`'s, with epochs as ``split0_n_iter``, ..., ``mean_n_iter``; a fit time is the time of the pass
        divided by its models. With `halving`, those that were dropped later rank higher.
    coefs_paths_ : ndarray of shape (n_cells, n_folds, n_outputs, n_features + 1), of X's dtype
        The weights of all models, intercepts last; NaN where they overflowed.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights of the best model.
    intercept_ : ndarray of shape (1,) or (n_classes,), float64
        Its intercepts.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_iter_ : int
        Epochs of the best model; without `refit`, the most over the folds.
    best_estimator_ : SGDClassifier
        The best model.
    n_splits_ : int
        Folds.
    refit_time_ : float
        Seconds of the last fit, on all rows; only with `refit`.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    SGDRegressorCV : The same for regression.
    SGDClassifier : One such model.

    Notes
    -----
    **Differences from scikit-learn.** ``GridSearchCV(SGDClassifier(...), ...)`` gives the same scores, but: a scorer
    that raises is an error; a fold that lacks a class is an error, for its models would not know it; NaN as mean score
    of every cell is an error; scorers get arrays or CSR matrices, never data frames; without `random_state` all cells
    see the rows in the same order.

    References
    ----------
    K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from fusedgrad.linear_model import SGDClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = SGDClassifierCV("log_loss", alphas=[1e-4, 1e-2, 10], batch_size=32, random_state=0).fit(scale(X), y)
    >>> clf.alpha_ < 10, clf.scores_.shape
    (True, (3, 5))
    >>> clf.score(scale(X), y) > 0.97
    True
    """

    _cell_class = SGDClassifier
    _default_scoring = "accuracy"
    _rules = _rules_of(SGDClassifier)

    def __init__(
        self,
        loss: str = "hinge",
        *,
        alphas: int | ArrayLike = 10,
        l1_ratios: ArrayLike | None = None,
        eta0s: ArrayLike | None = None,
        losses: Sequence[str] | None = None,
        cv: Any = None,
        scoring: str | Callable[..., float] | None = None,
        refit: bool = True,
        halving: bool = False,
        error_score: float | str = np.nan,
        penalty: str | None = "l2",
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool | Literal["rows"] = True,
        verbose: bool | int = 0,
        epsilon: float = 0.1,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: str | float | Callable[[int], float] = "optimal",
        power_t: float = 0.5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Mapping[Any, float] | str | None = None,
        average: bool | int = False,
        intercept_decay: float | None = None,
        restore_best_weights: bool = False,
        batch_size: int | str = 256,
        optimizer: str | Optimizer = "sgd",
        multi_class: str = "ovr",
        positive: bool = False,
    ):
        self.loss = loss
        self.alphas = alphas
        self.l1_ratios = l1_ratios
        self.eta0s = eta0s
        self.losses = losses
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.halving = halving
        self.error_score = error_score
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.average = average
        self.intercept_decay = intercept_decay
        self.restore_best_weights = restore_best_weights
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.multi_class = multi_class
        self.positive = positive

    score = GridCV.score  # not the mixin's, which is the accuracy

    def decision_function(self, X: Any) -> Any:
        """Return the raw predictions w·x + b of the best model, positive for ``classes_[1]``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.best_estimator_.decision_function(X)

    @available_if(_can_have_probabilities)
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, as `SGDClassifier.predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), columns as in `classes_`
        """
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    @available_if(_can_have_probabilities)
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`; -inf where that is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.best_estimator_.predict_log_proba(X)


class SGDRegressorCV(RegressorMixin, GridCV):  # type: ignore[misc]
    """`SGDRegressor` with `alpha` and others chosen by cross-validation, all models of a fold trained in one pass.

    As `SGDClassifierCV`, for regression.

    Parameters
    ----------
    loss : str, default='squared_error'
        As for `SGDRegressor`.
    alphas : int in [1, 1000000] or array-like of floats in (0, inf), default=10
        Strengths of the penalty; an int: so many from 1e-6 to 1e-1, evenly on a logarithmic scale.
    l1_ratios : array-like of floats in [0, 1] or None, default=None
        Shares of L1; they have an effect with ``penalty='elasticnet'`` only. None: 0.15.
    eta0s : array-like of floats in (0, inf) or None, default=None
        Initial rates; they have an effect with the learning rates 'constant', 'invscaling' and 'adaptive'. None: 0.01.
    losses : array-like of str or None, default=None
        Losses. None: `loss`.
    cv : int, splitter, iterable of (training rows, test rows) or None, default=None
        The folds; an int: so many. None: 5.
    scoring : str, callable or None, default=None
        A name of ``sklearn.metrics.get_scorer_names()``, or ``scorer(estimator, X, y) -> float``. None: R².
        'r2', 'neg_mean_squared_error' and 'neg_root_mean_squared_error' are computed for all models at once.
    refit, halving, error_score : see `SGDClassifierCV`
        The same parameters, with the same defaults.
    penalty, fit_intercept, max_iter, tol, shuffle : see `SGDRegressor`
        Parameters of the models, with the defaults of `SGDRegressor`.
    verbose : int, default=0
        Above 0, print the size of the grid, what memory it takes, and a line a fold; above 1, what the fits print.
    epsilon : float in [0, inf), default=0.1
        As for `SGDRegressor`.
    random_state : int, RandomState or None, default=None
        Of shuffling, the same for all cells and folds; None: a seed that is drawn once in each `fit`.
    learning_rate, power_t, early_stopping, validation_fraction, n_iter_no_change : see `SGDRegressor`
        Parameters of the models, with the defaults of `SGDRegressor`.
    average, intercept_decay, restore_best_weights, quantile : see `SGDRegressor`
        Parameters of the models, with the defaults of `SGDRegressor`.
    batch_size : int in [1, inf) or 'full', default=256
        Rows of a step, as for `SGDRegressor`. Models trained with 1 cannot share a pass; they are trained one by one.
    optimizer, n_jobs, positive : see `SGDRegressor`
        Parameters of the models, with the defaults of `SGDRegressor`.

    Attributes
    ----------
    alpha_, eta0_, l1_ratio_ : float
        Values of the best cell.
    loss_ : str
        The loss of the best cell.
    best_index_, best_params_, best_score_, scores_, cv_results_, coefs_paths_, n_splits_, refit_time_ : various
        As `SGDClassifierCV`'s.
    coef_ : ndarray of shape (n_features,), or (n_targets, n_features) for a two-dimensional y
        Weights of the best model, of X's dtype.
    intercept_ : ndarray of shape (1,) or (n_targets,), float64
        Its intercept.
    n_iter_ : int
        Epochs of the best model; without `refit`, the most over the folds.
    best_estimator_ : SGDRegressor
        The best model.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has string names.

    See Also
    --------
    SGDClassifierCV : The same for classification; its notes and references hold here too.
    SGDRegressor : One such model.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from fusedgrad.linear_model import SGDRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = SGDRegressorCV(alphas=[1e-4, 1e-2, 10], batch_size=32, random_state=0).fit(scale(X), y)
    >>> reg.alpha_ < 10, reg.scores_.shape
    (True, (3, 5))
    >>> reg.score(scale(X), y) > 0.5
    True
    """

    _cell_class = SGDRegressor
    _default_scoring = "r2"
    _rules = _rules_of(SGDRegressor)

    def __init__(
        self,
        loss: str = "squared_error",
        *,
        alphas: int | ArrayLike = 10,
        l1_ratios: ArrayLike | None = None,
        eta0s: ArrayLike | None = None,
        losses: Sequence[str] | None = None,
        cv: Any = None,
        scoring: str | Callable[..., float] | None = None,
        refit: bool = True,
        halving: bool = False,
        error_score: float | str = np.nan,
        penalty: str | None = "l2",
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool | Literal["rows"] = True,
        verbose: bool | int = 0,
        epsilon: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: str | float | Callable[[int], float] = "invscaling",
        power_t: float = 0.25,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        average: bool | int = False,
        intercept_decay: float | None = None,
        restore_best_weights: bool = False,
        quantile: float = 0.5,
        batch_size: int | str = 256,
        optimizer: str | Optimizer = "sgd",
        n_jobs: int | None = None,
        positive: bool = False,
    ):
        self.loss = loss
        self.alphas = alphas
        self.l1_ratios = l1_ratios
        self.eta0s = eta0s
        self.losses = losses
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.halving = halving
        self.error_score = error_score
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.average = average
        self.intercept_decay = intercept_decay
        self.restore_best_weights = restore_best_weights
        self.quantile = quantile
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.n_jobs = n_jobs
        self.positive = positive

    score = GridCV.score  # not the mixin's, which is R2

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.losses is None and self.loss in LOG_LINK
        tags.target_tags.multi_output = self._cell()._is_batched()
        return tags
