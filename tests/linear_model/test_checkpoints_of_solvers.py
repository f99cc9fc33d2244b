"""Fits by a solver that go on from a checkpoint: they hold the numbers of a fit that was never stopped, all of them."""

import tempfile

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import losses
from fusedgrad._training import snapshots
from fusedgrad._training.callbacks import Keeper
from fusedgrad._training.curvature import descent, newton, preconditioners, proximal, solver
from fusedgrad.callbacks import Checkpoint
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from ..checkpoints import assert_same_fit
from ..wide_text import text

pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")
pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

SOLVED = {"optimizer": "auto", "random_state": 0, "tol": 1e-6}


def problem(loss, n, d, *, classes=2, sparse=False, dtype=np.float64, seed=0):
    """Rows, of which the columns differ in scale, and targets for a loss."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10 ** rng.uniform(-1, 1, size=d)
    if sparse:
        X *= rng.random(X.shape) < 0.3
    f = X / X.std(axis=0).clip(1e-3) @ rng.normal(size=(d, classes)) / np.sqrt(d) + rng.gumbel(size=(n, classes))
    X_given = sp.csr_array(X.astype(dtype)) if sparse else X.astype(dtype)
    if loss in SGDClassifier.loss_functions:
        return X_given, f.argmax(axis=1)
    return X_given, rng.poisson(np.exp(f[:, 0].clip(-2, 2))) + 1.0 if loss in losses.LOG_LINK else f[:, 0]


def bits(value):
    """All that a checkpoint holds, to be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.strides, value.tobytes()
    if isinstance(value, dict):
        return {name: bits(each) for name, each in value.items()}
    return [bits(each) for each in value] if isinstance(value, list) else repr(value)


def check_every_checkpoint(model, X, y, folder, written, **fit):
    """Each goes on to the same end, and on the way writes what the unbroken fit has written."""

    def checked(**fit):
        """A fit, and the files that it has written."""
        before = len(written)
        fitted = clone(model).set_callbacks(Checkpoint(folder / "fit", every="1 row")).fit(X, y, **fit)
        return fitted, written[before:]

    expected = clone(model).fit(X, y, **fit)
    found, files = checked(**fit)
    assert_same_fit(found, expected)
    assert len(files) == expected.n_iter_ - 1
    states = [snapshots.read(file)["state"] for file in files]
    for k in range(0, len(files), max(1, len(files) // 4)):
        resumed, again = checked(resume=files[k], **fit)
        assert_same_fit(resumed, expected)
        assert [bits(snapshots.read(file)["state"]) for file in again] == [bits(state) for state in states[k + 1 :]]
    return states


CASES = {
    "smooth": (SGDClassifier("log_loss", alpha=1e-4, **SOLVED), 6000, 5, {}),
    "smooth, float32, two threads": (SGDClassifier("log_loss", n_jobs=2, **SOLVED), 6000, 5, {"dtype": np.float32}),
    "a softmax": (
        SGDClassifier("log_loss", multi_class="multinomial", **SOLVED),
        6000,
        5,
        {"classes": 3},
    ),
    "one against the rest, sparse": (SGDClassifier("squared_hinge", **SOLVED), 6000, 8, {"classes": 3, "sparse": True}),
    "no intercept": (SGDRegressor("huber", fit_intercept=False, **SOLVED), 6000, 5, {}),
    "no penalty": (SGDClassifier("log_loss", penalty=None, **SOLVED), 1500, 5, {}),
    "lbfgs": (SGDRegressor("poisson", **{**SOLVED, "optimizer": "lbfgs", "max_iter": 25}), 1500, 5, {}),
    "kinks": (SGDClassifier("hinge", alpha=1e-3, **SOLVED), 6000, 5, {}),
    "kinks, classes": (SGDClassifier("hinge", max_iter=25, **SOLVED), 1500, 5, {"classes": 3, "sparse": True}),
    "l1": (SGDClassifier("log_loss", penalty="l1", alpha=1e-2, **SOLVED), 6000, 8, {}),
    "l1, a softmax": (
        SGDClassifier("log_loss", penalty="l1", multi_class="multinomial", alpha=1e-2, **SOLVED),
        6000,
        5,
        {"classes": 3},
    ),
    "positive": (SGDRegressor("gamma", positive=True, **SOLVED), 6000, 5, {}),
    "l1, kinks": (SGDRegressor("absolute_error", penalty="l1", alpha=1e-2, **SOLVED), 6000, 5, {}),
    "wide": (SGDClassifier("log_loss", alpha=1e-3, **SOLVED), 300, 40, {}),
    "wide, sparse, l1": (SGDClassifier("log_loss", penalty="l1", alpha=1e-3, **SOLVED), 300, 40, {"sparse": True}),
    "wide, l1, a softmax": (
        SGDClassifier("log_loss", penalty="l1", alpha=3e-3, multi_class="multinomial", **SOLVED),
        200,
        40,
        {"classes": 3},
    ),
    "wide, kinks": (SGDRegressor("quantile", alpha=1e-3, max_iter=15, **SOLVED), 300, 40, {}),
    "wide, l1, kinks": (SGDClassifier("hinge", penalty="l1", alpha=1e-2, **{**SOLVED, "max_iter": 12}), 200, 40, {}),
}


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "hinge"])
def test_every_checkpoint_of_dual_ascent_and_what_follows_goes_on(loss, tmp_path, written):
    X, raw = text()
    given = {**SOLVED, "tol": 1e-10 if loss == "hinge" else 1e-3}
    states = check_every_checkpoint(SGDClassifier(loss, alpha=1e-5, **given), X, raw > 0, tmp_path, written)
    assert states[0]["solver"]["dual"] is not None


@pytest.mark.parametrize("name", CASES)
def test_every_checkpoint_goes_on_to_the_same_bits(name, tmp_path, written, monkeypatch):
    if name.startswith("wide"):
        for module in (descent, newton, preconditioners, proximal, solver):
            monkeypatch.setattr(module, "FACTORED", 20)
        monkeypatch.setattr(preconditioners, "HEAVY", 8)
    model, n, d, shape = CASES[name]
    X, y = problem(model.loss, n, d, **shape)
    states = check_every_checkpoint(model, X, y, tmp_path, written)
    assert len(states) > 1


def test_validation_rows_the_best_weights_and_class_weights_go_on(tmp_path, written):
    X, y = problem("log_loss", 6000, 5, classes=3)
    model = SGDClassifier(
        "log_loss",
        restore_best_weights=True,
        early_stopping=True,
        n_iter_no_change=3,
        class_weight="balanced",
        **SOLVED,
    )
    check_every_checkpoint(model, X, y, tmp_path, written, sample_weight=np.arange(6000) % 4 / 2)


def test_a_warm_start_goes_on(tmp_path, written):
    X, y = problem("log_loss", 6000, 5)
    model = SGDClassifier("log_loss", warm_start=True, **{**SOLVED, "tol": 1e-9})
    first = SGDClassifier("log_loss", **SOLVED).fit(X, y)
    start = {"coef_init": 2 * first.coef_, "intercept_init": first.intercept_ - 1}
    check_every_checkpoint(model, X, y, tmp_path, written, **start)


def test_a_pass_counts_as_an_epoch(tmp_path, written):
    X, y = problem("log_loss", 6000, 5)
    model = SGDClassifier("log_loss", **SOLVED).set_callbacks(Checkpoint(tmp_path / "fit", every="2 epochs")).fit(X, y)
    made = [snapshots.read(file)["state"]["made"] for file in written]
    last, expected = 0.0, []
    for passes in model.passes_[:-1]:
        if passes - last >= 2:
            expected.append([6000 * passes, passes])
            last = passes
    assert made == expected
    assert len(made) > 1


class Crash(Keeper):
    """Fails at the end of an iteration, before a checkpoint is written of it."""

    def __init__(self, at):
        self.left = at

    def on_fit_task_end(self, estimator, context, **data):
        self.left -= 1
        if not self.left:
            raise MemoryError
        return False


@settings(max_examples=30, deadline=None)
@given(
    loss=st.sampled_from(["log_loss", "hinge", "squared_error", "quantile", "poisson", "epsilon_insensitive"]),
    params=st.fixed_dictionaries(
        {
            "penalty": st.sampled_from(["l2", "l1", "elasticnet", None]),
            "alpha": st.sampled_from([1e-4, 1e-2]),
            "fit_intercept": st.booleans(),
            "positive": st.booleans(),
            "optimizer": st.sampled_from(["auto", "lbfgs"]),
            "max_iter": st.integers(2, 20),
        }
    ),
    shape=st.fixed_dictionaries(
        {
            "n": st.sampled_from([20, 300, 5500]),
            "d": st.integers(1, 12),
            "classes": st.integers(2, 3),
            "sparse": st.booleans(),
            "dtype": st.sampled_from([np.float32, np.float64]),
            "seed": st.integers(0, 99),
        }
    ),
    where=st.floats(0, 1),
)
def test_whatever_was_stopped_anywhere_goes_on(loss, params, shape, where):
    X, y = problem(loss, **shape)
    kind = SGDClassifier if loss in SGDClassifier.loss_functions else SGDRegressor
    model = kind(loss, random_state=0, tol=1e-8, l1_ratio=0.5, **params)
    expected = clone(model).fit(X, y)
    assume(expected.n_iter_ > 1)
    at = 2 + round(where * (expected.n_iter_ - 2))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/fit"
        with pytest.raises(MemoryError):
            clone(model).set_callbacks(Crash(at), Checkpoint(path, every="1 row")).fit(X, y)
        assert_same_fit(clone(model).fit(X, y, resume=path), expected)
