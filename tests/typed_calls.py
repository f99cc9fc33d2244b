"""Calls whose types must be right: `.ci/snippets.py` has mypy read this file; nothing runs it."""

import numpy as np
from fusedgrad import (
    MLPClassifier,
    MLPRegressor,
    NeuralClassifier,
    NeuralRegressor,
    SGDClassifier,
    SGDClassifierCV,
    SGDOneClassSVM,
    SGDRegressor,
    fit_many,
    layers,
    losses,
    optimizers,
    schedules,
)
from typing_extensions import assert_type

X, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
cosine = schedules.Cosine(0.1, steps=100)


class Mine(SGDClassifier):
    """A subclass, whose methods return the subclass."""


assert_type(SGDClassifier().fit(X, y, sample_weight=[1.0, 2.0, 1.0, 2.0]), SGDClassifier)
assert_type(Mine().fit(X, y).partial_fit(X, y), Mine)
assert_type(Mine().fit(X, y).sparsify(), Mine)
assert_type(Mine().set_params(alpha=1.0), Mine)
assert_type(SGDRegressor().fit(X.tolist(), [1.0, 2.0, 3.0, 4.0]), SGDRegressor)
assert_type(SGDOneClassSVM().fit(X), SGDOneClassSVM)
assert_type(SGDClassifierCV(alphas=np.logspace(-3, 0, 4), scoring="roc_auc").fit(X, y), SGDClassifierCV)
assert_type(MLPClassifier().fit(X, y, sample_weight=np.ones(4)), MLPClassifier)
assert_type(MLPRegressor().partial_fit(X, y), MLPRegressor)
assert_type(NeuralClassifier([layers.Dense(3)]).fit(X, y, X_val=X, y_val=y), NeuralClassifier)
assert_type(NeuralRegressor([]).fit(X, y), NeuralRegressor)
assert_type(optimizers.Adam().set_params(beta_1=0.5), optimizers.Adam)
assert_type(layers.Dense(3).set_params(units=4), layers.Dense)
assert_type(cosine.set_params(rate=0.2), schedules.Cosine)
assert_type(cosine(3), float)
fit_many([SGDClassifier()], X, y, sample_weights=np.ones((4, 1)))

for shuffle in (True, False):
    SGDClassifier(shuffle=shuffle)
SGDClassifier(shuffle="rows", batch_size="full", class_weight={0: 1.0, 1: 2.0}, random_state=np.random.RandomState(0))
SGDRegressor(shuffle="rows", random_state=0, tol=None)
SGDClassifier(learning_rate=0.1)
SGDClassifier(learning_rate="cosine", optimizer=optimizers.Adam(0.1), verbose=True)
SGDRegressor(learning_rate=cosine, optimizer="adam")
SGDRegressor(learning_rate=lambda step: 0.1 / (1 + step))
SGDClassifierCV(learning_rate=cosine, shuffle="rows", l1_ratios=[0.1, 0.5], losses=["hinge", "log_loss"])
MLPClassifier((10,), "tanh", solver=optimizers.Adam(), learning_rate=cosine, random_state=np.random.RandomState(0))
MLPClassifier([10, 20], ["tanh", "relu"], learning_rate=0.1, batch_size="auto", class_weight="balanced")
MLPRegressor(losses.Huber(epsilon=0.5), hidden_layer_sizes=5, learning_rate="cosine")
NeuralClassifier((layers.Dense(3), layers.Dropout()), learning_rate=lambda step: 0.1, input_shape=(2,))
NeuralRegressor([layers.Dense(3, "relu")], losses.get("quantile", quantile=0.9), optimizers.SGD(), 0.1)
optimizers.Adam(cosine), optimizers.Adam("cosine"), optimizers.Adam(lambda step: 0.1), optimizers.Adam(0.1)
schedules.Warmup(cosine, steps=10), schedules.Warmup(0.1, steps=10), schedules.Piecewise([1, 2], [0.1, 0.2, 0.3])
layers.Residual([layers.Dense(2)]), layers.Conv2D(4, (3, 2), padding="same"), layers.MaxPool2D((2, 2), stride=1)
