"""Searches on a cluster find what searches in one place find."""

import pickle

import numpy as np
import pytest
from fusedgrad import linear_model
from sklearn.base import clone
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GroupKFold, ShuffleSplit

from .problems import rows, targets, weights

da = pytest.importorskip("dask.array", reason="Dask is an extra")
dd = pytest.importorskip("dask.dataframe", reason="Dask's data frames need pandas and pyarrow")
pytest.importorskip("distributed", reason="Dask is an extra")
from fusedgrad.dask import SGDClassifierCV, SGDRegressorCV  # noqa: E402

from .test_bits import in_chunks  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

GRID = {"alphas": [1e-3, 1e-1], "cv": 2, "random_state": 0}


def problem(loss, *, classes=2, **more):
    X = rows(400, **more)
    y = targets(X, loss, classes=classes)
    return X, y, in_chunks(X, 130), da.from_array(y, chunks=77)


def same(found, expected):
    np.testing.assert_array_equal(found.coefs_paths_, expected.coefs_paths_)
    np.testing.assert_allclose(found.scores_, expected.scores_, rtol=1e-12)
    assert found.best_params_ == expected.best_params_
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    np.testing.assert_array_equal(found.intercept_, expected.intercept_)
    assert type(found.to_local()) is type(expected)
    assert type(found.best_estimator_) is type(expected.best_estimator_)


@pytest.mark.parametrize(
    ("loss", "more", "sparse"),
    [
        ("log_loss", {"scoring": "neg_log_loss"}, False),
        ("log_loss", {"multi_class": "multinomial", "class_weight": "balanced"}, True),
        ("hinge", {"scoring": make_scorer(f1_score, average="macro"), "refit": False}, False),
        ("squared_error", {"penalty": "elasticnet", "l1_ratios": [0.1, 0.9]}, True),
        ("huber", {"scoring": "neg_median_absolute_error"}, False),
        ("poisson", {"halving": True}, False),
    ],
    ids=str,
)
def test_cells_and_choice_are_those_of_one_place(loss, more, sparse, threads, small_shards):
    classification = loss in linear_model.SGDClassifier.loss_functions
    X, y, *lazy = problem(loss, sparse=sparse, classes=3 if "multi_class" in more else 2)
    kinds = (
        (SGDClassifierCV, linear_model.SGDClassifierCV)
        if classification
        else (SGDRegressorCV, linear_model.SGDRegressorCV)
    )
    found, expected = (kind(loss, **GRID, **more) for kind in kinds)
    same(found.fit(*lazy, client=threads), expected.fit(X, y))


@pytest.mark.parametrize("cv", [ShuffleSplit(2, test_size=0.4, random_state=0), GroupKFold(3)], ids=str)
def test_folds_are_cut_where_the_client_is(cv, threads, small_shards):
    X, y, *lazy = problem("log_loss")
    groups, weight = np.arange(400) % 7, weights(400)
    found = SGDClassifierCV("log_loss", **{**GRID, "cv": cv})
    expected = linear_model.SGDClassifierCV("log_loss", **{**GRID, "cv": cv})
    given = da.from_array(weight, chunks=50)
    same(
        found.fit(*lazy, given, groups=da.from_array(groups, chunks=99), client=threads),
        expected.fit(X, y, weight, groups=groups),
    )


def test_processes_find_the_same(client, small_shards):
    X, y, *lazy = problem("log_loss")
    found, expected = (kind("log_loss", **GRID) for kind in (SGDClassifierCV, linear_model.SGDClassifierCV))
    same(found.fit(*lazy, client=client), expected.fit(X, y))


def test_the_best_model_predicts_lazily(threads, small_shards):
    X, y, *lazy = problem("log_loss")
    model = SGDClassifierCV("log_loss", scoring="neg_log_loss", **GRID).fit(*lazy, client=threads)
    local = model.to_local()
    for name in ("predict", "decision_function", "predict_proba", "predict_log_proba"):
        found = getattr(model, name)(lazy[0])
        assert isinstance(found, da.Array)
        np.testing.assert_allclose(found.compute(), getattr(local, name)(X), rtol=1e-12)
        np.testing.assert_array_equal(getattr(model, name)(X), getattr(local, name)(X))
    assert model.score(*lazy) == pytest.approx(local.score(X, y), rel=1e-12)
    assert model.score(X, y) == local.score(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).coef_, model.coef_)


def test_few_rows_are_brought_to_the_client(threads):
    X, y, *lazy = problem("log_loss")
    same(
        SGDClassifierCV("log_loss", **GRID).fit(*lazy, client=threads),
        linear_model.SGDClassifierCV("log_loss", **GRID).fit(X, y),
    )


def test_columns_of_frames_keep_their_names(threads, small_shards):
    pandas = pytest.importorskip("pandas")
    X, y, *_ = problem("log_loss")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    model = SGDClassifierCV("log_loss", **GRID).fit(dd.from_pandas(frame, npartitions=3), y, client=threads)
    assert list(model.feature_names_in_) == list("abcdef")
    assert model.n_features_in_ == 6
    assert model.predict(frame).shape == (400,)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"optimizer": "sgd"}, "takes rows in turn"),
        ({"early_stopping": True}, "keeps rows aside"),
        ({"scoring": lambda model, X, y: 0.0}, "a function may ask for rows"),
    ],
)
def test_what_needs_rows_in_one_place_is_refused(more, error, threads, small_shards):
    *_, X, y = problem("log_loss")
    with pytest.raises(ValueError, match=error):
        SGDClassifierCV("log_loss", **GRID, **more).fit(X, y, client=threads)


def test_a_checkpoint_goes_on_with_the_same_bits(threads, small_shards, written, tmp_path):
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")
    from fusedgrad.callbacks import Checkpoint

    X, y, *lazy = problem("log_loss")
    grid = {**GRID, "alphas": [1e-2]}
    model = SGDClassifierCV("log_loss", **grid)
    expected = linear_model.SGDClassifierCV("log_loss", **grid).fit(X, y)
    same(clone(model).set_callbacks(Checkpoint(tmp_path / "fit", every="1 row")).fit(*lazy, client=threads), expected)
    for file in written[:: max(1, len(written) // 2)]:
        same(clone(model).fit(*lazy, client=threads, resume=file), expected)
