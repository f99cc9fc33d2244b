"""Perceptrons of both libraries, on the same data."""

import sys
from unittest import mock

import fusedgrad.neural_network
import numpy as np
import scipy.sparse as sp
import sklearn
import sklearn.neural_network
from fusedgrad.neural_network._split import stratified_split as _parts
from sklearn.model_selection import train_test_split

THEIR_MLP = sys.modules["sklearn.neural_network._multilayer_perceptron"]


THEIRS, OURS = sklearn.neural_network, fusedgrad.neural_network


RTOL = {np.float64: 1e-9, np.float32: 1e-3}


KINDS = ("binary", "multiclass", "multilabel", "regression", "targets", "poisson")


ACTIVATIONS = ("identity", "logistic", "tanh", "relu")


RATES = ("constant", "invscaling", "adaptive")


STORAGES = {"dense": np.asarray, "fortran": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_array}


def name_of(kind):
    return "MLPClassifier" if kind in KINDS[:3] else "MLPRegressor"


def data(kind, n=60, d=5, seed=0):
    """Rows, and targets that depend on them, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X[rng.random(X.shape) < 0.2] = 0.0
    score = X @ rng.normal(size=(d, 3)) + 0.5 * rng.normal(size=(n, 3))
    if kind == "binary":
        y = np.array(["no", "yes"])[(score[:, 0] > 0).astype(int)]
        y[:4] = ["no", "yes", "no", "yes"]
    elif kind == "multiclass":
        y = score.argmax(axis=1)
        y[:3] = [0, 1, 2]
    elif kind == "multilabel":
        y = (score > 0).astype(int)
        y[:2] = [[1, 1, 0], [0, 1, 1]]  # an indicator matrix, whatever the noise
    else:
        y = {"regression": score[:, 0], "targets": score, "poisson": rng.poisson(np.exp(score[:, 0] / 3))}[kind]
    return X, y


def make(kind, params):
    """scikit-learn's model and ours."""
    loss = {"loss": "poisson"} if kind == "poisson" else {}
    return [getattr(library, name_of(kind))(**loss, **params) for library in (THEIRS, OURS)]


def both(kind, X, y, params, **fit):
    """Both models, fitted; scikit-learn's on our split where that is another, as of several classes it is."""
    theirs, ours = make(kind, params)
    with mock.patch.object(THEIR_MLP, "train_test_split", our_split if kind == "multiclass" else train_test_split):
        return [theirs.fit(X, y, **fit), ours.fit(X, y, **fit)]


def our_split(X, y, *others, random_state, test_size, stratify):
    """As scikit-learn's MLPClassifier calls it, with a column of y for each class."""
    assert stratify is None
    parts = _parts(len(y), y.argmax(axis=1), test_size, random_state)
    return [array[part] for array in (sp.csr_array(X) if sp.issparse(X) else X, y, *others) for part in parts]


def assert_equal_models(theirs, ours, rtol=1e-9):
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert ours.n_layers_ == theirs.n_layers_
    assert ours.n_outputs_ == theirs.n_outputs_
    assert ours.out_activation_ == theirs.out_activation_
    assert len(ours.coefs_) == len(theirs.coefs_)
    for name in ("coefs_", "intercepts_"):
        for our, their in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert our.dtype == their.dtype
            scale = max(np.abs(their).max(initial=0.0), 1e-3)
            np.testing.assert_allclose(our, their, rtol=0, atol=rtol * scale, err_msg=name)
    for name in ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_", "loss_"):
        if name == "loss_curve_" and theirs.solver == "lbfgs":
            continue
        our, their = getattr(ours, name), getattr(theirs, name)
        if their is None:
            assert our is None, name
        else:
            np.testing.assert_allclose(our, their, rtol=rtol, atol=rtol, err_msg=name)


def assert_equal_predictions(theirs, ours, X, rtol=1e-9):
    if hasattr(theirs, "predict_proba"):
        their = theirs.predict_proba(X)
        our = ours.predict_proba(X)
        assert our.dtype == their.dtype
        np.testing.assert_allclose(our, their, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=10 * rtol, atol=rtol)
        # labels may differ only where the two best probabilities are equal to rounding
        multilabel = theirs.out_activation_ == "logistic" and their.shape[1] == theirs.n_outputs_
        near = np.abs(their - 0.5) if multilabel else np.ptp(np.sort(their, axis=1)[:, -2:], axis=1)
        our, their = ours.predict(X), theirs.predict(X)
        assert our.dtype == their.dtype
        assert our.shape == their.shape
        assert np.all((our == their) | (near < 10 * rtol))
    else:
        their = theirs.predict(X)
        our = ours.predict(X)
        assert our.shape == their.shape
        assert our.dtype == their.dtype
        np.testing.assert_allclose(our, their, rtol=rtol, atol=rtol * max(1.0, np.abs(their).max()))
