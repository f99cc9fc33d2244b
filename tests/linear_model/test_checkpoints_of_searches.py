"""Searches that go on from a checkpoint: they find what one finds that was never stopped."""

import warnings
from itertools import cycle

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad._training import snapshots
from fusedgrad.callbacks import Checkpoint
from fusedgrad.linear_model import SGDClassifierCV, SGDRegressorCV
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")
pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

BATCHES = {"optimizer": "sgd", "batch_size": 32, "random_state": 0, "cv": 3, "max_iter": 6}
SOLVED = {"random_state": 0, "cv": 3, "tol": 1e-5}
N, D = 400, 5


def rows(sparse=False):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.6)
    f = X @ rng.normal(size=(D, 3)) + rng.gumbel(size=(N, 3))
    return sp.csr_array(X) if sparse else X, np.array(["a", "b", "c"])[f.argmax(axis=1)], f[:, 0]


def found(search, X, y, **fit):
    """What a search has found and warned of, but for times."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        search.fit(X, y, **fit)
    results = {name: value for name, value in search.cv_results_.items() if "time" not in name}
    others = ("coef_", "intercept_", "coefs_paths_", "scores_", "best_index_", "best_score_", "n_iter_")
    model = search.best_estimator_
    curves = {name: getattr(model, name, None) for name in ("loss_curve_", "gap_curve_", "validation_scores_", "t_")}
    return {
        **results,
        **curves,
        **{name: getattr(search, name) for name in others},
        "warnings": sorted(str(each.message) for each in told),
    }


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


CASES = {
    "chains": SGDClassifierCV("log_loss", alphas=[1e-3, 1e-1], **SOLVED),
    "chains of two losses, two threads": SGDClassifierCV(
        losses=["hinge", "squared_hinge"], alphas=[1e-2, 1e-1], n_jobs=2, **{**SOLVED, "max_iter": 7}
    ),
    "chains that are judged on their way": SGDRegressorCV(
        alphas=[1e-4, 1e-2, 1, 10], halving=True, **{**SOLVED, "optimizer": "lbfgs"}
    ),
    "chains with L1": SGDRegressorCV(
        "huber", alphas=[1e-3, 1e-1], penalty="elasticnet", l1_ratios=[0.2, 0.9], **SOLVED
    ),
    "mini-batches": SGDClassifierCV("log_loss", alphas=[1e-4, 1e-2], tol=None, average=20, **BATCHES),
    "mini-batches, two threads": SGDClassifierCV(alphas=3, n_jobs=2, **{**BATCHES, "max_iter": 40}),
    "mini-batches that are judged on their way": SGDRegressorCV(
        alphas=[1e-4, 1e-2, 1, 10, 100], halving=True, **{**BATCHES, "max_iter": 12}
    ),
    "early stopping": SGDClassifierCV(
        "log_loss", alphas=2, early_stopping=True, n_iter_no_change=2, **{**BATCHES, "max_iter": 30}
    ),
    "some overflow": SGDRegressorCV(learning_rate="constant", eta0s=[1e-3, 1e300], alphas=[1e-2], tol=None, **BATCHES),
    "without a refit": SGDRegressorCV("huber", alphas=[1e-2, 1.0], refit=False, **SOLVED),
    "folds of a generator": SGDRegressorCV(
        "huber", alphas=[1e-2, 1.0], **{**SOLVED, "cv": [*KFold(2).split(range(N))]}
    ),
}


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("name", CASES)
def test_every_checkpoint_goes_on_to_the_same_end(name, sparse, tmp_path, written):
    search = CASES[name]
    X, labels, numbers = rows(sparse)
    y = labels if isinstance(search, SGDClassifierCV) else numbers
    expected = found(clone(search), X, y)
    path = tmp_path / "search"
    assert_same(found(clone(search).set_callbacks(Checkpoint(path, every="1 row")), X, y), expected)
    files = [*written]
    states = [snapshots.read(file)["state"] for file in files]
    assert any(state["search"]["folds"] for state in states)
    assert any(state["search"]["plain"]["finished"] for state in states)
    assert any(state["refit"] for state in states) == (search.refit and expected["n_iter_"] > 1)
    assert [state["made"] for state in states] == sorted(state["made"] for state in states)
    for n_jobs, file in zip(cycle([1, 2]), [*files[: -1 : max(1, len(files) // 4)], files[-1]], strict=False):
        assert_same(found(clone(search).set_params(n_jobs=n_jobs), X, y, resume=file), expected)


def test_checkpoints_of_a_resumed_search_are_as_good(tmp_path, written):
    X, labels, _ = rows()
    search = SGDClassifierCV("log_loss", alphas=[1e-4, 1e-2], tol=None, n_jobs=3, **BATCHES)
    expected = found(clone(search), X, labels)
    clone(search).set_callbacks(Checkpoint(tmp_path / "search", every="3 epochs")).fit(X, labels)
    first, count = written[1], len(written)
    again = clone(search).set_params(n_jobs=1).set_callbacks(Checkpoint(tmp_path / "search", every="1 epoch"))
    again.fit(X, labels, resume=first)
    made = [snapshots.read(file)["state"]["made"][1] for file in (first, *written[count:])]
    assert np.diff(made).min() >= 1
    states = [snapshots.read(file)["state"]["search"] for file in written[count:]]
    assert any(len(state["folds"]) > 1 for state in states)  # of folds that wait
    for file in written[count::3]:
        assert_same(found(clone(search), X, labels, resume=file), expected)


def test_a_solver_that_overflowed_is_remembered(tmp_path, written):
    X, _, numbers = rows()
    search, y = SGDRegressorCV("squared_error", alphas=[1e-2, 1.0], **SOLVED), 1e200 * numbers
    with pytest.raises(ValueError, match="All 6 fits failed") as unbroken:
        clone(search).set_callbacks(Checkpoint(tmp_path / "search", every="0.000001 s")).fit(X, y)
    assert len(written) > 1
    for file in written:
        with pytest.raises(ValueError, match="All 6 fits failed") as again:
            clone(search).fit(X, y, resume=file)
        assert str(again.value) == str(unbroken.value)


def test_nothing_is_done_twice(tmp_path, written, capsys):
    X, labels, _ = rows()
    search = SGDClassifierCV("log_loss", alphas=[1e-4, 1e-2], tol=None, verbose=2, **BATCHES)
    clone(search).set_callbacks(Checkpoint(tmp_path / "search", every="1 epoch")).fit(X, labels)
    assert capsys.readouterr().out.count("Epoch") == 3 * 6 * 2 + 6  # of two cells on three folds, and of the refit
    for file in written:
        clone(search).fit(X, labels, resume=file)
        made = snapshots.read(file)["state"]["made"][1]
        assert capsys.readouterr().out.count("Epoch") == 2 * max(0, 18 - made) + 6 - max(0, made - 18)


def test_another_search_is_refused(tmp_path):
    X, labels, _ = rows()
    path = tmp_path / "search"
    search = SGDClassifierCV("log_loss", alphas=np.array([1e-3, 1e-1]), **SOLVED)
    search.set_callbacks(Checkpoint(path, every="1 row")).fit(X, labels)
    before = {**vars(search)}
    with pytest.raises(ValueError, match="other parameters: alphas was"):
        clone(search).set_params(alphas=np.array([1e-3, 1e-1 + 1e-12])).fit(X, labels, resume=path)
    with pytest.raises(ValueError, match="other data"):
        clone(search).set_params(cv=KFold(3)).fit(X, labels, resume=path)
    with pytest.raises(ValueError, match="checkpoint of a SGDClassifierCV; it cannot go on as a SGDRegressorCV"):
        SGDRegressorCV(random_state=0).fit(X, np.arange(N), resume=path)
    with pytest.raises(ValueError, match="one sample a step has none"):
        search.set_params(batch_size=1, optimizer="sgd", multi_class="ovr").fit(X, labels, resume=path)
    with pytest.raises(ValueError, match="a number as random_state"):
        search.set_params(batch_size=32, random_state=None).fit(X, labels)
    assert all(vars(search)[name] is before[name] for name in before if name.endswith("_"))


class Folds:
    """Counts the tasks of a search."""

    def __init__(self):
        self.names = []

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        self.names.append(context.task_name)


@pytest.mark.parametrize("name", ["chains", "mini-batches that are judged on their way"])
def test_callbacks_hear_of_folds(name):
    X, _, numbers = rows()
    search, told = clone(CASES[name]), Folds()
    search.set_callbacks(told).fit(X, numbers > 0 if isinstance(search, SGDClassifierCV) else numbers)
    assert told.names == ["fold", "fold", "fold", "fit"]
    assert not hasattr(search.best_estimator_, "_skl_callbacks")
