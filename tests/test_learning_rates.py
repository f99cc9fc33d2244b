"""`learning_rate` takes a number, a schedule, the name of one, or a callable, wherever it stands."""

import numpy as np
import pytest
from fusedgrad import optimizers, schedules
from fusedgrad.layers import Dense
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDRegressor
from fusedgrad.neural_network import MLPClassifier, MLPRegressor, NeuralClassifier, NeuralRegressor
from fusedgrad.optimizers import SGD, Adam
from fusedgrad.schedules import Constant, Cosine, Linear, OneCycle, ReduceOnPlateau, Warmup
from scipy.optimize import minimize

N, BATCH, EPOCHS = 50, 16, 3
STEPS = EPOCHS * -(-N // BATCH)

MODELS = {
    "SGDClassifier": lambda **p: SGDClassifier(batch_size=BATCH, max_iter=EPOCHS, tol=None, random_state=0, **p),
    "SGDRegressor": lambda **p: SGDRegressor(batch_size=BATCH, max_iter=EPOCHS, tol=None, random_state=0, **p),
    "MLPClassifier": lambda **p: MLPClassifier((3,), batch_size=BATCH, max_iter=EPOCHS, random_state=0, **named(p)),
    "MLPRegressor": lambda **p: MLPRegressor(
        hidden_layer_sizes=(3,), batch_size=BATCH, max_iter=EPOCHS, random_state=0, **named(p)
    ),
    "NeuralClassifier": lambda **p: NeuralClassifier(
        [Dense(3, "relu")], batch_size=BATCH, max_epochs=EPOCHS, tol=None, random_state=0, **p
    ),
    "NeuralRegressor": lambda **p: NeuralRegressor(
        [Dense(3, "relu")], batch_size=BATCH, max_epochs=EPOCHS, tol=None, random_state=0, **p
    ),
}
# What a schedule that goes by its name begins with.
RATE = {"SGD": 0.01, "MLP": 0.001, "Neural": 0.001}
every_model = pytest.mark.parametrize("name", MODELS)


def named(params):
    return {"solver" if name == "optimizer" else name: value for name, value in params.items()}


def rate_of(name):
    return next(rate for prefix, rate in RATE.items() if name.startswith(prefix))


def data():
    X = np.random.default_rng(0).normal(size=(N, 4))
    return X, (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int)


def weights(model):
    return [np.asarray(w) for w in getattr(model, "weights_", None) or getattr(model, "coefs_", None) or [model.coef_]]


def assert_same(a, b):
    for ours, theirs in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(ours, theirs)


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@every_model
def test_a_number_is_a_constant_rate(name):
    X, y = data()
    for rate in (0.05, np.float32(0.25), 1):
        expected = MODELS[name](learning_rate=Constant(float(rate))).fit(X, y)
        assert_same(MODELS[name](learning_rate=rate).fit(X, y), expected)
        optimizer = MODELS[name](optimizer=Adam(Constant(float(rate)))).fit(X, y)
        assert_same(MODELS[name](optimizer=Adam(rate)).fit(X, y), optimizer)


@every_model
@pytest.mark.parametrize("kind", [Cosine, Linear, OneCycle, schedules.Polynomial])
def test_the_name_of_a_schedule_is_one_as_long_as_training(name, kind):
    X, y = data()
    called = next(known for known in schedules.names() if schedules.CATALOG[known] is kind)
    expected = MODELS[name](learning_rate=kind(rate_of(name), steps=STEPS)).fit(X, y)
    assert_same(MODELS[name](learning_rate=called).fit(X, y), expected)
    other = MODELS[name](learning_rate=kind(rate_of(name), steps=STEPS + 1)).fit(X, y)
    assert any((a != b).any() for a, b in zip(weights(other), weights(expected), strict=True))


@every_model
def test_an_optimizer_with_the_name_of_a_schedule_begins_with_its_default_rate(name):
    X, y = data()
    expected = MODELS[name](optimizer=Adam(Cosine(Adam.default_rate, steps=STEPS))).fit(X, y)
    assert_same(MODELS[name](optimizer=Adam("cosine")).fit(X, y), expected)


@every_model
def test_a_plateau_goes_by_its_name(name):
    X, y = data()
    expected = MODELS[name](learning_rate=ReduceOnPlateau(rate_of(name))).fit(X, y)
    assert_same(MODELS[name](learning_rate="reduce_on_plateau").fit(X, y), expected)


def test_the_estimators_rate_is_the_first():
    X, y = data()
    linear = MODELS["SGDClassifier"](learning_rate="cosine", eta0=0.3).fit(X, y)
    assert_same(linear, MODELS["SGDClassifier"](learning_rate=Cosine(0.3, STEPS)).fit(X, y))
    mlp = MODELS["MLPClassifier"](learning_rate="cosine", learning_rate_init=0.3).fit(X, y)
    assert_same(mlp, MODELS["MLPClassifier"](learning_rate=Cosine(0.3, STEPS)).fit(X, y))
    net = MODELS["NeuralClassifier"](learning_rate="cosine", optimizer="adadelta").fit(X, y)
    assert_same(net, MODELS["NeuralClassifier"](learning_rate=Cosine(1.0, STEPS), optimizer="adadelta").fit(X, y))


def test_scikit_learns_names_keep_scikit_learns_meaning():
    X, y = data()
    model = MODELS["SGDClassifier"](learning_rate="constant", eta0=0.3).fit(X, y)
    assert_same(model, MODELS["SGDClassifier"](learning_rate=0.3).fit(X, y))
    optimal = MODELS["SGDClassifier"](learning_rate="optimal").fit(X, y)  # not `schedules.Optimal`
    other = MODELS["SGDClassifier"](learning_rate=schedules.Optimal(1e-4)).fit(X, y)
    assert (optimal.coef_ != other.coef_).any()


def test_one_sample_a_step_takes_them_too():
    X, y = data()
    for value, schedule in ((0.05, Constant(0.05)), ("cosine", Cosine(0.01, steps=2 * N))):
        ours = SGDClassifier(learning_rate=value, max_iter=2, tol=None, random_state=0).fit(X, y)
        assert_same(ours, SGDClassifier(learning_rate=schedule, max_iter=2, tol=None, random_state=0).fit(X, y))


def test_grids_take_them():
    X, y = data()
    for value, schedule in ((0.05, Constant(0.05)), ("linear", Linear(0.01, steps=4 * 2))):
        shared = {"alphas": [1e-3], "cv": 2, "batch_size": 7, "max_iter": 2, "tol": None, "random_state": 0}
        shared["optimizer"] = "sgd"
        ours = SGDClassifierCV(learning_rate=value, refit=False, **shared).fit(X, y)
        theirs = SGDClassifierCV(learning_rate=schedule, refit=False, **shared).fit(X, y)
        np.testing.assert_array_equal(ours.coefs_paths_, theirs.coefs_paths_)


def test_a_warm_start_goes_on_to_the_end_of_the_longer_training():
    X, y = data()
    model = MODELS["SGDClassifier"](learning_rate="linear", warm_start=True).fit(X, y)
    before = model.coef_.copy()
    model.fit(X, y)
    assert (model.coef_ != before).any()  # the schedule does not stay at its end
    net = MODELS["NeuralClassifier"](learning_rate="linear", warm_start=True).fit(X, y)
    before = net.weights_[0].copy()
    assert (net.fit(X, y).weights_[0] != before).any()


@every_model
def test_partial_fit_does_not_know_the_end(name):
    X, y = data()
    classes = {"classes": [0, 1]} if "Classifier" in name else {}
    for params in ({"learning_rate": "cosine"}, {"optimizer": Adam("cosine")}):
        with pytest.raises(ValueError, match=r"'cosine' also needs steps.*schedules\.Cosine\(rate="):
            MODELS[name](**params).partial_fit(X, y, **classes)
    MODELS[name](learning_rate="inverse_scaling").partial_fit(X, y, **classes)


@every_model
@pytest.mark.parametrize("rate", ["step", "warmup", "cyclic", "piecewise"])
def test_names_that_leave_a_parameter_open_say_what_to_give(name, rate):
    X, y = data()
    kind = schedules.CATALOG[rate].__name__
    with pytest.raises(ValueError, match=rf"Got '{rate}' instead\..* Give an object: schedules\.{kind}\("):
        MODELS[name](learning_rate=rate).fit(X, y)


def test_optimizers_take_names():
    with pytest.raises(ValueError, match=r"Got 'exponential' instead\. Give an object: schedules\.Exponential\(rate"):
        Adam("exponential")
    w = np.zeros(2)
    adam = Adam("inverse_scaling")
    state, expected = adam.init(w), np.zeros(2)
    object_state = Adam(schedules.InverseScaling(0.001)).init(expected)
    for _ in range(3):
        adam.step(w, np.ones(2), state)
        Adam(schedules.InverseScaling(0.001)).step(expected, np.ones(2), object_state)
    np.testing.assert_array_equal(w, expected)
    cosine = Adam("cosine")
    state = cosine.init(w)
    with pytest.raises(ValueError, match="'cosine' also needs steps"):
        cosine.step(w, np.ones(2), state)
    assert state.step == 0


def test_minimize_tells_a_schedule_its_length():
    def run(rate):
        options = {"maxiter": 40, "gtol": 0.0}
        return minimize(lambda x: x @ x, [1.0, 2.0], jac=lambda x: 2 * x, method=SGD(rate), options=options)

    np.testing.assert_array_equal(run("cosine").x, run(Cosine(0.001, steps=40)).x)
    found = minimize(lambda x: x @ x, [1.0], jac=lambda x: 2 * x, method=optimizers.Adadelta("cosine"))
    assert found.nit > 0


def test_warmup_takes_a_number():
    assert Warmup(0.1, steps=4) == Warmup(Constant(0.1), steps=4)


def test_as_schedule_makes_schedules_of_names():
    assert schedules.as_schedule("cosine", rate=0.1, steps=10) == Cosine(0.1, steps=10)
    assert schedules.as_schedule("constant", rate=0.1, steps=10) == Constant(0.1)
    assert schedules.as_schedule(0.5, rate=0.1) == Constant(0.5)
    with pytest.raises(ValueError, match="Did you mean 'cosine'"):
        schedules.as_schedule("cosin", rate=0.1, steps=10)
