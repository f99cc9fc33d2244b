"""Functions on the rows of a source."""

import functools
import operator
import pickle

import numpy as np
import pytest
from fusedgrad.data import Array, Batches
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import StandardScaler

from .blocks import check, same

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)
WEIGHT = np.linspace(1, 2, 10)
SOURCE = Array(X, Y, WEIGHT, group=4)


def both(X, y):
    return X + 1, y * 2


def all_three(X, y, weight):
    return X, y, weight * 2


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (np.log1p, (np.log1p(X), Y, WEIGHT)),
        (lambda X: X[:, :1], (X[:, :1], Y, WEIGHT)),
        (lambda X, scale=2.0: X * scale, (X * 2, Y, WEIGHT)),
        (functools.partial(np.add, 1.0), (X + 1, Y, WEIGHT)),
        (operator.neg, (-X, Y, WEIGHT)),
        (lambda X: (X, np.zeros(len(X))), (X, np.zeros(10), WEIGHT)),
        (both, (X + 1, Y * 2, WEIGHT)),
        (lambda X, y: (X, y, y + 0.5), (X, Y, Y + 0.5)),
        (all_three, (X, Y, WEIGHT * 2)),
    ],
)
def test_functions_of_rows(function, expected):
    check(SOURCE.map(function), *expected, sizes=[4, 4, 2])
    check(
        Batches(lambda: [(X[:7], Y[:7], WEIGHT[:7]), (X[7:], Y[7:], WEIGHT[7:])]).map(function), *expected, sizes=[7, 3]
    )


def test_maps_follow_each_other():
    source = SOURCE.map(np.log1p).map(both).map(np.square)
    check(source, np.square(np.log1p(X) + 1), Y * 2, WEIGHT)
    check(pickle.loads(pickle.dumps(source)), np.square(np.log1p(X) + 1), Y * 2, WEIGHT)


def test_a_fitted_scaler():
    scaler = StandardScaler().fit(X)
    check(SOURCE.map(scaler.transform), scaler.transform(X), Y, WEIGHT)
    other = StandardScaler().fit(X * 2)
    assert SOURCE.map(scaler.transform).identity != SOURCE.map(other.transform).identity
    assert SOURCE.map(scaler.transform).identity == SOURCE.map(StandardScaler().fit(X).transform).identity


def test_an_identity_follows_what_functions_hold():
    def scaled(by):
        return SOURCE.map(lambda X: X * by).identity

    assert scaled(2.0) == scaled(2.0)
    assert scaled(2.0) != scaled(3.0)
    add = [SOURCE.map(functools.partial(np.add, k)).identity for k in (1.0, 1.0, 2.0)]
    assert add[0] == add[1] != add[2]
    assert SOURCE.map(lambda X, k=1: X).identity != SOURCE.map(lambda X, k=2: X).identity
    assert SOURCE.map(lambda X: open).identity == SOURCE.map(lambda X: open).identity


def test_texts_become_sparse_rows():
    texts = ["a b", "b c d", "a", "d"]
    source = Batches(lambda: ((texts[k : k + 2], [k, k + 1]) for k in (0, 2)))
    hashing = HashingVectorizer(n_features=16, token_pattern=r"\w")
    check(source.map(hashing.transform), hashing.transform(texts).astype(np.float64), np.arange(4))


def test_rows_must_stay():
    with pytest.raises(ValueError, match=r"Array, rows 0 to 3: map's function was given 4 rows and returned 2"):
        list(SOURCE.map(lambda X: X[::2]))
    with pytest.raises(ValueError, match="X has 4 rows, but y has 3"):
        list(SOURCE.map(lambda X, y: (X, y[:3])))
    with pytest.raises(ValueError, match="returned 4 values"):
        list(SOURCE.map(lambda X: (X, None, None, None)))


def test_what_is_no_function_of_rows_is_refused():
    with pytest.raises(TypeError, match="takes a function of X"):
        SOURCE.map("log")
    with pytest.raises(TypeError, match="needs 4 arguments"):
        SOURCE.map(lambda a, b, c, d: a)
    with pytest.raises(ValueError, match="frame must be"):
        SOURCE.map(np.log1p, frame="dask")
    with pytest.raises(TypeError, match="needs a source with columns"):
        list(SOURCE.map(np.log1p, frame="pandas"))


def test_arrays_of_the_source_stay_as_they_are():
    before = X.copy()
    list(SOURCE.map(both))
    assert same(X, before)
