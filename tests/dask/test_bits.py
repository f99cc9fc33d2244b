"""Fits on a cluster have the bits of a fit in one place, whoever holds which rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import linear_model
from fusedgrad.callbacks import Checkpoint
from fusedgrad.data import Parquet
from fusedgrad.optimizers import LBFGS
from sklearn.base import clone

from ..checkpoints import assert_same_fit
from ..covering import pairs
from .problems import rows, targets, weights

da = pytest.importorskip("dask.array", reason="Dask is an extra")
dd = pytest.importorskip("dask.dataframe", reason="Dask's data frames need pandas and pyarrow")
distributed = pytest.importorskip("distributed", reason="Dask is an extra")
from fusedgrad.dask import SGDClassifier, SGDRegressor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

SETTINGS = {"optimizer": "auto", "random_state": 0, "alpha": 1e-3}
LOSSES = ["log_loss", "softmax", "ovr", "hinge", "squared_error", "huber", "absolute_error", "poisson"]


def models(loss, **more):
    """An estimator on a cluster, and the plain one."""
    settings = {**SETTINGS, **more}
    if loss in ("log_loss", "softmax", "ovr", "hinge"):
        settings["multi_class"] = "multinomial" if loss == "softmax" else "ovr"
        loss = "hinge" if loss == "hinge" else "log_loss"
        return SGDClassifier(loss, **settings), linear_model.SGDClassifier(loss, **settings)
    return SGDRegressor(loss, **settings), linear_model.SGDRegressor(loss, **settings)


def in_chunks(X, rows, columns=None):
    """A Dask array, whose chunks may be sparse."""
    if not sp.issparse(X):
        return da.from_array(X, chunks=(rows, columns or X.shape[1]))
    parts = [X[first : first + rows] for first in range(0, X.shape[0], rows)]
    meta = X[:0]
    return da.concatenate([da.from_delayed(delayed(part), part.shape, meta=meta) for part in parts])


def delayed(value):
    import dask

    return dask.delayed(value)


def problem(loss, *, sparse=False, dtype=np.float64, n=600):
    X = rows(n, sparse=sparse, dtype=dtype)
    name = {"softmax": "log_loss", "ovr": "log_loss"}.get(loss, loss)
    return X, targets(X, name, classes=3 if loss in ("softmax", "ovr") else 2)


def same(found, expected):
    """Whether a model of a cluster is the plain one."""
    local = found.to_local()
    assert type(local) is type(expected)
    assert_same_fit(local, expected)


@pytest.mark.parametrize(
    ("loss", "penalty", "sparse", "weighted", "dtype"),
    pairs(LOSSES, ["l2", "l1", "elasticnet"], [False, True], [False, True], [np.float64, np.float32]),
)
def test_bits_are_those_of_one_place(loss, penalty, sparse, weighted, dtype, threads, small_shards):
    X, y = problem(loss, sparse=sparse, dtype=dtype)
    weight = weights(len(y)) if weighted else None
    model, plain = models(loss, penalty=penalty, max_iter=30)
    expected = plain.fit(X, y, sample_weight=weight)
    given = None if weight is None else da.from_array(weight, chunks=200)
    same(model.fit(in_chunks(X, 171), da.from_array(y, chunks=171), given, client=threads), expected)


@pytest.mark.parametrize("loss", ["softmax", "ovr", "hinge", "huber"])
def test_processes_find_the_same_bits(loss, client, small_shards):
    X, y = problem(loss, sparse=loss in ("ovr", "huber"), dtype=np.float32)
    model, plain = models(loss, penalty="l1" if loss in ("softmax", "poisson") else "l2", max_iter=30)
    same(model.fit(in_chunks(X, 171), da.from_array(y, chunks=171), client=client), plain.fit(X, y))


@pytest.mark.parametrize("workers", [1, pytest.param(3, marks=pytest.mark.slow), 4])
def test_the_number_of_workers_changes_no_bit(workers, cluster, client, small_shards):
    X, y = problem("softmax")
    model, plain = models("softmax", penalty="elasticnet")
    expected = plain.fit(X, y)
    cluster.scale(workers)
    client.wait_for_workers(workers)
    try:
        same(model.fit(in_chunks(X, 100), da.from_array(y, chunks=100), client=client), expected)
    finally:
        cluster.scale(2)
        client.wait_for_workers(2)


@pytest.mark.parametrize(("by_rows", "by_columns", "of_y"), [(600, 6, 600), (599, 2, 7), (37, 6, 600), (90, 5, 64)])
def test_partitions_change_no_bit(by_rows, by_columns, of_y, client, small_shards):
    X, y = problem("log_loss")
    model, plain = models("log_loss")
    found = model.fit(in_chunks(X, by_rows, by_columns), da.from_array(y, chunks=of_y), client=client)
    same(found, plain.fit(X, y))


@pytest.mark.parametrize("known", [True, False])
def test_frames_are_taken_with_their_names(known, client, small_shards):
    pandas = pytest.importorskip("pandas")
    X, y = problem("log_loss", dtype=np.float32)
    frame = pandas.DataFrame(X, columns=list("abcdef")).assign(y=np.where(y, "yes", "no"))
    lazy = dd.from_pandas(frame, npartitions=7)
    if not known:
        lazy = lazy[lazy.a > -10]  # nobody knows how many rows that leaves
    model, plain = models("log_loss")
    found = model.fit(lazy[list("abcdef")], lazy["y"], client=client)
    expected = plain.fit(frame[list("abcdef")], frame["y"].to_numpy())
    same(found, expected)
    rows_ = {"X_val": frame[list("abcdef")], "y_val": frame["y"].to_numpy()}
    assert clone(model).fit(lazy[list("abcdef")], lazy["y"], client=client, **rows_).validation_scores_
    with pytest.raises(ValueError, match="The columns of X_val"):
        clone(model).fit(lazy[list("abcdef")], lazy["y"], client=client, **{**rows_, "X_val": frame[list("bacdef")]})
    predicted = found.predict(lazy[list("abcdef")])
    np.testing.assert_array_equal(predicted.compute(), expected.predict(frame[list("abcdef")]))
    with pytest.raises(ValueError, match="feature names"):
        found.predict(lazy[list("bacdef")])


def test_workers_read_their_row_groups(client, small_shards, tmp_path):
    pandas = pytest.importorskip("pandas")
    X, y = problem("huber")
    frame = pandas.DataFrame(X, columns=list("abcdef")).assign(y=y, weight=weights(len(y)))
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=77)
    source = Parquet(tmp_path / "rows.parquet", target="y", weight="weight")
    model, plain = models("huber")
    found = model.fit(source, client=client)
    expected = plain.fit(X, y, sample_weight=frame["weight"].to_numpy())
    assert list(found.feature_names_in_) == list("abcdef")
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    np.testing.assert_array_equal(found.predict(source), expected.predict(X))


@pytest.mark.parametrize("optimizer", [LBFGS(), LBFGS(memory=3)])
def test_lbfgs(optimizer, threads, small_shards):
    X, y = problem("poisson")
    model, plain = models("poisson", optimizer=optimizer)
    same(model.fit(in_chunks(X, 100), da.from_array(y, chunks=100), client=threads), plain.fit(X, y))


@pytest.mark.parametrize(
    "more",
    [
        {"class_weight": "balanced"},
        {"class_weight": {0: 2.0, 1: 0.5, 2: 1.0}},
        {"fit_intercept": False},
        {"positive": True},
        {"warm_start": True},
        {"base_score": False},
        {"n_jobs": -1},
        {"n_jobs": 3},
    ],
    ids=str,
)
def test_parameters_mean_the_same(more, threads, small_shards):
    X, y = problem("ovr")
    model, plain = models("ovr", **more)
    lazy = in_chunks(X, 150), da.from_array(y, chunks=150)
    for _ in range(2 if "warm_start" in more else 1):
        model.fit(*lazy, client=threads)
        plain.fit(X, y)
    same(model, plain)


def test_validation_rows_and_early_stopping(threads, small_shards):
    X, y = problem("log_loss", n=900)
    model, plain = models("log_loss", early_stopping=True, restore_best_weights=True, tol=1e-8)
    validation = {"X_val": X[600:], "y_val": y[600:]}
    expected = plain.fit(X[:600], y[:600], **validation)
    lazy = {name: da.from_array(part, chunks=100) for name, part in validation.items()}
    found = model.fit(in_chunks(X[:600], 100), da.from_array(y[:600], chunks=100), client=threads, **lazy)
    same(found, expected)
    with pytest.raises(ValueError, match="Give validation rows: X_val"):
        clone(model).fit(in_chunks(X, 100), da.from_array(y, chunks=100), client=threads)


def test_few_rows_and_wide_rows_are_brought_to_the_client(threads, monkeypatch):
    """Dual ascent takes rows in turn."""
    from fusedgrad._training import shards

    monkeypatch.setattr(shards, "SPARSE_ROWS", 150)
    X = sp.random_array((400, 1200), density=0.01, format="csr", rng=np.random.default_rng(0))
    y = np.asarray(X.sum(axis=1) > X.sum(axis=1).mean()).astype(int)
    model, plain = models("log_loss")
    same(model.fit(in_chunks(X, 100), da.from_array(y, chunks=100), client=threads), plain.fit(X, y))
    X, y = problem("log_loss")
    model, plain = models("log_loss")
    same(model.fit(in_chunks(X, 100), da.from_array(y, chunks=100), client=threads), plain.fit(X, y))


def test_rows_in_one_place_need_no_cluster():
    X, y = problem("log_loss")
    model, plain = models("log_loss")
    same(model.fit(X, y), plain.fit(X, y))


def test_checkpoints(threads, small_shards, written, tmp_path):
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")
    X, y = problem("log_loss", n=3000)
    model, plain = models("log_loss", tol=1e-7)
    lazy = in_chunks(X, 500), da.from_array(y, chunks=500)
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit", every="1 row")).fit(*lazy, client=threads)
    assert len(written) >= 3
    resumed = clone(model).fit(*lazy, client=threads, resume=written[1])
    same(resumed, plain.fit(X, y))
    with pytest.raises(ValueError, match="other data"):
        clone(model).fit(in_chunks(2 * X, 500), lazy[1], client=threads, resume=written[1])


def test_large_values_go_to_workers_once(client, small_shards, monkeypatch):
    """Weights of many columns are no part of each call."""
    from fusedgrad.dask import _shards

    monkeypatch.setattr(_shards, "SMALL", 0)
    X, y = problem("log_loss", n=300)
    model, plain = models("log_loss", penalty="elasticnet")
    same(model.fit(in_chunks(X, 100), da.from_array(y, chunks=100), client=client), plain.fit(X, y))


def test_no_rows_can_be_taken(threads, small_shards):
    """As where no loss bends."""
    from fusedgrad.dask._cluster import Cluster
    from fusedgrad.dask._rows import shards_of, table_of

    X, y = problem("log_loss")
    cluster = Cluster(threads, 0)
    shards = shards_of(cluster, table_of(cluster, in_chunks(X, 100), da.from_array(y, chunks=100), None), None)
    none = np.empty(0, np.intp)
    assert shards.take(none).X.shape == (0, 6)
    block, rest = shards.pick(none_of, each=[none] * len(shards.sizes))
    assert block.X.shape == (0, 6)
    assert block.rows.shape == (0,)
    assert rest == ["nothing"]


def none_of(shard, threads, places):
    return places, "nothing"
