"""What tests of promises share."""

import pickle

import fusedgrad.neural_network
import numpy as np
import pytest
from fusedgrad.layers import (
    BatchNorm,
    Dense,
)

from .small import as_they_are

N = 60


X = np.random.default_rng(0).normal(size=(N, 4))


SCORE = X @ np.array([1.0, -2.0, 0.5, 0.0])


THREE = np.digitize(SCORE, np.quantile(SCORE, [1 / 3, 2 / 3]))


LABELS = np.c_[SCORE > 0, X[:, 0] > 0, X[:, 1] > 1].astype(int)


NAMES = ("MLPClassifier", "MLPRegressor", "NeuralClassifier", "NeuralRegressor")


CLASSIFIERS, REGRESSORS = NAMES[::2], NAMES[1::2]


Y = {name: THREE if "Classifier" in name else SCORE for name in NAMES}


every = pytest.mark.parametrize("name", NAMES)


every_classifier = pytest.mark.parametrize("name", CLASSIFIERS)


def make(name, hidden=(6,), norm=False, **params):
    """A small network of either family; epochs and optimizer under the names that it has for them."""
    mlp = "MLP" in name
    for ours, theirs in (("epochs", "max_iter"), ("rule", "solver")) if mlp else (
        ("epochs", "max_epochs"), ("rule", "optimizer")
    ):  # fmt: skip
        if ours in params:
            params[theirs] = params.pop(ours)
    if mlp:
        made = {"hidden_layer_sizes": hidden, "batch_norm": norm, "max_iter": 4}
    else:
        layers = [x for h in hidden for x in [Dense(h, "relu"), *[BatchNorm()] * norm]]
        made = {"layers": layers, "max_epochs": 4, **as_they_are(params)}
    defaults = {**made, "random_state": 0, "tol": 0.0, "batch_size": 16}
    return getattr(fusedgrad.neural_network, name)(**{**defaults, **params})


def weights_of(model):
    if hasattr(model, "coefs_"):
        return [*model.coefs_, *model.intercepts_, *(v for n in getattr(model, "norms_", []) for v in n.values())]
    return [*model.weights_, *model.statistics_]


def same_weights(a, b):
    return all(np.array_equal(one, other) for one, other in zip(weights_of(a), weights_of(b), strict=True))


def state(model, *without):
    """Every attribute, bit by bit."""
    return {name: pickle.dumps(value) for name, value in vars(model).items() if name not in without}


def refuses(message, model, *arguments, method="fit", kind=ValueError, **more):
    """The error, after which the model is as it was."""
    before, objects = state(model), dict(vars(model))
    with pytest.raises(kind, match=message) as caught:
        getattr(model, method)(*arguments, **more)
    assert state(model) == before
    assert all(vars(model)[name] is value for name, value in objects.items())
    return caught.value
