"""Validation rows, stopping, the best weights; callbacks; Ctrl-C and forks."""

import json
import re

import fusedgrad.neural_network
import numpy as np
import pytest
from fusedgrad import _core
from fusedgrad.layers import Activation, Dense, activations
from sklearn.exceptions import ConvergenceWarning

from .. import child
from .small import MLPS, NAMES, NEURALS, X, Y, assert_same_bits, make, rich, weights_of, without

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ---- validation rows, stopping, the best weights ----


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weighted", [False, True])
def test_curves_of_validation_rows(name, weighted):
    rows, y, weight = X[:15], Y[name][:15], np.arange(1.0, 16.0) if weighted else None
    model = rich(name).fit(X, Y[name], X_val=rows, y_val=y, sample_weight_val=weight)
    prefixes = [rich(name, epochs=k).fit(X, Y[name]) for k in range(1, 5)]
    scores = [prefix.score(rows, y, sample_weight=weight) for prefix in prefixes]
    np.testing.assert_allclose(model.validation_scores_, scores, rtol=1e-12)
    if "Classifier" in name:
        values = [-p.predict_log_proba(rows)[np.arange(15), y] for p in prefixes]
    else:
        values = [0.5 * (p.predict(rows) - y) ** 2 for p in prefixes]
    expected = [np.average(v, weights=weight) for v in values]
    np.testing.assert_allclose(model.validation_loss_curve_, expected, rtol=1e-10)
    for one, other in zip(weights_of(model), weights_of(prefixes[-1]), strict=True):
        np.testing.assert_array_equal(one, other)  # looking at rows does not change the training


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("early", [False, True])
def test_the_best_weights_are_those_of_the_best_epoch(name, early):
    rows, y = X[25:], Y[name][25:]
    params = {"rate": 0.1, "epochs": 60, "restore_best_weights": True, "early_stopping": early, "n_iter_no_change": 60}
    model = rich(name, **params).fit(X[:25], Y[name][:25], X_val=rows, y_val=y)
    best = int(np.argmax(model.validation_scores_))
    assert best + 1 < len(model.validation_scores_)
    expected = rich(name, **{**params, "restore_best_weights": False, "early_stopping": False, "epochs": best + 1})
    expected.fit(X[:25], Y[name][:25])
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.score(rows, y) == pytest.approx(max(model.validation_scores_), rel=1e-12)
    last = rich(name, **{**params, "restore_best_weights": False}).fit(X[:25], Y[name][:25], X_val=rows, y_val=y)
    assert not np.array_equal(weights_of(last)[0], weights_of(model)[0])


@pytest.mark.parametrize("name", NAMES)
def test_stopping_counts_idle_epochs(name):
    """The n-th idle epoch in a row ends Neural's training, the one after it scikit-learn's."""
    model = make(name, epochs=100, tol=1e6, n_iter_no_change=5).fit(X, Y[name])
    assert model.stop_reason_ == "converged"
    assert model.n_iter_ == 1 + 5 + ("MLP" in name)
    model = make(name, epochs=100, tol=1e6, n_iter_no_change=5, early_stopping=True).fit(X, Y[name])
    assert model.stop_reason_ == "early_stopping"
    assert model.n_iter_ == 1 + 5 + ("MLP" in name)


@pytest.mark.parametrize("name", NEURALS)
def test_no_tolerance_means_all_epochs_and_no_warning(name, recwarn):
    model = make(name, epochs=3, tol=None).fit(X, Y[name])
    assert model.n_iter_ == 3
    assert model.stop_reason_ == "max_iter"
    assert not [str(warning.message) for warning in recwarn]


@pytest.mark.parametrize("name", NAMES)
def test_epochs_that_do_not_suffice_are_told(name):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(4\) reached"):
        make(name).fit(X, Y[name])


@pytest.mark.parametrize("name", MLPS)
def test_iterations_that_do_not_suffice_are_told(name):
    with pytest.warns(ConvergenceWarning, match=r"lbfgs failed to converge after 2 iteration\(s\) \(max_iter=2"):
        make(name, solver="lbfgs", epochs=2).fit(X, Y[name])


@pytest.mark.parametrize("name", NAMES)
def test_verbose_tells_every_epoch(name, capsys):
    make(name, verbose=True).fit(X, Y[name], X_val=X, y_val=Y[name])
    out = capsys.readouterr().out
    assert len(re.findall(r"^(?:Iteration|Epoch) +[1-4][, ]", out, re.MULTILINE)) == 4
    assert len(re.findall(r"(?i)validation score", out)) == 4
    make(name).fit(X, Y[name])
    assert not capsys.readouterr().out


# ---- callbacks ----


def recorder(**options):
    """scikit-learn's protocol came with 1.9."""
    pytest.importorskip("sklearn.callback")
    from ..test_callbacks import Recorder

    return Recorder(**options)


@pytest.mark.parametrize("name", NAMES)
def test_callbacks_hear_of_every_epoch_and_change_nothing(name):
    listener = recorder()
    quiet = rich(name).fit(X, Y[name])
    told = rich(name).set_callbacks(listener).fit(X, Y[name])
    assert_same_bits(told, quiet)
    inner = [(hook, "epoch", k) for k in range(4) for hook in ("begin", "end")]
    assert listener.events == [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        *inner,
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]
    assert listener.max_epochs == 4
    for seen_X, seen_y, _ in listener.seen:
        assert seen_X is X
        assert seen_y is Y[name]
    for k, shown in enumerate(listener.fitted[:4], 1):
        expected = rich(name, epochs=k).fit(X, Y[name])
        np.testing.assert_array_equal(shown.predict(X), expected.predict(X))
        assert shown.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize("name", NAMES)
def test_a_callback_can_stop_training(name):
    listener = recorder(stop_at=2)  # skips before scikit-learn 1.9
    stopped = rich(name).set_callbacks(listener).fit(X, Y[name])
    assert stopped.stop_reason_ == "early_stopping"
    assert_same_bits(stopped, rich(name, epochs=2).fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("moment", ["setup", "begin", "end", "teardown"])
def test_a_callback_that_fails_leaves_the_model_as_it_was(name, call, moment):
    listener = recorder(fail_at=(moment, 1), error=RuntimeError("a callback's own"))
    model = rich(name).fit(X, Y[name]).set_callbacks(listener)
    before = without(model)
    with pytest.raises(RuntimeError, match="a callback's own"):
        getattr(model, call)(X[::-1], Y[name][::-1])
    assert without(model) == before


@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_is_a_fit_of_one_epoch_to_callbacks(name):
    listener = recorder()
    model = make(name).fit(X, Y[name]).set_callbacks(listener).partial_fit(X, Y[name])
    assert [event[:2] for event in listener.events[1:-1]] == [
        ("begin", "fit"), ("begin", "epoch"), ("end", "epoch"), ("end", "fit")
    ]  # fmt: skip
    assert_same_bits(model, make(name).fit(X, Y[name]).partial_fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
def test_scoring_monitor_scores_every_epoch(name):
    callback = pytest.importorskip("sklearn.callback")
    scoring = "accuracy" if "Classifier" in name else "r2"
    monitor = callback.ScoringMonitor(scoring=scoring)
    rich(name).set_callbacks(monitor).fit(X, Y[name])
    log = [row[scoring] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    expected = [rich(name, epochs=k).fit(X, Y[name]).score(X, Y[name]) for k in range(1, 5)]
    np.testing.assert_allclose(log, expected, rtol=1e-12)


@pytest.mark.parametrize("name", MLPS)
def test_lbfgs_is_one_epoch_to_callbacks(name):
    listener = recorder()
    model = make(name, solver="lbfgs", epochs=20).set_callbacks(listener).fit(X, Y[name])
    assert [event[:2] for event in listener.events] == [
        ("setup", "fit"), ("begin", "fit"), ("begin", "epoch"), ("end", "epoch"), ("end", "fit"), ("teardown", "fit")
    ]  # fmt: skip
    assert_same_bits(model, make(name, solver="lbfgs", epochs=20).fit(X, Y[name]))


# ---- Ctrl-C and fork ----


INTERRUPT = """
import json, os, signal, threading, time, warnings
import numpy as np
from fusedgrad.layers import Dense
from fusedgrad import neural_network

rng = np.random.default_rng(0)
sent = 0.0

def interrupted(name, n, **params):
    X = rng.normal(size=(n, 20))
    y = np.digitize(X @ rng.normal(size=20), [-2, 2]) if "Classifier" in name else X[:, 0]
    mlp = "MLP" in name
    layered = dict(layers=[Dense(32, "relu")], max_epochs=10**8, learning_rate=1e-3)
    size = dict(hidden_layer_sizes=(32,), max_iter=10**8) if mlp else layered
    model = getattr(neural_network, name)(**size, tol=0.0, n_iter_no_change=10**8, random_state=0, **params)
    sender = ctrl_c_in(1.0)  # for an order of many rows to be drawn
    raised = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X, y)
        except KeyboardInterrupt as error:
            raised = str(error)
    took = time.monotonic() - sent
    sender.join()
    return {
        "took": took,
        "raised": raised,
        "warnings": [str(w.message) for w in caught],
        "stop_reason": model.stop_reason_,
        "finite": all(bool(np.isfinite(w).all()) for w in (model.coefs_ if mlp else model.weights_)),
        "n_iter": model.n_iter_,
        "curve": len(model.loss_curve_),
        "score": model.score(X[:2000], y[:2000]),
    }

reports = [interrupted(name, n) for name in NAMES for n in (4_000, 400_000)]
reports.append(interrupted("MLPClassifier", 200_000, solver="lbfgs", max_fun=10**8))
print(json.dumps(reports))
"""


def test_ctrl_c_keeps_the_weights_and_raises():
    result = child.forked(f"NAMES = {NAMES!r}\n{INTERRUPT}")
    assert result.returncode == 0, result.stderr
    *reports, of_lbfgs = json.loads(result.stdout)
    assert len(reports) == 8
    for number, report in enumerate([*reports, of_lbfgs]):
        assert report["took"] < 2.0  # it is about 0.1; the rest is for busy machines
        assert f"interrupted after {report['n_iter']} epochs; the weights reached so far are kept" in report["raised"]
        assert not report["warnings"]
        assert report["stop_reason"] == "interrupted"
        assert report["finite"]
        assert report["n_iter"] == report["curve"] >= (number % 2 == 0)
        if number % 2 == 0:  # epochs are short
            assert report["score"] > 0.5


INTERRUPT_PARTIAL_FIT = """
import os, signal, threading, time
import numpy as np
from fusedgrad.layers import Dense
from fusedgrad.neural_network import NeuralRegressor

X = np.random.default_rng(0).normal(size=(400_000, 20))
y = X[:, 0]
model = NeuralRegressor([Dense(32, "relu")], random_state=0).partial_fit(X[:100], y[:100])
before = [w.copy() for w in model.weights_]
ctrl_c_in(0.2)
calls = 0
try:
    while True:
        kept = model.weights_
        model.partial_fit(X, y)
        calls += 1
except KeyboardInterrupt:
    same = kept is model.weights_ and len(model.loss_curve_) == calls + 1
    print("stopped", same, np.isfinite(model.predict(X[:1])).all())
"""


def test_ctrl_c_in_partial_fit_is_raised_and_leaves_the_model_as_it_was():
    result = child.forked(INTERRUPT_PARTIAL_FIT)
    assert result.stdout.strip() == "stopped True True", result.stdout + result.stderr


FORK = """
import multiprocessing, warnings
import numpy as np
from fusedgrad.layers import BatchNorm, Dense
from fusedgrad.neural_network import MLPClassifier, NeuralRegressor

warnings.simplefilter("ignore")  # Python 3.12 warns about threads and fork
X = np.random.default_rng(0).normal(size=(2000, 30))

def fit():
    mlp = MLPClassifier((40,), max_iter=2, random_state=0, n_jobs=2).fit(X, X[:, 0] > 0)
    net = NeuralRegressor([Dense(40), BatchNorm()], max_epochs=2, random_state=0, n_jobs=2).fit(X, X[:, 0])
    return mlp.predict_proba(X).tolist(), net.predict(X).tolist()

context = multiprocessing.get_context("fork")
queue = context.Queue()
here = fit()  # OpenMP's threads are alive now
process = context.Process(target=lambda: queue.put(fit()))
process.start()
there = queue.get(timeout=60)
process.join(60)
print(process.exitcode, there == here, fit() == here)
"""


def test_a_forked_child_trains_with_threads_of_its_own():
    result = child.forked(FORK)
    assert result.stdout.strip() == "0 True True", result.stdout + result.stderr


def test_sigmoid_is_another_name_of_logistic():
    assert Dense(3, "sigmoid") == Dense(3, "logistic")
    assert repr(Activation("sigmoid")) == "Activation('logistic')"
    assert "sigmoid" not in activations()


@pytest.mark.parametrize("name", NAMES)
def test_ctrl_c_in_the_last_moment_is_not_lost(name, monkeypatch):
    made = _core.NetworkTraining

    class Interrupted:
        """An engine that hears of the signal when all epochs are done."""

        def __init__(self, **arrays):
            self.engine = made(**arrays)
            self.workspace = self.engine.workspace

        def train(self, *arguments):
            return *self.engine.train(*arguments)[:-1], True

    monkeypatch.setattr(_core, "NetworkTraining", Interrupted)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = (X[:, 0] > 0).astype(int)
    size = {"max_iter": 1} if "MLP" in name else {"layers": [Dense(4)], "max_epochs": 1}
    kind = getattr(fusedgrad.neural_network, name)
    model = kind(**size)
    with pytest.raises(KeyboardInterrupt, match="interrupted after 1 epochs; the weights reached so far are kept"):
        model.fit(X, y)
    assert model.stop_reason_ == "interrupted"
    with pytest.raises(KeyboardInterrupt):
        kind(**size).partial_fit(X, y, **({"classes": [0, 1]} if "Classifier" in name else {}))
