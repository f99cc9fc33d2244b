"""Optimizers, schedules, layers and losses have parameters that can be searched, and stay what they were."""

import copy
import pickle

import numpy as np
import pytest
from fusedgrad import layers, losses, optimizers, schedules
from fusedgrad.layers import BatchNorm, Dense, Dropout, Residual
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDRegressor, SGDRegressorCV
from fusedgrad.neural_network import MLPClassifier, MLPRegressor, NeuralClassifier, NeuralRegressor
from fusedgrad.optimizers import SGD, Adam
from fusedgrad.schedules import Constant, Cosine, Warmup
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from . import reference
from .reference.rules import VARIANTS
from .reference.table import named

PARTS = [
    *VARIANTS,
    *(losses.get(name, **fields) for name, known in reference.losses.ROWS.items() for fields in known.fields),
    *(known.example for known in reference.schedules.ROWS.values()),
    *dict.fromkeys(layer for _, stack, _ in reference.layers.EXAMPLES for layer in stack),
    Adam(Warmup(Cosine(0.1, steps=10), steps=2), clip_norm=1.0),
    Warmup(lambda step: 0.1, steps=3),
    Dense(3, "relu", init=0.5, label="a"),
    Residual([Dense(4, "gelu"), Residual([Dropout(0.1)]), Dense(4)]),
]


def data(n=60, d=4, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, d))
    return X, (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int)


@pytest.mark.parametrize("part", PARTS, ids=named)
def test_a_part_is_its_parameters(part):
    params = part.get_params(deep=False)
    assert type(part)(**params) == part
    assert part.set_params() == part
    assert part.set_params(**params) == part
    assert part.set_params(**part.get_params()) == part
    assert params.items() <= part.get_params(deep=True).items()
    assert clone(part) is part


@pytest.mark.parametrize("part", PARTS, ids=named)
def test_parts_can_be_copied(part):
    assert copy.copy(part) == part
    assert copy.deepcopy(part) == part
    if "lambda" not in repr(part):
        again = pickle.loads(pickle.dumps(part))
        assert again == part
        assert repr(again) == repr(part)
        assert hash(again) == hash(part)


def test_set_params_returns_a_new_part():
    adam = Adam(Cosine(0.1, steps=10), beta_1=0.8)
    other = adam.set_params(beta_1=0.7, learning_rate__rate=0.5)
    assert adam == Adam(Cosine(0.1, steps=10), beta_1=0.8)
    assert other == Adam(Cosine(0.5, steps=10), beta_1=0.7)
    assert adam.set_params(learning_rate=Constant(1.0), learning_rate__rate=2.0) == Adam(Constant(2.0), beta_1=0.8)
    assert Warmup(Cosine(0.1, 5), steps=2).set_params(schedule__steps=7) == Warmup(Cosine(0.1, 7), steps=2)
    assert Warmup(0.1, steps=2).set_params(schedule__rate=0.2) == Warmup(0.2, steps=2)
    assert losses.Huber().set_params(epsilon=2.0) == losses.Huber(epsilon=2.0)


def test_parameters_of_parts_go_by_their_path():
    block = Residual([Dense(4, "relu"), Residual([Dense(3)])])
    params = block.get_params()
    assert params["layers__0__units"] == 4
    assert params["layers__1__layers__0"] == Dense(3)
    assert block.set_params(layers__1__layers__0__units=7, layers__0=Dropout(0.1)) == Residual(
        [Dropout(0.1), Residual([Dense(7)])]
    )
    assert Adam(Warmup(Cosine(0.1, 5), 2)).get_params()["learning_rate__schedule__rate"] == 0.1


@pytest.mark.parametrize(
    "part, params, message",
    [
        (Adam(), {"beta1": 0.5}, r"Invalid parameter 'beta1' for Adam\(\)\. Valid .*'beta_1'.*Did you mean 'beta_1'"),
        (Adam(), {"beta_1": 2}, r"'beta_1' parameter of Adam must be .* Got 2 instead"),
        (
            Adam(),
            {"learning_rate__rate": 0.1},
            "learning_rate__rate cannot be set, because learning_rate=None is",
        ),
        (Adam("cosine"), {"learning_rate__steps": 5}, "learning_rate__steps cannot be set, because .*'cosine'"),
        (Dense(3), {"size": 2}, r"Invalid parameter 'size' for Dense\(3\)"),
        (Residual([Dense(3)]), {"layers__1__units": 2}, "layers__1 is not there: layers has 1 items, layers__0 to lay"),
        (Residual([Dense(3)]), {"layers__a": 2}, "layers__a is not there"),
        (Residual([Dense(3)]), {"layers__0__units": 0}, "'units' parameter of Dense must be"),
    ],
)
def test_wrong_parameters_of_parts(part, params, message):
    with pytest.raises(ValueError, match=message):
        part.set_params(**params)


# ---- in estimators ----


def test_estimators_replace_their_parts():
    adam = Adam(0.1)
    model = SGDClassifier(optimizer=adam, batch_size=8)
    assert model.get_params()["optimizer__learning_rate"] == 0.1
    assert model.set_params(optimizer__learning_rate=0.2, alpha=1e-3) is model
    assert model.optimizer == Adam(0.2)
    assert model.alpha == 1e-3
    assert adam == Adam(0.1)
    given = [Dense(8, "relu"), BatchNorm(), Residual([Dense(8), Dense(8)])]
    net = NeuralClassifier(given)
    assert net.get_params()["layers__2__layers__1__units"] == 8
    net.set_params(layers__0__units=16, layers__2__layers__0__activation="tanh", layers__1=Dropout(0.1))
    assert net.layers == [Dense(16, "relu"), Dropout(0.1), Residual([Dense(8, "tanh"), Dense(8)])]
    assert given == [Dense(8, "relu"), BatchNorm(), Residual([Dense(8), Dense(8)])]
    schedule = SGDRegressor(learning_rate=Warmup(Cosine(0.1, 5), 2))
    assert schedule.set_params(learning_rate__schedule__steps=9).learning_rate == Warmup(Cosine(0.1, 9), 2)
    assert MLPRegressor(losses.Quantile(quantile=0.9)).set_params(loss__quantile=0.1).loss.fields == {"quantile": 0.1}


def test_names_of_optimizers_become_objects():
    assert SGDClassifier(optimizer="adam").set_params(optimizer__learning_rate=0.2).optimizer == Adam(0.2)
    assert SGDRegressorCV(optimizer="adam").set_params(optimizer__beta_1=0.5).optimizer == Adam(beta_1=0.5)
    assert NeuralRegressor([], optimizer="sgd").set_params(optimizer__momentum=0.5).optimizer == SGD(momentum=0.5)
    model = SGDClassifier().set_params(optimizer__learning_rate=0.2, optimizer="adam")
    assert model.optimizer == Adam(0.2)
    # scikit-learn's solvers in scikit-learn's form
    mlp = MLPClassifier(beta_2=0.9).set_params(solver__beta_1=0.5)
    assert mlp.solver == Adam(beta_1=0.5, beta_2=0.9, epsilon_hat=True)
    assert MLPRegressor("quantile").set_params(loss__quantile=0.9).loss == losses.Quantile(quantile=0.9)


@pytest.mark.parametrize(
    "model, params, message",
    [
        (SGDClassifier(), {"losss": "hinge"}, r"Invalid parameter 'losss' for estimator SGDC.*Did you mean 'loss'"),
        (SGDClassifier(), {"alpha": 1, "optimizer__beta_1": 0.5}, r"Invalid parameter 'beta_1' for SGD\(\)"),
        (SGDClassifier(), {"alpha": 1, "optimiser__beta_1": 0.5}, "Invalid parameter 'optimiser'.*mean 'optimizer'"),
        (
            SGDClassifier(),
            {"learning_rate__rate": 0.5},
            "learning_rate__rate cannot be set, because learning_rate='",
        ),
        (SGDClassifier(), {"optimizer": "adm", "optimizer__beta_1": 0.5}, "no optimizer named 'adm'.*mean 'adam'"),
        (MLPClassifier(solver="lbfgs"), {"alpha": 1, "solver__beta_1": 0.5}, "solver__beta_1 cannot be set"),
        (NeuralClassifier([Dense(3)]), {"layers__0__units": "many"}, "'units' parameter of Dense must be an int"),
        (SGDClassifierCV(), {"alphas__0": 1}, "alphas__0 cannot be set"),
    ],
)
def test_after_a_wrong_parameter_an_estimator_is_as_before(model, params, message):
    before = model.get_params()
    with pytest.raises(ValueError, match=message):
        model.set_params(**params)
    assert model.get_params() == before


def test_parameters_of_parts_can_be_searched():
    X, y = data()
    net = NeuralClassifier([Dense(4, "relu"), Dropout(0.1)], max_epochs=2, tol=None, random_state=0, input_shape=(4,))
    grid = {"layers__0__units": [2, 3], "optimizer__learning_rate": [0.01, 0.1]}
    search = GridSearchCV(net, grid, cv=2).fit(X, y)
    assert search.best_estimator_.layers[0].units in (2, 3)
    assert search.best_estimator_.optimizer.learning_rate in (0.01, 0.1)
    assert len({repr(params) for params in search.cv_results_["params"]}) == 4
    units = search.best_params_["layers__0__units"]
    assert search.best_estimator_.weights_[0].shape == (4, units)

    pipe = make_pipeline(StandardScaler(), SGDClassifier(batch_size=8, max_iter=3, tol=None, random_state=0))
    grid = {
        "sgdclassifier__optimizer": ["adam", "sgd"],
        "sgdclassifier__optimizer__learning_rate": [Cosine(0.1, 5), 0.01],
    }
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    expected = {"adam": Adam, "sgd": SGD}[search.best_params_["sgdclassifier__optimizer"]]
    assert isinstance(search.best_estimator_[-1].optimizer, expected)


def test_estimators_with_parts_can_be_shown_and_cloned():
    net = NeuralClassifier([Dense(4, "relu")], optimizer=Adam(Cosine(0.1, steps=3)))
    again = clone(net)
    assert again.layers is not net.layers
    assert again.layers[0] is net.layers[0]
    assert again.optimizer is net.optimizer
    assert "Dense(4, 'relu')" in repr(net)
    assert "NeuralClassifier" in net._repr_html_()


class Wrapper(SGDClassifier):
    """A subclass with an estimator of its own among its parameters."""

    def __init__(self, inner=None, alpha=1e-4):
        super().__init__(alpha=alpha)
        self.inner = inner


def test_estimators_within_estimators_are_set_in_place_as_in_scikit_learn():
    inner = SGDRegressor()
    model = Wrapper(inner)
    assert model.get_params()["inner__alpha"] == 1e-4
    model.set_params(inner__alpha=2.0)
    assert model.inner is inner
    assert inner.alpha == 2.0


# ---- classes of one's own ----


def test_own_losses_are_refused_with_a_sentence():
    with pytest.raises(TypeError, match=r"Mine: losses of your own come in a later version.*scipy\.optimize\.minimize"):

        class Mine(losses.SquaredError):
            pass

    with pytest.raises(TypeError, match="losses of your own come in a later version"):

        class Other(losses.Loss):
            name = "other"

    with pytest.raises(TypeError, match="Loss is abstract"):
        losses.Loss()


def test_own_optimizers_and_layers_are_refused_with_a_sentence():
    class Mine(optimizers.Optimizer):
        name = "mine"

    with pytest.raises(TypeError, match="Mine: optimizers of your own must be derived from one of the others.*adam"):
        Mine()

    class Other(layers.Layer):
        pass

    X, y = data()
    with pytest.raises(NotImplementedError, match="Other: layers of your own are not possible"):
        NeuralClassifier([Other()]).fit(X, y)


# ---- names that are nearly right ----


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda X, y: losses.get("hing"), "hinge"),
        (lambda X, y: optimizers.get("adamm"), "adam"),
        (lambda X, y: schedules.get("one_cycl"), "one_cycle"),
        (lambda X, y: losses.Huber(epsilo=1.0), "epsilon"),
        (lambda X, y: Dense(3, "ReLU"), "relu"),
        (lambda X, y: Dense(3, init="he_norml"), "he_normal"),
        (lambda X, y: layers.SimpleRNN(3, activation="tan"), "tanh"),
        (lambda X, y: Cosine.__mro__ and schedules.OneCycle(0.1, 5, anneal="lin"), "linear"),
        (lambda X, y: SGDClassifier(loss="log-loss").fit(X, y), "log_loss"),
        (lambda X, y: SGDClassifier(penalty="elastic_net").fit(X, y), "elasticnet"),
        (lambda X, y: SGDClassifier(learning_rate="cosin").fit(X, y), "cosine"),
        (lambda X, y: SGDClassifier(optimizer="rms_prop").fit(X, y), "rmsprop"),
        (lambda X, y: SGDClassifierCV(loss="log-loss").fit(X, y), "log_loss"),
        (lambda X, y: SGDClassifierCV(scoring="acuracy").fit(X, y), "accuracy"),
        (lambda X, y: MLPClassifier(activation="rellu").fit(X, y), "relu"),
        (lambda X, y: MLPClassifier(solver="lbfg").fit(X, y), "lbfgs"),
        (lambda X, y: MLPClassifier(init="he_norml").fit(X, y), "he_normal"),
        (lambda X, y: MLPRegressor("hubr").fit(X, y), "huber"),
        (lambda X, y: NeuralClassifier([Dense(3)], learning_rate="adaptiv").fit(X, y), "adaptive"),
        (lambda X, y: NeuralClassifier([Dense(3)], class_weight="balance").fit(X, y), "balanced"),
    ],
)
def test_errors_suggest_the_name_that_was_meant(call, name):
    with pytest.raises((ValueError, TypeError), match=f"Did you mean '{name}'"):
        call(*data())


def test_errors_suggest_nothing_for_what_is_like_no_name():
    with pytest.raises(ValueError, match="Got 'xyz' instead") as caught:
        SGDClassifier(loss="xyz").fit(*data())
    assert "mean" not in str(caught.value)
