"""Estimators on a cluster are estimators of scikit-learn, and refuse what they cannot share."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import linear_model
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from .. import child
from .problems import rows, targets

da = pytest.importorskip("dask.array", reason="Dask is an extra")
dd = pytest.importorskip("dask.dataframe", reason="Dask's data frames need pandas and pyarrow")
dask = pytest.importorskip("dask", reason="Dask is an extra")
pytest.importorskip("distributed", reason="Dask is an extra")
from fusedgrad.dask import SGDClassifier, SGDRegressor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@parametrize_with_checks(
    # A weight of two is a row that comes twice, as far as `tol` goes: tol=0 is as far as rounding lets anyone go.
    [
        SGDClassifier("log_loss", tol=0, max_iter=100),
        SGDClassifier("log_loss", multi_class="multinomial", tol=0, max_iter=100),
        SGDRegressor(tol=0, max_iter=100),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", [SGDClassifier, SGDRegressor])
def test_parameters_are_those_of_the_plain_estimator(kind):
    plain = getattr(linear_model, kind.__name__)
    assert {**plain().get_params(), "optimizer": "auto"} == kind().get_params()
    assert plain().optimizer == "sgd"
    changed = clone(kind().set_params(alpha=0.5, optimizer="lbfgs"))
    assert changed.get_params()["alpha"] == 0.5
    assert changed.get_params()["optimizer"] == "lbfgs"


def lazy(n=600, **more):
    X = rows(n, **more)
    return X, targets(X, "log_loss")


def test_pickles_and_local_models_predict_the_same(threads, small_shards):
    X, y = lazy()
    model = SGDClassifier("log_loss", random_state=0).fit(da.from_array(X, chunks=100), da.from_array(y, chunks=100))
    again, local = pickle.loads(pickle.dumps(model)), model.to_local()
    assert type(local) is linear_model.SGDClassifier
    for other in (again, local):
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert model.score(X, y) == model.score(da.from_array(X, chunks=100), y)
    assert model.n_features_in_ == 6


@pytest.mark.parametrize("sparse", [False, True])
def test_predictions_are_lazy_and_come_in_the_partitions_of_x(sparse, threads, small_shards):
    X, y = lazy()
    model = SGDClassifier("log_loss", random_state=0).fit(X, np.array(["a", "b"])[y])
    given = da.from_array(X, chunks=(170, 4))
    if sparse:
        given = da.from_array(X, chunks=(170, 6)).map_blocks(sp.csr_array)
    for name, shape in {
        "predict": (600,),
        "decision_function": (600,),
        "predict_proba": (600, 2),
        "predict_log_proba": (600, 2),
    }.items():
        found = getattr(model, name)(given)
        assert isinstance(found, da.Array)
        assert found.chunks[0] == given.chunks[0]
        assert found.shape == shape
        expected = getattr(model.to_local(), name)(X)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.compute(), expected, rtol=1e-12) if name != "predict" else (
            np.testing.assert_array_equal(found.compute(), expected)
        )


def test_partitions_without_rows_are_predicted(threads, small_shards):
    X, y = lazy()
    frame = dd.from_pandas(pytest.importorskip("pandas").DataFrame(X, columns=list("abcdef")), npartitions=4)
    model = SGDClassifier("log_loss", random_state=0).fit(frame, y)
    few = frame[frame.a > X[:, 0].max() - 1e-9]
    assert model.predict(few).compute().shape == (1,)


def test_methods_are_there_where_the_plain_ones_are(threads, small_shards):
    assert not hasattr(SGDClassifier("hinge"), "predict_proba")
    assert hasattr(SGDClassifier("log_loss"), "predict_proba")
    assert not hasattr(SGDClassifier("log_loss"), "partial_fit")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda X, y: (X.rechunk((100, 6))[:, :0], y), "0 columns: there is nothing"),
        (lambda X, y: (X[:500], y), "X has 500 rows, but y has 600"),
        (lambda X, y: (X[:, 0], y), "must have two dimensions"),
        (lambda X, y: (X, None), "y is missing"),
        (lambda X, y: (da.where(X > 2, np.nan, X), y), "contains NaN"),
        (lambda X, y: (X, da.where(y > 0, np.nan, y)), "contains NaN"),
        (lambda X, y: (X, X[:, 0]), "Unknown label type"),
        (lambda X, y: (X, y * 0), "number of classes has to be greater than one"),
        (lambda X, y: (X.map_blocks(sp.csr_array, meta=np.empty((0, 0))), y), "Blocks of X are sparse"),
    ],
)
def test_bad_rows_are_errors_and_change_nothing(change, error, threads, small_shards):
    X, y = lazy()
    model = SGDClassifier("log_loss", random_state=0).fit(X, y)
    before = model.coef_.copy()
    given = change(da.from_array(X, chunks=(100, 6)), da.from_array(y, chunks=100))
    with pytest.raises(ValueError, match=error):
        model.fit(*given)
    np.testing.assert_array_equal(model.coef_, before)


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        (np.zeros(600), "zero for every sample"),
        (np.full(600, -1.0), "Negative values"),
        (np.full(600, np.nan), "contains NaN"),
        (np.ones(599), "sample_weight has 599"),
    ],
)
def test_bad_weights_are_errors(weights, error, threads, small_shards):
    X, y = lazy()
    with pytest.raises(ValueError, match=error):
        SGDClassifier().fit(
            da.from_array(X, chunks=100), da.from_array(y, chunks=100), da.from_array(weights, chunks=7)
        )


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_takes_rows_in_turn_is_refused(optimizer, threads):
    X, y = lazy()
    with pytest.raises(ValueError, match="takes rows in turn.*optimizer='auto'"):
        SGDClassifier(optimizer=optimizer).fit(da.from_array(X, chunks=100), da.from_array(y, chunks=100))


def test_targets_of_several_outputs(threads, small_shards):
    X, _ = lazy()
    y = np.column_stack([targets(X, "squared_error", seed=k) for k in range(3)])
    model = SGDRegressor(random_state=0).fit(da.from_array(X, chunks=100), da.from_array(y, chunks=(50, 3)))
    plain = linear_model.SGDRegressor(optimizer="auto", random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    assert model.predict(da.from_array(X, chunks=100)).shape == (600, 3)


def test_dask_is_asked_for_where_it_is_missing(monkeypatch):
    import importlib

    from fusedgrad import _optional

    X, y = lazy()
    given = da.from_array(X, chunks=100), da.from_array(y, chunks=100)

    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    _optional.library.cache_clear()
    with pytest.raises(ImportError, match=r"distributed, which .* not installed: pip install fusedgrad\[dask\]"):
        SGDClassifier().fit(*given)
    _optional.library.cache_clear()


@pytest.mark.slow
def test_the_example_of_the_guide_runs():
    guide = Path(__file__).parents[2] / "docs" / "many_machines.md"
    if not guide.exists():
        pytest.skip("the tests run outside the repository, without its documents")
    example = re.search(r"```python\n(.*?)```", guide.read_text(), flags=re.DOTALL)[1]
    found = child.python(example)
    assert found.returncode == 0, found.stderr
    gap, score = map(float, found.stdout.split()[:2])
    assert gap <= 1e-3
    assert score > 0.98
