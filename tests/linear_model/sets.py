"""Sets of models that are trained together."""

import copy
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import optimizers
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from fusedgrad.linear_model._together import Together

from . import minibatch_strategies as strategies
from .batches import shuffled_within_rows

KINDS = {"binary": SGDClassifier, "several": SGDClassifier, "regression": SGDRegressor, "multioutput": SGDRegressor}


every_kind = pytest.mark.parametrize("kind", KINDS)


every_storage = pytest.mark.parametrize("storage", ["C", "csr32"])


@dataclass
class Case:
    """What `Together` is given; `params` are those of each model."""

    kind: str
    params: list
    X: object
    y: object
    sample_weights: object = None
    rows: object = None
    storage: str = "C"

    def models(self):
        return [KINDS[self.kind](**copy.deepcopy(params)) for params in self.params]

    def together(self, models, **options):
        X = self.X if self.rows is None or sp.issparse(self.X) else np.ascontiguousarray(self.X)  # is to be checked
        return Together(models, X, self.y, self.sample_weights, rows=self.rows, **options)

    def weight(self, k):
        weights = self.sample_weights
        return weights if weights is None or weights.ndim == 1 else weights[:, k]

    def alone(self, model, k):
        """What a model is after its own fit on the same rows, or the error that it met."""
        rows = slice(None) if self.rows is None else self.rows
        weight = self.weight(k)
        try:
            return model.fit(self.X[rows], self.y[rows], sample_weight=None if weight is None else weight[rows])
        except ValueError as error:
            return error

    def __repr__(self):
        weights = "no weights" if self.sample_weights is None else f"weights {self.sample_weights.shape}"
        rows = "all rows" if self.rows is None else f"{len(self.rows)} rows"
        return f"Case({self.kind}, {self.storage} {self.X.shape} {self.X.dtype}, {weights}, {rows}, {self.params})"


def stored(X, storage):
    return shuffled_within_rows(sp.csr_array(X)) if storage == "unsorted" else strategies.stored(X, storage)


def assert_as_alone(model, alone):
    assert vars(model).keys() == vars(alone).keys()
    for name in ("coef_", "intercept_", "_standard_coef", "_standard_intercept", "_average_coef", "_average_intercept"):
        if name in vars(alone):
            one, other = vars(model)[name], vars(alone)[name]
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other, err_msg=name)
    for name in ("n_iter_", "stop_reason_", "t_", "n_features_in_", "_y_ndim", "_average_begun"):
        assert vars(model).get(name) == vars(alone).get(name), name
    if "classes_" in vars(alone):
        assert model.classes_.dtype == alone.classes_.dtype
        np.testing.assert_array_equal(model.classes_, alone.classes_)
        assert model.validation_scores_ == alone.validation_scores_
    for name in ("loss_curve_", "validation_loss_curve_", "validation_scores_"):
        one, other = vars(model)[name], vars(alone)[name]
        assert (one is None) == (other is None)
        assert one == other, name
    one, other = vars(model).get("_optimizer_state"), vars(alone).get("_optimizer_state")
    if other is not None:
        assert (one.optimizer, one.step, one.epoch, one.carry) == (
            other.optimizer,
            other.step,
            other.epoch,
            other.carry,
        )
        assert len(one.slots) == len(other.slots)
        for slot, its in zip(one.slots, other.slots, strict=True):
            np.testing.assert_array_equal(slot, its)
        assert len(one.rates) == len(other.rates)
    assert model.get_params().keys() == alone.get_params().keys()


def bits(model):
    """What there is to know of a model, bit by bit."""
    return pickle.dumps({name: value for name, value in vars(model).items() if not callable(value)})


def assert_together_as_alone(case, **options):
    models = case.models()
    together = case.together(models, **options)
    together.run()
    assert together.ended
    together.settle()
    judges = [case.alone(model, k) for k, model in enumerate(case.models())]
    for k, (model, judge) in enumerate(zip(models, judges, strict=True)):
        error = together.errors[k]
        if isinstance(judge, ValueError):
            assert str(error) == f"model {k}: {judge}"
            assert vars(model) == vars(case.models()[k])
        else:
            assert error is None
            assert_as_alone(model, judge)
    return together, judges


GOOD = {"batch_size": 16, "random_state": 3, "max_iter": 4, "tol": None, "learning_rate": "constant", "eta0": 0.05}


def data(kind="binary", *, n=120, d=11, storage="C", dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) / np.sqrt(d)
    if storage != "C":
        X = X * (rng.random(X.shape) < 0.3)
    margin = X @ rng.normal(size=(d, 3)) + rng.normal(size=(n, 3)) / 5
    y = {
        "binary": (margin[:, 0] > 0) * 1,
        "several": margin.argmax(axis=1),
        "regression": np.abs(margin[:, 0]),
        "multioutput": np.abs(margin),
    }[kind]
    return stored(X.astype(dtype), storage), y


def various(kind="binary", **changes):
    """Parameters of twelve models, of all ways that training has."""
    if KINDS[kind] is SGDClassifier:
        chosen = ["log_loss", "hinge", "log_loss", "modified_huber"]
        own = [{"class_weight": "balanced"}, {}, {"multi_class": "multinomial"}, {}]
    else:
        chosen = ["squared_error", "huber", "poisson", "absolute_error"]
        own = [{}] * 4
    rules = [
        {},
        {"optimizer": "adam"},
        {"penalty": "l1"},
        {"optimizer": optimizers.SGD(momentum=0.5, clip_norm=0.05)},
        {"average": 3},
        {"optimizer": "ftrl", "penalty": "elasticnet"},
        {"optimizer": optimizers.Adagrad(clip_value=0.01)},
        {"positive": True},
    ]
    return [
        {**GOOD, "loss": chosen[k % 4], "alpha": 10.0 ** -(1 + k % 5), **own[k % 4], **rules[k % 8], **changes}
        for k in range(12)
    ]


def fitted_alone(kind, params, X, y, weights=None, **changes):
    weights = [None] * len(params) if weights is None else list(np.asarray(weights).T)
    return [
        KINDS[kind](**{**each, **changes}).fit(X, y, sample_weight=weight)
        for each, weight in zip(params, weights, strict=True)
    ]


def assert_all_as_alone(models, judges):
    for model, judge in zip(models, judges, strict=True):
        assert_as_alone(model, judge)


def attributes(model):
    """Every attribute, bit by bit."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}
