"""Cases of the mini-batch engine, and what the reference makes of them."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import _core, losses, optimizers
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from sklearn.utils import compute_class_weight

from ..reference import minibatch, sgd
from . import minibatch_strategies as strategies

every_kind = pytest.mark.parametrize("kind", strategies.KINDS)


def dense64(X):
    return (X.toarray() if sp.issparse(X) else X).astype(float)


def targets_and_weights(case):
    """Targets (rows, outputs) as the loss codes them, and the products of sample and class weights."""
    y, dtype = case.y, case.X.dtype
    weight = np.ones(len(y)) if "sample_weight" not in case.fit_params else case.fit_params["sample_weight"]
    weight = weight.astype(dtype).astype(float)
    if case.kind in ("regression", "multioutput"):
        return y.astype(dtype).astype(float).reshape(len(y), -1), weight
    classes = np.unique(y)
    of_class = np.ones(len(classes))
    inside = y[:, None] == classes
    if case.params.get("class_weight") == "balanced":
        of_rows = weight @ inside
        of_class = np.divide(of_rows.sum(), len(classes) * of_rows, out=0 * of_rows, where=of_rows > 0)
    elif case.params.get("class_weight") is not None:
        of_class = compute_class_weight(case.params["class_weight"], classes=classes, y=y)
    if case.kind == "multinomial":
        return inside.astype(float), weight * of_class[inside.argmax(axis=1)]
    negative = losses.get(case.params["loss"]).negative
    if case.kind == "binary":
        return np.where(inside[:, 1:], 1.0, negative), weight * of_class[inside.argmax(axis=1)]
    return np.where(inside, 1.0, negative), weight[:, None] * np.where(inside, of_class, 1.0)


def seed_of(case):
    random_state = case.params["random_state"]
    if case.kind in ("regression", "multioutput"):
        return sgd.regression_seed(random_state)
    if case.kind == "binary":
        return sgd.binary_seed(random_state)
    return sgd.binary_seed(np.random.RandomState(random_state).randint(sgd.MAX_INT, size=len(np.unique(case.y)))[0])


def order_of(X, batch_size, shuffle, seed, epoch):
    if sp.issparse(X):
        row_bytes = X.nnz / X.shape[0] * (X.data.itemsize + X.indices.itemsize)
    else:
        row_bytes = X.shape[1] * X.itemsize
    n = X.shape[0]
    size = n if batch_size == "full" else min(batch_size, n)
    return _core.row_order(n, size, row_bytes, {False: 0, True: 1, "rows": 2}[shuffle], seed, epoch)


def moments_of(X):
    """Where rows are short against the number of features, the penalty is sampled less often."""
    return int(np.clip(8 * max(1, X.nnz / X.shape[0]) * X.shape[0] / X.shape[1], 2, 16)) if sp.issparse(X) else 16


def judged(case, *, start=None, epochs=None, whole=True, units=None):
    """What the reference makes of a case; `epochs` as many as max_iter says, `whole` as in `fit`."""
    params = case.params
    Y, weight = targets_and_weights(case)
    alpha, penalty = params["alpha"], params["penalty"]
    ratio = {"l2": 0.0, "l1": 1.0, "elasticnet": params["l1_ratio"], None: None}[penalty]
    name, fields = case.rule
    optimizer = getattr(optimizers, name)(**fields)
    own = {"weight_decay": optimizer.penalty["coupled"], "decay": optimizer.penalty["decay"]}
    own |= {"clip_norm": optimizer.clip_norm, "clip_value": optimizer.clip_value}
    decay = 1.0 if params["intercept_decay"] is None else params["intercept_decay"]
    loss = "softmax" if case.kind == "multinomial" else params["loss"]
    first = len(start.loss_curve) if start else 0
    orders = [
        order_of(case.X, params["batch_size"], params["shuffle"], seed_of(case), epoch)
        for epoch in range(first, first + (epochs or params["max_iter"]))
    ]
    return minibatch.train(
        dense64(case.X),
        Y,
        loss=loss,
        fields={key: params[key] for key in losses.get(params["loss"]).fields},
        rule=optimizer.rule,
        rates=case.rates,
        batch_size=params["batch_size"],
        orders=orders,
        weight=weight,
        whole=whole,
        l1=0.0 if ratio is None else alpha * ratio,
        l2=0.0 if ratio is None else alpha * (1 - ratio),
        positive=params["positive"],
        intercept_decay=decay if params["fit_intercept"] else 0.0,
        average=int(params["average"]),
        moments=moments_of(case.X),
        start=start,
        units=units,
        lazy=optimizer.lazy and sp.issparse(case.X),
        **own,
    )


def standard(case):
    """Unit, pull and centre of steps at automatic rates by the definition; for squared errors, or classes."""
    X, params = dense64(case.X), case.params
    Y, _ = targets_and_weights(case)
    numbers = case.kind in ("regression", "multioutput")
    scale, cost = (Y.std(axis=0), Y.var(axis=0)) if numbers else (np.ones(Y.shape[1]), np.ones(Y.shape[1]))
    sparse = sp.issparse(case.X)
    centre = np.zeros(X.shape[1]) if sparse else X.mean(axis=0)
    entries = [column[column != 0] if sparse else column for column in (X - centre).T]
    spread = np.array([max(np.sqrt(np.mean(each**2)), np.abs(each).max() / 8) for each in entries])
    l2 = {"l2": 1.0, "l1": 0.0, "elasticnet": 1 - params["l1_ratio"], None: 0.0}[params["penalty"]] * params["alpha"]
    spread = np.column_stack([np.sqrt(spread**2 + l2 * (scale**2 / cost)[:, None]), np.ones(len(scale))])
    return spread / scale[:, None], (scale / cost)[:, None] / spread, centre


def estimator(case, **changes):
    name, fields = case.rule
    kind = SGDRegressor if case.kind in ("regression", "multioutput") else SGDClassifier
    given = {"optimizer": getattr(optimizers, name)(**fields), "base_score": False, **case.params, **changes}
    return kind(**given)


def fit(case, X=None, **changes):
    return estimator(case, **changes).fit(case.X if X is None else X, case.y, **case.fit_params)


def assert_equal(model, expected, rtol, *, averaged):
    coef, intercept = expected.answer(averaged=averaged)
    # one scale for the coefficients and the intercepts: they enter the same sum
    scale = max(np.abs(coef).max(), np.abs(intercept).max(), 1e-6)
    assert model.coef_.shape in (coef.shape, coef.shape[1:])
    np.testing.assert_allclose(np.atleast_2d(model.coef_), coef, rtol=0, atol=rtol * scale)
    np.testing.assert_allclose(model.intercept_, intercept, rtol=0, atol=rtol * scale)
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve, rtol=rtol, atol=rtol)


def shuffled_within_rows(X):
    X = X.copy()
    for begin, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        order = np.random.default_rng(begin).permutation(end - begin) + begin
        X.indices[begin:end], X.data[begin:end] = X.indices[order], X.data[order]
    X.has_sorted_indices = False
    return X
