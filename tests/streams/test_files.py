"""A fit to a file or to a table ends with the bits of a fit to arrays that are cut into groups as it is."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import _sources
from fusedgrad.data import CSV, Array, Arrow, Parquet, SVMLight
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDOneClassSVM, SGDRegressor
from fusedgrad.neural_network import NeuralRegressor
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from .test_fits import LINEAR, MODELS, assert_same_bits, data_of, labels, layered, rows, weights_of

pa = pytest.importorskip("pyarrow", reason="files of tables are read by pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

GROUP = 170
DENSE = [name for name, (_, _, _, sparse, _) in MODELS.items() if not sparse]


def table_of(X, y, weight):
    columns = {f"x{k}": X[:, k] for k in range(X.shape[1])}
    targets = {"y": y} if y.ndim == 1 else {f"y{k}": y[:, k] for k in range(y.shape[1])}
    return pa.table({**columns, **targets, **({} if weight is None else {"w": weight})}), list(targets)


def named(targets, weight):
    return {"target": targets[0] if len(targets) == 1 else targets, "weight": None if weight is None else "w"}


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("name", DENSE)
def test_parquet(name, tmp_path):
    from pyarrow import parquet

    model, X, y, weight = data_of(name)
    table, targets = table_of(X, y, weight)
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=GROUP)
    source = Parquet(tmp_path / "rows.parquet", **named(targets, weight))
    found = clone(model).fit(source)
    assert_same_bits(found, clone(model).fit(Array(X, y, weight, group=GROUP)))
    assert found.feature_names_in_.tolist() == [f"x{k}" for k in range(X.shape[1])]
    assert found.predict(source).tolist() == found.predict(Array(X)).tolist()


def sources(tmp_path, X, y, weight):
    """Of the same rows, in the same groups."""
    from pyarrow import csv, ipc

    table, targets = table_of(X, y, weight)
    say = named(targets, weight)
    with ipc.new_file(tmp_path / "rows.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=GROUP)
    csv.write_csv(table, tmp_path / "rows.csv")
    return {
        "arrow": Arrow(tmp_path / "rows.arrow", **say),
        "csv": CSV(tmp_path / "rows.csv", group=GROUP, **say).cache(tmp_path / "csv"),
        "cache": Array(X, y, weight, group=GROUP).cache(tmp_path / "array"),
    }


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("kind", ["arrow", "csv", "cache"])
@pytest.mark.parametrize("name", ["binary", "regression, weights", "network"])
def test_other_files(kind, name, tmp_path):
    model, X, y, weight = data_of(name)
    X = X.astype(np.float64)
    source = sources(tmp_path, X, y, weight)[kind]
    assert_same_bits(clone(model).fit(source), clone(model).fit(Array(X, y, weight, group=GROUP)))


@pytest.mark.usefixtures("large")
def test_svmlight(tmp_path):
    from sklearn.datasets import dump_svmlight_file

    X = rows(sparse=True)
    y = (X[:, [0]].toarray().ravel() > 0).astype(float)
    dump_svmlight_file(X, y, str(tmp_path / "rows.svm"))
    source = SVMLight(tmp_path / "rows.svm", n_features=X.shape[1], group=GROUP)
    model = SGDClassifier("log_loss", **LINEAR)
    with source.open() as reader:
        sizes = {group.rows for group in reader.groups[:-1]}
    assert sizes == {GROUP}
    expected = clone(model).fit(Array(X, y, group=GROUP))
    for now, then in zip(weights_of(model.fit(source)), weights_of(expected), strict=True):
        np.testing.assert_allclose(now, then, rtol=1e-6)  # written with so many decimals


def frames():
    X, y = rows(), labels(rows())
    table, _ = table_of(X, y, None)
    return X, y, table


@pytest.mark.parametrize("kind", ["table", "reader", "dataset", "lazy", "duckdb"])
def test_tables_are_taken_as_they_are(kind, tmp_path):
    X, y, table = frames()
    if kind == "reader":
        obj = table.to_reader(max_chunksize=500)
    elif kind == "dataset":
        dataset = pytest.importorskip("pyarrow.dataset")
        obj = dataset.dataset(table)
    elif kind == "lazy":
        obj = pytest.importorskip("polars").from_arrow(table).lazy()
    elif kind == "duckdb":
        obj = pytest.importorskip("duckdb").from_arrow(table)
    else:
        obj = table
    model = SGDClassifier("log_loss", **LINEAR)
    found = clone(model).fit(obj, y="y")
    assert_same_bits(found, clone(model).fit(X, y))
    assert found.feature_names_in_.tolist() == [f"x{k}" for k in range(X.shape[1])]
    if kind != "reader":
        assert found.score(obj, y="y") == found.score(Array(X, y))


def test_weights_are_named(tmp_path):
    X, y, table = frames()
    weight = np.arange(len(y)) % 3
    table = table.append_column("w", pa.array(weight))
    model = SGDClassifier("log_loss", **LINEAR)
    found = clone(model).fit(table, y="y", sample_weight="w")
    assert_same_bits(found, clone(model).fit(X, y, sample_weight=weight))


@pytest.mark.parametrize("limit", [_sources.LIMIT, 0])
def test_every_estimator_takes_sources(limit, monkeypatch):
    monkeypatch.setattr(_sources, "LIMIT", limit)
    X, y = rows(), labels(rows())
    number = X[:, 0] + X[:, 1] ** 2
    for model, target in (
        (SGDClassifier(random_state=0), y),
        (SGDClassifier("log_loss", optimizer="auto", random_state=0), y),
        (SGDRegressor("quantile", optimizer="auto", random_state=0), number),
        (layered(NeuralRegressor).set_params(batch_size="full"), number),
    ):
        assert_same_bits(clone(model).fit(Array(X, target, group=GROUP)), clone(model).fit(X, target))
    one = SGDOneClassSVM(random_state=0)
    np.testing.assert_array_equal(clone(one).fit(Array(X, group=GROUP)).coef_, clone(one).fit(X).coef_)
    search = SGDClassifierCV("log_loss", alphas=3, cv=2, random_state=0)
    found, expected = clone(search).fit(Array(X, y, group=GROUP)), clone(search).fit(X, y)
    assert_same_bits(found.best_estimator_, expected.best_estimator_)
    assert found.score(Array(X, y, group=GROUP)) == expected.score(X, y)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_solver_gets_what_a_function_makes(sparse, monkeypatch):
    monkeypatch.setattr(_sources, "LIMIT", 0)
    X = rows(sparse=sparse)
    X = sp.csr_array(X) if sparse else X
    model = SGDClassifier("log_loss", optimizer="auto", random_state=0)
    source = Array(X, labels(X), group=GROUP).map(lambda X: X * 2.0)
    assert_same_bits(clone(model).fit(source), clone(model).fit(X * 2.0, labels(X)))


def test_columns_must_be_those_of_the_fit():
    _, _, table = frames()
    model = SGDClassifier("log_loss", **LINEAR).fit(table, y="y")
    turned = table.select([*reversed(table.column_names[:-1]), "y"])
    with pytest.raises(ValueError, match="the model was fitted to"):
        model.predict(turned.drop_columns("y"))


@pytest.mark.filterwarnings("error")
def test_names_go_along():
    X, y, table = frames()
    model = SGDClassifier("log_loss", batch_size=32, random_state=0)
    model.partial_fit(table, y="y", classes=np.unique(y)).partial_fit(table, y="y")
    assert model.feature_names_in_.tolist() == [f"x{k}" for k in range(X.shape[1])]
    model.predict(table.drop_columns("y"))
    assert model.score(table, y="y") > 0.5
    search = SGDClassifierCV("log_loss", alphas=2, cv=2, random_state=0).fit(table, y="y")
    assert search.score(table, y="y") > 0.5
    assert len(search.predict(table.drop_columns("y"))) == len(y)
