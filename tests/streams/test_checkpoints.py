"""Fits that go on from a checkpoint: with the same bits as if they had never been stopped."""

import multiprocessing
import time

import numpy as np
import pytest
from fusedgrad import layers
from fusedgrad._training import snapshots
from fusedgrad.callbacks import Checkpoint
from fusedgrad.data import Array
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from fusedgrad.neural_network import MLPClassifier, NeuralClassifier
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from ..checkpoints import assert_same_fit
from . import killed
from .test_fits import LINEAR, MODELS, N, assert_same_bits, data_of, labels, rows

pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")
pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


def given(weight):
    return {} if weight is None else {"sample_weight": weight}


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("name", MODELS)
def test_a_stream_goes_on_in_the_middle_of_an_epoch(name, tmp_path, written):
    model, X, y, weight = data_of(name)
    source = Array(X, y, weight, group=170)
    expected = clone(model).fit(source)
    checked = clone(model).set_callbacks(Checkpoint(tmp_path / "fit", every="1 row")).fit(source)
    assert_same_fit(checked, expected)
    epochs = [snapshots.read(file)["state"]["progress"] for file in written]
    assert any(progress is not None and progress[0] > 1 for progress in epochs)
    assert any(progress is None for progress in epochs)
    for file in written[:: max(1, len(written) // 4)]:
        assert_same_fit(clone(model).fit(source, resume=file), expected)


@pytest.mark.parametrize("name", MODELS)
def test_arrays_go_on_between_epochs(name, tmp_path, written):
    model, X, y, weight = data_of(name)
    expected = clone(model).fit(X, y, **given(weight))
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit", every="1 epoch")).fit(X, y, **given(weight))
    assert len(written) == expected.n_iter_ - 1
    for file in written:
        assert_same_fit(clone(model).fit(X, y, resume=file, **given(weight)), expected)


@pytest.mark.parametrize(
    "model",
    [
        SGDClassifier("log_loss", batch_size=32, random_state=0, tol=1e-4),
        SGDClassifier("hinge", batch_size=8, random_state=0, learning_rate="adaptive", eta0=0.5),
        SGDRegressor(batch_size=32, random_state=0, learning_rate="reduce_on_plateau"),
        MLPClassifier((4,), random_state=0, learning_rate="adaptive", solver="sgd", max_iter=30, early_stopping=True),
        MLPClassifier((4,), random_state=0, max_iter=12, early_stopping=True),
        NeuralClassifier([layers.Dense(4, "tanh")], random_state=0, max_epochs=12, early_stopping=True, average=0.9),
    ],
    ids=str,
)
def test_what_training_has_learned_on_its_way_goes_on(model, tmp_path, written):
    X = rows()
    y = labels(X) if "Classifier" in type(model).__name__ else X[:, 0] + np.sin(np.arange(N))
    expected = clone(model).fit(X, y)
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit", every="2 epochs")).fit(X, y)
    assert len(written) > 2
    for file in written[:: len(written) // 3]:
        assert_same_fit(clone(model).fit(X, y, resume=file), expected)


def test_validation_rows_and_the_best_weights_go_on(tmp_path, written):
    X, y = rows(), labels(rows())
    params = {**LINEAR, "max_iter": 40, "early_stopping": True, "restore_best_weights": True, "tol": 1e-3}
    model = SGDClassifier("log_loss", **params)
    validation = {"X_val": X[2000:], "y_val": y[2000:]}
    expected = clone(model).fit(X[:2000], y[:2000], **validation)
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit", every="1 epoch")).fit(X[:2000], y[:2000], **validation)
    for file in written[::3]:
        assert_same_fit(clone(model).fit(X[:2000], y[:2000], resume=file, **validation), expected)
    with pytest.raises(ValueError, match="other data"):
        clone(model).fit(X[:2000], y[:2000], resume=written[0], X_val=X[2001:], y_val=y[2001:])


def test_checkpoints_of_a_resumed_fit_are_as_good(tmp_path, written):
    X, y = rows(), labels(rows())
    model = SGDClassifier("log_loss", **LINEAR)
    expected = clone(model).fit(X, y)
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit", every="1 epoch")).fit(X, y)
    first = written[0]
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit", every="1 epoch")).fit(X, y, resume=first)
    assert snapshots.read(written[-1])["state"]["made"] == [2 * N, 2]
    assert_same_fit(clone(model).fit(X, y, resume=written[-1]), expected)


# ---- what is refused ----


def stopped(tmp_path, model, X, y):
    path = tmp_path / "fit"
    clone(model).set_callbacks(Checkpoint(path, every="1 epoch")).fit(X, y)
    return path


@pytest.fixture
def case(tmp_path):
    X, y = rows(), labels(rows())
    model = SGDClassifier("log_loss", **LINEAR)
    return stopped(tmp_path, model, X, y), model, X, y


def test_another_fit_is_refused(case):
    path, model, X, y = case
    with pytest.raises(ValueError, match=r"other parameters: alpha was 0.0001, now 0.1"):
        clone(model).set_params(alpha=0.1).fit(X, y, resume=path)
    with pytest.raises(ValueError, match="checkpoint of a SGDClassifier; it cannot go on as a SGDRegressor"):
        SGDRegressor(**LINEAR).fit(X, X[:, 0], resume=path)
    X[0, 0] += 1e-9
    with pytest.raises(ValueError, match="other data"):
        clone(model).fit(X, y, resume=path)


def test_threads_and_verbosity_may_change(case, capsys):
    path, model, X, y = case
    assert_same_bits(clone(model).set_params(n_jobs=2, verbose=1).fit(X, y, resume=path), clone(model).fit(X, y))
    assert capsys.readouterr().out.count("Epoch") == 1


@pytest.mark.parametrize("length", [0, 1, 100, 1000])
def test_a_damaged_file_is_an_error(case, length, tmp_path):
    path, model, X, y = case
    damaged = tmp_path / "damaged"
    damaged.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="damaged is no checkpoint, or is damaged"):
        model.fit(X, y, resume=damaged)
    with pytest.raises(FileNotFoundError):
        model.fit(X, y, resume=tmp_path / "nothing")
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (SGDClassifier(random_state=0), "in mini-batches"),
        (MLPClassifier(solver="lbfgs", random_state=0), "solver='lbfgs' has none"),
        (SGDClassifier(batch_size=32), "a number as random_state"),
    ],
    ids=str,
)
def test_what_has_no_checkpoints_says_so(model, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        model.set_callbacks(Checkpoint(tmp_path / "fit")).fit(rows(), labels(rows()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("every", ["", "5", "min", "5 days", "-1 s", "0 epochs", 5, None])
def test_how_often_must_be_said(every, tmp_path):
    with pytest.raises(ValueError, match="must be a number and a unit"):
        Checkpoint(tmp_path / "fit", every=every)


@pytest.mark.parametrize("every", ["5 min", "0.5s", "1 hour", "2 h", "1 epoch", "3 epochs", "1000 rows", "90 seconds"])
def test_units(every, tmp_path):
    assert repr(every) in repr(Checkpoint(tmp_path / "fit", every=every))


def test_a_folder_must_exist(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        Checkpoint(tmp_path / "nowhere" / "fit")


def test_a_full_disk_leaves_the_last_checkpoint(case, monkeypatch):
    path, model, X, y = case
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        model.set_callbacks(Checkpoint(path, every="1 epoch")).fit(X, y)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert not hasattr(model, "coef_")


# ---- kill -9 ----

FORKS = multiprocessing.get_context("forkserver")  # a server has imported what its children need
FORKS.set_forkserver_preload(["fusedgrad.linear_model", "fusedgrad.neural_network"])


def run_child(kind, path, seconds=None):
    """What a child has found at its end; None where it was killed so many seconds after there was a checkpoint."""
    said, says = FORKS.Pipe(duplex=False)
    child = FORKS.Process(target=killed.fit, args=(kind, path, says))
    child.start()
    says.close()
    try:
        assert said.recv() == "ready"
        while seconds is not None and child.is_alive() and not path.exists():
            time.sleep(0.01)
        return said.recv() if said.poll(seconds) else None
    finally:
        child.kill()
        child.join()
        child.close()
        said.close()


def killed_and_resumed(kind, folder, kills, seed):
    rng = np.random.default_rng(seed)
    path, made = folder / "fit", 0
    expected = run_child(kind, folder / "unbroken")
    found = None
    for _ in range(kills):
        found = run_child(kind, path, rng.uniform(0.02, 0.5))
        if path.exists():
            rows = snapshots.read(path)["state"]["made"][0]
            assert rows >= made
            made = rows
        if found is not None:
            break
    assert made > 0
    (folder / ".fit.1.part").write_bytes(b"what a process has left that was killed while it wrote")
    assert (found or run_child(kind, path)) == expected
    assert sorted(each.name for each in folder.iterdir() if each.suffix == ".part") == (
        [] if not found else [".fit.1.part"]
    )


@pytest.mark.parametrize(("kind", "kills"), [("linear", 3), ("network", 2), ("solver", 2), ("search", 2)])
def test_whoever_is_killed_goes_on_with_the_same_bits(kind, kills, tmp_path):
    killed_and_resumed(kind, tmp_path, kills, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("kind", ["linear", "network", "solver", "search"])
def test_whoever_is_killed_again_and_again_goes_on_with_the_same_bits(kind, seed, tmp_path):
    killed_and_resumed(kind, tmp_path, 4, seed)
