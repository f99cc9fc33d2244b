"""``python -m fusedgrad``: what users of a shell train and predict with."""

import subprocess
import sys

import numpy as np
import pytest
from fusedgrad import _commands
from fusedgrad.__main__ import main
from fusedgrad.linear_model import SGDClassifier
from sklearn.exceptions import ConvergenceWarning

pa = pytest.importorskip("pyarrow", reason="files of tables are read by pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


@pytest.fixture
def files(tmp_path):
    """A folder with the same rows in files of many kinds; X and y."""
    from pyarrow import csv, feather, parquet

    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
    table = pa.table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "label": y, "w": rng.integers(1, 3, size=600)})
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=100)
    csv.write_csv(table, tmp_path / "rows.csv")
    csv.write_csv(table, tmp_path / "rows.tsv", csv.WriteOptions(delimiter="\t"))
    feather.write_feather(table, tmp_path / "rows.feather")
    return tmp_path, X, y


SETTINGS = ["--set", "max_iter=3", "tol=None"]


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "feather"])
def test_a_model_is_that_of_python(files, ending, capsys):
    folder, X, y = files
    model = folder / "model.joblib"
    data = [str(folder / f"rows.{ending}"), "--columns", "a", "b", "c"]
    assert main(["fit", *data, "--target", "label", "--model", str(model), *SETTINGS]) == 0
    assert "3 epochs, max_iter" in capsys.readouterr().out
    expected = SGDClassifier("log_loss", batch_size=256, random_state=0, max_iter=3, tol=None).fit(X, y)
    found = _commands.load(model)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-12)


def test_predictions_go_where_they_are_told(files, capsys):
    folder, _, y = files
    rows, model = str(folder / "rows.parquet"), str(folder / "model.pkl")
    assert main(["fit", rows, "--target", "label", "--weight", "w", "--model", model, *SETTINGS, "--test", rows]) == 0
    said = capsys.readouterr().out
    assert f"score on {rows}" in said
    assert main(["predict", rows, "--model", model]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert np.mean(np.array(lines) == y) > 0.9
    assert main(["predict", rows, "--model", model, "--out", str(folder / "found.csv")]) == 0
    assert (folder / "found.csv").read_text().splitlines() == ["prediction", *lines]
    assert main(["predict", rows, "--model", model, "--proba", "--out", str(folder / "found.npy")]) == 0
    probabilities = np.load(folder / "found.npy")
    assert probabilities.shape == (600, 2)
    assert (np.array(["no", "yes"])[probabilities.argmax(axis=1)] == lines).all()
    assert not list(folder.glob(".*"))


def test_a_checkpoint_is_gone_on_from_and_removed(files, capsys, monkeypatch):
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")
    folder, _, _ = files
    rows, checkpoint = str(folder / "rows.parquet"), folder / "fit.checkpoint"
    command = ["fit", rows, "--target", "label", "--columns", "a", "b", "c", *SETTINGS]
    command += ["--checkpoint", str(checkpoint), "--every", "1 epoch"]
    assert main([*command, "--model", str(folder / "whole.joblib")]) == 0
    assert not checkpoint.exists()

    def stop(model, path):
        raise OSError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr(_commands, "store", stop)
        assert main([*command, "--model", str(folder / "model.joblib")]) == 1
    assert checkpoint.exists()
    capsys.readouterr()
    assert main([*command, "--model", str(folder / "model.joblib")]) == 0
    assert f"going on from {checkpoint}" in capsys.readouterr().out
    whole, resumed = (_commands.load(folder / name) for name in ("whole.joblib", "model.joblib"))
    np.testing.assert_array_equal(resumed.coef_, whole.coef_)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "rows.txt", "--model", "m.joblib"], "files of this kind are not known"),
        (["fit", "rows.svm", "--model", "m.joblib"], "needs --features"),
        (["fit", "rows.parquet", "--model", "m.onnx"], "must end with .skops, .joblib or .pkl"),
        (["fit", "rows.parquet", "--model", "nowhere/m.joblib"], "folder does not exist"),
        (["fit", "rows.parquet", "--target", "nothing", "--model", "m.joblib"], "there is no column 'nothing'"),
        (["fit", "rows.parquet", "--target", "label", "--model", "m.joblib", "--set", "alpha"], "NAME=VALUE"),
        (["fit", "rows.parquet", "--target", "label", "--model", "m.joblib", "--set", "alpha=-1"], "'alpha' parameter"),
        (["fit", "rows.parquet", "--target", "label", "--model", "m.joblib", "--set", "beta=1"], "beta"),
        (["fit", "nothing.parquet", "--target", "label", "--model", "m.joblib"], "nothing.parquet"),
        (["predict", "rows.parquet", "--model", "m.joblib"], "there is no such file"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(files, arguments, message, capsys, monkeypatch):
    monkeypatch.chdir(files[0])
    before = {path.name for path in files[0].iterdir()}
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert {path.name for path in files[0].iterdir()} == before


def test_help_tells_of_every_command():
    said = subprocess.run(
        [sys.executable, "-m", "fusedgrad", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for command in ("fit", "predict", "demo", "config"):
        assert f"    {command}" in said


def test_a_network_and_its_settings(files, capsys):
    folder, _, _ = files
    rows, model = str(folder / "rows.parquet"), str(folder / "model.joblib")
    settings = ["--set", "max_iter=2", "hidden_layer_sizes=(5,)", "solver=adam"]
    columns = ["--columns", "a", "b"]
    command = ["fit", rows, "--target", "c", "--estimator", "MLPRegressor", "--model", model, "--quiet"]
    assert main([*command, *columns, *settings]) == 0
    assert capsys.readouterr().out == ""
    assert _commands.load(folder / "model.joblib").coefs_[0].shape == (2, 5)
