"""Fits whose sums go shard by shard: cuts, sums, and optima that are those of all rows."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad._training import shards
from fusedgrad._training.shards import Local, Shard, aligned_in, bounds, divided, rows_of_shard, tree_sum
from fusedgrad.callbacks import Checkpoint
from fusedgrad.exceptions import DivergedError
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from ..checkpoints import assert_same_fit
from ..covering import pairs
from .problems import rows, targets, weights

SOLVED = {"optimizer": "auto", "random_state": 0, "alpha": 1e-3, "tol": 1e-5}


def test_a_shard_has_as_many_rows_as_the_columns_say():
    assert rows_of_shard(100, sparse=False) == 1 << 18
    assert rows_of_shard(1, sparse=False) == 1 << 20
    assert rows_of_shard(10**9, sparse=False) == 1024
    assert rows_of_shard(100, sparse=True) == rows_of_shard(10**6, sparse=True) == 1 << 18


@given(st.integers(1, 5000), st.integers(1, 60))
def test_shards_hold_every_row_once(n, features):
    found = bounds(n, features, sparse=False)
    assert found[0][0] == 0
    assert found[-1][1] == n
    assert all(a[1] == b[0] for a, b in pairwise(found))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.data())
def test_places_are_divided_as_the_parts_are(sizes, data):
    n = sum(sizes)
    places = np.array(sorted(data.draw(st.sets(st.integers(0, max(0, n - 1)), max_size=n))), dtype=np.intp)
    places = places[places < n]
    parts = divided(places, sizes)
    begins = np.cumsum([0, *sizes[:-1]])
    np.testing.assert_array_equal(np.concatenate([b + part for b, part in zip(begins, parts, strict=True)]), places)
    assert all((part < size).all() for part, size in zip(parts, sizes, strict=True))


def by_halves(parts):
    """The definition of the tree, for as many leaves as a power of two; None: there is no such leaf."""
    if len(parts) == 1:
        return parts[0]
    one, other = by_halves(parts[: len(parts) // 2]), by_halves(parts[len(parts) // 2 :])
    if one is None or other is None:
        return other if one is None else one
    return tuple(a + b for a, b in zip(one, other, strict=True))


@given(st.sets(st.integers(0, 63), min_size=1, max_size=64), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_sums_are_those_of_a_fixed_tree(numbers, k, seed):
    """Whoever has 2^k neighbours may add them up."""
    numbers, rng = sorted(numbers), np.random.default_rng(seed)
    parts = {number: (rng.normal() * 10.0 ** rng.integers(-9, 9), rng.normal(size=2)) for number in numbers}
    expected = by_halves([parts.get(number) for number in range(64)])
    groups = {}
    for number in numbers:
        groups.setdefault(number >> k, []).append(number)
    sums = [tree_sum([parts[number] for number in own], own) for own in groups.values()]
    for found in (tree_sum([*parts.values()], numbers), tree_sum(sums, [*groups])):
        assert found[0] == expected[0]
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("sparse", [False, True])
def test_shards_of_rows_in_memory_are_views(sparse, small_shards):
    X = rows(250, sparse=sparse)
    local = Local.of(X, np.arange(250.0), None, None, 1)
    assert len(local.sizes) > 2
    for shard in local.shards:
        assert np.shares_memory(shard.X.data, X.data)
    if sparse:
        assert (sp.vstack([shard.X for shard in local.shards]) != X).nnz == 0
    np.testing.assert_array_equal(np.concatenate([shard.y for shard in local.shards]), np.arange(250.0))


def test_arrays_of_another_process_are_put_where_the_core_wants_them():
    odd = np.frombuffer(b"\0" + np.arange(5.0).tobytes(), np.float64, offset=1)
    assert not odd.flags.aligned
    found = aligned_in({"a": (odd, None), "b": shards.Listed(odd, odd, None, odd)})
    assert found["a"][0].flags.aligned
    assert found["b"].y.flags.aligned
    shard = Shard.__new__(Shard)
    shard.__setstate__({"X": odd.reshape(1, 5), "y": odd, "weight": None, "rows": None})
    assert shard.X.flags.aligned


def test_what_was_made_is_kept_while_it_is_used():
    made, calls = shards.Made(), []

    def make(name):
        return made.get(name, lambda: calls.append(name) or name)

    assert make("first") == make("first") == "first"
    for k in range(shards.Made.KEPT - 1):
        make(str(k))
        make("first")
    assert calls.count("first") == 1
    for k in range(shards.Made.KEPT):
        make(f"other {k}")
    make("first")
    assert calls.count("first") == 2


LOSSES = ["log_loss", "softmax", "squared_hinge", "hinge", "squared_error", "huber", "absolute_error", "poisson"]


@pytest.mark.parametrize(
    ("loss", "penalty", "sparse", "weighted", "dtype"),
    pairs(LOSSES, ["l2", "l1", "elasticnet"], [False, True], [False, True], [np.float64, np.float32]),
)
def test_the_optimum_is_that_of_all_rows(loss, penalty, sparse, weighted, dtype, monkeypatch):
    classes = 3 if loss == "softmax" else 2
    X = rows(sparse=sparse, dtype=dtype)
    y = targets(X, "log_loss" if loss == "softmax" else loss, classes=classes)
    kind = SGDClassifier if loss in (*SGDClassifier.loss_functions, "softmax") else SGDRegressor
    more = {"multi_class": "multinomial"} if loss == "softmax" else {}
    model = kind("log_loss" if loss == "softmax" else loss, penalty=penalty, **more, **SOLVED).set_params(tol=1e-4)
    weight = weights(600) if weighted else None
    expected = clone(model).fit(X, y, sample_weight=weight)
    monkeypatch.setattr(shards, "ENTRIES", 600)
    monkeypatch.setattr(shards, "FEWEST", 1)
    monkeypatch.setattr(shards, "SPARSE_ROWS", 90)
    found = model.fit(X, y, sample_weight=weight)
    assert found.stop_reason_ == "converged"
    assert found.optimality_gap_ <= 1e-4
    # Both are within a share of 1e-4 of the same optimum.
    assert found.loss_curve_[-1] == pytest.approx(expected.loss_curve_[-1], rel=2.5e-4)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_change_no_bit(threads, small_shards):
    X = rows()
    y = targets(X, "log_loss")
    one, many = (SGDClassifier("log_loss", n_jobs=n, **SOLVED).fit(X, y) for n in (1, threads))
    assert_same_fit(many.set_params(n_jobs=1), one)


def test_rows_are_kept_aside_as_ever(small_shards, monkeypatch):
    X = rows()
    y = targets(X, "log_loss")
    model = SGDClassifier("log_loss", early_stopping=True, n_iter_no_change=3, **SOLVED)
    found = clone(model).fit(X, y)
    monkeypatch.undo()
    expected = clone(model).fit(X, y)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-3, atol=1e-3)
    assert found.validation_scores_[-1] == pytest.approx(expected.validation_scores_[-1], abs=0.02)


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_a_checkpoint_goes_on_with_the_same_bits(loss, small_shards, written, tmp_path):
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")
    X = rows(3000)
    y = targets(X, loss)
    model = SGDClassifier(loss, **SOLVED)
    expected = clone(model).fit(X, y)
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit", every="1 row")).fit(X, y)
    assert len(written) >= 3
    for file in written[:: max(1, len(written) // 4)]:
        assert_same_fit(clone(model).fit(X, y, resume=file), expected)


def test_the_largest_number_is_named_wherever_it_is(small_shards):
    X = rows()
    X[450, 3] = 123456.0
    model = SGDRegressor("poisson", optimizer="auto", max_iter=50)
    with pytest.raises(DivergedError, match=r"123456, in column 3"):
        model.fit(X, targets(rows(), "poisson"), coef_init=np.full(6, 1e200))


@pytest.mark.parametrize("small", [False, True])
def test_a_fit_may_begin_where_no_row_bends(small, request):
    """Far inside the margin a squared hinge is flat: nothing is known of its curvature there but the penalty's."""
    if small:
        request.getfixturevalue("small_shards")
    X = rows()
    w = 1 / np.geomspace(0.1, 10, 6)
    X = X[np.abs(X @ w) > 0.5]
    y = (X @ w > 0).astype(int)
    model = SGDClassifier("squared_hinge", **SOLVED)
    expected = clone(model).fit(X, y)
    found = clone(model).fit(X, y, coef_init=100 * w, intercept_init=[0.0])
    assert found.stop_reason_ == "converged"
    assert found.loss_curve_[-1] == pytest.approx(expected.loss_curve_[-1], rel=3e-5)
