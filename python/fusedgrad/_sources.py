"""Sources of rows in place of arrays: what estimators do with them.

A source whose rows fit in memory (`LIMIT`) is read once, and is then as good as the arrays that it holds. Of a larger
one, estimators that can train block by block read it in every epoch anew; others get arrays on disk that are mapped
into memory. Predictions are made block by block.
"""

from __future__ import annotations

import copy
import functools
import inspect
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar, cast

import numpy as np
import scipy.sparse as sp
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, r2_score

from ._atomic import settle, shallow_copy
from .data import Block, Source, concatenate, source_of

LIMIT = 128 << 20  # bytes of rows that are read into memory

_Method = TypeVar("_Method", bound=Callable[..., Any])


def is_source(X: Any) -> bool:
    """Whether X is a source, or something that becomes one; quick to say no of what arrays are made of."""
    return not isinstance(X, (np.ndarray, list, tuple)) and not sp.issparse(X) and source_of(X) is not None


def takes_sources(fit: _Method) -> _Method:
    """Let `fit` take a source as X, with y and weights in it or named; and as X_val, if it has that parameter."""
    signature = inspect.signature(fit)

    @functools.wraps(fit)
    def taking(self: Any, X: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        validated = kwargs.get("X_val") is not None and is_source(kwargs["X_val"])
        if not validated and not is_source(X):
            return fit(self, X, y, *args, **kwargs)
        given = signature.bind(self, X, y, *args, **kwargs).arguments
        for name in ("self", "X", "y"):
            given.pop(name, None)
        with ExitStack() as stack:
            if validated:
                rows = stack.enter_context(arrays(_named(given, "X_val", "y_val", "sample_weight_val")))
                given.update(X_val=rows.X, y_val=rows.y, sample_weight_val=rows.weight)
            if not is_source(X):
                return fit(self, X, y, **given)
            given.update(X=X, y=y)
            source = _named(given, "X", "y", "sample_weight")
            return _fit(fit, self, source, given, stack)

    return cast(_Method, taking)


def _named(given: dict[str, Any], X: str, y: str, weight: str) -> Source:
    """The source among the arguments, which are taken out."""
    rows, target, weights = given.pop(X), given.pop(y, None), given.pop(weight, None)
    for name, value in ((y, target), (weight, weights)):
        if value is not None and not _is_name(value):
            raise TypeError(
                f"{name} must be the name of a column where {X} is a source, or None if the source knows it; got "
                f"{type(value).__name__}."
            )
    source = source_of(rows, target=target, weight=weights)
    assert source is not None
    return source


def _is_name(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _fit(fit: Callable[..., Any], estimator: Any, source: Source, given: dict[str, Any], stack: ExitStack) -> Any:
    if fit.__name__ == "partial_fit":
        return _partial_fit(fit, estimator, source, given)
    rows, names = small(source)
    if fit.__name__ == "score":
        estimator = _nameless(estimator, names, source)
    if rows is None and hasattr(estimator, "_fit_stream") and estimator._streams(given):
        made = estimator._fit_stream(source, **given)
    else:
        rows = stack.enter_context(mapped(source)) if rows is None else rows
        made = fit(estimator, rows.X, rows.y, **given, **_weights(rows))
    if fit.__name__ == "fit":
        remember_names(estimator, names)
    return made


def _partial_fit(fit: Callable[..., Any], estimator: Any, source: Source, given: dict[str, Any]) -> Any:
    """Learn from one block after the other; after an error the estimator is as before."""
    before = estimator.__dict__.get("feature_names_in_")
    with source.open() as reader:
        model = _nameless(copy.deepcopy(estimator), reader.names, source)
        for block in reader:
            if len(block):
                fit(model, block.X, block.y, **given, **_weights(block))
        names = reader.names if before is None else list(before)
    settle(estimator, vars(model))
    remember_names(estimator, names)
    return estimator


def _nameless(model: Any, names: list[str] | None, source: Source) -> Any:
    """A copy that takes blocks, which have no names, after a look at those of the source."""
    expected = model.__dict__.get("feature_names_in_")
    if expected is None:
        return model
    if names is not None and list(names) != list(expected):
        raise ValueError(
            f"The columns of {source} are {names}, but the model was fitted to {list(expected)}. Choose them, in this "
            "order: columns=[...]."
        )
    nameless = shallow_copy(model)
    del nameless.__dict__["feature_names_in_"]
    return nameless


def _weights(block: Block) -> dict[str, Any]:
    return {} if block.weight is None else {"sample_weight": block.weight}


def small(source: Source) -> tuple[Block | None, list[str] | None]:
    """All rows, if they take no more than `LIMIT` bytes, else None; and the names of the columns."""
    with source.open() as reader:
        if reader.groups is not None and sum(group.nbytes for group in reader.groups) > LIMIT:
            return None, reader.names
        blocks: list[Block] = []
        taken = 0
        for block in reader:
            taken += block.nbytes
            if taken > LIMIT:
                return None, reader.names
            blocks.append(block)
        names = reader.names
    if not blocks:
        raise ValueError(f"{source} has no rows.")
    return concatenate(blocks), names


@contextmanager
def mapped(source: Source) -> Iterator[Block]:
    """All rows, in files that are mapped into memory while the block runs."""
    whole = source.whole()
    if whole is not None:
        yield whole
        return
    with tempfile.TemporaryDirectory(prefix="fusedgrad-") as folder:
        whole = source.cache(f"{folder}/rows").whole()
        assert whole is not None
        yield whole


@contextmanager
def arrays(source: Source) -> Iterator[Block]:
    """All rows, in memory or mapped into it."""
    rows, _ = small(source)
    if rows is not None:
        yield rows
    else:
        with mapped(source) as rows:
            yield rows


# ---- predictions ----


def by_blocks(predict: _Method) -> _Method:
    """Let a prediction take a source, block by block."""

    @functools.wraps(predict)
    def taking(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_source(X):
            return predict(self, X, *args, **kwargs)
        source = source_of(X)
        assert source is not None
        found = [made for _, made in predictions(source, self, lambda model, X: predict(model, X, *args, **kwargs))]
        if not found:
            raise ValueError(f"{source} has no rows.")
        return sp.vstack(found, format="csr") if sp.issparse(found[0]) else np.concatenate(found)

    return cast(_Method, taking)


def predictions(source: Source, model: Any, predict: Callable[[Any, Any], Any]) -> Iterator[tuple[Block, Any]]:
    """Every block, and what is predicted of it."""
    with source.open() as reader:
        nameless = _nameless(model, reader.names, source)
        for block in reader:
            if len(block):
                yield block, predict(nameless, block.X)


class Scores:
    """`score`, of a source, too."""

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or the coefficient of determination R² of a regressor.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            Rows to predict.
        y : array-like of shape (n_samples,), or the name of a column of a source
            What should be predicted; None where the source says.
        sample_weight : array-like of shape (n_samples,), or the name of a column of a source, default=None
            Weights of the rows.

        Returns
        -------
        score : float
        """
        if not is_source(X):
            return float(super().score(X, y, sample_weight=sample_weight))  # type: ignore[misc]
        source = _named({"X": X, "y": y, "sample_weight": sample_weight}, "X", "y", "sample_weight")
        truth, found, weights = [], [], []
        for block, made in predictions(source, self, lambda model, X: model.predict(X)):
            if block.y is None:
                raise ValueError(f"{source} has no targets to compare with. Say which column they are: y='name'.")
            truth.append(block.y)
            found.append(made)
            weights.append(np.ones(len(block)) if block.weight is None else block.weight)
        metric = accuracy_score if is_classifier(self) else r2_score
        return float(metric(np.concatenate(truth), np.concatenate(found), sample_weight=np.concatenate(weights)))


def remember_names(estimator: Any, names: list[str] | None) -> None:
    """Let an estimator that was fitted to a source know the columns by name."""
    if names is not None:
        settle(estimator, {"feature_names_in_": np.array(names, dtype=object)})
