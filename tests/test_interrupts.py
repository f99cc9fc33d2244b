"""Ctrl-C at any moment: an estimator has all of its old attributes or all of the new ones, never some of each.

KeyboardInterrupt is raised at every line of fusedgrad's Python that a call runs, one line a call: when the line runs
for the first and for the last time. Of the estimators that run a line every third is interrupted there.
"""

import copy
import linecache
import pickle
import sys
import warnings
from functools import cache, partial
from pathlib import Path

import fusedgrad
import numpy as np
import pytest
from fusedgrad import _atomic as _checks
from fusedgrad import fit_many
from fusedgrad.layers import BatchNorm, Dense
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDOneClassSVM, SGDRegressor, SGDRegressorCV
from fusedgrad.neural_network import MLPClassifier, MLPRegressor, NeuralClassifier, NeuralRegressor

PACKAGE = str(Path(fusedgrad.__file__).parent)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3))
Y = X @ RNG.normal(size=(3, 2)) + 1
LABELS = (X[:, 0] > 0).astype(int)
TIMES = ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time", "refit_time_")  # of a clock


class Interrupt:
    """Raises KeyboardInterrupt at the k-th line that fusedgrad runs; without k it takes notes of all lines."""

    def __init__(self, k=None):
        self.k, self.lines = k, []

    def __call__(self, frame, event, arg):
        return self.line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def line(self, frame, event, arg):
        if event == "line":
            self.lines.append((frame.f_code.co_filename, frame.f_lineno))
            if len(self.lines) == self.k:
                raise KeyboardInterrupt
        return self.line

    def during(self, call):
        """Whether the call raised."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    @property
    def where(self):
        return f"{Path(self.lines[-1][0]).name}: {linecache.getline(*self.lines[-1]).strip()}"


def moments(call, model, lines=None):
    """The numbers of the lines of the call to interrupt at; of some lines only, if they are given."""
    notes = Interrupt()
    notes.during(lambda: call(model))
    last = {line: k for k, line in enumerate(notes.lines, 1)}
    first = {line: k for k, line in reversed([*enumerate(notes.lines, 1)])}
    return sorted({times[line] for times in (first, last) for line in times if lines is None or line in lines})


def bits(value):
    """Something to compare: the attributes of estimators, bit by bit, but for times and what is found again."""
    if isinstance(value, list):
        return [bits(each) for each in value]
    if hasattr(value, "get_params"):
        value = {
            name: each for name, each in vars(value).items() if name not in ("_net", "_batch_rows", "_batch_bytes")
        }
    if isinstance(value, dict):
        return {name: bits(each) for name, each in sorted(value.items()) if name not in TIMES}
    return pickle.dumps(value)


def linear(kind, **params):
    return kind(**{"random_state": 0, "max_iter": 2, "tol": None, **params})


def network(kind, *layers, **params):
    return kind(*layers, random_state=0, **params)


FITS = {
    "classifier": (linear(SGDClassifier, loss="log_loss"), LABELS),
    "classifier, averaged": (linear(SGDClassifier, average=True), LABELS),
    "classifier, verbose": (linear(SGDClassifier, verbose=1), LABELS),
    "classifier, in batches": (linear(SGDClassifier, loss="log_loss", batch_size=8), LABELS),
    "classifier, best weights": (
        linear(SGDClassifier, batch_size=8, early_stopping=True, restore_best_weights=True, validation_fraction=0.3),
        LABELS,
    ),
    "classifier, warm": (linear(SGDClassifier, batch_size=8, optimizer="adam", warm_start=True), LABELS),
    "classifier, by a solver": (linear(SGDClassifier, loss="log_loss", optimizer="auto", max_iter=4), LABELS),
    "regressor": (linear(SGDRegressor), Y[:, 0]),
    "regressor, two targets": (linear(SGDRegressor, batch_size=8, optimizer="adam"), Y),
    "one class": (linear(SGDOneClassSVM), None),
    "MLPClassifier": (network(MLPClassifier, (4,), max_iter=2), LABELS),
    "MLPRegressor, lbfgs": (MLPRegressor(hidden_layer_sizes=(4,), random_state=0, max_iter=2, solver="lbfgs"), Y),
    "NeuralClassifier": (network(NeuralClassifier, [Dense(4, "relu"), BatchNorm()], max_epochs=2, average=0.9), LABELS),
    "NeuralRegressor, warm": (network(NeuralRegressor, [Dense(4, "relu")], max_epochs=2, warm_start=True), Y),
}
SEARCHES = {
    "classifiers, halving": (
        linear(SGDClassifierCV, alphas=[0.1, 0.01], cv=2, batch_size=12, halving=True, n_jobs=1),
        LABELS,
    ),
    "classifiers, by a solver": (linear(SGDClassifierCV, alphas=[0.1, 0.01], cv=2, optimizer="auto", n_jobs=1), LABELS),
    "regressors, one sample a step": (
        linear(SGDRegressorCV, alphas=[0.1], cv=2, batch_size=1, n_jobs=1, refit=False),
        Y[:, 0],
    ),
}
PARTIAL = [name for name in FITS if "best" not in name and "lbfgs" not in name]


def call_of(method, y, rows=slice(None)):
    given = (X[rows],) if y is None else (X[rows], y[rows])
    if method == "partial_fit" and y is LABELS:
        return lambda model: model.partial_fit(*given, classes=[0, 1])
    return lambda model: getattr(model, method)(*given)


def begun(name, method):
    """An estimator that the method has been called of before."""
    estimator, y = FITS[name]
    return call_of(method, y, slice(None, None, 2) if method == "fit" else slice(None))(copy.deepcopy(estimator))


@cache
def who_runs(method):
    """The estimators that run each line in a call of the method."""
    names = {}
    for name in FITS if method == "fit" else PARTIAL:
        notes = Interrupt()
        notes.during(partial(call_of(method, FITS[name][1]), begun(name, method)))
        for line in dict.fromkeys(notes.lines):
            names.setdefault(line, []).append(name)
    return names


def lines_of(name, method):
    """Those at which this estimator is interrupted."""
    return {line for line, names in who_runs(method).items() if name in names[line[1] % min(3, len(names)) :: 3]}


def sweep(make, call, kept=None, *, lines=None, every=1):
    """Interrupt a call at its lines. `kept` says whether a model is what the call had reached by then."""
    old = bits(make())
    done = make()
    call(done)
    new = bits(done)
    assert new != old
    wrong = []
    for k in moments(call, make(), lines)[::every]:
        interrupt, model = Interrupt(k), make()
        raised = interrupt.during(lambda model=model: call(model))
        if not raised and len(interrupt.lines) < k:  # another run may have some lines fewer
            assert bits(model) == new
        elif not (raised and (bits(model) in (old, new) or (kept is not None and kept(model)))):
            wrong.append(interrupt.where)
    assert not wrong, wrong


@pytest.fixture(autouse=True)
def quiet(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", FITS)
def test_fit_at_any_line(name):
    y, fitted = FITS[name][1], begun(name, "fit")

    def kept(model):
        if model.stop_reason_ != "interrupted":
            return False
        if not isinstance(model, SGDClassifier | SGDRegressor) or model.batch_size == 1:
            return True
        # the epochs that were complete, no less and no more
        fewer = copy.deepcopy(fitted).set_params(max_iter=model.n_iter_)
        call_of("fit", y)(fewer)
        return {**bits(model), "max_iter": 0, "stop_reason_": ""} == {**bits(fewer), "max_iter": 0, "stop_reason_": ""}

    sweep(lambda: copy.deepcopy(fitted), call_of("fit", y), kept, lines=lines_of(name, "fit"))


def test_ctrl_c_between_epochs_keeps_those_that_are_complete():
    estimator, y = FITS["classifier, in batches"]
    found = set()
    for k in moments(call_of("fit", y), copy.deepcopy(estimator)):
        model = copy.deepcopy(estimator)
        Interrupt(k).during(lambda model=model: call_of("fit", y)(model))
        found.add((vars(model).get("n_iter_"), vars(model).get("stop_reason_")))
    assert found == {(None, None), (1, "interrupted"), (2, "max_iter")}


@pytest.mark.parametrize("name", PARTIAL)
def test_partial_fit_at_any_line(name):
    y, fitted = FITS[name][1], begun(name, "partial_fit")
    sweep(lambda: copy.deepcopy(fitted), call_of("partial_fit", y), lines=lines_of(name, "partial_fit"))


@pytest.mark.parametrize("name", SEARCHES)
def test_searches_at_any_line(name):
    estimator, y = SEARCHES[name]
    fitted = call_of("fit", y, slice(None, None, 2))(copy.deepcopy(estimator))
    sweep(lambda: copy.deepcopy(fitted), call_of("fit", y), every=11)


@pytest.mark.parametrize("batch_sizes", [(8, 8), (8, 1)])
def test_fit_many_at_any_line(batch_sizes):
    models = [linear(SGDClassifier, batch_size=size, warm_start=True, optimizer="sgd") for size in batch_sizes]
    fit_many(models, X[::2], LABELS[::2])
    sweep(lambda: copy.deepcopy(models), lambda models: fit_many(models, X, LABELS), every=3)


def test_path_at_any_line():
    model = linear(SGDClassifier, batch_size=8).fit(X, LABELS)
    before = bits(model)
    for k in range(1, 100):
        assert Interrupt(4 * k).during(lambda: model.path(X, LABELS, alphas=[0.1, 1.0]))
        assert bits(model) == before


# ---- more than one ----


def interrupted_at(*texts):
    """A tracer that raises KeyboardInterrupt at the lines with these texts, one after the other."""
    left = list(texts)

    def line(frame, event, arg):
        if event == "line" and left and left[0] in linecache.getline(frame.f_code.co_filename, frame.f_lineno):
            left.pop(0)
            raise KeyboardInterrupt
        return line

    return left, lambda frame, event, arg: line if frame.f_code.co_filename.startswith(PACKAGE) else None


def test_a_second_ctrl_c_while_attributes_are_given_back():
    model = linear(SGDRegressor).fit(X, Y[:, 0])
    before = dict(vars(model))
    left, tracer = interrupted_at("estimator.__dict__ = before")

    def fails():
        with _checks.unchanged_on_error(model):
            model.coef_ = model.new_ = None
            raise KeyboardInterrupt

    sys.settrace(tracer)
    try:
        with pytest.raises(KeyboardInterrupt):
            fails()
    finally:
        sys.settrace(None)
    assert not left
    assert vars(model) == before


def test_settle_gives_and_takes_in_one_step():
    model = linear(SGDRegressor).fit(X, Y[:, 0])
    curve, coef, before = model.loss_curve_, model.coef_, vars(model)
    _checks.settle(model, {"t_": 5.0}, without=["n_iter_"], in_place=[(curve, [1.0, 2.0]), (coef, np.arange(3.0))])
    assert model.t_ == 5.0
    assert not hasattr(model, "n_iter_")
    assert model.loss_curve_ is curve
    assert curve[-2:] == [1.0, 2.0]
    np.testing.assert_array_equal(model.coef_, [0, 1, 2])
    assert vars(model) is not before
    assert before["t_"] != 5.0


@pytest.mark.parametrize("batch_size", [1, 8])
def test_partial_fit_keeps_its_lists_and_its_array(batch_size):
    model = linear(SGDRegressor, batch_size=batch_size).partial_fit(X, Y[:, 0])
    curve, coef = model.loss_curve_, model.coef_
    for k in range(2, 5):
        model.partial_fit(X, Y[:, 0])
        assert model.loss_curve_ is curve
        assert model.coef_ is coef
        assert len(curve) == k
