"""Networks keep the weights that they had reached when they are interrupted; and none that have diverged."""

import copy
import itertools
import math
import pickle
import sys

import numpy as np
import pytest
from fusedgrad import optimizers
from fusedgrad._training import network as _network
from fusedgrad.exceptions import DivergedError
from fusedgrad.neural_network import MLPClassifier
from sklearn.model_selection import GridSearchCV

from .promised import (
    CLASSIFIERS,
    SCORE,
    THREE,
    X,
    Y,
    every,
    make,
    refuses,
    same_weights,
    state,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def settled(model):
    """The same for a model that may be a copy: how objects refer to each other does not count."""
    return state(pickle.loads(pickle.dumps(model)))


# ---- interrupts ----


class Interrupt:
    """KeyboardInterrupt at the n-th line of fusedgrad that is executed."""

    def __init__(self, number):
        self.number, self.line = number, 0

    def __enter__(self):
        sys.settrace(self.call)

    def __exit__(self, *error):
        sys.settrace(None)

    def call(self, frame, event, argument):
        return self.trace if "fusedgrad" in frame.f_code.co_filename else None

    def trace(self, frame, event, argument):
        if event == "line":
            self.line += 1
            if self.line == self.number:
                raise KeyboardInterrupt
        return self.trace


def interrupted(model, call):
    """Copies of the model, each interrupted at another line of the call, until one is not."""
    for number in itertools.count(1, 11):
        one, interrupt = copy.deepcopy(model), Interrupt(number)
        try:
            with interrupt:
                call(one)
        except KeyboardInterrupt:
            yield one
            continue
        assert interrupt.line < number  # an interrupt is never swallowed
        return


SWEEP = {
    "fit": lambda: make("MLPClassifier", early_stopping=True, norm=True),
    "refit": lambda: make("NeuralRegressor", average=0.9).fit(X[::2], SCORE[::2]),
    "warm": lambda: make("NeuralClassifier", norm=True, warm_start=True, tol=None).fit(X, THREE, X_val=X, y_val=THREE),
    "lbfgs": lambda: make("MLPRegressor", rule="lbfgs").fit(X[::2], SCORE[::2]),
}


@pytest.mark.parametrize("what", SWEEP)
def test_an_interrupt_anywhere_in_fit_leaves_the_old_model_or_that_of_some_epochs(what):
    model = SWEEP[what]()
    y = THREE if "Classifier" in type(model).__name__ else SCORE
    given = {} if what == "fit" else {"X_val": X, "y_val": y}
    epochs = "max_iter" if "MLP" in type(model).__name__ else "max_epochs"
    before, kept = settled(model), 0
    for one in interrupted(model, lambda one: one.fit(X, y, **given)):
        if settled(one) == before:
            continue
        kept += one.stop_reason_ == "interrupted"
        expected = copy.deepcopy(model).set_params(**{epochs: one.n_iter_}).fit(X, y, **given)
        assert one.loss_curve_ == expected.loss_curve_
        assert len(one.validation_scores_) == len(one.validation_loss_curve_) == len(one.loss_curve_)
        assert one._optimizer.step == expected._optimizer.step
        if what != "fit":  # there the best weights are kept, and a score may be missing
            assert same_weights(one, expected)
            assert vars(one).keys() == vars(expected).keys()
    assert kept > 5


@every
def test_an_interrupt_anywhere_in_partial_fit_leaves_the_old_model_or_the_new(name):
    first = {"classes": [0, 1, 2]} if name in CLASSIFIERS else {}
    model = make(name).partial_fit(X, Y[name], **first)
    before, after = settled(model), settled(copy.deepcopy(model).partial_fit(X, Y[name]))
    assert before != after
    assert all(settled(one) in (before, after) for one in interrupted(model, lambda m: m.partial_fit(X, Y[name])))


def test_ctrl_c_stops_a_search():
    fits = []

    class Interrupted(MLPClassifier):
        def fit(self, X, y):
            fits.append(None)
            return super().fit(X, y)

    def at_step(step):
        if step == 4:
            raise KeyboardInterrupt
        return 0.01

    search = GridSearchCV(Interrupted((3,), learning_rate=at_step, random_state=0), {"alpha": [0.1, 0.2]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, THREE)
    assert len(fits) == 1


@every
def test_an_interrupt_between_epochs_keeps_those_that_were_made(name):
    def at_step(step):
        if step >= 8:
            raise KeyboardInterrupt
        return 0.01

    model = make(name, learning_rate=at_step, rule="nadam", epochs=9)
    with pytest.raises(KeyboardInterrupt, match="interrupted after 2 epochs; the weights reached so far are kept"):
        model.fit(X, Y[name], X_val=X, y_val=Y[name])
    assert (model.stop_reason_, model.n_iter_) == ("interrupted", 2)
    expected = make(name, learning_rate=lambda step: 0.01, rule="nadam", epochs=2).fit(
        X, Y[name], X_val=X, y_val=Y[name]
    )
    assert same_weights(model, expected)
    assert model.loss_curve_ == expected.loss_curve_
    assert model.validation_scores_ == expected.validation_scores_
    model.set_params(learning_rate=lambda step: 0.01, warm_start=True).fit(X, Y[name])
    assert len(model.loss_curve_) == 2 + model.n_iter_


def test_an_interrupted_lbfgs_keeps_the_last_iterate_not_a_trial(monkeypatch):
    made = _network.Training.loss_gradient
    calls = []

    def broken(self, gradient):
        calls.append(self.flat.copy())
        if len(calls) == 12:
            raise KeyboardInterrupt
        return made(self, gradient)

    monkeypatch.setattr(_network.Training, "loss_gradient", broken)
    model = make("MLPRegressor", rule="lbfgs", epochs=100)
    with pytest.raises(KeyboardInterrupt, match="interrupted after"):
        model.fit(X, SCORE)
    monkeypatch.undo()
    assert 1 < model.n_iter_ == len(model.loss_curve_) < 12
    expected = make("MLPRegressor", rule="lbfgs", epochs=model.n_iter_).fit(X, SCORE)
    assert same_weights(model, expected)
    assert model.loss_ == model.loss_curve_[-1] == expected.loss_


def never(step):
    raise KeyboardInterrupt


@every
def test_an_interrupt_before_the_first_step_changes_nothing(name):
    model = make(name).fit(X, Y[name]).set_params(learning_rate=never)
    refuses(None, model, X, Y[name], kind=KeyboardInterrupt)


# ---- divergence ----


def explode(step):
    return 1e-3 if step < 8 else 1e300


@every
def test_divergence_keeps_its_history(name):
    model = make(name, learning_rate=explode, rule=optimizers.SGD(), epochs=9)
    error = refuses(
        r"^Solver produced non-finite parameter weights. The input data may contain large values and need to be "
        r"preprocessed\..*learning rate was too large.*clip_norm.*broke in epoch 3; the last losses were",
        model,
        X,
        Y[name],
        kind=DivergedError,
    )
    assert isinstance(error, ValueError)
    assert (error.epoch, error.rate, len(error.loss_curve)) == (3, 1e300, 3)
    assert (
        error.loss_curve[:2]
        == make(name, learning_rate=explode, rule=optimizers.SGD(), epochs=2).fit(X, Y[name]).loss_curve_
    )
    assert math.isnan(error.loss_curve[2])
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.epoch, copied.rate) == (str(error), 3, 1e300)
    assert copied.loss_curve[:2] == error.loss_curve[:2]


@every
def test_a_last_loss_that_is_not_finite_has_diverged(name):
    """In float32 the penalty overflows before the weights do."""
    rows = X.astype(np.float32)
    rate = {"learning_rate_init" if "MLP" in name else "learning_rate": 1e20}
    model = make(name, rule=optimizers.SGD(clip_norm=1.0), **rate, alpha=1e-30, batch_size="full", epochs=3)
    error = refuses("non-finite", model, rows, Y[name], kind=DivergedError)
    assert error.epoch == len(error.loss_curve) <= 3
    assert not math.isfinite(error.loss_curve[-1])


def leap(step):
    return 1e-3 if step < 2 else 1e25


@every
def test_weights_that_the_last_step_made_useless_have_diverged(name):
    """They are finite in float32, but what is made of them is not."""
    rows = X.astype(np.float32)
    rule = optimizers.SGD(clip_norm=1.0)
    model = make(name, rule=rule, learning_rate=leap, batch_size="full", epochs=3)
    error = refuses("non-finite", model, rows, Y[name], kind=DivergedError)
    assert (error.epoch, error.rate) == (3, 1e25)
    assert np.isfinite(error.loss_curve).all()
