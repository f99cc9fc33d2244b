"""What a search has found: scores, ranks, the best cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning

from ..._validation.warn import warn
from ._training import Search


def results_of(search: Search, params: list[dict[str, Any]]) -> dict[str, Any]:
    """The attributes that tell how a search went, but for the best model.

    Raises
    ------
    ValueError
        If no cell has a score.
    """
    _check_scores(search)
    results = _cv_results(search, params)
    index = int(results["rank_test_score"].argmin())
    best = params[index]
    return {
        "cv_results_": results,
        "best_index_": index,
        "best_params_": best,
        "best_score_": float(results["mean_test_score"][index]),
        **{f"{name}_": value for name, value in best.items()},
        "scores_": search.scores,
        "coefs_paths_": search.weights,
        "n_splits_": len(search.splits),
    }


def _check_scores(search: Search) -> None:
    if len(search.errors) == search.scores.size:
        error = next(iter(search.errors.values()))
        raise ValueError(f"All {search.scores.size} fits failed. The first, {error}") from error
    if np.isnan(search.scores.mean(axis=1)).all():
        reason = f": {next(iter(search.errors))} failed" if search.errors else " and the scorer returned NaN"
        raise ValueError(
            f"No cell can be chosen, because every cell has a fold without a score{reason}. Try smaller eta0s, "
            "larger folds, or error_score='raise' to see the first failure."
        )


def _cv_results(search: Search, params: list[dict[str, Any]]) -> dict[str, Any]:
    """As `GridSearchCV`'s."""
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
    results["rank_test_score"] = ranks_of([*zip(search.rounds, search.means(), strict=True)])
    return results


def ranks_of(keys: list[tuple[Any, ...]]) -> NDArray[np.int32]:
    """1 for the largest; equal keys share the better rank."""
    ordered = sorted(keys, reverse=True)
    return np.array([1 + ordered.index(key) for key in keys], dtype=np.int32)


def warn_of_fits(search: Search, error_score: float | str) -> None:
    """Warn of fits that failed, and of those that `max_iter` ended. (By what `fit` calls.)"""
    fits = f"{search.scores.size} fits ({len(search.cells)} cells x {len(search.splits)} folds)"
    if search.errors:
        error = next(iter(search.errors.values()))
        warn(
            f"{len(search.errors)} of {fits} failed; their score is {error_score}. The first, {error}", FitFailedWarning
        )
    if search.astray:
        warn(
            f"Training ended where it should not in {len(search.astray)} of {fits}. Of the first: {search.astray[0]}",
            ConvergenceWarning,
        )
    if search.unfinished:
        warn(
            f"Maximum number of iteration reached before convergence in {search.unfinished} of {fits}. Consider "
            "increasing max_iter to improve the fit.",
            ConvergenceWarning,
        )
