"""Networks of images, sequences, padded sequences and codes, in estimators for quick fits."""

import pickle

import fusedgrad.neural_network
import numpy as np
import pytest
from fusedgrad.layers import (
    GRU,
    LSTM,
    Activation,
    AvgPool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    GlobalAvgPool2D,
    Masking,
    MaxPool2D,
    Residual,
    SimpleRNN,
)

N = 30


RNG = np.random.default_rng(0)


IMAGES = RNG.normal(size=(N, 6, 5, 2))


SEQUENCES = RNG.normal(size=(N, 6, 3))


PADDED = np.where(np.arange(6)[:, None] < RNG.integers(1, 7, size=(N, 1, 1)), SEQUENCES, 0.0)


CODES = np.where(np.arange(6) < RNG.integers(1, 7, size=(N, 1)), RNG.integers(1, 7, size=(N, 6)), 0).astype(float)


NAMES = ("NeuralClassifier", "NeuralRegressor")


Y = {"NeuralClassifier": np.arange(N) % 3, "NeuralRegressor": np.sin(np.arange(N))}


STACKS = {
    "images": (
        [
            Conv2D(4, 3, "relu", padding="same", label="filters"),
            BatchNorm(),
            MaxPool2D(2),
            Residual([Conv2D(4, 3, padding="same", groups=2), Activation("tanh"), Conv2D(4, 1)]),
            AvgPool2D(2, padding="same", label="means"),
            GlobalAvgPool2D(),
            Dense(5, "tanh"),
        ],
        IMAGES,
    ),
    "sequences": (
        [
            Conv1D(4, 3, "tanh", padding="same", label="filters"),
            GRU(3, return_sequences=True, bidirectional=True),
            Dropout(0.2),
            SimpleRNN(4, "relu", return_sequences=True, label="states"),
        ],
        SEQUENCES,
    ),
    "padded": ([Masking(), GRU(4, return_sequences=True, label="states"), LSTM(3, bidirectional=True)], PADDED),
    "codes": ([Embedding(7, 3, padding=0, label="vectors"), LSTM(4, truncate=2), Dense(5, "relu")], CODES),
}


each = pytest.mark.parametrize("stack", STACKS)


both = pytest.mark.parametrize("name", NAMES)


def make(name, made, **params):
    """An estimator for quick fits, of rows and an objective that are as given."""
    defaults = {
        "standardize": False,
        "alpha": 0.0,
        "max_epochs": 3,
        "tol": None,
        "batch_size": 8,
        "learning_rate": 0.01,
        "random_state": 0,
    }
    return getattr(fusedgrad.neural_network, name)(made, **{**defaults, **params})


def fitted(name, stack, **params):
    made, X = STACKS[stack]
    return make(name, made, **params).fit(X, Y[name])


def assert_same_bits(a, b):
    for one, other in zip([*a.weights_, *a.statistics_], [*b.weights_, *b.statistics_], strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert a.loss_curve_ == b.loss_curve_


def assert_same_weights(a, b):
    for one, other in zip([*a.weights_, *a.statistics_], [*b.weights_, *b.statistics_], strict=True):
        np.testing.assert_array_equal(one, other)


def state(model):
    """Every attribute, bit by bit."""
    return {key: pickle.dumps(value) for key, value in vars(model).items()}


def refuses(model, call, *words):
    """`call` is a ValueError with these words in it, and the model stays as it was."""
    before, objects = state(model), dict(vars(model))
    with pytest.raises(ValueError) as caught:
        call(model)
    for word in words:
        assert word in str(caught.value)
    assert state(model) == before
    assert all(vars(model)[key] is value for key, value in objects.items())


def first_partial_fit(model, X, y):
    return model.partial_fit(X, y, **({"classes": np.unique(y)} if "Classifier" in type(model).__name__ else {}))
