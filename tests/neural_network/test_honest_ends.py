"""Why training ended is told truly: nothing has converged whose loss ended far above where it was."""

import warnings

import numpy as np
import pytest
from fusedgrad._training.rates import Source
from fusedgrad._training.stopping import Stopping, StoppingRule
from fusedgrad.layers import Dense
from fusedgrad.neural_network import MLPRegressor, NeuralClassifier, NeuralRegressor
from fusedgrad.optimizers import SGD
from fusedgrad.schedules import Constant
from sklearn.exceptions import ConvergenceWarning

from .small import CODES, NEURALS, SCORE, THREE, X, Y, make

RATES = Source(Constant(0.1))


def end_of(losses, **rule):
    """The word for training with these losses."""
    stopping = Stopping(StoppingRule(**{"max_epochs": len(losses), "tol": 1e-4, "patience": 3, "judged": True, **rule}))
    for epoch, loss in enumerate(losses, 1):
        reason = stopping.judge(epoch, loss, None, RATES)
        if reason != "none":
            return reason, epoch
    raise AssertionError("training goes on")


# ---- the rule ----


@pytest.mark.parametrize(
    "losses, reason",
    [
        ([0.7, 0.5, 0.4, 0.4, 0.4, 0.4], "converged"),
        ([0.7, 0.7, 0.7, 0.7], "converged"),  # nothing to learn, or nothing left
        ([0.7, 0.5, 0.4, 0.45, 0.42, 0.43], "converged"),  # noise
        ([0.7, 0.2, 0.1, 0.6, 0.6, 0.6], "stalled"),
        ([0.7, 0.2, 0.1, 0.39, 0.39, 0.39], "converged"),  # less than half of what was won
        ([0.74, 20.0, 295.0, 295.0], "diverged"),
        ([0.7, 0.1, 5.0, 0.9, 0.9], "diverged"),
        ([0.7, 0.1, 5.0, 0.05], "max_iter"),
        ([0.7, 0.6, 0.5], "max_iter"),
        ([0.7, 0.6, 90.0], "diverged"),
        ([1e-12, 1e-12, 1e-9, 1e-9], "converged"),
    ],
)
def test_the_word_for_an_end(losses, reason):
    assert end_of(losses)[0] == reason
    assert end_of(losses, judged=False)[0] in ("converged", "max_iter")


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_relative_tolerance_is_a_share_of_the_best_loss(scale):
    losses = [*(scale * np.array([1.0, 0.5, 0.25])), *[scale * 0.25 * (1 - 5e-5 * k) for k in range(1, 9)]]
    assert end_of(losses, relative=True) == ("converged", 6)
    assert end_of(losses, relative=True, tol=1e-5)[0] == "max_iter"


@pytest.mark.parametrize("rate", ["adaptive", 0.01])
def test_targets_in_any_unit_stop_at_the_same_epoch(rate):
    epochs = {
        NeuralRegressor([Dense(4, "tanh")], learning_rate=rate, tol=0.01, max_epochs=500, random_state=0)
        .fit(X, unit * SCORE)
        .n_iter_
        for unit in (0.01, 1.0, 1e5)
    }
    assert len(epochs) == 1
    assert max(epochs) < 500


# ---- networks ----


@pytest.mark.parametrize("name", ["MLPRegressor", "NeuralRegressor"])
@pytest.mark.parametrize("epochs", [30, 1000])
def test_a_rate_above_two_over_the_curvature_has_diverged_and_is_told_of(name, epochs):
    """A linear network on all rows: with a rate a little too large the loss grows by a constant factor."""
    linear = {"hidden_layer_sizes": ()} if "MLP" in name else {"layers": [], "alpha": 0.0}
    curvature = np.linalg.eigvalsh(np.c_[X, np.ones(len(X))].T @ np.c_[X, np.ones(len(X))] / len(X)).max()
    model = make(name, **linear, rate=2.2 / curvature, rule=SGD(), batch_size="full", epochs=epochs, tol=1e-4)
    if "Neural" in name:
        model.set_params(standardize=False)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, SCORE)
    message = str(caught[0].message)
    assert model.stop_reason_ == "diverged"
    assert model.loss_curve_[-1] > 2 * model.loss_curve_[0]
    assert f"the loss was {model.loss_curve_[0]:.4g} in the first one" in message
    assert f"Lower the learning rate (the largest was {2.2 / curvature:g}; try {0.22 / curvature:.2g})" in message
    fine = make(name, **linear, rate=0.22 / curvature, rule=SGD(), batch_size="full", epochs=500, tol=1e-4).fit(
        X, SCORE
    )
    assert fine.stop_reason_ == "converged"


def test_training_that_lost_what_it_had_won_has_stalled():
    def rate(step):
        return 0.05 if step < 60 else 30.0 if step < 63 else 1e-9

    model = NeuralClassifier(
        [Dense(8, "tanh")],
        learning_rate=rate,
        batch_size="full",
        optimizer=SGD(momentum=0.9),
        max_epochs=200,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="Training (stalled|diverged) after .* Lower the learning rate"):
        model.fit(X, THREE)
    assert model.stop_reason_ in ("stalled", "diverged")


@pytest.mark.parametrize("name", NEURALS)
def test_a_score_that_never_moves_is_told_of(name):
    model = make(name, rate=1e-12, epochs=20, early_stopping=True, n_iter_no_change=3, tol=1e-4)
    with pytest.warns(ConvergenceWarning, match="validation score was .* after each of .* epochs"):
        model.fit(X, np.tile(Y[name], 1))
    assert model.stop_reason_ == "early_stopping"


def test_a_perfect_score_needs_no_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = (X[:, 0] > 0).astype(int)
        model = make("NeuralClassifier", epochs=50, rate=0.1, n_iter_no_change=3, tol=1e-4).set_params(
            early_stopping=True
        )
        model.fit(np.c_[y, y], y, X_val=np.c_[y, y], y_val=y)
    assert set(model.validation_scores_) == {1.0}


def test_a_score_that_is_no_number_is_told_of(monkeypatch):
    from fusedgrad.neural_network import _targets

    monkeypatch.setattr(_targets, "r2_score", lambda *arguments, **more: np.nan)
    model = make("NeuralRegressor", epochs=20, early_stopping=True, n_iter_no_change=3, tol=1e-4)
    with pytest.warns(ConvergenceWarning, match=r"validation score is NaN from epoch 1 on .*Lower the learning rate"):
        model.fit(X, SCORE)
    assert model.stop_reason_ == "early_stopping"


def test_lbfgs_that_ends_in_its_line_search_has_stalled(monkeypatch):
    import scipy.optimize

    made = scipy.optimize.minimize

    def abnormal(*arguments, **more):
        found = made(*arguments, **more)
        found.status, found.message = 2, "ABNORMAL"
        return found

    monkeypatch.setattr(scipy.optimize, "minimize", abnormal)
    with pytest.warns(ConvergenceWarning, match="lbfgs stopped early: ABNORMAL") as caught:
        model = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", random_state=0).fit(X, SCORE)
    assert len(caught) == 1
    assert model.stop_reason_ == "stalled"


def test_a_default_fit_that_ends_with_its_schedule_owes_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = NeuralClassifier(random_state=0, max_epochs=3).fit(X, CODES)
    assert (model.stop_reason_, model.n_iter_) == ("max_iter", 3)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
        model.set_params(learning_rate=1e-3).fit(X, CODES)
