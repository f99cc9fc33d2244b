"""Parts of the rows, epochs one by one, who shares a pass with whom, overflow, going on."""

import copy
import pickle

import numpy as np
import pytest
from fusedgrad import fit_many
from fusedgrad._training import rates as _rates
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from fusedgrad.linear_model._together import Together
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from .sets import (
    GOOD,
    KINDS,
    Case,
    assert_all_as_alone,
    assert_as_alone,
    assert_together_as_alone,
    bits,
    data,
    every_kind,
    every_storage,
    fitted_alone,
    various,
)

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


# ---- some of the rows; epoch by epoch; leaving ----


@every_storage
@every_kind
def test_training_on_some_rows_is_fitting_on_them(kind, storage):
    X, y = data(kind, storage=storage)
    rng = np.random.default_rng(4)
    W = rng.uniform(0.2, 2, (len(y), 12))
    params = various(kind, early_stopping=False)
    for rows in (np.arange(60), np.sort(rng.permutation(len(y))[:77]), rng.permutation(len(y))[:50]):
        for weights in (None, W[:, 0], W):
            case = Case(kind, params, X, y, weights, rows)
            together, judges = assert_together_as_alone(case)
            assert together.passes == [list(range(12))]
            assert not any(isinstance(judge, Exception) for judge in judges)


@every_storage
def test_classes_that_the_rows_lack_are_not_learned(storage):
    X, y = data("several", storage=storage)
    rows = np.flatnonzero(y != 1)
    _, judges = assert_together_as_alone(Case("several", various("several"), X, y, None, rows))
    assert all(judge.classes_.tolist() == [0, 2] for judge in judges)


def test_rows_whose_weights_are_all_zero_have_nothing_to_teach():
    X, y = data()
    rows = np.arange(40)
    for weights in (np.where(np.arange(len(y)) < 40, 0.0, 1.0), np.tile(np.arange(len(y)) >= 40, (2, 1)).T * 1.0):
        case = Case("binary", [GOOD, GOOD], X, y, weights, rows)
        assert "zero for every sample" in str(case.alone(case.models()[0], 0))
        with pytest.raises(ValueError, match="sample_weights.* zero for every sample"):
            case.together(case.models())


@every_kind
def test_epoch_by_epoch_is_all_at_once_and_the_weights_are_those_of_the_moment(kind):
    X, y = data(kind)
    params = [{**each, "max_iter": 2 + k % 4} for k, each in enumerate(various(kind))]
    case = Case(kind, params, X, y)
    models = case.models()
    together = case.together(models)
    epochs = 0
    while not together.ended:
        together.run(1)
        epochs += 1
        for k, each in enumerate(params):
            judge = KINDS[kind](**{**each, "max_iter": min(epochs, each["max_iter"])}).fit(X, y)
            coef, intercept = together.weights(k)
            np.testing.assert_array_equal(coef, np.atleast_2d(judge.coef_))
            np.testing.assert_array_equal(intercept, judge.intercept_)
    assert epochs == 5
    together.run()  # nothing more to do
    together.settle()
    assert_all_as_alone(models, fitted_alone(kind, params, X, y))


@pytest.mark.parametrize("steps", [(1, 1, 1, 1), (3, 1), (2, None)])
@every_storage
def test_runs_add_up(storage, steps):
    X, y = data(storage=storage)
    models = [SGDClassifier(**params) for params in various()]
    together = Together(models, X, y)
    assert not together.ended
    for epochs in steps:
        assert not together.ended
        together.run(epochs)
    assert together.ended
    together.settle()
    assert_all_as_alone(models, fitted_alone("binary", various(), X, y))


@every_storage
@every_kind
def test_who_leaves_keeps_its_weights_and_the_others_do_not_notice(kind, storage):
    X, y = data(kind, storage=storage)
    params = various(kind, max_iter=5)
    models = [KINDS[kind](**each) for each in params]
    together = Together(models, X, y)
    made = {}
    for epoch, gone in enumerate(([1, 4, 5], [], [0, 11], [2, 7]), start=1):
        together.run(1)
        together.drop(gone)
        made.update(dict.fromkeys(gone, epoch))
    together.run()
    assert together.ended
    together.drop([3])  # has ended already
    together.settle()
    for k, (model, each) in enumerate(zip(models, params, strict=True)):
        judge = KINDS[kind](**{**each, "max_iter": made.get(k, 5)}).fit(X, y)
        if k in made:
            assert model.stop_reason_ == "dropped"
            model.stop_reason_ = judge.stop_reason_
        assert_as_alone(model, judge)


def test_estimators_stay_as_they_are_until_they_are_settled():
    X, y = data()
    models = [SGDClassifier(**params) for params in various()]
    before = [dict(vars(model)) for model in models]
    together = Together(models, X, y)
    together.run()
    assert [vars(model) for model in models] == before
    together.settle()
    assert all(hasattr(model, "coef_") for model in models)


# ---- who shares with whom ----


def passes(changes, **options):
    """Of models of the same parameters but for some changes: how they are fitted, and that they are as alone."""
    X, y = data(**options)
    params = [{**GOOD, "alpha": 10.0 ** -(k + 1), **each} for k, each in enumerate(changes)]
    models = fit_many([SGDClassifier(**copy.deepcopy(each)) for each in params], X, y)
    assert_all_as_alone(models, fitted_alone("binary", copy.deepcopy(params), X, y))
    return models


def test_models_of_one_stream_share_a_pass():
    models = passes([{"optimizer": "adam"}, {"loss": "log_loss", "tol": 1e-3}, {"average": True}, {"n_jobs": 2}])
    assert models.passes == [[0, 1, 2, 3]]
    assert models.alone == {}


def test_one_model_has_nobody_to_share_with_which_needs_no_reason():
    models = passes([{}])
    assert models.passes == [[0]]
    assert models.alone == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"batch_size": 17}, "batch_size"),
        ({"batch_size": "full"}, "batch_size"),
        ({"random_state": 4}, "random_state"),
        ({"shuffle": "rows"}, "shuffle"),
        ({"early_stopping": True}, "the rows that early_stopping keeps aside"),
        ({"batch_size": 8, "random_state": 1}, "batch_size and random_state"),
    ],
)
def test_who_differs_in_the_stream_is_alone_and_told_why(change, reason):
    for place in (0, 1, 2):
        changes = [{}, {}]
        changes.insert(place, change)
        models = passes(changes)
        assert sorted(models.passes, key=len) == [[place], sorted({0, 1, 2} - {place})]
        assert list(models.alone) == [place]
        assert f"differs from the others in {reason}" in models.alone[place]


def test_every_stream_of_several_models_is_a_pass():
    models = passes([{}, {"batch_size": 9}, {}, {"batch_size": 9}, {"early_stopping": True}, {"early_stopping": True}])
    assert sorted(models.passes) == [[0, 2], [1, 3], [4, 5]]
    assert models.alone == {}


def test_batches_of_all_rows_are_one_stream_by_whatever_name():
    models = passes([{"batch_size": "full"}, {"batch_size": 120}])
    assert models.passes == [[0, 1]]


def test_one_sample_a_step_cannot_share_and_neither_end_spoils_the_other():
    models = passes([{"batch_size": 1}, {}, {"batch_size": 1, "penalty": "l1"}, {}, {"batch_size": 1}])
    assert models.passes == [[1, 3]]
    assert sorted(models.alone) == [0, 2, 4]
    assert all("batch_size=1" in why for why in models.alone.values())
    # one sample a step of a rule of the mini-batch engine can
    models = passes([{"batch_size": 1, "optimizer": "adam"}, {"batch_size": 1, "optimizer": "lion"}])
    assert models.passes == [[0, 1]]


def test_models_with_callbacks_are_alone():
    callback = pytest.importorskip("sklearn.callback", reason="the protocol came with scikit-learn 1.9")
    X, y = data()
    models = [SGDClassifier(**GOOD), SGDClassifier(**GOOD, alpha=0.1), SGDClassifier(**GOOD, penalty="l1")]
    judges = [clone(model).fit(X, y) for model in models]
    models[1].set_callbacks(callback.ScoringMonitor(scoring="accuracy"))
    fitted = fit_many(models, X, y)
    assert fitted.passes == [[0, 2]]
    assert list(fitted.alone) == [1]
    assert "callbacks" in fitted.alone[1]
    for model, judge in zip(fitted, judges, strict=True):
        np.testing.assert_array_equal(model.coef_, judge.coef_)


def test_models_that_leave_the_seed_to_chance_share_and_keep_their_parameter():
    X, y = data()
    models = fit_many([SGDClassifier(**{**GOOD, "random_state": None}) for _ in range(3)], X, y)
    assert models.passes == [[0, 1, 2]]
    assert all(model.random_state is None for model in models)
    assert len({model.coef_.tobytes() for model in models}) == 1
    others = fit_many([SGDClassifier(**{**GOOD, "random_state": None}) for _ in range(3)], X, y)
    assert models[0].coef_.tobytes() != others[0].coef_.tobytes()


def test_generators_are_used_as_by_one_fit_after_the_other():
    X, y = data()

    def models(states):
        return [SGDClassifier(**{**GOOD, "random_state": state}) for state in states]

    equal = fit_many(models([np.random.RandomState(7), np.random.RandomState(7)]), X, y)
    assert equal.passes == [[0, 1]]
    rng = np.random.RandomState(7)
    one_for_all = fit_many(models([rng, rng, 5]), X, y)
    assert sorted(one_for_all.passes) == [[0], [1], [2]]
    rng = np.random.RandomState(7)
    for model, judge in zip(one_for_all, models([rng, rng, 5]), strict=True):
        np.testing.assert_array_equal(model.coef_, judge.fit(X, y).coef_)


# ---- weights that overflow ----


@pytest.mark.parametrize("batch_size", [1, 16])
@every_storage
def test_a_model_that_overflows_is_named_and_nothing_is_updated(storage, batch_size):
    X, y = data("regression", storage=storage)
    models = [SGDRegressor(**{**GOOD, "batch_size": batch_size}, alpha=alpha).fit(X, -y) for alpha in (0.1, 0.01, 1)]
    models[1].set_params(eta0=1e300)
    before = [bits(model) for model in models]
    attributes = [dict(vars(model)) for model in models]
    with pytest.raises(ValueError, match=r"^model 1: Floating-point under-/overflow occurred at epoch #\d+"):
        fit_many(models, X, y)
    assert [bits(model) for model in models] == before
    for model, had in zip(models, attributes, strict=True):
        assert all(vars(model)[name] is value for name, value in had.items())


@every_storage
def test_neighbours_of_a_model_that_overflows_are_as_alone(storage):
    X, y = data("regression", storage=storage)
    params = various("regression")
    for k in (0, 5, 9):
        params[k] = {**GOOD, "eta0": 1e30 if k else 1e4, "max_iter": 100}  # in the first epoch, or later
    case = Case("regression", params, X, y)
    together, judges = assert_together_as_alone(case)
    assert [k for k, judge in enumerate(judges) if isinstance(judge, ValueError)] == [0, 5, 9]
    assert together.passes == [list(range(12))]
    later = Together(case.models(), X, y, names=[f"no. {k + 1}" for k in range(12)])
    later.run()
    assert str(later.errors[5]).startswith("no. 6: Floating-point")


@every_storage
def test_a_retreat_of_automatic_rates_is_nobody_elses_affair(monkeypatch, storage):
    retreats = []
    retreat = _rates.Automatic.retreat
    monkeypatch.setattr(_rates.Automatic, "retreat", lambda self: (retreats.append(self), retreat(self))[1])
    X, y = data("regression", storage=storage)
    params = [
        {**each, "learning_rate": "invscaling" if k % 2 else "constant"} for k, each in enumerate(various("regression"))
    ]
    # steps of about the rate, whatever the gradient: so large that squares overflow
    params[3] = {**GOOD, "optimizer": "adam", "learning_rate": "invscaling", "eta0": 1e155}
    case = Case("regression", params, X, y)
    models = case.models()
    together = case.together(models)
    together.run()
    together.settle()
    count = len(retreats)
    assert count > 0
    assert len(set(map(id, retreats))) == 1
    judges = [case.alone(model, k) for k, model in enumerate(case.models())]
    assert len(retreats) == 2 * count
    assert not any(isinstance(judge, Exception) for judge in judges)
    assert_all_as_alone(models, judges)


# ---- going on ----


@every_storage
@every_kind
def test_a_warm_start_goes_on_as_after_fit(kind, storage):
    X, y = data(kind, storage=storage)
    params = various(kind, warm_start=True, max_iter=2)
    models = fit_many([KINDS[kind](**each) for each in params], X, y)
    judges = fitted_alone(kind, params, X, y)
    models = fit_many(models, X, y)
    assert models.passes == [list(range(12))]
    assert_all_as_alone(models, [judge.fit(X, y) for judge in judges])
    models = [pickle.loads(pickle.dumps(model)).fit(X, y) for model in models]  # each by itself again
    assert_all_as_alone(models, [judge.fit(X, y) for judge in judges])


def test_a_warm_start_and_a_cold_one_do_not_share_as_the_rows_come_in_another_order():
    X, y = data()
    models = [SGDClassifier(**GOOD, warm_start=True), SGDClassifier(**GOOD, warm_start=True), SGDClassifier(**GOOD)]
    judges = [clone(model) for model in models]
    for each in (models, judges):
        each[0].fit(X, y)
        each[2].fit(X, y)
    fitted = fit_many(models, X, y)
    assert sorted(fitted.passes) == [[0], [1, 2]]
    assert "epochs" in fitted.alone[0]
    assert_all_as_alone(models, [judge.fit(X, y) for judge in judges])


@every_storage
@every_kind
def test_partial_fit_goes_on_as_after_fit(kind, storage):
    X, y = data(kind, storage=storage)
    params = various(kind)
    for each in params:
        each.pop("class_weight", None)
    models = fit_many([KINDS[kind](**each) for each in params], X, y)
    judges = fitted_alone(kind, params, X, y)
    for part in (slice(0, 50), slice(30, 120)):
        for model, judge in zip(models, judges, strict=True):
            model.partial_fit(X[part], y[part])
            judge.partial_fit(X[part], y[part])
            np.testing.assert_array_equal(model.coef_, judge.coef_)
            np.testing.assert_array_equal(model.intercept_, judge.intercept_)
            assert len(model.loss_curve_) == len(judge.loss_curve_)


@pytest.mark.parametrize("average", [True, 5, 10**6])
def test_averages_go_on_as_after_fit(average):
    X, y = data("several")
    params = [{**GOOD, "average": average, "warm_start": True, "alpha": alpha} for alpha in (0.1, 0.01)]
    models, judges = fit_many([SGDClassifier(**each) for each in params], X, y), fitted_alone("several", params, X, y)
    for _ in range(2):
        assert_all_as_alone(models, judges)
        fit_many(models, X, y)
        judges = [judge.fit(X, y) for judge in judges]
    assert_all_as_alone(models, judges)


def test_a_second_call_begins_anew_without_warm_start():
    X, y = data("several")
    models = fit_many([SGDClassifier(**params) for params in various("several")], *data())
    fit_many(models, X, y)
    assert_all_as_alone(models, fitted_alone("several", various("several"), X, y))
