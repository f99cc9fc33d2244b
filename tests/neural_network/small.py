"""Small data for all four estimators of networks, and quick fits of them."""

import pickle

import fusedgrad.neural_network
import numpy as np
import pytest
from fusedgrad.layers import BatchNorm, Dense, Dropout, LayerNorm, Residual

from ..refused import Call

N, D = 40, 3


X = np.random.default_rng(0).normal(size=(N, D))


SCORE = X @ np.array([1.0, -2.0, 0.5]) + 0.3 * np.random.default_rng(1).normal(size=N)


CODES = (SCORE > 0).astype(int)


THREE = np.digitize(SCORE, np.quantile(SCORE, [1 / 3, 2 / 3]))


LABELS = np.c_[SCORE > 0, X[:, 0] > 0, X[:, 1] > 0].astype(int)
LABELS[0] = 1, 1, 0


NAMES = ("MLPClassifier", "MLPRegressor", "NeuralClassifier", "NeuralRegressor")


Y = {name: THREE if "Classifier" in name else SCORE for name in NAMES}


EPOCHS = {name: "max_iter" if "MLP" in name else "max_epochs" for name in NAMES}


def as_they_are(params):
    """Settings with which rows, targets and the objective are as given, and steps alike, for comparisons by hand."""
    own = getattr(params.get("optimizer"), "learning_rate", None) is not None
    return {"standardize": False, "alpha": 0.0, **({} if own else {"learning_rate": 1e-3})}


def make(name, **params):
    """An estimator for quick fits; `epochs` and `rate` under the names that it has for them."""
    mlp = "MLP" in name
    if "epochs" in params:
        params[EPOCHS[name]] = params.pop("epochs")
    if "rate" in params and mlp:
        value = params.pop("rate")
        plain = isinstance(value, (int, float))
        params["learning_rate_init" if plain else "learning_rate"] = value
    elif "rate" in params:
        params["learning_rate"] = params.pop("rate")
    if "rule" in params:
        params["solver" if mlp else "optimizer"] = params.pop("rule")
    hidden = {"hidden_layer_sizes": (6,)} if mlp else {"layers": [Dense(6, "relu")], **as_they_are(params)}
    defaults = {**hidden, "random_state": 0, EPOCHS[name]: 4, "tol": 0.0, "batch_size": 16}
    return getattr(fusedgrad.neural_network, name)(**{**defaults, **params})


def weights_of(model):
    if hasattr(model, "coefs_"):
        norms = [values for norm in getattr(model, "norms_", []) for values in norm.values()]
        return [*model.coefs_, *model.intercepts_, *norms]
    return [*model.weights_, *model.statistics_]


def assert_same_bits(a, b):
    for one, other in zip(weights_of(a), weights_of(b), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert a.loss_curve_ == b.loss_curve_
    assert a.n_iter_ == b.n_iter_


def assert_all_close(a, b, **tolerance):
    for one, other in zip(weights_of(a), weights_of(b), strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def state(model):
    """Every attribute, bit by bit."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


def fitted(name, **params):
    """A model of good data, with an optimizer that has a state; its parameters are those given, set after that."""
    model = make(name)
    if name == "MLPClassifier":
        model.partial_fit(X, Y[name], classes=[0, 1, 2])
    model.fit(X, Y[name])
    return model.set_params(**params)


class Case(Call):
    def call(self, model):
        first = self.method == "partial_fit" and "Classifier" in self.estimator
        return self.on(model, X, Y[self.estimator], **({"classes": [0, 1, 2]} if first else {}))


def check(case, kind=(ValueError, TypeError)):
    """The error, of a fresh model and of a fitted one; both stay as they were."""
    fresh = make(case.estimator).set_params(**case.params)
    before = dict(vars(fresh))
    with pytest.raises(kind, match=case.message) as caught:
        case.call(fresh)
    assert vars(fresh).keys() == before.keys()
    assert all(vars(fresh)[name] is value for name, value in before.items())

    model = fitted(case.estimator, **case.params)
    before, objects = state(model), dict(vars(model))
    with pytest.raises(kind, match=case.message):
        case.call(model)
    assert state(model) == before
    assert all(vars(model)[name] is value for name, value in objects.items())
    return caught.value


def on_all(message, arguments=None, params=None, *, names=NAMES, methods=("fit", "partial_fit")):
    return [Case(name, message, arguments or {}, params or {}, method) for name in names for method in methods]


CLASSIFIERS, REGRESSORS = (tuple(n for n in NAMES if kind in n) for kind in ("Classifier", "Regressor"))


MLPS, NEURALS = (tuple(n for n in NAMES if kind in n) for kind in ("MLP", "Neural"))


def with_value(array, value):
    array = np.array(array, dtype=float)
    array.flat[7] = value
    return array


STACK = [Dense(6, "tanh"), BatchNorm(), Dropout(0.2), Residual([Dense(5, "gelu"), LayerNorm(), Dense(6)])]


RICH = {
    "MLP": {"hidden_layer_sizes": (6, 5), "batch_norm": True, "dropout": 0.2, "clip_norm": 0.5, "weight_decay": 0.01},
    "Neural": {"layers": STACK, "clip_norm": 0.5, "weight_decay": 0.01, "average": 0.9},
}


def rich(name, **params):
    """A model with everything that has a state."""
    return make(name, **{**RICH["MLP" if "MLP" in name else "Neural"], "rule": "nadam", **params})


def without(model, *names):
    hidden = ("_skl_callbacks", "_callback_fit_ctx", "_skl_callbacks_to_teardown", *names)
    return {key: pickle.dumps(value) for key, value in vars(model).items() if key not in hidden}
