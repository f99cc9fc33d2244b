"""scikit-learn's callbacks (1.9 and later): what they see of a fit, and what they do to it."""

import json
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad.callbacks import Checkpoint
from fusedgrad.linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from . import child

callback = pytest.importorskip("sklearn.callback", reason="the callback protocol came with scikit-learn 1.9")

MODELS = [
    SGDClassifier(max_iter=4, tol=None, random_state=0),
    SGDClassifier(max_iter=4, tol=None, random_state=0, average=30, penalty="l1"),
    SGDRegressor(max_iter=4, tol=None, random_state=0, penalty="elasticnet"),
    SGDRegressor(max_iter=4, tol=None, random_state=0, average=True),
    SGDOneClassSVM(max_iter=4, tol=None, random_state=0),
]
IDS = ["classifier", "averaged_classifier", "regressor", "averaged_regressor", "one_class"]


def data(n=60, d=5, classes=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    score = X @ rng.normal(size=d) + 0.3 * rng.normal(size=n)
    return X, np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1])).astype(float)


def without(model, *names):
    """The state of a model, apart from its callbacks."""
    return {name: value for name, value in vars(model).items() if name not in ("_skl_callbacks", *names)}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


class Recorder:
    """Writes down what happens; may ask to stop, or fail, at the n-th call of a hook."""

    def __init__(self, stop_at=None, fail_at=(None, 0), error=None):
        self.events, self.seen, self.fitted = [], [], []
        self.stop_at, self.fail_at, self.error = stop_at, fail_at, error

    def _note(self, hook, context):
        self.events.append((hook, context.task_name, context.task_id))
        count = sum(event[:2] == (hook, context.task_name) for event in self.events)
        if self.fail_at == (hook, count):
            raise self.error
        return count

    def setup(self, estimator, context):
        self._note("setup", context)
        self.max_epochs = context.max_subtasks

    def teardown(self, estimator, context):
        self._note("teardown", context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self._note("begin", context)
        self.seen.append((X, y, metadata))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        count = self._note("end", context)
        self.fitted.append(fitted_estimator)
        return context.task_name == "epoch" and count == self.stop_at


class Quiet(Recorder):
    """Never asks for a fitted estimator, and travels to the inner estimators of others."""

    max_propagation_depth = None

    def on_fit_task_end(self, estimator, context):
        return super().on_fit_task_end(estimator, context)


def story(epochs):
    """The events of a fit of so many epochs."""
    inner = [(hook, "epoch", k) for k in range(epochs) for hook in ("begin", "end")]
    return [("setup", "fit", 0), ("begin", "fit", 0), *inner, ("end", "fit", 0), ("teardown", "fit", 0)]


NO_PROTOCOL = """
import sys
import sklearn.model_selection
sys.modules["sklearn.callback"] = None  # as before scikit-learn 1.9
from fusedgrad import SGDClassifier
model = SGDClassifier(random_state=0).fit([[0.0], [1.0]], [0, 1]).partial_fit([[0.0], [1.0]], [0, 1])
print(hasattr(model, "set_callbacks"), model.predict([[1.0]]))
"""


def test_where_there_is_no_protocol_there_are_no_callbacks():
    result = child.python(NO_PROTOCOL)
    assert result.stdout.strip() == "False [1]", result.stderr


# ---- what they see ----


@pytest.mark.parametrize("recorder", [Recorder, Quiet])
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_the_story_of_a_fit(model, recorder):
    X, y = data()
    recorder = recorder()
    model = clone(model).set_callbacks(recorder).fit(X, y)
    assert recorder.events == story(4)
    assert recorder.max_epochs == 4
    assert not [name for name in vars(model) if "ctx" in name or "teardown" in name]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_each_epoch_shows_the_model_of_a_fit_that_ends_there(model, classes, sparse):
    X, y = data(classes=classes)
    X = sp.csr_matrix(X) if sparse else X
    recorder = Recorder()
    clone(model).set_callbacks(recorder).fit(X, y)
    assert len(recorder.fitted) == 5
    for k, fitted in enumerate([*recorder.fitted[:4], recorder.fitted[3]], 1):
        expected = clone(model).set_params(max_iter=min(k, 4)).fit(X, y)
        ours = without(fitted, "max_iter", "_callback_fit_ctx", "_skl_callbacks_to_teardown")
        assert_same(ours | {"stop_reason_": "max_iter"}, without(expected, "max_iter"))


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_they_see_the_data_as_it_was_given(model):
    X, y = data()
    labels = np.array(["low", "middle", "high"])[y.astype(int)] if isinstance(model, SGDClassifier) else y
    weights = np.arange(1.0, 61.0)
    recorder = Recorder()
    model = clone(model).set_callbacks(recorder)
    model.fit(X.tolist(), labels, sample_weight=weights)
    for seen_X, seen_y, metadata in recorder.seen:
        assert seen_X == X.tolist()
        assert seen_y is labels
        assert list(metadata) == ["sample_weight"]
        np.testing.assert_array_equal(metadata["sample_weight"], weights)
    recorder.seen.clear()
    model.fit(X, labels)
    assert {metadata for *_, metadata in recorder.seen} == {None}


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_partial_fit_is_a_fit_of_one_epoch_more(model):
    X, y = data()
    classes = {"classes": [0, 1, 2]} if isinstance(model, SGDClassifier) else {}
    recorder = Recorder()
    quiet, told = clone(model), clone(model).set_callbacks(recorder)
    for k in range(3):
        quiet.partial_fit(X, y, **classes)
        told.partial_fit(X, y, **classes)
        assert recorder.events == story(1) * (k + 1)
        assert_same(without(told), without(quiet))
        shown = without(recorder.fitted[-2], "_callback_fit_ctx", "_skl_callbacks_to_teardown", "stop_reason_")
        assert_same(shown, without(quiet, "stop_reason_"))
    assert len(told.loss_curve_) == 3


# ---- what they change: nothing, unless they ask ----


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    "params",
    [
        {"tol": 1e-2, "n_iter_no_change": 2},
        {"learning_rate": "adaptive", "eta0": 0.1, "tol": 1e-2, "n_iter_no_change": 1},
        {"penalty": "l1", "average": 40, "tol": None, "max_iter": 5},
        {"early_stopping": True, "restore_best_weights": True, "average": True},
        {"early_stopping": True, "learning_rate": "adaptive", "eta0": 0.5, "validation_fraction": 0.3},
    ],
)
def test_not_a_bit_changes(params, classes, n_jobs):
    X, y = data(200, classes=classes)
    model = SGDClassifier(random_state=0, n_jobs=n_jobs, **params)
    recorder, quiet = Recorder(), clone(model).fit(X, y)
    model.set_callbacks(recorder, Quiet()).fit(X, y)
    assert_same(without(model), without(quiet))
    assert model.n_iter_ > 1
    assert recorder.events == story(model.n_iter_)
    # which of the weights: the last, or the best
    assert_same(without(recorder.fitted[-1], "_callback_fit_ctx", "_skl_callbacks_to_teardown"), without(quiet))
    np.testing.assert_array_equal(recorder.fitted[-2].coef_, quiet.coef_)


def test_verbose_tells_every_epoch_once(capsys):
    X, y = data()
    model = SGDClassifier(max_iter=3, tol=None, random_state=0, verbose=1, n_jobs=1)
    model.fit(X, y)
    quiet = [line for line in capsys.readouterr().out.splitlines() if "time" not in line]
    model.set_callbacks(Recorder()).fit(X, y)
    told = [line for line in capsys.readouterr().out.splitlines() if "time" not in line]
    assert sum(line.startswith("-- Epoch") for line in told) == 9
    assert sorted(told) == sorted(quiet)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_a_callback_can_stop_training(model):
    X, y = data()
    recorder = Recorder(stop_at=2)
    stopped = clone(model).set_callbacks(recorder).fit(X, y)
    assert recorder.events == story(2)
    assert stopped.stop_reason_ == "early_stopping"
    expected = clone(model).set_params(max_iter=2).fit(X, y)
    assert_same(without(stopped, "max_iter", "stop_reason_"), without(expected, "max_iter", "stop_reason_"))


def test_a_stop_is_no_reason_to_warn(recwarn):
    X, y = data()
    SGDClassifier(tol=1e-9, random_state=0).set_callbacks(Recorder(stop_at=1)).fit(X, y)
    assert not [str(warning.message) for warning in recwarn]


def test_removed_callbacks_hear_nothing():
    X, y = data()
    recorder = Recorder()
    SGDClassifier(random_state=0).set_callbacks(recorder).set_callbacks().fit(X, y)
    assert not recorder.events


# ---- failures ----


@pytest.mark.parametrize("error", [RuntimeError("a callback's own"), KeyboardInterrupt("Ctrl-C")])
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("moment", ["setup", "begin", "end", "teardown"])
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_a_failing_callback_leaves_the_model_as_it_was(model, moment, call, error):
    X, y = data()
    model = clone(model).fit(X, y)
    before = pickle.loads(pickle.dumps(vars(model)))
    recorder = Recorder(fail_at=(moment, 1), error=error)
    model.set_callbacks(recorder)
    with pytest.raises(type(error), match=str(error)):
        getattr(model, call)(X[::-1], y[::-1])
    assert_same(without(model), before)
    assert recorder.events[-1][0] == "teardown"  # always called
    recorder.fail_at = (None, 0)
    model.fit(X, y)
    assert_same(without(model), before)


def test_a_failing_last_word_leaves_the_model_as_it_was():
    X, y = data()
    model = SGDRegressor(random_state=0).partial_fit(X, y)
    before = pickle.loads(pickle.dumps(vars(model)))

    class LastWord(Recorder):
        def on_fit_task_end(self, estimator, context):
            if context.task_name == "fit":
                raise RuntimeError("at the end")

    with pytest.raises(RuntimeError, match="at the end"):
        model.set_callbacks(LastWord()).partial_fit(X, y)
    assert_same(without(model), before)


@pytest.mark.parametrize("recorder", [Recorder, Quiet])
def test_weights_that_overflow_end_in_the_same_error(recorder):
    X, y = data()
    model = SGDRegressor(learning_rate="constant", eta0=1e300, random_state=0)
    recorder = recorder()
    for told in (model, model.set_callbacks(recorder)):
        with pytest.raises(ValueError, match="Floating-point under-/overflow occurred at epoch"):
            told.fit(X, y)
        assert "coef_" not in vars(told)
    assert recorder.events[-1] == ("teardown", "fit", 0)


def test_bad_input_is_found_before_callbacks_hear_of_it():
    recorder = Recorder()
    model = SGDRegressor().set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        model.fit([[np.nan]], [1.0])
    with pytest.raises(ValueError, match="'max_iter'"):
        model.set_params(max_iter=0).fit([[1.0]], [1.0])
    assert not recorder.events


def test_what_is_no_callback_is_refused():
    with pytest.raises(TypeError, match="FitCallback protocol"):
        SGDClassifier().set_callbacks(print)


INTERRUPT = """
import json, os, signal, threading, time, warnings
import numpy as np
from fusedgrad import SGDClassifier

class Count:
    events = []
    def setup(self, estimator, context): pass
    def teardown(self, estimator, context): self.events.append("teardown")
    def on_fit_task_begin(self, estimator, context): self.events.append("begin")
    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.events.append("broken" if fitted_estimator is None else "end")

X = np.tile(np.random.default_rng(0).normal(size=(20_000, 20)), (100, 1))  # epochs of a second
y = np.digitize(X[:, 0], [-0.5, 0.5])
model = SGDClassifier(max_iter=10**6, tol=None, random_state=0, n_jobs=1).set_callbacks(Count())
ctrl_c_in(0.5)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        model.fit(X, y)
        ended = "returned"
    except KeyboardInterrupt:
        ended = "raised"
print(json.dumps([
    ended, [type(w.message).__name__ for w in caught], model.stop_reason_, bool(model.coef_.any()), Count.events,
]))
"""


def test_ctrl_c_in_an_epoch_ends_it_and_keeps_the_weights():
    result = child.forked(INTERRUPT)
    assert result.returncode == 0, result.stderr
    ended, warned, reason, trained, events = json.loads(result.stdout)
    assert ended == "raised"
    assert warned == []
    assert reason == "interrupted"
    assert trained
    epochs = events[1:-2]
    assert events == ["begin", *epochs, "end", "teardown"]
    assert epochs == ["begin", "end"] * (len(epochs) // 2 - 1) + ["begin", "broken"]


# ---- scikit-learn's own callbacks ----


@pytest.mark.parametrize("model", MODELS[:4], ids=IDS[:4])
def test_scoring_monitor_scores_every_epoch(model):
    X, y = data()
    weights = np.random.default_rng(1).uniform(0.5, 2, 60)
    name = "accuracy" if isinstance(model, SGDClassifier) else "r2"
    monitor = callback.ScoringMonitor(scoring=name)
    clone(model).set_callbacks(monitor).fit(X, y, sample_weight=weights)
    log = monitor.get_logs().data
    assert [row["task_name"] for row in log] == ["fit"] + ["epoch"] * 4
    expected = [clone(model).set_params(max_iter=k).fit(X, y, sample_weight=weights) for k in (1, 2, 3, 4)]
    scores = [one.score(X, y, sample_weight=weights) for one in expected]
    assert [row[name] for row in log] == [scores[-1], *scores]
    assert len(set(scores)) > 1


def test_scoring_monitor_takes_frames_with_names_without_a_warning(recwarn):
    pandas = pytest.importorskip("pandas")
    X, y = data()
    monitor = callback.ScoringMonitor(scoring="accuracy")
    SGDClassifier(random_state=0).set_callbacks(monitor).fit(pandas.DataFrame(X, columns=list("abcde")), y)
    assert not [str(warning.message) for warning in recwarn]
    assert len(monitor.get_logs().data) > 2


def test_progress_bar(capsys):
    pytest.importorskip("rich", reason="ProgressBar needs rich")
    X, y = data()
    SGDClassifier(max_iter=4, tol=None, random_state=0).set_callbacks(callback.ProgressBar()).fit(X, y)
    out = capsys.readouterr().out
    assert "SGDClassifier - fit" in out
    assert "100%" in out


# ---- in the company of others ----


def test_clones_share_callbacks_and_pickles_copy_them():
    X, y = data()
    recorder = Recorder()
    model = SGDClassifier(max_iter=2, tol=None, random_state=0).set_callbacks(recorder)
    clone(model).fit(X, y)
    assert recorder.events == story(2)
    model.fit(X, y)
    assert recorder.events == story(2) * 2
    recorder.fitted.clear()
    recorder.seen.clear()
    copy = pickle.loads(pickle.dumps(model))
    assert_same(without(copy), without(model))
    copy.fit(X, y)
    assert recorder.events == story(2) * 2
    monitored = SGDClassifier(random_state=0).set_callbacks(callback.ScoringMonitor(scoring="accuracy")).fit(X, y)
    copy = pickle.loads(pickle.dumps(monitored)).fit(X, y)
    assert_same(without(copy), without(monitored))


@pytest.mark.parametrize("wrap", ["search", "pipeline"])
def test_callbacks_of_others_reach_the_epochs(wrap):
    X, y = data()
    inner = SGDClassifier(max_iter=3, tol=None, random_state=0)
    if wrap == "search":
        outer, fits = GridSearchCV(inner, {"alpha": [1e-4, 1e-2]}, cv=2), 5
    else:
        outer, fits = make_pipeline(StandardScaler(), inner), 1
    recorder = Quiet()
    quiet = clone(outer).fit(X, y)
    outer.set_callbacks(recorder).fit(X, y)
    np.testing.assert_array_equal(outer.predict(X), quiet.predict(X))
    assert sum(event[:2] == ("begin", "epoch") for event in recorder.events) == 3 * fits
    assert sum(event[:2] == ("end", "epoch") for event in recorder.events) == 3 * fits
    assert [event[0] for event in recorder.events].count("setup") == 1
    final = outer.best_estimator_ if wrap == "search" else outer[-1]
    assert not [name for name in vars(final) if "callback" in name]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_scoring_monitor_of_a_search_s_inner_model(n_jobs):
    X, y = data()
    monitor = callback.ScoringMonitor(scoring="accuracy")
    inner = SGDClassifier(max_iter=3, tol=None, random_state=0).set_callbacks(monitor)
    search = GridSearchCV(inner, {"alpha": [1e-4, 1e-2]}, cv=2, n_jobs=n_jobs).fit(X, y)
    fits = {}
    for row in monitor.get_logs().data:
        if row["task_name"] == "epoch":
            fits.setdefault(row["parent_task_id_path"], []).append(row["accuracy"])
    assert [len(scores) for scores in fits.values()] == [3] * 5
    refit = fits[min(fits, key=len)]  # a child of the search itself; the others are children of its grid
    assert refit[-1] == search.best_estimator_.score(X, y)


def test_what_has_no_checkpoints_says_so(tmp_path):
    model = SGDOneClassSVM(random_state=0).set_callbacks(Checkpoint(tmp_path / "fit"))
    with pytest.raises(ValueError, match=r"SGDOneClassSVM makes one step a sample\.$"):
        model.fit(np.eye(4))
