"""Random configurations of the mini-batch engine, tame enough that two implementations stay together.

Besides what `strategies` says: rules that divide by the size of the gradient turn a gradient that is zero but for
rounding into a whole step. So sample weights are always irregular (classes then never balance to the last bit), and in
float32 the rules get an `epsilon` that is large against rounding.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from . import strategies

KINDS = ("binary", "multiclass", "multinomial", "regression", "multioutput")
REGRESSION_LOSSES = (*strategies.REGRESSION_LOSSES, "absolute_error", "quantile", "poisson")
STORAGES = ("C", "F", "csr32", "csr64")
SHUFFLES = (True, "rows", False)
RATES = ("eta0", "number", "callable", "schedule")

# Every update rule with some of its hyper-parameters, and a rate that suits it. A float32 `epsilon` where one divides.
SGD, DIVIDING, SIGN = 0.05, 0.02, 0.01
RULES = (
    ("SGD", {}, SGD),
    ("SGD", {"momentum": 0.9}, SGD / 5),
    ("SGD", {"momentum": 0.8, "dampening": 0.3}, SGD / 5),
    ("SGD", {"momentum": 0.8, "nesterov": True}, SGD / 5),
    ("Adagrad", {}, 0.1),
    ("Adagrad", {"lr_decay": 0.01, "initial_accumulator": 0.1}, 0.1),
    ("Adadelta", {}, 1.0),
    ("RMSprop", {}, DIVIDING),
    ("RMSprop", {"momentum": 0.5, "centered": True}, DIVIDING),
    ("Adam", {}, DIVIDING),
    ("Adam", {"amsgrad": True, "beta_1": 0.8, "beta_2": 0.95}, DIVIDING),
    ("AdamW", {"weight_decay": 0.1}, DIVIDING),
    ("Adamax", {}, DIVIDING),
    ("NAdam", {}, DIVIDING),
    ("RAdam", {}, DIVIDING),
    ("Lion", {}, SIGN),
    ("Lion", {"weight_decay": 0.1}, SIGN),
    ("FTRL", {}, 0.1),
    ("FTRL", {"l1": 0.1, "l2": 0.1, "beta": 0.5}, 0.1),
    ("ASGD", {}, SGD),
    ("ASGD", {"lambd": 0.01, "t0": 3}, SGD),
)
DECAYS = ({}, {"weight_decay": 0.05}, {"clip_norm": 0.1}, {"clip_value": 0.02}, {"clip_norm": 0.2, "clip_value": 0.05})


@dataclass
class Case:
    """One call of `fit`. `rule` is (class name, parameters) of `fusedgrad.optimizers`."""

    kind: str
    params: dict
    rule: tuple
    X: object
    y: object
    rates: object  # of step 0, 1, ...
    fit_params: dict = field(default_factory=dict)

    def __repr__(self):
        storage = type(self.X).__name__
        return (
            f"Case({self.kind}, {storage} {self.X.shape} {self.X.dtype}, {self.rule}, {self.params}, "
            f"{sorted(self.fit_params)})"
        )


@st.composite
def cases(draw, kinds=KINDS, rules=RULES):
    kind = draw(st.sampled_from(kinds))
    classification = kind in ("binary", "multiclass", "multinomial")
    several = kind in ("multiclass", "multinomial")
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    n, d = draw(st.integers(3 if several else 2, 200)), draw(st.integers(1, 67))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    rule, fields, rate = draw(st.sampled_from(rules))
    fields = {**fields, **draw(st.sampled_from(DECAYS))}
    if dtype == np.float32 and rule not in ("SGD", "ASGD", "Lion", "FTRL"):
        fields["epsilon"] = 1e-3
    params = draw(parameters(kind))
    if rule == "ASGD":
        params["average"] = False  # it has its own
    params["batch_size"] = draw(st.one_of(st.integers(1, n + 5), st.sampled_from(["full", max(1, n // 3)])))
    if rule == "SGD" and not fields and params["batch_size"] == 1:
        fields["clip_norm"] = 10.0  # else the sequential engine
    rates, params["learning_rate"], params["eta0"] = draw(learning_rates(rate))

    storage = draw(st.sampled_from(STORAGES))
    X = np.clip(rng.normal(size=(n, d)), -2, 2) / np.sqrt(d)
    X[:, rng.random(d) < 0.1] = 1 / np.sqrt(d)
    X[:, rng.random(d) < 0.1] = 0
    if storage.startswith("csr"):
        X[rng.random(X.shape) < 0.7] = 0
    outputs = 3 if kind == "multioutput" else 1
    margin = X @ rng.normal(size=(d, outputs)) + 0.2 * rng.normal(size=(n, outputs))
    if classification:
        # Quantiles of the margin: classes of about equal size.
        k = 2 if kind == "binary" else draw(st.integers(3, min(n, 5)))
        codes = (np.argsort(np.argsort(margin[:, 0])) * k) // n
        labels = draw(st.sampled_from([np.arange(k) - 1, np.array(list("ezbra")[:k])]))
        y = labels[codes]
        weight = draw(st.sampled_from([None, "balanced", "dict"]))
        weights = dict(zip(np.unique(y).tolist(), (0.5, 1.5, 1.0), strict=False))
        params["class_weight"] = weights if weight == "dict" else weight
    else:
        y = margin + 1
        if params["loss"] == "poisson":
            y = np.abs(y)
        y = y if outputs > 1 else y[:, 0]
    if draw(st.booleans()):  # in the order of the classes or the targets, so that batches lack some
        order = np.argsort(y if y.ndim == 1 else y[:, 0], kind="stable")
        X, y = X[order], y[order]
    sample_weight = rng.uniform(0.2, 2, n)
    sample_weight[rng.random(n) < draw(st.sampled_from([0.0, 0.1]))] = 0
    sample_weight[0] = 1
    return Case(
        kind, params, (rule, fields), stored(X.astype(dtype), storage), y, rates, {"sample_weight": sample_weight}
    )


def stored(X, storage):
    if not storage.startswith("csr"):
        return np.array(X, order=storage)
    X = sp.csr_array(X)
    index = np.int32 if storage == "csr32" else np.int64
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


@st.composite
def learning_rates(draw, rate):
    """(rate of each step, learning_rate, eta0)"""
    kind = draw(st.sampled_from(RATES))
    if kind == "eta0":
        return (lambda step: rate), "constant", rate
    if kind == "number":
        return (lambda step: rate), rate, 123.0

    def falling(step):
        return rate / (1 + step / 10)

    if kind == "callable":
        return falling, falling, 123.0
    from fusedgrad import schedules

    return falling, schedules.InverseTime(rate, decay=0.1), 123.0


@st.composite
def parameters(draw, kind):
    params = {
        "penalty": draw(st.sampled_from(strategies.PENALTIES)),
        "alpha": draw(st.sampled_from([0.0, 1e-4, 0.01, 0.1])),
        "l1_ratio": draw(st.sampled_from([0.0, 0.15, 0.7, 1.0])),
        "fit_intercept": draw(st.booleans()),
        "intercept_decay": draw(st.sampled_from([None, None, 0.3, 0.0])),
        "shuffle": draw(st.sampled_from(SHUFFLES)),
        "random_state": draw(st.integers(0, 2**32 - 1)),
        "average": draw(st.one_of(st.booleans(), st.integers(1, 30))),
        "positive": draw(st.sampled_from([False, False, True])),
        "max_iter": draw(st.integers(1, 6)),
        "tol": None,
    }
    if kind == "multinomial":
        return {**params, "loss": "log_loss", "multi_class": "multinomial"}
    params["epsilon"] = draw(st.sampled_from([0.1, 0.5]))
    if kind in ("binary", "multiclass"):
        losses = strategies.CLASSIFICATION_LOSSES + strategies.REGRESSION_LOSSES
    else:
        losses = REGRESSION_LOSSES
        params["quantile"] = draw(st.sampled_from([0.2, 0.5]))
    return {**params, "loss": draw(st.sampled_from(losses))}
