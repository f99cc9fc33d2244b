"""Fits with checkpoints, in processes that tests kill."""

import hashlib
import warnings

import numpy as np
from fusedgrad import _sources
from fusedgrad._training.streams import order
from fusedgrad.callbacks import Checkpoint
from fusedgrad.data import Array
from fusedgrad.layers import Dense
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV
from fusedgrad.neural_network import NeuralRegressor


def estimator(kind, X, y):
    """A model that trains for about a second, and its targets."""
    batches = {"batch_size": 16, "optimizer": "adam", "tol": None, "random_state": 0}
    if kind == "linear":
        return SGDClassifier("log_loss", max_iter=12, **batches), y
    if kind == "solver":
        return SGDClassifier("hinge", optimizer="auto", tol=1e-9, random_state=0), y
    if kind == "search":
        return SGDClassifierCV("log_loss", alphas=3, cv=2, max_iter=8, **batches), y
    return NeuralRegressor([Dense(8, "tanh")], batch_size=16, max_epochs=3, random_state=0), np.sin(X[:, 0])


def fit(kind, path, says):
    """Say that it begins, fit from the checkpoint if there is one, and say a digest of what was found."""
    warnings.simplefilter("ignore")
    _sources.LIMIT, order.BUFFER = 0, 100_000
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 8))
    y = (X[:, 0] + rng.logistic(size=len(X)) > 0).astype(int)
    model, y = estimator(kind, X, y)
    model.set_callbacks(Checkpoint(path, every="0.01 s"))
    says.send("ready")
    model.fit(Array(X, y, group=300), resume=path if path.exists() else None)
    arrays = model.weights_ if kind == "network" else [model.coef_, model.intercept_]
    arrays += [model.coefs_paths_, model.scores_] if kind == "search" else [np.array(model.loss_curve_)]
    says.send(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
